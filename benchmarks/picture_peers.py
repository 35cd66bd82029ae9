"""What others need for the same work: a picture in two sizes, turned upright, and a hash of 64 bits; nothing is written.

Each is a program of its own that runs through all pictures once and says what that took, after one that only warms up:
bare libvips and Pillow by this file run as a script, PHP's GD by the script below. ImageMagick is one process for every size,
as servers that call it do. All use one thread. Who is not installed is not measured.
"""

import io
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

QUALITY, EFFORT = 80, 4
PHP, CONVERT = shutil.which("php"), shutil.which("convert")
_ONE_THREAD = {"VIPS_CONCURRENCY": "1", "MAGICK_THREAD_LIMIT": "1", "OMP_NUM_THREADS": "1"}
# All pictures → CPU seconds.
type Way = Callable[[Sequence[Path]], float]


@dataclass(frozen=True)
class Work:
    """`formats` are those that stills are written in; what moves is written as WebP alone."""

    large: int
    small: int
    effort: int = EFFORT
    formats: tuple[str, ...] = ("webp",)

    def words(self) -> list[str]:
        return [str(self.large), str(self.small), str(self.effort), ",".join(self.formats)]


@dataclass(frozen=True)
class Peer:
    """`least` is how many times cheaper than it we mean to be."""

    name: str
    run: Way
    least: float


def bare_libvips(work: Work) -> Way:
    """As a program does that only wants the pictures: the limit of what is possible here."""
    return partial(_by_script, "libvips", work)


def installed_peers(work: Work) -> tuple[list[Peer], list[str]]:
    """Those that are here, and what lacks for the others."""
    found, missing = [Peer("Pillow", partial(_by_script, "pillow", work), 1.4)], []
    if _has_gd():
        found.append(Peer("PHP's GD", partial(_by_gd, work), 1.5))
    else:
        missing.append("PHP with GD (php-cli, php-gd)")
    if CONVERT:
        found.append(Peer("ImageMagick, a process a size", partial(_by_magick, work), 2.5))
    else:
        missing.append("ImageMagick (imagemagick)")
    return found, missing


def _has_gd() -> bool:
    if PHP is None:
        return False
    asked = "echo function_exists('imagewebp') && function_exists('exif_read_data') ? 1 : 0;"
    return subprocess.run([PHP, "-r", asked], capture_output=True, check=False).stdout == b"1"


def _told_by(command: Sequence[str]) -> float:
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ | _ONE_THREAD).stdout)


def _by_script(name: str, work: Work, paths: Sequence[Path]) -> float:
    return _told_by([sys.executable, __file__, name, *work.words(), *map(str, paths)])


_PHP = """
ini_set('memory_limit', '1G');
function fitted($image, $side) {
    $share = min(1, $side / max(imagesx($image), imagesy($image)));
    $wide = max(1, (int) (imagesx($image) * $share));
    $high = max(1, (int) (imagesy($image) * $share));
    $made = imagecreatetruecolor($wide, $high);
    imagecopyresampled($made, $image, 0, 0, 0, 0, $wide, $high, imagesx($image), imagesy($image));
    return $made;
}
function both($path, $large_side, $small_side) {
    $whole = imagecreatefromstring(file_get_contents($path));
    $turn = [3 => 180, 6 => -90, 8 => 90][@exif_read_data($path)['Orientation'] ?? 1] ?? 0;
    if ($turn) $whole = imagerotate($whole, $turn, 0);
    $large = fitted($whole, $large_side);
    $small = fitted($large, $small_side);
    foreach ([$large, $small] as $image) {
        ob_start();
        imagewebp($image, null, 80) || exit(1);
        strlen(ob_get_clean()) > 100 || exit(1);
    }
    $points = imagecreatetruecolor(9, 8);
    imagecopyresampled($points, $small, 0, 0, 0, 0, 9, 8, imagesx($small), imagesy($small));
    imagefilter($points, IMG_FILTER_GRAYSCALE);
    $bits = '';
    for ($y = 0; $y < 8; $y++)
        for ($x = 0; $x < 8; $x++)
            $bits .= (imagecolorat($points, $x, $y) & 255) < (imagecolorat($points, $x + 1, $y) & 255) ? '1' : '0';
    strlen($bits) == 64 || exit(1);
}
function cpu() {
    $used = getrusage();
    return $used['ru_utime.tv_sec'] + $used['ru_stime.tv_sec'] + ($used['ru_utime.tv_usec'] + $used['ru_stime.tv_usec']) / 1e6;
}
[, $large_side, $small_side] = $argv;
$paths = array_slice($argv, 3);
both($paths[0], (int) $large_side, (int) $small_side);
$before = cpu();
foreach ($paths as $path) both($path, (int) $large_side, (int) $small_side);
echo cpu() - $before;
"""


def _by_gd(work: Work, paths: Sequence[Path]) -> float:
    return _told_by([PHP or "", "-r", _PHP, "--", str(work.large), str(work.small), *map(str, paths)])


def _by_magick(work: Work, paths: Sequence[Path]) -> float:
    before = _cpu_seconds(resource.RUSAGE_CHILDREN)
    for path in paths:
        for side in (work.large, work.small):
            made = _converted(
                [
                    f"{path}[0]",
                    "-auto-orient",
                    "-strip",
                    "-thumbnail",
                    f"{side}x{side}>",
                    "-quality",
                    str(QUALITY),
                    "webp:-",
                ]
            )
        _hash_of(_converted(["webp:-", "-colorspace", "Gray", "-depth", "8", "-resize", "9x8!", "gray:-"], made)[:72])
    return _cpu_seconds(resource.RUSAGE_CHILDREN) - before


def _converted(words: list[str], given: bytes = b"") -> bytes:
    command = [CONVERT or "", *words]
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True, env=os.environ | _ONE_THREAD).stdout


def _cpu_seconds(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def _hash_of(points: bytes) -> int:
    """64 bits of a picture of nine by eight grey points: each is darker than the one to its right."""
    return sum((points[at // 8 * 9 + at % 8] < points[at // 8 * 9 + at % 8 + 1]) << at for at in range(64))


def _libvips_of(work: Work) -> Callable[[Path], object]:
    import pyvips

    pyvips.cache_set_max(0)
    savers = {
        "webp": lambda image: image.webpsave_buffer(Q=QUALITY, effort=work.effort, keep="none"),
        "avif": lambda image: image.heifsave_buffer(Q=60, effort=0, compression="av1", keep="none"),
    }

    def both(path: Path) -> object:
        """One decode with shrink-on-load, the small size from the large one."""
        data = path.read_bytes()
        frames = "[n=-1]" if path.suffix == ".gif" else ""
        large = pyvips.Image.thumbnail_buffer(
            data, work.large, height=work.large, size="down", option_string=frames
        ).copy_memory()
        first = (
            pyvips.Image.thumbnail_buffer(data, work.large, height=work.large, size="down").copy_memory()
            if frames
            else large
        )
        small = first.thumbnail_image(work.small, height=work.small, size="down").copy_memory()
        kept = [savers[name](image) for image in (small, large) for name in (("webp",) if frames else work.formats)]
        points = small.thumbnail_image(9, height=8, size="force").colourspace("b-w").write_to_memory()
        return kept, _hash_of(bytes(points))

    return both


def _pillow_of(work: Work) -> Callable[[Path], object]:
    from PIL import Image, ImageOps

    def both(path: Path) -> object:
        """Told to shrink while it loads."""
        with Image.open(io.BytesIO(path.read_bytes())) as opened:
            opened.draft("RGB", (work.large, work.large))
            large = ImageOps.exif_transpose(opened).convert("RGB")
        large.thumbnail((work.large, work.large), Image.Resampling.LANCZOS, reducing_gap=2.0)
        small = large.copy()
        small.thumbnail((work.small, work.small), Image.Resampling.LANCZOS)
        targets = io.BytesIO(), io.BytesIO()
        for image, target in zip((large, small), targets, strict=True):
            image.info = {}
            image.save(target, "WEBP", quality=QUALITY, method=work.effort)
        return targets, _hash_of(small.convert("L").resize((9, 8), Image.Resampling.LANCZOS).tobytes())

    return both


def main(name: str, large: str, small: str, effort: str, formats: str, *paths: str) -> None:
    work = Work(int(large), int(small), int(effort), tuple(formats.split(",")))
    both = (_libvips_of if name == "libvips" else _pillow_of)(work)
    both(Path(paths[0]))
    before = _cpu_seconds(resource.RUSAGE_SELF)
    for path in paths:
        both(Path(path))
    print(_cpu_seconds(resource.RUSAGE_SELF) - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
