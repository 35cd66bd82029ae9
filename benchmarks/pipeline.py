"""The upload path against bare libvips making the same two sizes with the same encoder effort.

Ours: type by content, metadata out, decoding in the jailed child, sealing, files, rows. Bare: one decode with
shrink-on-load, the small size from the large one, a hash, nothing written. Once in the formats of the site (stills as AVIF
and WebP at their least effort), once at what the peers do (WebP alone, effort 4). CPU time counts children; rounds alternate.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pyvips

from benchmarks.corpus import photographs
from benchmarks.figures import Figure, Section, Size, timed
from benchmarks.home import CACHE, NOW, empty_home, start_django

# One cost of a whole 12-megapixel upload: half of what the cheapest peer needs for the thumbnail alone.
MAX_UPLOAD_MS = 400
# 0.95 of what bare libvips gets done with the same processor time.
MOST = 1 / 0.95
PEERS_EFFORT = 4
type Upload = Callable[[Path], None]


def bare(path: Path, *, effort: int, formats: Sequence[str]) -> None:
    """As a program does that only wants the pictures: the limit of what is possible here."""
    from imgnom.community.images.jail import AVIF, SIZES, WEBP

    data = path.read_bytes()
    frames = "[n=-1]" if path.suffix == ".gif" else ""
    side = SIZES["preview"]
    large = pyvips.Image.thumbnail_buffer(data, side, height=side, size="down", option_string=frames).copy_memory()
    first = pyvips.Image.thumbnail_buffer(data, side, height=side, size="down").copy_memory() if frames else large
    thumb = SIZES["thumbnail"] * 2
    small = first.thumbnail_image(thumb, height=thumb, size="down").copy_memory()
    for image in (small, large):
        image.webpsave_buffer(**(WEBP | {"effort": effort}))
        if "avif" in formats and not frames:
            image.heifsave_buffer(**AVIF)
    points = bytes(small.thumbnail_image(9, height=8, size="force").colourspace("b-w").write_to_memory())
    sum((points[at // 8 * 9 + at % 8] < points[at // 8 * 9 + at % 8 + 1]) << at for at in range(64))


@contextmanager
def as_the_peers() -> Iterator[None]:
    """The site's own path, its decoder told to write what the peers write."""
    from imgnom.community.images import decode, take_in
    from imgnom.community.images.jail import WEBP

    ours = decode.JAIL.read_text(encoding="utf-8")
    told = ours.replace(f'"effort": {WEBP["effort"]}, "keep"', f'"effort": {PEERS_EFFORT}, "keep"')
    if told == ours:
        raise RuntimeError("the decoder's settings are written in another way now")
    copy = CACHE / "jail-as-peers.py"
    copy.write_text(told, encoding="utf-8")
    decode.NURSERY.close()
    with patch.object(decode, "JAIL", copy), patch.object(take_in, "decode", partial(decode.decode, formats=("webp",))):
        yield
    decode.NURSERY.close()


def _each(uploads: Sequence[Upload], paths: Sequence[Path], *, rounds: int) -> list[float]:
    """CPU milliseconds a picture of each way, all rounds together after one that only warms up."""
    spent = [0.0] * len(uploads)
    for number in range(rounds + 1):
        for place, upload in enumerate(uploads):
            with timed() as took:
                for path in paths:
                    upload(path)
            spent[place] += took.cpu if number else 0.0
    return [1000 * seconds / (rounds * len(paths)) for seconds in spent]


def _pair(what: str, bare_ms: float, our_ms: float) -> list[Figure]:
    return [
        Figure(f"{what}: bare libvips, both sizes and a hash", bare_ms, "CPU ms"),
        Figure(f"{what}: our whole upload", our_ms, "CPU ms", "bare libvips", our_ms / bare_ms, "≤ 1.053 ×", our_ms <= MOST * bare_ms),
    ]  # fmt: skip


def measure(size: Size) -> Section:
    start_django(empty_home("scratch-pipeline"))
    from imgnom.community.images.public import upload_file
    from imgnom.community.members.public import create_confirmed_member

    pyvips.cache_set_max(0)
    author = create_confirmed_member(
        username="bench.one", password="no matter which", nickname="재는이", email="bench@mail.example", now=NOW
    )

    def ours(path: Path) -> None:
        upload_file(
            content=path.read_bytes(), title="재기", description="", alt="", tags="", visibility="public", by_member=author.id,
            now=NOW,
        )  # fmt: skip

    from imgnom.community.images.jail import FORMATS, WEBP

    as_site = partial(bare, effort=int(str(WEBP["effort"])), formats=FORMATS)
    as_peer = partial(bare, effort=PEERS_EFFORT, formats=("webp",))
    figures = []
    for kind, paths in photographs(size.photos).items():
        figures += _pair(kind, *_each((as_site, ours), paths, rounds=size.rounds))
        with timed() as spent:
            for path in paths:
                ours(path)
        each = 1000 * spent.wall / len(paths)
        figures.append(Figure(f"{kind}: our whole upload, one at a time", 1000 / each, "items/s"))
        if kind == "jpeg":
            figures.append(
                Figure(f"{kind}: from bytes to both sizes", each, "ms", target=f"≤ {MAX_UPLOAD_MS} ms", met=each <= MAX_UPLOAD_MS)
            )  # fmt: skip
        with as_the_peers():
            figures += _pair(f"{kind} as the peers", *_each((as_peer, ours), paths, rounds=size.rounds))
    return Section("pipeline", "Uploads", " ".join((__doc__ or "").split()), tuple(figures))
