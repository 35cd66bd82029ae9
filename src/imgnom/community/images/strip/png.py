"""PNG and APNG, written anew: header, palette, transparency, colour, orientation, pixels, frames.

Compressed data is inflated once, in pieces, to see where it ends: what lies behind its end inside the chunk goes, and
data that is longer than the picture is refused before the decoder sees it (U5). Source: PNG, third edition.
"""

import struct
from collections.abc import Iterator
from typing import cast

from zlib_ng import zlib_ng as zlib

from imgnom.community.images.strip import exif, icc
from imgnom.community.images.strip.clean import MAX_FRAMES, MAX_PIECES, Clean, NotThisFormat, TooMuch, ensure_size

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}
# Of a width of one, with room for the widest colours there are: larger numbers are no colours.
_MOST_CHROMATICITY, _MOST_GAMMA = 200_000, 10_000_000
_SILENT = (b"pHYs", b"sBIT", b"bKGD", b"hIST", b"sPLT", b"oFFs", b"sTER")
_PIECE, _FED = 256 * 1024, 64 * 1024
type _Bytes = bytes | memoryview
_Broken = cast("type[Exception]", zlib.error)  # the stub takes the class for one of its errors


class _Png:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.removed: set[str] = set()
        self.orientation = 1
        self.single: dict[bytes, bytes] = {}
        self.pixels: list[memoryview] = []
        self.frames: list[tuple[bytes, list[memoryview]]] = []
        self.read()

    def read(self) -> None:
        data, at = self.data, 8
        for _ in range(MAX_PIECES):
            if at + 12 > len(data):
                raise NotThisFormat("cut-off")
            size, kind = struct.unpack_from(">I4s", data, at)
            end = at + 12 + size
            if end > len(data):
                raise NotThisFormat("cut-off")
            if kind == b"IEND":
                break
            if kind in (b"IDAT", b"fdAT"):
                self.take_pixels(kind, memoryview(data)[at + 8 : end - 4])
            else:
                self.take(kind, data[at + 8 : end - 4])
            at = end
        else:
            raise TooMuch("bomb")
        if end < len(data):
            self.removed.add("trailing")
        if b"IHDR" not in self.single or not self.pixels:
            raise NotThisFormat("undecodable")

    def take_pixels(self, kind: bytes, body: memoryview) -> None:
        if not self.single:
            raise NotThisFormat("undecodable")
        if kind == b"IDAT":
            self.pixels.append(body)
        elif len(body) > 4 and self.frames:
            self.frames[-1][1].append(body[4:])
        else:
            self.removed.add("other")

    def take(self, kind: bytes, body: bytes) -> None:
        if (kind == b"IHDR") != (not self.single):
            raise NotThisFormat("undecodable")
        if kind == b"IHDR":
            self.single[kind] = body
            self.facts = _header(body, len(self.data))
        elif kind == b"fcTL" and len(body) == 26:
            self.frames.append((body, []))
            if len(self.frames) > MAX_FRAMES:
                raise TooMuch("bomb")
        elif kind == b"acTL" and len(body) == 8:
            self.single[kind] = body
        elif kind in (b"PLTE", b"tRNS", b"iCCP") or (len(body) == _LENGTHS.get(kind) and _are_colours(kind, body)):
            self.single.setdefault(kind, body)
        elif kind == b"eXIf":
            self.orientation, kinds = exif.read_exif(body.removeprefix(exif.HEAD))
            self.removed |= kinds
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            self.removed |= exif.kinds_in_text(body)
        elif kind == b"tIME":
            self.removed.add("time")
        elif kind not in _SILENT:
            self.removed.add("other")


def _are_colours(kind: bytes, body: bytes) -> bool:
    """Whether the numbers of a short chunk can be meant; what cannot is a text."""
    if kind in (b"gAMA", b"cHRM"):
        most = _MOST_GAMMA if kind == b"gAMA" else _MOST_CHROMATICITY
        return all(number <= most for number in struct.unpack(f">{len(body) // 4}I", body))
    return True


def _header(body: bytes, file_bytes: int) -> tuple[int, int, int, int, int]:
    """Width, height, depth, colour type, interlace; the sizes are within limits."""
    if len(body) != 13:
        raise NotThisFormat("undecodable")
    width, height, depth, colour, packing, filtering, interlace = struct.unpack(">IIBBBBB", body)
    if colour not in _CHANNELS or depth not in (1, 2, 4, 8, 16) or packing or filtering or interlace > 1:
        raise NotThisFormat("undecodable")
    ensure_size(width, height, file_bytes=file_bytes)
    return width, height, depth, colour, interlace


def _most(width: int, height: int, depth: int, colour: int, interlace: int) -> int:
    """Bytes of the filtered rows, at most: seven passes have more rows and more rounding."""
    bits = _CHANNELS[colour] * depth
    if not interlace:
        return height * (1 + (width * bits + 7) // 8)
    return sum(
        rows * (1 + (columns * bits + 7) // 8)
        for x, y, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
        if (columns := (width - x + dx - 1) // dx) > 0 and (rows := (height - y + dy - 1) // dy) > 0
    )  # fmt: skip


class _Inflated:
    """Deflated data plain, in pieces; `end` is how much of it has been used up.

    It is fed little by little: what the machine leaves waiting it copies at every step.
    """

    def __init__(self, data: _Bytes) -> None:
        self.data, self.end = memoryview(data), 0

    def __iter__(self) -> Iterator[bytes]:
        machine = zlib.decompressobj()
        for at in range(0, len(self.data), _FED):
            waiting: _Bytes = self.data[at : at + _FED]
            self.end = at + len(waiting)
            while waiting and not machine.eof:
                yield machine.decompress(waiting, _PIECE)
                waiting = machine.unconsumed_tail
            if machine.eof:
                self.end -= len(machine.unused_data)
                return
        while plain := machine.decompress(b"", _PIECE):
            yield plain


def _compressed(parts: list[memoryview], *, most: int) -> _Bytes:
    """The deflated data without what lies behind its end. Raises NotThisFormat, TooMuch."""
    data = parts[0] if len(parts) == 1 else b"".join(parts)
    inflated, seen = _Inflated(data), 0
    try:
        for plain in inflated:
            seen += len(plain)
            if seen > most + 1024:
                raise TooMuch("bomb")
    except _Broken:
        raise NotThisFormat("undecodable") from None
    if seen < most:
        raise NotThisFormat("cut-off")
    return _packed_anew(data, most) if seen > most else data[: inflated.end]


def _packed_anew(data: _Bytes, most: int) -> bytes:
    """The first `most` bytes of what is deflated: rows behind the last one are seen by nobody."""
    packer, out, left = zlib.compressobj(1), [], most
    for plain in _Inflated(data):
        out.append(packer.compress(plain[:left]))
        left -= len(plain)
        if left <= 0:
            break
    return b"".join([*out, packer.flush()])


def _profile(body: bytes, colour: int) -> icc.Profile | None:
    """The profile of an iCCP chunk: its name is dropped, its content rebuilt."""
    _, end, packed = body.partition(b"\0")
    if not end or packed[:1] != b"\0":
        return None
    try:
        machine = zlib.decompressobj()
        plain = machine.decompress(packed[1:], icc.MAX_BYTES)
    except _Broken:
        return None
    found = icc.rebuild(plain)
    return found if found and found.space == ("GRAY" if colour in (0, 4) else "RGB") else None


def strip_png(data: bytes) -> Clean:
    png = _Png(data)
    width, height, depth, colour, interlace = png.facts
    single = png.single
    out: list[_Bytes] = [_SIGNATURE, *_chunk(b"IHDR", single[b"IHDR"])]
    profile = _profile(single[b"iCCP"], colour) if b"iCCP" in single else None
    if profile:
        out += _chunk(b"iCCP", b"colours\0\0", zlib.compress(profile.content))
    for kind in (b"cICP", b"sRGB", b"gAMA", b"cHRM"):
        out += _chunk(kind, single[kind]) if kind in single else ()
    if png.orientation != 1:
        out += _chunk(b"eXIf", exif.orientation_exif(png.orientation))
    animated = b"acTL" in single and any(parts for _, parts in png.frames)
    if animated:
        plays = struct.unpack(">I", single[b"acTL"][4:])[0]
        drawn = [frame for place, frame in enumerate(png.frames) if frame[1] or place == 0]
        out += _chunk(b"acTL", struct.pack(">II", len(drawn), plays))
    if b"PLTE" in single and colour == 3:
        out += _chunk(b"PLTE", single[b"PLTE"][: 3 << depth])
    if b"tRNS" in single and colour not in (4, 6):
        entries = len(single.get(b"PLTE", b"")) // 3 if colour == 3 else {0: 2, 2: 6}[colour]
        out += _chunk(b"tRNS", single[b"tRNS"][:entries])
    pixels = _compressed(png.pixels, most=_most(width, height, depth, colour, interlace))
    out += _frames(png, pixels) if animated else _chunk(b"IDAT", pixels)
    return Clean([*out, *_chunk(b"IEND")], frozenset(png.removed), profile is not None and not profile.is_srgb)


def _frames(png: _Png, pixels: _Bytes) -> list[_Bytes]:
    """The first picture and the frames, numbered anew."""
    width, height, depth, colour, interlace = png.facts
    out: list[_Bytes] = []
    number = 0
    for place, (control, parts) in enumerate(png.frames):
        if not parts and place:
            continue
        wide, high, x, y = struct.unpack_from(">IIII", control, 4)
        if not wide or not high or x + wide > width or y + high > height:
            raise NotThisFormat("undecodable")
        ensure_size(width, height, frames=place + 1, file_bytes=len(png.data))
        out += _chunk(b"fcTL", struct.pack(">I", number), control[4:])
        number += 1
        if parts:
            packed = _compressed(parts, most=_most(wide, high, depth, colour, interlace))
            out += _chunk(b"fdAT", struct.pack(">I", number), packed)
            number += 1
        else:
            out += _chunk(b"IDAT", pixels)
    is_apart = bool(png.frames[0][1])
    return [*_chunk(b"IDAT", pixels), *out] if is_apart else out


def _chunk(kind: bytes, *parts: _Bytes) -> list[_Bytes]:
    mark = zlib.crc32(kind)
    for part in parts:
        mark = zlib.crc32(part, mark)
    return [struct.pack(">I4s", sum(map(len, parts)), kind), *parts, struct.pack(">I", mark)]
