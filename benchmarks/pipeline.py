"""The upload path against bare libvips making the same two sizes with the same encoder effort.

Ours: type by content, metadata out, decoding in the jailed child, sealing, files, rows. Bare: one decode with
shrink-on-load, the small size from the large one, both encoded (stills as AVIF and WebP), nothing written. CPU time counts children.
"""

from functools import partial
from pathlib import Path

import pyvips

from benchmarks.corpus import photographs
from benchmarks.figures import Figure, Section, Size, cpu_ms_each, timed
from benchmarks.home import NOW, empty_home, start_django

# One cost of a whole 12-megapixel upload: half of what the cheapest peer needs for the thumbnail alone.
MAX_UPLOAD_MS = 400


def bare(path: Path) -> None:
    """As a program does that only wants the pictures: the limit of what is possible here."""
    from imgnom.community.images.jail import AVIF, SIZES, WEBP

    data = path.read_bytes()
    frames = "[n=-1]" if path.suffix == ".gif" else ""
    side = SIZES["preview"]
    large = pyvips.Image.thumbnail_buffer(data, side, height=side, size="down", option_string=frames).copy_memory()
    first = pyvips.Image.thumbnail_buffer(data, side, height=side, size="down").copy_memory() if frames else large
    small = first.thumbnail_image(SIZES["thumbnail"] * 2, height=SIZES["thumbnail"] * 2, size="down")
    for image in (small, large):
        image.webpsave_buffer(**WEBP)
        if not frames:
            image.heifsave_buffer(**AVIF)


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

    figures = []
    for kind, paths in photographs(size.photos).items():
        floor = cpu_ms_each([partial(bare, p) for p in paths], rounds=size.rounds)
        mine = cpu_ms_each([partial(ours, p) for p in paths], rounds=size.rounds)
        with timed() as spent:
            for path in paths:
                ours(path)
        each = 1000 * spent.wall / len(paths)
        figures += [
            Figure(f"{kind}: bare libvips, both sizes", floor, "CPU ms"),
            Figure(f"{kind}: our whole upload", mine, "CPU ms", "bare libvips", mine / floor, "≤ 1.05 ×", mine <= 1.05 * floor),
            Figure(f"{kind}: our whole upload, one at a time", 1000 / each, "items/s"),
        ]  # fmt: skip
        if kind == "jpeg":
            figures.append(
                Figure(f"{kind}: from bytes to both sizes", each, "ms", target=f"≤ {MAX_UPLOAD_MS} ms", met=each <= MAX_UPLOAD_MS)
            )  # fmt: skip
    return Section("pipeline", "Uploads", " ".join((__doc__ or "").split()), tuple(figures))
