"""Reads one uploaded file in a sandbox: rewrites its container, decodes it, answers with its sizes.

A fork server ("nursery") is started once beside each web process: it has loaded libvips and the container filters, reads
nothing itself, and forks one child for every file. The child sets its limits and enters the sandbox (`sandbox.py`), and
only then reads the first byte. It first writes the file anew without metadata and seals that copy against changes, so
that what is kept was written before libvips saw a byte; then it decodes the copy. All loaders of libvips are blocked and
five are opened again by name (U4, U5). Run as a script; the last word is the folder that holds the package.

    jail.py nursery FD FOLDER     forks for each (job, file, output, copy) that comes over the socket; ends with it
    jail.py check FOLDER          prints version, loaders and missing walls
"""

import base64
import codecs
import ctypes
import errno
import fcntl
import gc
import json
import math
import mmap
import os
import select
import signal
import socket
import stat
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

if __name__ == "__main__":
    sys.path.insert(0, sys.argv.pop())

from imgnom.community.images import sandbox
from imgnom.community.images.limits import (
    MAX_FRAMES,
    MAX_PIXELS,
    MAX_PIXELS_IN_ALL_FRAMES,
    MAX_PIXELS_PER_BYTE,
    MAX_SIDE_PX,
)
from imgnom.community.images.strip import STRIP, Clean, NotThisFormat, TooMuch

MAX_SHOWN_PIXELS = 24_000_000
# A large page; more than lies free between what the nursery has; what it keeps for itself; what malloc writes before each piece.
LARGE_PAGE_BYTES, MORE_BYTES, LITTLE_BYTES, HEAD_BYTES = 2 * 1024 * 1024, 256 * 1024, 64 * 1024, 8
MIN_VERSION = (8, 18, 3)
WHEEL = "/pyvips_binary.libs/"
LOADERS = (
    "VipsForeignLoadJpeg",
    "VipsForeignLoadPng",
    "VipsForeignLoadWebp",
    "VipsForeignLoadNsgif",
    "VipsForeignLoadHeif",
)
SIZES = {"thumbnail": 320, "preview": 1600}
OPAQUE = 255
KINDS = {"jpeg": "jpegload", "png": "pngload", "webp": "webpload", "gif": "gifload", "avif": "heifload"}
OPERATIONS = (
    *(f"{name}_source" for name in KINDS.values()), "thumbnail_source", "thumbnail_image", "resize", "flatten", "colourspace", "extract_band", "cast",
    "copy", "min", "heifsave_buffer", "webpsave_buffer",
)  # fmt: skip
# Chosen by measurement (benchmarks/pipeline.py): AVIF at its least effort is a fifth smaller than WebP and closer to the picture.
AVIF = {"Q": 60, "effort": 0, "compression": "av1", "keep": "none"}
WEBP = {"Q": 80, "effort": 1, "keep": "none"}
FORMATS = ("avif", "webp")
# F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE: nothing about the copy changes any more.
SEALS = 1 | 2 | 4 | 8
_GRID = 32
_WAVES = [[math.cos(math.pi * k * (2 * n + 1) / (2 * _GRID)) for n in range(_GRID)] for k in range(1, 9)]


libc = sandbox.libc


class Refused(Exception):
    """The picture is not taken; the reason is a key of the words that tell it."""


def open_libvips() -> Any:
    os.environ["VIPS_CONCURRENCY"] = "1"
    import pyvips

    pyvips.cache_set_max(0)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in LOADERS:
        pyvips.operation_block_set(loader, False)
    return pyvips


def work(
    pyvips: Any, data: bytes | mmap.mmap, kind: str, *, is_foreign: bool, may_hide_words: bool, formats: tuple[str, ...]
) -> tuple[dict[str, Any], list[bytes]]:
    wide, high, frames, turned = head_of(pyvips, data, kind)
    ensure_size(wide, high, frames, len(data))
    facts: dict[str, Any] = {
        "width": high if turned else wide, "height": wide if turned else high, "frames": frames, "sizes": {}, "redrawn": 0, "files": [],
    }  # fmt: skip
    side = SIZES["preview"]
    if frames > 1:
        side = min(side, max(64, int(max(wide, high) * math.sqrt(MAX_SHOWN_PIXELS / (wide * high * frames)))))
    redrawn = b""
    try:
        preview = shrink(pyvips, data, kind, side, frames, is_foreign=is_foreign)
        is_whole = not may_hide_words or (kind == "jpeg" and ends_with_its_pixels(pyvips, data))
    except pyvips.Error:
        if kind != "jpeg":
            raise
        preview = shrink(pyvips, data, kind, side, frames, is_foreign=is_foreign, fail_on="error")
        is_whole = False
    if not is_whole:
        # Something stands between its pixels that belongs to no picture: kept is what is seen.
        if frames > 1:
            whole = load(pyvips, data, kind, n=-1, fail_on="error", access="sequential")
        else:
            whole = load(pyvips, data, kind, fail_on="error").autorot()
        redrawn = redraw(whole, kind, is_lossless=data.find(b"VP8 ") < 0)
        facts["redrawn"] = len(redrawn)
    thumb = SIZES["thumbnail"] * 2
    first = shrink(pyvips, data, kind, thumb, 1, is_foreign=is_foreign) if frames > 1 else preview
    # In memory: four look at it, and each would make it anew.
    thumbnail = first.thumbnail_image(thumb, height=thumb, size="down").copy_memory()
    jobs: list[tuple[str, str, Any]] = []
    for name, image in (("thumbnail", thumbnail), ("preview", preview)):
        frame_high = image.get("page-height") if frames > 1 and name == "preview" else image.height
        facts["sizes"][name] = [image.width, frame_high]
        jobs += [(name, shown_as, image) for shown_as in (("webp",) if frames > 1 else formats)]
    # One after the other: side by side they would end sooner, and cost a tenth more of what the machine has for everybody.
    parts = [encode(image, shown_as, moves=frames > 1) for _, shown_as, image in jobs]
    facts["files"] = [[name, shown_as, len(part)] for (name, shown_as, _), part in zip(jobs, parts, strict=True)]
    facts["placeholder"], facts["lookalike"] = summary(thumbnail)
    return facts, [*parts, redrawn]


def load(pyvips: Any, data: bytes | mmap.mmap, kind: str, **options: Any) -> Any:
    """The picture, of which only the head is read. The data is not copied: it has to live as long as the picture."""
    return getattr(pyvips.Image, f"{KINDS[kind]}_source")(pyvips.Source.new_from_memory(data), **options)


def head_of(pyvips: Any, data: bytes | mmap.mmap, kind: str) -> tuple[int, int, int, bool]:
    """Width and height of a frame, frames, whether it lies on its side. What was opened for it is closed: a WebP takes its
    room before it has a pixel.
    """
    moves = kind in ("gif", "webp")
    image = load(pyvips, data, kind, **({"n": -1} if moves else {}))
    frames = image.get("n-pages") if moves and image.get_typeof("n-pages") else 1
    turned = frames == 1 and image.get_typeof("orientation") and image.get("orientation") >= 5
    return image.width, image.height // frames, frames, bool(turned)


def encode(image: Any, shown_as: str, *, moves: bool) -> bytes:
    if shown_as == "avif":
        return bytes(image.heifsave_buffer(**AVIF))
    return bytes(image.webpsave_buffer(alpha_q=20 if moves else 100, **WEBP))


def redraw(image: Any, kind: str, *, is_lossless: bool) -> bytes:
    if kind == "avif":
        return bytes(image.heifsave_buffer(**(AVIF | {"Q": 85, "keep": "icc"})))
    if kind == "webp":
        return bytes(image.webpsave_buffer(Q=92, effort=1, lossless=is_lossless, keep="icc"))
    if kind == "gif":
        return bytes(image.gifsave_buffer(dither=0, effort=1, reuse=True, keep="none"))
    return bytes(image.jpegsave_buffer(Q=92, keep="icc"))


def ensure_size(wide: int, high: int, frames: int, file_bytes: int) -> None:
    if max(wide, high) > MAX_SIDE_PX or wide * high > MAX_PIXELS:
        raise Refused("too-many-pixels")
    everything = wide * high * frames
    if frames > MAX_FRAMES or everything > MAX_PIXELS_IN_ALL_FRAMES:
        raise Refused("bomb")
    if everything > MAX_PIXELS_PER_BYTE * max(1024, file_bytes):
        raise Refused("bomb")


def ends_with_its_pixels(pyvips: Any, data: bytes | mmap.mmap) -> bool:
    """Whether a JPEG lacks something once the last bytes before its end are gone. libjpeg does not look behind the last
    row, so that whatever stands there would go unseen.
    """
    cut = data[:-4]
    while cut.endswith(b"\xff"):
        cut = cut[:-1]
    cut += b"\xff\xd9"
    try:
        load(pyvips, cut, "jpeg", shrink=8, fail_on="warning").avg()
    except pyvips.Error:
        return True
    return False


def shrink(
    pyvips: Any,
    data: bytes | mmap.mmap,
    kind: str,
    side: int,
    frames: int,
    *,
    is_foreign: bool,
    fail_on: str = "warning",
) -> Any:
    option = "[n=-1]" if frames > 1 else ""
    # A transform of colours costs more than everything else together, so that it is asked for only where it changes any.
    colour = {"export_profile": "srgb"} if is_foreign else {}
    strict = fail_on if kind == "jpeg" else "error"
    source = pyvips.Source.new_from_memory(data)
    made = pyvips.Image.thumbnail_source(
        source, side, height=side, size="down", option_string=option, fail_on=strict, **colour
    )
    if made.format != "uchar":
        made = made.colourspace("b-w" if made.bands < 3 else "srgb")
    made = made.copy_memory()
    if made.hasalpha() and made[made.bands - 1].min() == OPAQUE:
        made = made.extract_band(0, n=made.bands - 1)  # a window that is open everywhere costs more than it shows
    return made


def summary(image: Any) -> tuple[str, str]:
    """(twelve colours, 64 bits), both of the picture drawn on a grid of 32 by 32 points.

    The colours, four across and three down, are the patchwork shown before the bytes come. The bits stay nearly the same
    when a picture is made smaller, coded again, or a little lighter: each says whether one of the 64 slowest waves of its
    brightness (a cosine transform) is above their middle.
    """
    seen = image.flatten(background=[240, 242, 241][: image.bands - 1]) if image.hasalpha() else image
    grid = seen.resize(_GRID / seen.width, vscale=_GRID / seen.height, kernel="linear").copy_memory()
    colours = grid.colourspace("srgb") if grid.bands == 1 else grid
    grey = grid.colourspace("b-w").extract_band(0).cast("uchar")
    return _patchwork(bytes(colours.write_to_memory()), colours.bands), _bits(bytes(grey.write_to_memory()))


def _patchwork(points: bytes, bands: int) -> str:
    """The means of twelve fields, in Python: a pipeline for so little costs five times as much."""
    row, wide = _GRID * bands, _GRID // 4
    means = bytearray()
    for top, bottom in ((0, 11), (11, 21), (21, _GRID)):
        for left in range(0, _GRID, wide):
            for band in range(3):
                first, last = left * bands + band, (left + wide) * bands
                signs = [sum(points[y * row + first : y * row + last : bands]) for y in range(top, bottom)]
                means.append(sum(signs) // (wide * len(signs)))
    return base64.b64encode(means).decode()


def _bits(points: bytes) -> str:
    rows = [points[at : at + _GRID] for at in range(0, _GRID * _GRID, _GRID)]
    across = [[math.sumprod(wave, row) for wave in _WAVES] for row in rows]
    columns = list(zip(*across, strict=True))
    waves = [math.sumprod(wave, column) for wave in _WAVES for column in columns]
    middle = sorted(waves)[len(waves) // 2]
    return f"{sum((wave > middle) << bit for bit, wave in enumerate(waves)):016x}"


def why_not(error: Exception) -> str:
    """The reason that is answered: of the picture, or `busy` where the machine has no more threads or memory to give."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, MemoryError):
        return "too-much-room"
    if isinstance(error, OSError):  # no memory to map the file or to write its copy; a copy beyond the limit
        return "too-much-room" if error.errno == errno.EFBIG else "busy"
    said = " ".join(str(part) for part in (error, *vars(error).values())).lower()
    if any(words in said for words in ("out of memory", "memory allocation", "insufficient memory")):
        return "too-much-room"
    return "busy" if "thread" in said and ("start" in said or "create" in said) else "undecodable"


def rewritten(content: bytes, kind: str) -> Clean:
    """The file without what travelled along. Raises Refused, MemoryError."""
    try:
        return STRIP[kind](content)
    except (NotThisFormat, TooMuch) as error:
        raise Refused(str(error)) from None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever a crafted file makes of a parser, it is the file's fault
        raise Refused("undecodable") from None


def do_job(pyvips: Any, job: str, content: int, target: int, copy: int | None = None) -> NoReturn:
    """In the child: rewrite, decode, answer, end."""
    kind, *marks = job.split()
    sandbox.limit()
    if nobody_reads(target):
        os._exit(0)
    try:
        given = mapped(content)
        sandbox.enter()
        facts, parts = answer(pyvips, kind, given if given is not None else read_whole(content), marks, copy)
    except Exception as error:  # noqa: BLE001 - every one of them is an answer
        facts, parts = {"refused": why_not(error)}, []
    head = json.dumps(facts).encode()
    rest = memoryview(b"".join([struct.pack(">I", len(head)), head, *parts]))
    while rest:  # at once where the pipe holds it: the site is woken for the whole
        rest = rest[os.write(target, rest) :]
    os._exit(0)


def answer(
    pyvips: Any, kind: str, given: bytes | mmap.mmap, formats: list[str], copy: int | None
) -> tuple[dict[str, Any], list[bytes]]:
    """What is told about the file, and the parts that follow: display sizes, the redrawn original, the clean copy."""
    content = given[:]
    if isinstance(given, mmap.mmap):
        given.close()
    clean = rewritten(content, kind)
    del content
    # From here on the clean file lies in the copy alone: libvips needs the memory.
    data: bytes | mmap.mmap = clean.content if copy is None else sealed_copy(copy, clean.pieces)
    seen, is_foreign, may_hide_words, removed = (
        clean.seen,
        clean.has_foreign_colours,
        clean.may_hide_words,
        clean.removed,
    )
    del clean
    shown_as = tuple(name for name in FORMATS if name in formats)
    facts, parts = work(
        pyvips, seen or data, kind, is_foreign=is_foreign, may_hide_words=may_hide_words, formats=shown_as
    )
    facts |= {"removed": sorted(removed), "clean": len(data) if copy is None else 0}
    return facts, [*parts, *([bytes(data)] if copy is None else [])]


def sealed_copy(file: int, pieces: Sequence[bytes | memoryview]) -> mmap.mmap:
    """The pieces, written to a file in memory that nobody can change any more."""
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(file, rest) :]
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, SEALS)
    # Private: before Linux 6.7 what is sealed cannot be mapped shared, not even to be read.
    return mmap.mmap(file, os.lseek(file, 0, os.SEEK_CUR), flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)


def mapped(file: int) -> mmap.mmap | None:
    """The file where it lies in memory; None where it comes through a pipe."""
    if stat.S_ISFIFO(os.fstat(file).st_mode):
        return None
    return mmap.mmap(file, 0, prot=mmap.PROT_READ)


def read_whole(pipe: int) -> bytes:
    parts = []
    while part := os.read(pipe, 1024 * 1024):
        parts.append(part)
    return b"".join(parts)


def nobody_reads(pipe: int) -> bool:
    """Whether the site asked too long ago, and has another child for this picture by now."""
    watch = select.poll()
    watch.register(pipe, select.POLLERR)
    return bool(watch.poll(0))


def _reap(_signal: int, _frame: FrameType | None) -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def get_ready(pyvips: Any) -> None:
    """What each child would do again is done once, before they are born, but for what would start a thread."""
    for name in OPERATIONS:
        with suppress(pyvips.Error):
            pyvips.Introspect.get(name)
    codecs.lookup("utf-16-be")  # the one of a colour profile's texts: a child could not load it any more
    for _ in range(8):  # so often that Python has settled how to run them
        _patchwork(bytes(3 * _GRID * _GRID), 3)
        _bits(bytes(_GRID * _GRID))
    gc.collect()
    gc.freeze()
    gc.disable()
    fill_large_page()


def fill_large_page() -> None:
    """Whatever a child puts on the heap begins in a large page of its own: of one that it shares with the nursery it would
    copy each of 512 small ones. The nursery keeps a little room below for itself.
    """
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    little, unused = libc.malloc(LITTLE_BYTES), libc.malloc(MORE_BYTES)
    libc.free(unused)
    left = -unused % LARGE_PAGE_BYTES
    libc.malloc((left if left > MORE_BYTES else left + LARGE_PAGE_BYTES) - HEAD_BYTES)
    libc.free(little)


def nursery(door: socket.socket) -> None:
    """A child for each job until the other side hangs up."""
    pyvips = open_libvips()
    get_ready(pyvips)
    signal.signal(signal.SIGCHLD, _reap)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        job, files, _, _ = socket.recv_fds(door, 64, 3)
        if not job:
            return
        child = os.fork()
        if child == 0:
            door.close()
            os.setpgid(0, 0)  # so that the site can put all its threads behind those of others
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                do_job(pyvips, job.decode(), *files)
            finally:
                os._exit(1)
        for file in files:
            os.close(file)
        door.sendall(struct.pack(">I", child))


def check() -> dict[str, Any]:
    """Version, missing kinds, loaders that would open anything, where the library comes from, and missing walls."""
    pyvips = open_libvips()
    version = [pyvips.version(part) for part in range(3)]
    opened = []
    for name, data in STRANGERS.items():
        try:
            pyvips.Image.new_from_buffer(data, "").avg()
            opened.append(name)
        except pyvips.Error:
            continue
    return {
        "version": version, "missing": missing(pyvips), "opened": opened, "foreign": foreign_library(),
        "walls_missing": list(sandbox.enter()),
    }  # fmt: skip


STRANGERS = {
    "matrix": b"2 2\n1 2\n3 4\n",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>",
    "ppm": b"P1\n1 1\n0\n",
}
ONE_PIXEL_GIF = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;"


def missing(pyvips: Any) -> list[str]:
    """The kinds of pictures that this libvips cannot write and open again."""
    savers: dict[str, Callable[[Any], bytes]] = {
        "jpeg": lambda image: image.jpegsave_buffer(), "png": lambda image: image.pngsave_buffer(), "webp": lambda image: image.webpsave_buffer(**WEBP),
        "gif": lambda _image: ONE_PIXEL_GIF, "avif": lambda image: image.heifsave_buffer(**AVIF),
    }  # fmt: skip
    lacking = []
    for kind, save in savers.items():
        try:
            saved = save(pyvips.Image.black(16, 16, bands=3).copy(interpretation="srgb"))
            load(pyvips, saved, kind).avg()
        except (pyvips.Error, AttributeError):
            lacking.append(kind)
    return lacking


def foreign_library() -> str:
    """A libvips that is loaded from elsewhere than the wheel; nothing where all is well or the system does not say."""
    try:
        with Path("/proc/self/maps").open(encoding="utf-8", errors="replace") as maps:
            paths = {line.split(maxsplit=5)[5].strip() for line in maps if "libvips" in line}
    except OSError:
        return ""
    return min((path for path in paths if Path(path).name.startswith("libvips") and WHEEL not in path), default="")


def main() -> None:
    if sys.argv[1] == "check":
        print(json.dumps(check()))
    else:
        nursery(socket.socket(fileno=int(sys.argv[2])))


if __name__ == "__main__":
    main()
