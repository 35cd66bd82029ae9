"""Photographs near a camera's entropy, made once: 12-megapixel JPEG with EXIF and GPS, PNG, WebP, animated GIF.

The pictures come from those that scikit-image and scikit-learn ship: crop, enlargement, 1/f texture, grain.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from benchmarks.home import CACHE, say

WIDE, HIGH = 4_000, 3_000
# Of four photographs one was taken with the camera on its side.
LYING = 3
KINDS = ("jpeg", "png", "webp", "gif")
type Pixels = npt.NDArray[np.uint8]


def _sources() -> list[Pixels]:
    import sklearn.datasets

    found = [np.asarray(image) for image in sklearn.datasets.load_sample_images().images]
    from skimage import data

    for name in ("astronaut", "coffee", "chelsea"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found.append(np.ascontiguousarray(getattr(data, name)()[..., :3]))
            except (OSError, ModuleNotFoundError):
                continue  # not part of this installation
    return found


def _texture(dice: np.random.Generator) -> npt.NDArray[np.float64]:
    steps = np.sqrt(np.fft.fftfreq(HIGH)[:, None] ** 2 + np.fft.rfftfreq(WIDE)[None] ** 2)
    steps[0, 0] = 1
    waves = dice.standard_normal((HIGH, WIDE // 2 + 1)) + 1j * dice.standard_normal((HIGH, WIDE // 2 + 1))
    noise = np.fft.irfft2(waves / steps**1.2, (HIGH, WIDE))
    return np.asarray((noise - noise.mean()) / noise.std())


def _photograph(source: Pixels, dice: np.random.Generator) -> Image.Image:
    high, wide = source.shape[:2]
    side = min(wide, high * 4 // 3)
    crop = Image.fromarray(source[: side * 3 // 4, :side]).resize((WIDE, HIGH), Image.Resampling.LANCZOS)
    grain = dice.standard_normal((HIGH, WIDE, 1)) * 4
    return Image.fromarray(np.clip(np.asarray(crop) + _texture(dice)[..., None] * 12 + grain, 0, 255).astype(np.uint8))


def _exif(orientation: int) -> Any:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Canary Camera", "SN-12345678", orientation
    place = exif.get_ifd(0x8825)
    place[1], place[2], place[3], place[4] = "N", (37.0, 33.0, 59.5), "E", (126.0, 58.0, 40.8)
    return exif


def _screenshot(source: Pixels, number: int) -> Image.Image:
    image = Image.new("RGB", (1920, 1080), (240, 241, 244))
    pen = ImageDraw.Draw(image)
    for line in range(40):
        pen.text(
            (30, 60 + line * 25),
            f"{number} gallery image comment member upload visit record {line * 7919}" * 2,
            fill=(40, 40, 90),
        )
    image.paste(Image.fromarray(source).resize((640, 480)), (1240, 120))
    return image  # fmt: skip


def photographs(each: int) -> dict[str, list[Path]]:
    """`each` files of every kind; made where they are missing."""
    folder = CACHE / "photographs"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {kind: [folder / f"{kind}-{n}.{kind}" for n in range(each)] for kind in KINDS}
    if all(path.exists() for paths in wanted.values() for path in paths):
        return wanted
    say("making the photographs (once) …")
    sources, dice = _sources(), np.random.default_rng(7)
    for number in range(each):
        source = sources[number % len(sources)]
        photo = _photograph(source, dice)
        photo.save(wanted["jpeg"][number], quality=90, subsampling=2, exif=_exif(6 if number % 4 == LYING else 1))
        _screenshot(source, number).save(wanted["png"][number])
        photo.resize((2400, 1800)).save(wanted["webp"][number], quality=85)
        small = Image.fromarray(source).resize((960, 540))
        frames = [small.crop((k * 8, k * 5, k * 8 + 480, k * 5 + 270)).quantize(256) for k in range(24)]
        frames[0].save(wanted["gif"][number], save_all=True, append_images=frames[1:], duration=60, loop=0)
    return wanted
