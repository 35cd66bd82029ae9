"""JPEG, written anew: tables, frame, scans, colour profile, orientation.

Source: ITU T.81 Annex B; JFIF 1.02; the Adobe marker of TN 5116. What stands behind the end of the picture goes too: a
moving picture, a gain map, a second preview, an archive.
"""

import re
import struct
from dataclasses import dataclass, field

from imgnom.community.images.limits import MAX_PIXELS
from imgnom.community.images.strip import exif, icc
from imgnom.community.images.strip.clean import MAX_PIECES, Clean, NotThisFormat, TooMuch, ensure_size
from imgnom.community.images.strip.text_in import reads_like_text

_JFIF = b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_ICC_HEAD = b"ICC_PROFILE\x00"
_ICC_PART = 65_519
_SOF = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
_STEPWISE, _ARITHMETIC = (0xC2, 0xCA), (0xC9, 0xCA)
_DHT, _DAC, _SOI, _EOI, _SOS, _DQT, _DRI = 0xC4, 0xCC, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD
_APP0, _APP1, _APP2, _APP13, _APP14, _APP15, _COM = 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xEF, 0xFE
# The first marker behind coded data: neither a stuffed FF nor a restart.
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_PIECE = 256 * 1024
# Each scan goes over all pixels: the more there are, the fewer scans.
MAX_SCANS, MAX_PIXELS_IN_ALL_SCANS = 400, 20 * MAX_PIXELS


# Marker, segment, coded data behind it: the data is a view, for megabytes are not copied from step to step.
type _Piece = tuple[int, bytes, bytes | memoryview]


def _next_marker(data: bytes, at: int) -> int:
    """By pieces: while one is looked through nothing else happens in this process. Raises NotThisFormat."""
    for start in range(at, len(data), _PIECE):
        found = _NEXT_MARKER.search(data, start, start + _PIECE + 1)
        if found:
            return found.start()
    raise NotThisFormat("cut-off")


class _Jpeg:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.removed: set[str] = set()
        self.orientation: int | None = None
        self.profile_parts: dict[int, bytes] = {}
        self.has_jfif = False
        self.adobe: int | None = None
        self.body: list[_Piece] = []
        self.frame: bytes | None = None
        self.read()

    def read(self) -> None:
        data, at, scans = self.data, 2, 0
        for _ in range(MAX_PIECES):
            found = _next_marker(data, at)
            if data[at:found].strip(b"\xff"):
                self.removed.add("other")
            at = found
            marker = data[at + 1]
            if marker == _EOI:
                at += 2
                break
            if at + 4 > len(data):
                raise NotThisFormat("cut-off")
            size = struct.unpack_from(">H", data, at + 2)[0]
            if size < 2:
                raise NotThisFormat("undecodable")
            if at + 2 + size > len(data):
                raise NotThisFormat("cut-off")
            segment = data[at + 4 : at + 2 + size]
            at += 2 + size
            if marker == _SOS:
                scans += 1
                behind = _next_marker(data, at)
                if scans > MAX_SCANS:
                    raise NotThisFormat("undecodable")
                self.body.append((marker, segment, memoryview(data)[at:behind]))
                at = behind
            else:
                self.take(marker, segment)
        else:
            raise TooMuch("bomb")
        if at < len(data):
            self.removed.add("trailing")
        if self.frame is None or not scans:
            raise NotThisFormat("undecodable")
        self.scans = scans

    def take(self, marker: int, segment: bytes) -> None:
        if marker in _SOF:
            if self.frame is not None or len(segment) < 6:
                raise NotThisFormat("undecodable")
            self.frame = segment
            self.body.append((marker, segment, b""))
        elif marker in (_DHT, _DAC, _DQT, _DRI):
            self.body.append((marker, segment, b""))
        elif marker == _APP0:
            self.take_jfif(segment)
        elif marker == _APP1:
            self.take_words(segment)
        elif marker == _APP2 and segment.startswith(_ICC_HEAD) and len(segment) > 14:
            self.profile_parts.setdefault(segment[12], segment[14:])
        elif marker == _APP13:
            self.removed |= exif.kinds_in_text(segment)
        elif marker == _APP14 and segment.startswith(b"Adobe") and len(segment) >= 12:
            self.adobe = segment[11]
        elif marker == _COM:
            self.removed.add("comment")
        elif _APP0 < marker <= _APP15:
            self.removed.add("other")
        elif marker in (_SOI, 0x01) or 0xC0 <= marker <= 0xCF:
            raise NotThisFormat("undecodable")
        else:
            self.removed.add("other")

    def take_jfif(self, segment: bytes) -> None:
        if segment.startswith(b"JFIF"):
            self.has_jfif = True
            if len(segment) > 14:
                self.removed.add("thumbnail")
        else:
            self.removed.add("thumbnail" if segment.startswith(b"JFXX") else "other")

    def take_words(self, segment: bytes) -> None:
        if segment.startswith(exif.HEAD):
            orientation, kinds = exif.read_exif(segment[6:])
            self.removed |= kinds
            if self.orientation is None:
                self.orientation = orientation
        else:
            self.removed |= exif.kinds_in_text(segment)


def strip_jpeg(data: bytes) -> Clean:
    jpeg = _Jpeg(data)
    assert jpeg.frame is not None
    height, width, components = struct.unpack_from(">HHB", jpeg.frame, 1)
    ensure_size(width, height, file_bytes=len(data))
    if width * height * jpeg.scans > MAX_PIXELS_IN_ALL_SCANS:
        raise TooMuch("bomb")
    profile = (
        icc.rebuild(b"".join(part for _, part in sorted(jpeg.profile_parts.items()))) if jpeg.profile_parts else None
    )
    if profile and {"RGB": 3, "GRAY": 1, "CMYK": 4}[profile.space] != components:
        profile = None
    out: list[bytes | memoryview] = [b"\xff\xd8"]
    if jpeg.has_jfif:
        out.append(_segment(_APP0, _JFIF))
    if jpeg.orientation not in (None, 1):
        out.append(_segment(_APP1, exif.HEAD + exif.orientation_exif(jpeg.orientation or 1)))
    if profile:
        parts = [profile.content[n : n + _ICC_PART] for n in range(0, len(profile.content), _ICC_PART)]
        out += [_segment(_APP2, _ICC_HEAD + bytes([number, len(parts)]) + part) for number, part in enumerate(parts, 1)]
    if jpeg.adobe is not None:
        out.append(_segment(_APP14, b"Adobe\x00\x64\x00\x00\x00\x00" + bytes([jpeg.adobe])))
    kept = _tables_in_use(jpeg.body)
    for marker, segment, coded in kept:
        if segment or marker == _SOS:
            out += [_segment(marker, segment), coded]
    foreign = components == 4 or (profile is not None and not profile.is_srgb)
    words = any(reads_like_text(coded) for _, _, coded in kept)
    return Clean([*out, b"\xff\xd9"], frozenset(jpeg.removed), foreign, words)


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


@dataclass
class _Tables:
    """Definitions of tables in the order in which they come, and which of them a scan uses."""

    quantisers: dict[int, int]  # of a component
    marker: int  # of the frame
    parts: list[bytes] = field(default_factory=list)
    current: dict[tuple[int, int], int] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)

    def define(self, marker: int, segment: bytes) -> range:
        first, at = len(self.parts), 0
        while at < len(segment):
            room = (129 if segment[at] >> 4 else 65) if marker == _DQT else 17 + sum(segment[at + 1 : at + 17])
            if at + room > len(segment):
                raise NotThisFormat("undecodable")
            key = segment[at] & 15 if marker == _DQT else segment[at]
            self.current[marker, key] = len(self.parts)
            self.parts.append(segment[at : at + room])
            at += room
        return range(first, len(self.parts))

    def scan(self, segment: bytes) -> None:
        """Components keep the quantiser of their first scan; of the coders each scan asks for its own."""
        count = segment[0] if segment else 0
        if len(segment) < 1 + 2 * count + 3:
            raise NotThisFormat("undecodable")
        first, bits = segment[1 + 2 * count], segment[3 + 2 * count] >> 4
        steps = self.marker in _STEPWISE
        wanted = set()
        for name, choice in zip(segment[1 : 1 + 2 * count : 2], segment[2 : 1 + 2 * count : 2], strict=True):
            if name not in self.seen and name in self.quantisers:
                wanted.add((_DQT, self.quantisers[name]))
                self.seen.add(name)
            if not steps or (first == 0 and not bits):
                wanted.add((_DHT, choice >> 4))
            if not steps or first:
                wanted.add((_DHT, 0x10 | (choice & 15)))
        self.used |= {self.current[table] for table in wanted if table in self.current}


def _tables_in_use(body: list[_Piece]) -> list[_Piece]:
    """Without tables that no component and no scan asks for: room in which anything could travel."""
    frame_marker, frame = next((marker, segment) for marker, segment, _ in body if marker in _SOF)
    tables = _Tables(dict(zip(frame[6::3], frame[8::3], strict=False)), frame_marker)
    defined: dict[int, range] = {}
    for place, (marker, segment, _) in enumerate(body):
        if marker in (_DQT, _DHT):
            defined[place] = tables.define(marker, segment)
        elif marker == _SOS:
            tables.scan(segment)
    return [
        (marker, b"".join(tables.parts[n] for n in defined[place] if n in tables.used) if place in defined else segment, coded)
        for place, (marker, segment, coded) in enumerate(body)
        if marker != _DAC or frame_marker in _ARITHMETIC
    ]  # fmt: skip
