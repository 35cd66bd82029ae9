"""The decoder's jail: reads one picture, answers with its sizes, and may do nothing else.

A nursery is started once beside each web process: it has loaded libvips, decodes nothing itself, and forks one child
for every picture. The child gives up files, network and programs (Landlock, where the kernel has it), sets limits of
memory, CPU, files and cores, and only then reads the first byte. All loaders are blocked and five are opened again by
name (U4, U5). Run as a script, so that it imports nothing of the site.

    jail.py nursery FD     forks for each (job, file, output) that comes over the socket; ends with it
    jail.py check          says version and loaders, then ends
"""

import base64
import ctypes
import gc
import json
import math
import mmap
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

MAX_SIDE_PX = 16_384
MAX_PIXELS = 60_000_000
MAX_FRAMES = 600
MAX_PIXELS_IN_ALL_FRAMES = 4 * MAX_PIXELS
MAX_PIXELS_PER_BYTE = 12_000
MAX_SHOWN_PIXELS = 24_000_000
# An AVIF is opened whole, in about 18 bytes a pixel; the others are opened by rows or smaller than they are.
MAX_PIXELS_AVIF = 24_000_000
# What it writes to, libvips included; and the room of addresses, most of which is libraries.
MEMORY_BYTES = 480 * 1024 * 1024
ADDRESS_BYTES = 700 * 1024 * 1024
# With what the site itself spends on a file, less than ten.
CPU_SECONDS = 9
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
_GRID = 32
_WAVES = [[math.cos(math.pi * k * (2 * n + 1) / (2 * _GRID)) for n in range(_GRID)] for k in range(1, 9)]


libc = ctypes.CDLL(None)


class Refused(Exception):
    """The picture is not taken; the reason is a key of the words that tell it."""


def limit() -> None:
    os.nice(5)  # pages come before pictures
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def give_up_files_and_network() -> bool:
    """No file is opened, no program run, no TCP connection made from here on; False where the kernel cannot say so.

    Landlock, by its system calls 444 and 446 (the same number on every architecture since Linux 5.13).
    """
    no_new_privileges, version_flag = 38, 1
    version = libc.syscall(444, None, ctypes.c_size_t(0), version_flag)
    if version < 1:
        return False
    files = (1 << {1: 13, 2: 14}.get(version, 15)) - 1
    rights = struct.pack("QQ", files, 3) if version >= 4 else struct.pack("Q", files)
    rules = libc.syscall(444, rights, ctypes.c_size_t(len(rights)), 0)
    if rules < 0 or libc.prctl(no_new_privileges, 1, 0, 0, 0):
        return False
    done = libc.syscall(446, rules, 0)
    os.close(rules)
    return bool(done == 0)


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
    """The reason that is answered: of the picture, or `busy` where the machine has no more threads or no room to give."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, MemoryError):
        return "too-much-room"
    if isinstance(error, OSError):  # no room to map the file
        return "busy"
    said = " ".join(str(part) for part in (error, *vars(error).values())).lower()
    if any(words in said for words in ("out of memory", "memory allocation", "insufficient memory")):
        return "too-much-room"
    return "busy" if "thread" in said and ("start" in said or "create" in said) else "undecodable"


def do_job(pyvips: Any, job: str, content: int, target: int) -> NoReturn:
    """In the child: decode, answer, end."""
    kind, *marks = job.split()
    give_up_files_and_network()
    limit()
    if nobody_reads(target):
        os._exit(0)
    try:
        data = given(content)
        facts, parts = work(
            pyvips,
            data,
            kind,
            is_foreign="foreign" in marks,
            may_hide_words="words" in marks,
            formats=tuple(name for name in FORMATS if name in marks),
        )
    except (Refused, MemoryError, RuntimeError, OSError, pyvips.Error) as error:
        facts, parts = {"refused": why_not(error)}, []
    head = json.dumps(facts).encode()
    rest = memoryview(b"".join([struct.pack(">I", len(head)), head, *parts]))
    while rest:  # at once where the pipe holds it: the site is woken for the whole
        rest = rest[os.write(target, rest) :]
    os._exit(0)


def given(content: int) -> bytes | mmap.mmap:
    """The file: mapped where it lies in memory, read where it comes through a pipe."""
    if stat.S_ISFIFO(os.fstat(content).st_mode):
        with os.fdopen(content, "rb") as stream:
            return stream.read()
    return mmap.mmap(content, 0, prot=mmap.PROT_READ)


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
        job, files, _, _ = socket.recv_fds(door, 64, 2)
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
    """Version, what is missing, loaders that would open anything, where the library lies, and whether the jail has walls."""
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
        "version": version, "missing": missing(pyvips), "opened": opened, "foreign": foreign_library(), "walls": give_up_files_and_network(),
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
