"""AVIF, written anew: the picture, its tiles, its transparency, sizes, colours, turn and cut.

A HEIF file is a table of items with properties and references between them. The picture and what showing it needs are
followed from the primary item; everything else (EXIF, XMP, previews, depth, gain maps, films, unknown boxes, free
space) stays behind. Sources: ISO/IEC 14496-12, ISO/IEC 23008-12, AV1 image file format 1.1.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from imgnom.community.images.strip import exif, icc
from imgnom.community.images.strip.av1 import Head, clean_units
from imgnom.community.images.strip.clean import MAX_PIXELS_AVIF, Clean, NotThisFormat, TooMuch, ensure_size
from imgnom.community.images.strip.text_in import reads_like_text

_AVIF, _MOVING = {b"avif"}, {b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"heif"}
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_LENGTHS = {b"ispe": 12, b"irot": 1, b"imir": 1, b"clap": 32, b"av1C": 4}
_MUST_KNOW = {b"a1op", b"lsel"}
_PLAIN_NAMES = {b"", b"Color", b"Alpha"}
# The tables may say more than the file holds: what they cost is limited by number, not by length.
_MOST_ITEMS, _MOST_TILES, _MOST_BOXES, _MOST_ENTRIES = 2000, 256, 4000, 20_000
# A picture needs about ten properties; what is said a second time about one item is not looked at.
_MOST_PROPERTIES, _MOST_PROPERTIES_OF_AN_ITEM = 4000, 64
_SHARED_BYTES = 4 * 1024 * 1024
# The name of an auxiliary picture ends sooner.
_NAME_BYTES = 64


def family(data: bytes) -> str:
    """`avif`, `avif-moving`, `heic` or `unknown`, by the brands of the first box."""
    size = int.from_bytes(data[:4])
    if not 16 <= size <= 4096:
        return "heic" if data[8:12] in _HEIC else "avif" if data[8:12] in _AVIF else "unknown"
    first, others = data[8:12], {data[at : at + 4] for at in range(16, min(size, len(data)) - 3, 4)}
    if first in _MOVING:
        return "avif-moving"
    if first in _AVIF or (first in _HEIC and others & _AVIF):
        return "avif"
    if first in _HEIC or (others & _HEIC and first not in _AVIF):
        return "heic"
    return "unknown"


@dataclass
class _Item:
    kind: bytes
    name: bytes = b""
    content_type: bytes = b""
    extents: list[tuple[int, int]] | None = None
    in_idat: bool = False
    properties: dict[int, bool] = field(default_factory=dict)  # place of each, and whether it has to be understood
    points_to: dict[bytes, list[int]] = field(default_factory=dict)


def _boxes(data: bytes, at: int, end: int, *, is_whole: bool = False) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start and end of the content). What is no box ends it on the outermost level."""
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            size, start = struct.unpack_from(">Q", data, at + 8)[0], at + 16
        elif size == 0 and is_whole:
            size = end - at
        if size < start - at:
            if is_whole:
                return
            raise NotThisFormat("undecodable")
        if at + size > end:
            if is_whole and kind not in (b"meta", b"mdat", b"ftyp"):
                return
            raise NotThisFormat("cut-off")
        yield kind, start, at + size
        at += size
    raise TooMuch("bomb")


class _Avif:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.removed: set[str] = set()
        self.items: dict[int, _Item] = {}
        self.properties: list[tuple[bytes, bytes]] = []
        self.primary = 0
        self.idat = (0, 0)
        self.media_bytes = 0
        self.entries_left = _MOST_ENTRIES
        # Tiles that are alike may share their bytes; extents that lie over each other would be read again and again.
        self.bytes_left = max(2 * len(data), _SHARED_BYTES)
        self.read()

    def read(self) -> None:
        metas, end = [], 0
        for kind, start, end in _boxes(self.data, 0, len(self.data), is_whole=True):
            if kind == b"meta":
                metas.append((start, end))
            elif kind == b"mdat":
                self.media_bytes += end - start
            elif kind in (b"free", b"skip"):
                self.note("other", start, end)
            elif kind != b"ftyp":
                self.removed.add("other")
        if end < len(self.data):
            self.removed.add("trailing")
        if not metas:
            raise NotThisFormat("cut-off")
        self.read_meta(*metas[0])

    def note(self, kind: str, start: int, end: int) -> None:
        if self.data[start:end].strip(b"\0"):
            self.removed.add(kind)

    def count(self, entries: int) -> None:
        self.entries_left -= entries
        if self.entries_left < 0:
            raise TooMuch("bomb")

    def read_meta(self, start: int, end: int) -> None:
        parts = {kind: (a, b) for kind, a, b in reversed(list(_boxes(self.data, start + 4, end)))}
        for kind in parts.keys() - {b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp", b"idat", b"grpl"}:
            self.note("other", *parts[kind])
        if not {b"pitm", b"iloc", b"iinf", b"iprp"} <= parts.keys():
            raise NotThisFormat("undecodable")
        self.primary = self.number(parts[b"pitm"][0] + 4, 4 if self.data[parts[b"pitm"][0]] else 2)
        self.idat = parts.get(b"idat", (0, 0))
        self.read_items(*parts[b"iinf"])
        self.read_places(*parts[b"iloc"])
        for kind, a, b in _boxes(self.data, *parts[b"iprp"]):
            if kind == b"ipco":
                self.read_properties(a, b)
            elif kind == b"ipma":
                self.read_owners(a)
        if b"iref" in parts:
            self.read_references(*parts[b"iref"])

    def read_properties(self, start: int, end: int) -> None:
        """Numbered through all of their boxes."""
        for kind, a, b in _boxes(self.data, start, end):
            self.properties.append((kind, self.data[a:b]))
            if len(self.properties) > _MOST_PROPERTIES:
                raise TooMuch("bomb")

    def number(self, at: int, length: int) -> int:
        if at + length > len(self.data):
            raise NotThisFormat("cut-off")
        return int.from_bytes(self.data[at : at + length])

    def read_items(self, start: int, end: int) -> None:
        begin = start + (8 if self.data[start] else 6)
        for kind, a, b in _boxes(self.data, begin, end):
            version = self.data[a]
            if kind != b"infe" or version not in (2, 3):
                continue
            wide = 4 if version == 3 else 2
            at = a + 4 + wide + 2
            name, _, rest = self.data[at + 4 : b].partition(b"\0")
            item = _Item(self.data[at : at + 4], name, rest.partition(b"\0")[0])
            self.items.setdefault(self.number(a + 4, wide), item)
            if len(self.items) > _MOST_ITEMS:
                raise TooMuch("bomb")

    def read_places(self, start: int, end: int) -> None:
        version = self.data[start]
        if version > 2:
            raise NotThisFormat("undecodable")
        sizes = self.number(start + 4, 2)
        offset, length, base, index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15 if version else 0
        if {offset, length, base, index} - {0, 4, 8}:
            raise NotThisFormat("undecodable")
        wide = 4 if version == 2 else 2
        count, at = self.number(start + 6, wide), start + 6 + wide
        self.count(count)
        for _ in range(count):
            item, at = self.items.get(self.number(at, wide)), at + wide
            method = 0
            if version:
                method, at = self.number(at, 2) & 15, at + 2
            source, at = self.number(at, 2), at + 2
            begin, at = self.number(at, base), at + base
            extents, at = self.number(at, 2), at + 2
            self.count(extents)
            if at > end or source or method > 1:
                raise NotThisFormat("undecodable")
            places = []
            for _ in range(extents):
                at += index
                places.append((begin + self.number(at, offset), self.number(at + offset, length)))
                at += offset + length
            if item and item.extents is None:
                item.extents, item.in_idat = places, method == 1

    def read_owners(self, start: int) -> None:
        version, is_long = self.data[start], self.data[start + 3] & 1
        wide = 4 if version else 2
        count, at = self.number(start + 4, 4), start + 8
        self.count(count)
        for _ in range(count):
            item, entries = self.items.get(self.number(at, wide)), self.number(at + wide, 1)
            at += wide + 1
            self.count(entries)
            for _ in range(entries):
                value = self.number(at, 2 if is_long else 1)
                at += 2 if is_long else 1
                top = 15 if is_long else 7
                if item is not None:
                    place = (value & (1 << top) - 1) - 1
                    item.properties[place] = item.properties.get(place, False) or bool(value >> top)
            if item is not None and len(item.properties) > _MOST_PROPERTIES_OF_AN_ITEM:
                raise TooMuch("bomb")

    def read_references(self, start: int, end: int) -> None:
        wide = 4 if self.data[start] else 2
        for kind, a, _ in _boxes(self.data, start + 4, end):
            item, count = self.items.get(self.number(a, wide)), self.number(a + wide, 2)
            self.count(count)
            targets = [self.number(a + wide + 2 + wide * n, wide) for n in range(count)]
            if item is not None:
                item.points_to.setdefault(kind, []).extend(targets)

    def content(self, item: _Item) -> bytes:
        start, end = self.idat if item.in_idat else (0, len(self.data))
        parts = []
        for offset, length in item.extents or []:
            a = start + offset
            b = a + length if length else end
            if b > end or a > b:
                raise NotThisFormat("cut-off")
            self.bytes_left -= b - a
            if self.bytes_left < 0:
                raise TooMuch("bomb")
            parts.append(self.data[a:b])
        return b"".join(parts)

    def properties_of(self, item: _Item) -> list[tuple[bytes, bytes]]:
        found = []
        for place, is_essential in item.properties.items():
            if 0 <= place < len(self.properties):
                kind, body = self.properties[place]
                if is_essential and kind not in _LENGTHS and kind not in (b"colr", b"pixi", b"auxC", *_MUST_KNOW):
                    raise NotThisFormat("undecodable")
                found.append((kind, body))
        return found


@dataclass
class _Kept:
    """An item of the new file."""

    kind: bytes
    content: bytes
    properties: list[bytes]
    points_to: list[tuple[bytes, list[int]]] = field(default_factory=list)


class _Writer:
    """Follows the picture from its primary item and lays down what it needs."""

    def __init__(self, avif: _Avif) -> None:
        self.avif = avif
        self.kept: list[_Kept] = []
        self.taken: set[int] = set()
        self.profile: icc.Profile | None = None
        self.meant: icc.Profile | None = None  # by the numbers of its colours; told to the decoder only
        self.nclx: bytes = b""
        self.must_redraw = False

    def picture(self) -> None:
        avif = self.avif
        primary = self.item(avif.primary)
        width, height = self.lay(avif.primary, is_main=True)
        for number, item in avif.items.items():
            if avif.primary in item.points_to.get(b"auxl", []) and number not in self.taken and self.is_alpha(item):
                place = len(self.kept) + 1
                if self.lay(number, is_main=False) != (width, height):
                    raise NotThisFormat("undecodable")
                self.kept[place - 1].points_to.append((b"auxl", [1]))
                if number in primary.points_to.get(b"prem", []):
                    self.kept[0].points_to.append((b"prem", [place]))
                break

    def item(self, number: int) -> _Item:
        if number not in self.avif.items:
            raise NotThisFormat("undecodable")
        return self.avif.items[number]

    def is_alpha(self, item: _Item) -> bool:
        return any(
            kind == b"auxC" and body[4 : 4 + _NAME_BYTES].partition(b"\0")[0] in _ALPHA
            for kind, body in self.avif.properties_of(item)
        )

    def lay(self, number: int, *, is_main: bool) -> tuple[int, int]:
        """An item and its tiles; returns its size."""
        item = self.item(number)
        self.taken.add(number)
        content = self.avif.content(item)
        size = self.size_of(item)
        ensure_size(*size, file_bytes=len(self.avif.data))
        if size[0] * size[1] > MAX_PIXELS_AVIF:
            raise TooMuch("too-much-room")
        laid = _Kept(item.kind, content, [])
        self.kept.append(laid)
        if item.kind == b"av01":
            laid.content, head = self.coded(content, size)
        elif item.kind == b"grid":
            laid.content, tiles = _grid(content, size), item.points_to.get(b"dimg", [])
            if (
                len(tiles) != (content[2] + 1) * (content[3] + 1)
                or not 0 < len(set(tiles)) == len(tiles) <= _MOST_TILES
            ):
                raise NotThisFormat("undecodable")
            laid.points_to.append((b"dimg", list(range(len(self.kept) + 1, len(self.kept) + 1 + len(tiles)))))
            head = self.tiles(tiles, size, across=content[3] + 1, down=content[2] + 1)
        else:
            raise NotThisFormat("undecodable")
        if is_main:
            self.read_colours(item, head)
        laid.properties = self.written(item, is_main=is_main)
        return size

    def tiles(self, numbers: list[int], size: tuple[int, int], *, across: int, down: int) -> Head:
        sizes, heads = set(), set()
        for number in numbers:
            tile = self.item(number)
            if tile.kind != b"av01":
                raise NotThisFormat("undecodable")
            self.taken.add(number)
            own = self.size_of(tile)
            content, head = self.coded(self.avif.content(tile), own)
            self.kept.append(_Kept(b"av01", content, self.written(tile, is_main=False, is_tile=True)))
            heads.add(head)
            sizes.add(own)
        if len(sizes) != 1 or len(heads) != 1:
            raise NotThisFormat("undecodable")
        [(wide, high)], [head] = sizes, heads
        if not (wide * (across - 1) < size[0] <= wide * across and high * (down - 1) < size[1] <= high * down):
            raise NotThisFormat("undecodable")
        return head

    def coded(self, content: bytes, size: tuple[int, int]) -> tuple[bytes, Head]:
        """A table that lies about the size would be found out only when its room is asked for."""
        units = clean_units(content)
        if (units.head.width, units.head.height) != size:
            raise NotThisFormat("undecodable")
        if units.has_more:
            self.avif.removed.add("other")
        # Of several frames in one picture only one is seen; what is not seen is not kept.
        self.must_redraw |= units.frames > 1 or reads_like_text(units.content)
        return units.content, units.head

    def size_of(self, item: _Item) -> tuple[int, int]:
        for kind, body in self.avif.properties_of(item):
            if kind == b"ispe" and len(body) >= 12:
                width, height = struct.unpack_from(">II", body, 4)
                return width, height
        raise NotThisFormat("undecodable")

    def read_colours(self, item: _Item, head: Head) -> None:
        """From the picture; where it says nothing, from its first tile; where that says nothing, from what is coded.

        Of numbers and of profiles the first counts. A profile is read once for a file: reading one may cost as much as its length.
        """
        said = self.avif.properties_of(item)
        if item.kind == b"grid" and not any(kind == b"colr" for kind, _ in said):
            said = self.avif.properties_of(self.item(item.points_to[b"dimg"][0]))
        has_profile, colours = False, head.colours
        for kind, body in said:
            if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 11 and not self.nclx:
                primaries, curve, matrix = struct.unpack_from(">HHH", body, 4)
                if max(primaries, curve, matrix) > 255:
                    raise NotThisFormat("undecodable")
                self.nclx = body[:10] + bytes([body[10] & 0x80])
                colours = (primaries, curve, matrix)
            elif kind == b"colr" and body[:4] in (b"prof", b"rICC") and not has_profile:
                has_profile, self.profile = True, icc.rebuild(body[4:])
        if self.profile and self.profile.space != ("GRAY" if head.is_grey else "RGB"):
            self.profile = None
        if not has_profile and not head.is_grey:
            self.meant = icc.of_numbers(*colours[:2])

    def written(self, item: _Item, *, is_main: bool, is_tile: bool = False) -> list[bytes]:
        out = []
        seen: set[bytes] = set()
        for kind, body in self.avif.properties_of(item):
            if kind in seen or (kind in (b"irot", b"imir", b"clap") and is_tile):
                continue
            numbers = _numbers(kind, body)
            if numbers is None:
                continue
            # A cut leaves in the file what it hides: only what is seen is kept.
            self.must_redraw |= kind == b"clap"
            out.append(_box(kind, numbers))
            seen.add(kind)
        if is_main:
            if self.profile:
                out.append(_box(b"colr", b"prof" + self.profile.content))
            if self.nclx:
                out.append(_box(b"colr", self.nclx))
        return out

    def file(self, *more: bytes) -> bytes:
        """The new file: brands, table, coded pictures; `more` are further properties of the picture."""
        known: dict[bytes, int] = {}
        owners, infos, references = b"", b"", b""
        for place, kept in enumerate(self.kept, 1):
            numbers = b""
            properties = [*kept.properties, *(more if place == 1 else ())]
            for prop in properties:
                essential = 0x8000 if prop[4:8] in (b"av1C", b"irot", b"imir", b"clap") else 0
                numbers += struct.pack(">H", essential | known.setdefault(prop, len(known) + 1))
            owners += struct.pack(">HB", place, len(properties)) + numbers
            infos += _box(
                b"infe",
                b"\2\0\0" + bytes([kept.kind == b"av01" and place > 1]) + struct.pack(">HH4sB", place, 0, kept.kind, 0),
            )
            for kind, targets in kept.points_to:
                references += _box(kind, struct.pack(f">HH{len(targets)}H", place, len(targets), *targets))
        start, places = 0, []
        for kept in self.kept:
            places.append((start, len(kept.content)))
            start += len(kept.content)
        count = len(self.kept)

        def table(base: int) -> bytes:
            rows = b"".join(struct.pack(">HHHII", n, 0, 1, base + a, size) for n, (a, size) in enumerate(places, 1))
            return _box(
                b"meta",
                b"\0\0\0\0" + _box(b"hdlr", b"\0" * 8 + b"pict" + b"\0" * 13) + _box(b"pitm", b"\0\0\0\0\0\1")
                + _box(b"iloc", b"\0\0\0\0\x44\0" + struct.pack(">H", count) + rows)
                + _box(b"iinf", b"\0\0\0\0" + struct.pack(">H", count) + infos)
                + (_box(b"iref", b"\0\0\0\0" + references) if references else b"")
                + _box(b"iprp", _box(b"ipco", b"".join(known)) + _box(b"ipma", b"\0\0\0\1" + struct.pack(">I", count) + owners)),
            )  # fmt: skip

        brands = _box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
        base = len(brands) + len(table(0)) + 8
        return brands + table(base) + _box(b"mdat", b"".join(kept.content for kept in self.kept))

    def tell_what_stays_behind(self) -> None:
        """By kind: what the items hold that were not followed."""
        avif, removed = self.avif, self.avif.removed
        counted = 0
        for number, item in avif.items.items():
            counted += 0 if item.in_idat else sum(length for _, length in item.extents or [])
            if item.name not in _PLAIN_NAMES and item.kind != b"mime":
                removed.add("description")
            if number in self.taken:
                continue
            content = avif.content(item) if item.extents else b""
            if item.kind == b"Exif":
                removed |= exif.read_exif(content[4:].removeprefix(exif.HEAD))[1]
            elif item.kind == b"mime":
                removed |= exif.kinds_in_text(content)
            else:
                removed.add("thumbnail" if item.points_to.get(b"thmb") else "other")
        if avif.media_bytes > counted:
            removed.add("other")


def _numbers(kind: bytes, body: bytes) -> bytes | None:
    """A property from its numbers alone; None for one that is not needed. Raises NotThisFormat."""
    if len(body) < _LENGTHS.get(kind, 0):
        raise NotThisFormat("undecodable")
    match kind:
        case b"ispe":
            return b"\0\0\0\0" + body[4:12]
        case b"irot":
            return bytes([body[0] & 3])
        case b"imir":
            return bytes([body[0] & 1])
        case b"pixi":
            depths = body[5 : 5 + body[4]] if len(body) > 5 else b""
            if len(depths) not in (1, 3, 4) or max(depths) > 16:
                raise NotThisFormat("undecodable")
            return b"\0\0\0\0" + bytes([len(depths)]) + depths
        case b"av1C" | b"clap":  # what follows in `av1C` says again what the coded picture says, or anything else
            return body[: _LENGTHS[kind]]
        case b"auxC":
            return b"\0\0\0\0" + _ALPHA[0] + b"\0"
    return None


def _grid(content: bytes, size: tuple[int, int]) -> bytes:
    if len(content) < 8 or content[0]:
        raise NotThisFormat("undecodable")
    shape = ">II" if content[1] & 1 else ">HH"
    if struct.unpack_from(shape, content, 4) != size:
        raise NotThisFormat("undecodable")
    return bytes([0, content[1] & 1]) + content[2 : 4 + struct.calcsize(shape)]


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def strip_avif(data: bytes) -> Clean:
    """Raises NotThisFormat, TooMuch."""
    try:
        avif = _Avif(data)
        writer = _Writer(avif)
        writer.picture()
        writer.tell_what_stays_behind()
    except (struct.error, IndexError):  # a table that ends in the middle
        raise NotThisFormat("cut-off") from None
    meant = writer.meant
    is_foreign = meant is not None or (writer.profile is not None and not writer.profile.is_srgb)
    seen = writer.file(_box(b"colr", b"prof" + meant.content)) if meant else b""
    return Clean([writer.file()], frozenset(avif.removed), is_foreign, writer.must_redraw, seen)
