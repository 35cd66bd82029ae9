"""Coded AV1 pictures: what their head says, and their units without those that show nothing.

Kept are the sequence header, cut where its own fields end, and the units that hold frames. Metadata, padding, tile lists
and what is said twice can carry anything and go. Source: AV1 bitstream and decoding process 1.0.0, errata 1, sections 5.3 to 5.5.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from imgnom.community.images.strip.clean import NotThisFormat

_SEQUENCE, _DELIMITER, _HEADER, _TILES, _FRAME = 1, 2, 3, 4, 6
_SHOWN = (_HEADER, _TILES, _FRAME)
_MOST_UNITS = 4096
# BT.709 primaries, the curve of sRGB, and samples that are red, green and blue themselves.
_PLAIN_RGB = (1, 13, 0)
UNSAID = (2, 2, 2)


@dataclass(frozen=True)
class Head:
    """`colours` are the numbers of primaries, curve and matrix (ITU-T H.273)."""

    width: int
    height: int
    colours: tuple[int, int, int]
    is_grey: bool


@dataclass(frozen=True)
class Units:
    """`has_more`: something else was among them. `frames`: how many are coded; of more than one, some are never seen."""

    content: bytes
    head: Head
    has_more: bool
    frames: int


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte, bit = divmod(self.at, 8)
            if byte >= len(self.data):
                raise NotThisFormat("undecodable")
            value = value << 1 | self.data[byte] >> 7 - bit & 1
            self.at += 1
        return value

    def take_uvlc(self) -> None:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros >= 32:
                return
        self.take(zeros)


def clean_units(data: bytes) -> Units:
    """The units that are needed. Raises NotThisFormat."""
    head: Head | None = None
    said = b""
    kept: list[bytes] = []
    has_more = shows = False
    frames = 0
    for kind, mark, body in _units(data):
        needed = body
        if kind == _SEQUENCE:
            if head is None:
                head, length = _head(body)
                said = body[:length]
            elif not body.startswith(said):  # read once: reading it bit by bit is dear
                raise NotThisFormat("undecodable")
            has_more |= bool(body[len(said) :].strip(b"\0"))
            needed = said
        elif kind == _DELIMITER:
            has_more |= bool(body)
            needed = b""
        elif kind not in _SHOWN:
            has_more = True
            continue
        shows |= kind in (_FRAME, _TILES)
        frames += kind in (_FRAME, _HEADER)
        kept.append(mark + _leb128(len(needed)) + needed)
    if head is None or not shows:
        raise NotThisFormat("undecodable")
    return Units(b"".join(kept), head, has_more, frames)


def _units(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(kind, first bytes, content) of each unit."""
    at = 0
    for _ in range(_MOST_UNITS):
        if at == len(data):
            return
        first = data[at]
        if first & 0x80:
            raise NotThisFormat("undecodable")
        mark = bytes([first & 0x7C | 0x02])
        at += 1
        if first & 0x04:
            if at == len(data):
                raise NotThisFormat("cut-off")
            mark += bytes([data[at] & 0xF8])
            at += 1
        size = len(data) - at
        if first & 0x02:
            size, at = _read_leb128(data, at)
        if at + size > len(data):
            raise NotThisFormat("cut-off")
        yield first >> 3 & 15, mark, data[at : at + size]
        at += size
    raise NotThisFormat("undecodable")


def _read_leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        if at >= len(data):
            raise NotThisFormat("cut-off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return value, at
    raise NotThisFormat("undecodable")


def _leb128(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _head(body: bytes) -> tuple[Head, int]:
    """What a sequence header says, and how long it is."""
    bits = _Bits(body)
    profile = bits.take(3)
    bits.take(1)
    is_reduced = bool(bits.take(1))
    if is_reduced:
        bits.take(5)
    else:
        _operating_points(bits)
    wide_bits, high_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(wide_bits) + 1, bits.take(high_bits) + 1
    if not is_reduced and bits.take(1):
        bits.take(7)
    bits.take(3)
    if not is_reduced:
        _tools(bits)
    bits.take(3)
    colours, is_grey = _colours(bits, profile)
    bits.take(1)  # film grain
    if not bits.take(1):  # the bit that ends it
        raise NotThisFormat("undecodable")
    return Head(width, height, colours, is_grey), (bits.at + 7) // 8


def _operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.take(1):
        bits.take(64)
        if bits.take(1):
            bits.take_uvlc()
        if bits.take(1):
            delay_bits = bits.take(5) + 1
            bits.take(42)
    has_display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if has_display_delay and bits.take(1):
            bits.take(4)


def _tools(bits: _Bits) -> None:
    bits.take(4)
    has_order = bits.take(1)
    if has_order:
        bits.take(2)
    screen = 2 if bits.take(1) else bits.take(1)
    if screen and not bits.take(1):
        bits.take(1)
    if has_order:
        bits.take(3)


def _colours(bits: _Bits, profile: int) -> tuple[tuple[int, int, int], bool]:
    is_deep = bits.take(1)
    depth = 10 if is_deep else 8
    if profile == 2 and is_deep and bits.take(1):
        depth = 12
    is_grey = profile != 1 and bool(bits.take(1))
    said = (bits.take(8), bits.take(8), bits.take(8)) if bits.take(1) else UNSAID
    if is_grey:
        bits.take(1)
        return said, True
    if said != _PLAIN_RGB:
        bits.take(1)
        across, down = {0: (1, 1), 1: (0, 0)}.get(profile, (1, 0))
        if profile == 2 and depth == 12:
            across = bits.take(1)
            down = bits.take(1) if across else 0
        if across and down:
            bits.take(2)
    bits.take(1)
    return said, False
