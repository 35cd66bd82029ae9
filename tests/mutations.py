"""Structure-aware mutations of picture files, the same at every run.

A mutant is a sample with one to six changes: a length, count or offset field set to a boundary, a piece repeated,
removed, moved, put inside another one or taken from another sample, bytes turned over, the file cut or continued.
"""

import random
import re
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from imgnom.community.images.strip import STRIP, NotThisFormat, TooMuch
from imgnom.community.images.strip.exif import kinds_in_text, read_exif
from imgnom.community.images.strip.icc import rebuild
from tests import files

# Where pieces of a format begin, and what a field of a length, a count or an offset may be near.
_JPEG = re.compile(rb"\xff[\xc0-\xfe]")
_PNG = re.compile(rb"(?=(?:IHDR|IDAT|PLTE|tRNS|iCCP|eXIf|tEXt|acTL|fcTL|fdAT|IEND))")
_WEBP = re.compile(rb"(?=(?:RIFF|VP8X|VP8L|VP8 |ALPH|ANIM|ANMF|ICCP|EXIF|XMP ))")
_GIF = re.compile(rb"\x21[\xf9\xfe\xff\x01]|\x2c")
_AVIF = re.compile(
    rb"(?=(?:ftyp|meta|hdlr|pitm|iloc|iinf|infe|iref|iprp|ipco|ipma|ispe|colr|pixi|av1C|auxC|auxl|dimg|irot|imir|clap|idat|mdat|prof|nclx))"
)
_ICC = re.compile(rb"(?=(?:acsp|curv|para|XYZ |sf32|mft1|mft2|mAB |desc|rTRC|gTRC|bTRC|kTRC|A2B0|wtpt|chad|rXYZ))")
_TIFF = re.compile(rb"(?=(?:II\*|MM\0|\x69\x87|\x25\x88|\x12\x01|\x01\x12|\x87\x69))")


@dataclass(frozen=True)
class Target:
    """A parser, valid files for it, where pieces begin, and the errors that are its answers."""

    parse: Callable[[bytes], object]
    samples: Callable[[], Sequence[bytes]]
    pieces: re.Pattern[bytes]
    # From a name to where its piece begins: in PNG and AVIF the length comes before it.
    shifts: tuple[int, ...] = (0,)
    answers: tuple[type[Exception], ...] = (NotThisFormat, TooMuch)


def _lookup_profiles() -> list[bytes]:
    """A profile by tables alone, and one that has a table beside the primaries and curves of sRGB."""
    unity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft2\0\0\0\0" + bytes([3, 3, 2, 0]) + unity + struct.pack(">HH", 2, 2) + bytes(2 * (2 * 3 + 24 + 2 * 3))
    curves = b"para\0\0\0\0\0\0\0\0" + struct.pack(">i", 65536)
    pipeline = b"mAB \0\0\0\0" + bytes([3, 3, 0, 0]) + struct.pack(">5I", 32, 0, 0, 0, 0) + 3 * curves
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    plain = files.profile()
    tags = [struct.unpack_from(">4sII", plain, 132 + 12 * n) for n in range(struct.unpack_from(">I", plain, 128)[0])]
    elements = [(name, plain[at : at + size]) for name, at, size in tags]
    tables = [(b"A2B0", table), (b"A2B1", pipeline), (b"A2B2", table), (b"wtpt", white)]
    return [_profile_of(tables), _profile_of([*elements, (b"A2B1", table)])]


def _profile_of(elements: list[tuple[bytes, bytes]]) -> bytes:
    at, index, body = 132 + 12 * len(elements), b"", b""
    for name, element in elements:
        index += struct.pack(">4sII", name, at + len(body), len(element))
        body += element
    head = bytearray(128)
    head[8], head[12:16], head[16:20], head[20:24], head[36:40] = 4, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    return bytes(head) + struct.pack(">I", len(elements)) + index + body


def _still_webp() -> bytes:
    return files.saved(files.drawn((24, 16), "RGBA"), "WEBP", lossless=True)


TARGETS: dict[str, Target] = {
    "jpeg": Target(STRIP["jpeg"], lambda: [files.jpeg_with_canaries(6), files.saved(files.drawn((32, 32)), "JPEG", progressive=True)], _JPEG),
    "png": Target(STRIP["png"], lambda: [files.png_with_canaries(6), files.png_with_canaries(mode="P"), files.saved(files.drawn((24, 16)), "PNG", icc_profile=files.profile(), save_all=True, append_images=[files.drawn((24, 16)).rotate(180)])], _PNG, (0, -4)),
    "webp": Target(STRIP["webp"], lambda: [files.webp_with_canaries(6), files.webp_with_canaries(animated=True), _still_webp()], _WEBP),
    "gif": Target(STRIP["gif"], lambda: [files.gif_with_canaries(), files.gif_of_frames(5, 4)], _GIF),
    "avif": Target(STRIP["avif"], lambda: [files.avif_with_canaries(), files.avif(turn=1, icc=files.profile()), files.avif_grid(alpha=True), files.avif(colours=(12, 13, 6))], _AVIF, (0, -4)),
    "icc": Target(rebuild, lambda: [files.profile(), files.profile(of="swapped"), *_lookup_profiles()], _ICC, answers=()),
    "exif": Target(lambda data: (read_exif(data), kinds_in_text(data)), lambda: [files.exif_with_canaries(), files.exif_with_canaries(8, ">"), files.XMP], _TIFF, answers=()),
}  # fmt: skip
_NEAR = (0, 1, 2, 3, 7, 8, 12, 127, 128, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)


def mutants(name: str, count: int, *, seed: int = 14) -> Iterator[bytes]:
    dice = random.Random(f"{name}/{seed}")
    target = TARGETS[name]
    samples = [(sample, _starts(target, sample)) for sample in target.samples()]
    for _ in range(count):
        data, starts = dice.choice(samples)
        for _ in range(dice.choice((1, 1, 1, 2, 3, 6))):
            data = dice.choice(_CHANGES)(dice, data, starts, dice.choice(samples)[0])
        yield data[:400_000]


def _starts(target: Target, data: bytes) -> list[int]:
    return sorted(
        {max(0, found.start() + shift) for found in target.pieces.finditer(data) for shift in target.shifts}
    ) or [0]


def _piece(dice: random.Random, data: bytes, starts: list[int]) -> tuple[int, int]:
    at = min(dice.choice(starts), len(data))
    later = [start for start in starts if at < start <= len(data)][:4]
    return at, dice.choice([*later, min(len(data), at + dice.choice((1, 12, 64)))])


def _set_field(dice: random.Random, data: bytes, starts: list[int], _other: bytes) -> bytes:
    """A number near the start of a piece becomes a boundary, or differs a little from what it was."""
    width, order = dice.choice((1, 2, 4)), dice.choice(("big", "little"))
    at = min(dice.choice(starts) + dice.randrange(-2, 24), len(data) - width)
    if at < 0:
        return data
    was = int.from_bytes(data[at : at + width], order)
    value = dice.choice([*_NEAR, len(data), was + 1, was - 1, 2 * was, was ^ 1 << dice.randrange(8 * width)])
    return data[:at] + (value % 256**width).to_bytes(width, order) + data[at + width :]


def _copy_over(dice: random.Random, data: bytes, starts: list[int], _other: bytes) -> bytes:
    """Fields of one piece stand in another, as when a table names the wrong place or kind."""
    shift, width = dice.choice((0, 4, 4, 8)), dice.choice((4, 8, 8, 12))
    a, b = (min(dice.choice(starts) + shift, len(data)) for _ in range(2))
    copied = data[a : a + width]
    return data[:b] + copied + data[b + len(copied) :]


def _turn_over(dice: random.Random, data: bytes, _starts: list[int], _other: bytes) -> bytes:
    if not data:
        return data
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def _remove(dice: random.Random, data: bytes, starts: list[int], _other: bytes) -> bytes:
    a, b = _piece(dice, data, starts)
    return data[:a] + data[b:]


def _repeat(dice: random.Random, data: bytes, starts: list[int], _other: bytes) -> bytes:
    a, b = _piece(dice, data, starts)
    return data[:b] + data[a:b] * dice.choice((1, 1, 2, 3, 40, 300)) + data[b:]


def _nest(dice: random.Random, data: bytes, starts: list[int], _other: bytes) -> bytes:
    a, b = _piece(dice, data, starts)
    at = min(dice.choice(starts) + dice.choice((4, 8, 12)), len(data))
    return data[:at] + data[a:b] + data[at:]


def _splice(dice: random.Random, data: bytes, starts: list[int], other: bytes) -> bytes:
    at, there = min(dice.choice(starts), len(data)), dice.randrange(len(other))
    return data[:at] + other[there : there + dice.choice((8, 64, 1000))] + data[at:]


def _cut_or_continue(dice: random.Random, data: bytes, _starts: list[int], _other: bytes) -> bytes:
    if dice.random() < 0.5:
        return data[: dice.randrange(len(data) + 1)]
    return data + dice.randbytes(dice.choice((1, 8, 100)))


def _fill(dice: random.Random, data: bytes, starts: list[int], _other: bytes) -> bytes:
    a, b = _piece(dice, data, starts)
    return data[:a] + bytes([dice.choice((0, 255, 0x7F))]) * (b - a) + data[b:]


_CHANGES = (
    _set_field,
    _set_field,
    _set_field,
    _copy_over,
    _copy_over,
    _turn_over,
    _remove,
    _repeat,
    _nest,
    _splice,
    _cut_or_continue,
    _fill,
)


@dataclass(frozen=True)
class Found:
    """What a run came upon: mutants that were taken, the costliest one, and errors that no parser may let out."""

    taken: int
    most_cpu_seconds: float
    costliest: bytes
    uncaught: tuple[tuple[str, bytes], ...]


def fuzz(name: str, count: int, *, seed: int = 14) -> Found:
    target, taken, most, costliest, uncaught = TARGETS[name], 0, 0.0, b"", []
    for data in mutants(name, count, seed=seed):
        began = time.thread_time()
        try:
            taken += target.parse(data) is not None
        except target.answers:
            pass
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            uncaught.append((f"{type(error).__name__}: {error}", data))
        spent = time.thread_time() - began
        if spent > most:
            most, costliest = spent, data
    return Found(taken, most, costliest, tuple(uncaught))
