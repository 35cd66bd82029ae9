"""The decoder's jail: a child process with limits, reading one picture from stdin, answering on stdout.

Run as a script, so that it imports nothing of the site. Memory, CPU, files and cores are limited before the first
byte is decoded; all loaders are blocked and four are opened again by name (U4, U5). libvips must be ours and new.
"""

import base64
import json
import os
import resource
import struct
import sys

MAX_SIDE_PX = 16_384
MAX_PIXELS = 60_000_000
MAX_FRAMES = 600
MAX_PIXELS_PER_BYTE = 12_000
MEMORY_BYTES = 1_500 * 1024 * 1024
CPU_SECONDS = 10
MIN_VERSION = (8, 18, 3)
LOADERS = ("VipsForeignLoadJpeg", "VipsForeignLoadPng", "VipsForeignLoadWebp", "VipsForeignLoadNsgif")
SIZES = {"thumbnail": 320, "preview": 1600}


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def refuse(reason: str) -> None:
    answer(json.dumps({"refused": reason}).encode(), [])
    sys.exit(0)


def answer(head: bytes, parts: list) -> None:
    out = sys.stdout.buffer
    out.write(struct.pack(">I", len(head)) + head)
    for part in parts:
        out.write(part)
    out.flush()


def main() -> None:
    os.environ["VIPS_CONCURRENCY"] = "2"
    import pyvips

    if tuple(pyvips.version(n) for n in range(3)) < MIN_VERSION:
        refuse("old-libvips")
    limit()
    pyvips.cache_set_max(0)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in LOADERS:
        pyvips.operation_block_set(loader, False)
    data = sys.stdin.buffer.read()
    kind = sys.argv[1]
    try:
        work(pyvips, data, kind)
    except (pyvips.Error, MemoryError):
        refuse("undecodable")


def work(pyvips, data: bytes, kind: str) -> None:
    load = getattr(
        pyvips.Image,
        {"jpeg": "jpegload_buffer", "png": "pngload_buffer", "webp": "webpload_buffer", "gif": "gifload_buffer"}[kind],
    )
    animated = kind in ("gif", "webp")
    probe = load(data, n=-1) if animated else load(data)
    frames = probe.get("n-pages") if animated and probe.get_typeof("n-pages") else 1
    height = probe.height // frames if frames > 1 else probe.height
    if max(probe.width, height) > MAX_SIDE_PX or probe.width * height > MAX_PIXELS:
        refuse("too-many-pixels")
    if (
        frames > MAX_FRAMES
        or probe.width * height * frames > 4 * MAX_PIXELS
        or probe.width * height * frames > MAX_PIXELS_PER_BYTE * len(data)
    ):
        refuse("bomb")
    still = load(data, fail_on="error").autorot() if not animated else load(data)
    if still.get_typeof("icc-profile-data"):
        still = still.icc_transform("srgb", embedded=True, intent="relative")
    elif still.interpretation not in ("srgb", "b-w"):
        still = still.colourspace("srgb")
    wide, high = still.width, still.height
    parts, facts = [], {"width": wide, "height": high, "frames": frames, "sizes": {}}
    foreign = has_foreign_colours(probe)
    preview = shrink(pyvips, data, kind, SIZES["preview"], frames, foreign)
    thumb_source = shrink(pyvips, data, kind, SIZES["preview"], 1, foreign) if frames > 1 else preview
    thumbnail = thumb_source.thumbnail_image(SIZES["thumbnail"] * 2, height=SIZES["thumbnail"] * 2, size="down")
    for name, image in (("thumbnail", thumbnail), ("preview", preview)):
        encoded = image.write_to_buffer(".webp", Q=80, effort=1, keep="none")
        frame_high = image.get("page-height") if frames > 1 and name == "preview" else image.height
        facts["sizes"][name] = {"width": image.width, "height": frame_high, "bytes": len(encoded)}
        parts.append(encoded)
    facts["placeholder"] = colours(thumbnail)
    answer(json.dumps(facts).encode(), parts)


def shrink(pyvips, data: bytes, kind: str, side: int, frames: int, foreign: bool):
    option = "[n=-1]" if frames > 1 else ""
    # A transform of colours costs more than everything else together, so that it is asked for only where it changes any.
    colour = {"export_profile": "srgb"} if foreign else {}
    made = pyvips.Image.thumbnail_buffer(data, side, height=side, size="down", option_string=option, **colour)
    return made.copy_memory()


def has_foreign_colours(probe) -> bool:
    """Whether the pixels are in other colours than sRGB: by their profile, or of four inks."""
    if probe.interpretation == "cmyk":
        return True
    return bool(probe.get_typeof("icc-profile-data")) and not is_srgb(bytes(probe.get("icc-profile-data")))


def is_srgb(profile: bytes) -> bool:
    """By the profile's own description (ICC.1:2022, tag table at byte 128)."""
    try:
        for place in range(132, 132 + 12 * min(64, struct.unpack_from(">I", profile, 128)[0]), 12):
            name, offset, length = struct.unpack_from(">4sII", profile, place)
            if name == b"desc":
                words = profile[offset : offset + min(length, 400)].replace(b"\0", b"")
                return b"sRGB" in words
    except struct.error:
        pass
    return False


def colours(image) -> list:
    """Twelve colours of the picture, four across and three down: the patchwork shown before the bytes come."""
    small = image.flatten(background=[240, 242, 241]) if image.hasalpha() else image
    if small.bands == 1:
        small = small.colourspace("srgb")
    small = small.resize(4 / small.width, vscale=3 / small.height, kernel="linear")
    return base64.b64encode(bytes(small.cast("uchar").extract_band(0, n=3).write_to_memory())[:36]).decode()


if __name__ == "__main__":
    main()
