"""Files as strangers send them: photographs full of hidden words, bombs of a few bytes, files that are two things at once.

Everything is made here, byte by byte where a library would be too well behaved.
"""

import io
import struct
import zlib
from dataclasses import dataclass, field

from PIL import Image, ImageCms, ImageDraw
from PIL.PngImagePlugin import PngInfo

CANARY = "CANARYd41d8cd9"
MARK = CANARY.encode()


def drawn(size: tuple[int, int] = (96, 64), mode: str = "RGB") -> Image.Image:
    """Not one colour, not symmetrical: a corner says which way is up."""
    image = Image.new("RGB", size, (40, 90, 140))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, size[0] // 3, size[1] // 3), fill=(220, 30, 30))
    pen.line((0, size[1] - 1, size[0] - 1, 0), fill=(250, 240, 60), width=3)
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def exif_with_canaries(orientation: int = 1, order: str = "<") -> bytes:
    """A TIFF block with maker, artist, place, time, maker note and a thumbnail behind the second directory."""
    entries: list[tuple[int, int, bytes]] = [
        (0x010F, 2, MARK + b"\0"), (0x0112, 3, struct.pack(order + "H", orientation)), (0x013B, 2, MARK + b"\0"), (0x0132, 2, b"2026:11:22 09:41:02\0"),
    ]  # fmt: skip
    place = [(1, 2, b"N\0"), (2, 5, struct.pack(order + "6I", 37, 1, 33, 1, 59, 1)), (0x1D, 2, MARK + b"\0")]
    camera = [(0x9003, 2, b"2026:11:22 09:41:02\0"), (0x927C, 7, MARK * 3), (0x9286, 7, b"ASCII\0\0\0" + MARK)]

    def directory(rows: list[tuple[int, int, bytes]], at: int, following: int) -> bytes:
        head, tail = struct.pack(order + "H", len(rows)), b""
        data = at + 2 + 12 * len(rows) + 4
        for tag, kind, value in sorted(rows):
            width = {2: 1, 3: 2, 4: 4, 5: 8, 7: 1}[kind]
            count = len(value) // width
            if len(value) <= 4:
                head += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
            else:
                head += struct.pack(order + "HHII", tag, kind, count, data + len(tail))
                tail += value + b"\0" * (len(value) & 1)
        return head + struct.pack(order + "I", following) + tail

    def measured(rows: list[tuple[int, int, bytes]]) -> int:
        return len(directory(rows, 0, 0))

    pointers = [(0x8825, 4, b"\0" * 4), (0x8769, 4, b"\0" * 4)]
    first = 8
    places = first + measured(entries + pointers)
    cameras = places + measured(place)
    second = cameras + measured(camera)
    little = saved(drawn((16, 16)), "JPEG") + MARK
    thumbnail = second + 2 + 12 * 2 + 4
    pointers = [(0x8825, 4, struct.pack(order + "I", places)), (0x8769, 4, struct.pack(order + "I", cameras))]
    rows = [(0x0201, 4, struct.pack(order + "I", thumbnail)), (0x0202, 4, struct.pack(order + "I", len(little)))]
    return (
        (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + directory(entries + pointers, first, second)
        + directory(place, places, 0) + directory(camera, cameras, 0) + directory(rows, second, 0) + little
    )  # fmt: skip


XMP = (
    '<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    f'<rdf:Description exif:GPSLatitude="37,33.5N" dc:creator="{CANARY}"/></rdf:RDF></x:xmpmeta>'
).encode()
IPTC = (
    b"Photoshop 3.0\x008BIM\x04\x04\0\0"
    + struct.pack(">I", 5 + len(MARK))
    + b"\x1c\x02\x5a\x00"
    + bytes([len(MARK)])
    + MARK
)


def profile(*, of: str = "sRGB") -> bytes:
    """A colour profile with the canary in its name, in its copyright, in a free tag, in a gap, and behind its end."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    count = struct.unpack_from(">I", plain, 128)[0]
    tags = [struct.unpack_from(">4sII", plain, 132 + 12 * n) for n in range(count)]
    elements = {name: plain[at : at + size] for name, at, size in tags}
    if of == "swapped":  # red and green change places, under the same name
        elements[b"rXYZ"], elements[b"gXYZ"] = elements[b"gXYZ"], elements[b"rXYZ"]
    elements[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", len(MARK) + 6) + b"sRGB " + MARK + b"\0" + b"\0" * 78
    elements[b"cprt"] = b"text\0\0\0\0" + MARK + b"\0"
    elements[b"priv"] = b"text\0\0\0\0" + MARK + b"\0"
    at, index, body = 132 + 12 * len(elements), b"", b""
    for name, element in elements.items():
        index += struct.pack(">4sII", name, at + len(body), len(element))
        body += element + b"\0" * (-len(element) % 4) + MARK.ljust(20, b"\0")
    head = bytearray(plain[:128])
    head[0:4] = struct.pack(">I", at + len(body))
    head[48:56] = MARK[:8]
    return bytes(head) + struct.pack(">I", len(elements)) + index + body + MARK


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg_with_canaries(orientation: int = 1, *, order: str = "<", **options: object) -> bytes:
    """Every place of a JPEG in which words can travel."""
    plain = saved(drawn(), "JPEG", quality=92, **options)
    moving = b"\0\0\0\x18ftypmp42" + MARK
    second = saved(drawn((32, 32)), "JPEG")
    second = second[:2] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + MARK) + second[2:]
    unused = segment(0xDB, b"\x03" + MARK.ljust(64, b"\x01"))
    words = (
        segment(0xE1, b"Exif\0\0" + exif_with_canaries(orientation, order)) + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
        + segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + MARK) + segment(0xE2, b"ICC_PROFILE\0\x01\x01" + profile())
        + segment(0xE2, b"MPF\0" + MARK) + segment(0xED, IPTC) + segment(0xEE, b"Adobe\0\x64" + MARK[:4] + b"\x01" + MARK)
        + segment(0xFE, MARK) + segment(0xEB, b"JP" + MARK) + segment(0xE0, b"JFXX\0\x10" + second[:200]) + unused
    )  # fmt: skip
    head = 2 + 18 if plain[2:4] == b"\xff\xe0" else 2
    jfif = segment(0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\x02\x02" + MARK[:12])
    return plain[:2] + jfif + words + plain[head:] + second + moving


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png_with_canaries(orientation: int = 1, mode: str = "RGB") -> bytes:
    words = PngInfo()
    words.add_text("Author", CANARY)
    words.add_text("Comment", CANARY, zip=True)
    words.add_itxt("XML:com.adobe.xmp", XMP.decode())
    plain = saved(drawn(mode=mode), "PNG", pnginfo=words)
    at = plain.index(b"IDAT") - 4
    more = (
        chunk(b"iCCP", MARK + b"\0\0" + zlib.compress(profile())) if mode in ("RGB", "RGBA", "P") else b""
    ) + chunk(b"eXIf", exif_with_canaries(orientation)) + chunk(b"tIME", b"\x07\xea\x0b\x16\x09\x29\x02") + chunk(b"prVt", MARK)  # fmt: skip
    size = struct.unpack_from(">I", plain, at)[0]
    pixels = chunk(b"IDAT", plain[at + 8 : at + 8 + size] + MARK)  # behind the end of the compressed data
    # The palette stands before the profile's place only for readers that do not mind; ours writes the order anew.
    cut = plain.index(b"PLTE") - 4 if b"PLTE" in plain else at
    return plain[:cut] + more + plain[cut:at] + pixels + plain[at + 12 + size :] + b"%PDF-1.4 " + MARK


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)


def webp_with_canaries(orientation: int = 1, *, animated: bool = False) -> bytes:
    """EXIF, XMP, a profile, unknown chunks (inside a frame too), and a tail."""
    frames = [drawn(), drawn().rotate(180)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 80} if animated else {}
    plain = saved(frames[0], "WEBP", quality=90, **options)
    chunks, at = [], 12
    while at + 8 <= len(plain):
        kind, size = struct.unpack_from("<4sI", plain, at)
        chunks.append((kind, plain[at + 8 : at + 8 + size]))
        at += 8 + size + (size & 1)
    wide, high = frames[0].size
    canvas = (
        bytes([0x2C | (0x02 if animated else 0), 0, 0, 0])
        + (wide - 1).to_bytes(3, "little")
        + (high - 1).to_bytes(3, "little")
    )
    body = riff(b"VP8X", canvas) + riff(b"ICCP", profile())
    for kind, content in chunks:
        if kind == b"ANMF":
            body += riff(kind, content + riff(b"hide", MARK))
        elif kind != b"VP8X":
            body += riff(kind, content)
    body += riff(b"EXIF", exif_with_canaries(orientation)) + riff(b"XMP ", XMP) + riff(b"hide", MARK)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body + MARK


def gif_with_canaries() -> bytes:
    """Two frames; comments, XMP, plain text, words inside the looping block, a tail that a browser would run."""
    frames = [drawn(mode="P"), drawn().rotate(180).convert("P")]
    plain = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=120, loop=3)

    def block(label: int, *parts: bytes) -> bytes:
        return b"\x21" + bytes([label]) + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"

    loop = plain.index(b"\x21\xff\x0bNETSCAPE2.0")
    words = (
        block(0xFE, MARK) + block(0xFF, b"XMP DataXMP", XMP[:200], MARK) + block(0x01, b"\0" * 12, MARK) + block(0xFF, b"ICCRGBG1012", MARK)
    )  # fmt: skip
    looping = block(0xFF, b"NETSCAPE2.0", b"\x01\x03\x00", MARK)
    return plain[:loop] + words + looping + plain[loop + 19 :] + b"=1;/*" + MARK + b"*/alert(1)//"


def gif_of_frames(count: int, side: int) -> bytes:
    """A GIF of many frames of one pixel on a wide canvas."""
    frame = b"\x21\xf9\x04\0\0\0\0\0" + b"\x2c\0\0\0\0\x01\0\x01\0\0" + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + frame * count + b";"


# ── AVIF: a table of items, built by hand ──────────────────────────────────────────────────────────────────────────


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def unit(kind: int, body: bytes) -> bytes:
    """An open bitstream unit with its length."""
    size, length = len(body), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([kind << 3 | 2]) + length + bytes([size]) + body


def units(coded: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(coded):
        kind, shift, size, at = coded[at] >> 3 & 15, 0, 0, at + 1
        while True:
            size |= (coded[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not coded[at - 1] & 0x80:
                break
        found.append((kind, coded[at : at + size]))
        at += size
    return found


@dataclass
class Item:
    """One row of the table. `points` are references by kind; `places` are its extents when they are not its content."""

    kind: bytes
    content: bytes
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    points: dict[bytes, list[int]] = field(default_factory=dict)
    name: bytes = b""
    content_type: bytes = b""
    in_idat: bool = False
    places: list[tuple[int, int]] | None = None


def coded_picture(image: Image.Image, **options: object) -> Item:
    """What an encoder makes of it, with the properties that it needs."""
    plain = saved(image, "AVIF", **({"quality": 95} | options))
    found = plain.index(b"av1C")
    settings = plain[found + 4 : found - 4 + struct.unpack_from(">I", plain, found - 4)[0]]
    start = plain.index(b"mdat") + 4
    depths = b"\0\0\0\0\1\x08" if options.get("subsampling") == "4:0:0" else b"\0\0\0\0\3\x08\x08\x08"
    size = b"\0\0\0\0" + struct.pack(">II", *image.size)
    return Item(b"av01", plain[start:], [(b"ispe", size), (b"pixi", depths), (b"av1C", settings)])


def item_file(
    items: list[Item], *, primary: int = 1, idat: bytes = b"", gap: bytes = b"", handler: bytes = b"", more: bytes = b"", brand: bytes = b"avif"
) -> bytes:  # fmt: skip
    """A file of these items, the first of number 1; `gap` stands before and behind each content."""
    known: list[tuple[bytes, bytes]] = []
    owners = references = infos = b""
    for number, item in enumerate(items, 1):
        row = b""
        for prop in item.properties:
            if prop not in known:
                known.append(prop)
            row += bytes([(0x80 if prop[0] in (b"av1C", b"irot", b"imir") else 0) | known.index(prop) + 1])
        owners += struct.pack(">HB", number, len(item.properties)) + row
        infos += box(
            b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), item.kind, item.name + b"\0",
            item.content_type + b"\0" if item.kind == b"mime" else b"",
        )  # fmt: skip
        for kind, targets in item.points.items():
            references += box(kind, struct.pack(f">HH{len(targets)}H", number, len(targets), *targets))
    laid, starts = gap, []
    for item in items:
        starts.append(len(laid))
        laid += b"" if item.in_idat else item.content + gap

    def table(base: int) -> bytes:
        rows = b""
        for number, (item, start) in enumerate(zip(items, starts, strict=True), 1):
            half = len(item.content) // 2
            first = 0 if item.in_idat else base + start
            places = item.places or [(first, half), (first + half, len(item.content) - half)]
            rows += struct.pack(">HHHH", number, item.in_idat, 0, len(places))
            rows += b"".join(struct.pack(">II", *place) for place in places)
        return box(
            b"meta", b"\0\0\0\0", box(b"hdlr", b"\0" * 8, b"pict", b"\0" * 12, handler + b"\0"), box(b"pitm", b"\0\0\0\0", struct.pack(">H", primary)),
            box(b"iloc", b"\1\0\0\0\x44\0", struct.pack(">H", len(items)), rows), box(b"iinf", b"\0\0\0\0", struct.pack(">H", len(items)), infos),
            box(b"iref", b"\0\0\0\0", references) if references else b"",
            box(b"iprp", box(b"ipco", *(box(*prop) for prop in known)), box(b"ipma", b"\0\0\0\0", struct.pack(">I", len(items)), owners)),
            box(b"idat", idat) if idat else b"", more,
        )  # fmt: skip

    head = box(b"ftyp", brand, MARK[:4], b"avifmif1miaf", MARK[4:8])
    return head + table(len(head) + len(table(0)) + 8) + box(b"mdat", laid)


def in_meta(more: bytes, *, inside: bytes = b"meta") -> bytes:
    """A plain AVIF with one more box at the front of its table (`meta`) or of its properties (`iprp`)."""
    plain = item_file([coded_picture(drawn())])
    for kind in (b"meta", inside) if inside != b"meta" else (b"meta",):
        at = plain.index(kind)
        plain = plain[: at - 4] + struct.pack(">I", struct.unpack_from(">I", plain, at - 4)[0] + len(more)) + plain[at:]
    at = plain.index(inside) + (8 if inside == b"meta" else 4)
    return plain[:at] + more + plain[at:]


def avif(
    image: Image.Image | None = None, *, turn: int = 0, mirror: int | None = None, alpha: bool = False, colours: tuple[int, int, int] | None = None,
    icc: bytes = b"", **options: object,
) -> bytes:  # fmt: skip
    """A plain AVIF with what its table can say about turn, mirror, transparency and colours."""
    image = image or drawn()
    main = coded_picture(image.convert("RGB"), **options)
    said: list[tuple[bytes, bytes]] = []
    if turn:
        said.append((b"irot", bytes([turn])))
    if mirror is not None:
        said.append((b"imir", bytes([mirror])))
    items = [main]
    if alpha:
        window = coded_picture(image.convert("RGBA").getchannel("A"), subsampling="4:0:0")
        window.properties += [(b"auxC", b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"), *said]
        window.points[b"auxl"] = [1]
        items.append(window)
    main.properties += said
    if icc:
        main.properties.append((b"colr", b"prof" + icc))
    if colours:
        main.properties.append((b"colr", b"nclx" + struct.pack(">HHHB", *colours, 0x80)))
    return item_file(items)


def avif_grid(image: Image.Image | None = None, *, alpha: bool = False) -> bytes:
    """A picture of two by two tiles that reach over its edge."""
    image = image or drawn((120, 100)).convert("RGBA")
    tiles = [(x, y, x + 64, y + 64) for y in (0, 64) for x in (0, 64)]
    items = [
        Item(
            b"grid",
            b"\0\0\1\1" + struct.pack(">HH", *image.size),
            [(b"ispe", b"\0\0\0\0" + struct.pack(">II", *image.size))],
        )
    ]
    items[0].points[b"dimg"] = [2, 3, 4, 5]
    items += [coded_picture(image.convert("RGB").crop(tile)) for tile in tiles]
    if alpha:
        urn = (b"auxC", b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
        items.append(
            Item(b"grid", items[0].content, [*items[0].properties, urn], {b"auxl": [1], b"dimg": [7, 8, 9, 10]})
        )
        items += [coded_picture(image.getchannel("A").crop(tile), subsampling="4:0:0") for tile in tiles]
    return item_file(items)


def avif_without_canaries() -> bytes:
    """What is seen of the next one."""
    return avif(drawn(mode="RGBA"), alpha=True)


def avif_with_canaries(*, alpha: bool = True) -> bytes:
    """Words in every place of the file in which they can travel, and pictures that nobody is shown."""
    image = drawn(mode="RGBA")
    main = coded_picture(image.convert("RGB"))
    coded = units(main.content)
    main.content = b"".join(
        [
            unit(2, MARK), *(unit(kind, body + (MARK if kind == 1 else b"")) for kind, body in coded[:-1] if kind != 2),
            unit(5, b"\4" + MARK), unit(15, MARK), unit(*coded[-1]), unit(5, b"\4" + XMP),
        ]
    )  # fmt: skip
    hidden = coded_picture(drawn((48, 48)))
    hidden.content += unit(5, b"\4" + MARK)
    small = Item(b"av01", hidden.content, hidden.properties, {b"thmb": [1]}, MARK)
    main.name = MARK
    main.properties = [
        (kind, body + (MARK if kind in (b"av1C", b"pixi", b"ispe") else b"")) for kind, body in main.properties
    ]
    main.properties += [
        (b"colr", b"prof" + profile()),
        (b"uuid", MARK * 2),
        (b"udes", b"\0\0\0\0" + MARK + b"\0"),
        (b"colr", b"nclx\0\1\0\x0d\0\6\x80" + MARK),
    ]
    aside = {b"cdsc": [1]}
    items = [
        main, Item(b"Exif", b"\0\0\0\0" + exif_with_canaries(), points=aside), Item(b"mime", XMP, points=aside, name=MARK, content_type=b"application/rdf+xml"),
        Item(b"mime", MARK * 3, points=aside, content_type=MARK, in_idat=True), Item(b"uri ", MARK, name=MARK), small, hidden,
    ]  # fmt: skip
    if alpha:
        window = coded_picture(image.getchannel("A"), subsampling="4:0:0")
        window.properties.append((b"auxC", b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0" + MARK))
        window.points[b"auxl"] = [1]
        items.append(window)
    more = box(b"grpl", box(b"altr", b"\0" * 12, MARK)) + box(b"uuid", MARK * 2) + box(b"free", MARK)
    film = box(b"udta", box(b"name", MARK)) + box(b"free", MARK) + box(b"uuid", MARK * 2)
    return (
        item_file(items, idat=MARK * 3, gap=MARK, handler=MARK, more=more) + film + b"<script>alert(1)</script>" + MARK
    )


def _avif_bombs() -> dict[str, bytes]:
    """Tables that ask for more than there is: of room, or of work."""

    def sized(width: int, height: int) -> bytes:
        main = coded_picture(drawn())
        main.properties[0] = (b"ispe", b"\0\0\0\0" + struct.pack(">II", width, height))
        return item_file([main])

    main = coded_picture(drawn())
    everything = Item(b"mime", b"", places=[(0, 1_000)] * 400)
    # Rows of no bytes cost nothing in the file: 100 items of 65,535 places each.
    empty = box(b"iloc", b"\1\0\0\0\0\0", struct.pack(">H", 100), struct.pack(">HHHH", 1, 0, 0, 65_535) * 100)
    owners = box(b"ipma", b"\0\0\0\0", struct.pack(">I", 255), (struct.pack(">HB", 1, 255) + b"\1" * 255) * 255)
    references = box(b"iref", b"\0\0\0\0", *[box(b"cdsc", struct.pack(">HH", 1, 400), b"\0\1" * 400)] * 60)
    return {
        "an avif of seventeen thousand squared": sized(17_000, 17_000),
        "an avif of a kilobyte that claims sixty million": sized(7_700, 7_700),
        "an avif with pictures over each other": item_file([main, *[everything] * 40]),
        "an avif of thousands of items": item_file([main, *[Item(b"mime", b"")] * 2_001]),
        "an avif of places without length": in_meta(empty),
        "an avif of sixty-five thousand properties": in_meta(owners, inside=b"iprp"),
        "an avif of thousands of references": in_meta(references),
    }  # fmt: skip


def bombs() -> dict[str, bytes]:
    """Small files that ask for much, each with the reason that it is refused for."""

    def png(width: int, height: int, depth: int, colour: int, interlace: int = 0, rows: int = 0) -> bytes:
        body = zlib.compress(b"\0" * rows, 9) if rows else zlib.compress(b"")
        return png_header(width, height, depth, colour, interlace) + chunk(b"IDAT", body) + chunk(b"IEND", b"")

    jpeg = bytearray(saved(drawn(), "JPEG"))
    place = jpeg.index(b"\xff\xc0")
    jpeg[place + 5 : place + 9] = struct.pack(">HH", 65_500, 65_500)
    webp = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + (16_777_214).to_bytes(3, "little") * 2
    longer = png_header(64, 64) + chunk(b"IDAT", zlib.compress(b"\0" * 100_000_000, 9)) + chunk(b"IEND", b"")
    return {
        "a million rows": png(1, 1_057_024, 8, 0),
        "a wide interlaced strip": png(786_464, 32, 16, 6, 1),
        "sixty thousand squared": png(60_000, 60_000, 1, 0, rows=60_000 * 7_501 // 100),
        "two to the thirty-first": png(2**31 - 1, 2**31 - 1, 8, 2),
        "twenty thousand frames": gif_of_frames(20_000, 3_000),
        "a wide screen without frames": gif_of_frames(1, 65_535),
        "a frame wider than its screen": b"GIF89a\1\0\1\0\0\0\0\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0;",
        "a lying jpeg": bytes(jpeg),
        "a lying webp": b"RIFF" + struct.pack("<I", 4 + len(webp)) + b"WEBP" + webp,
        "pixels without end": longer,
        **_endless_pieces(),
        **_avif_bombs(),
    }


def stepwise_without_end(side: int, scans: int) -> bytes:
    """A grey JPEG of few bytes whose every scan is right, goes over all its blocks and says nothing new."""
    blocks = ((side + 7) // 8) ** 2
    head = b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64)
    head += segment(0xC2, struct.pack(">BHHBBBB", 8, side, side, 1, 1, 0x11, 0))
    head += segment(0xC4, b"\0\1" + b"\0" * 15 + b"\0") + segment(0xC4, b"\x10\1" + b"\0" * 15 + b"\xe0")
    first = segment(0xDA, b"\1\1\0\0\0\0") + b"\0" * ((blocks + 7) // 8)
    bits = "0" + "1" * 14  # the end of as many blocks as one code can say
    runs = "".join([bits] * (blocks // 32_767)) + "0" + f"{max(blocks % 32_767, 16_384) - 16_384:014b}"
    packed = int(runs + "1" * (-len(runs) % 8), 2).to_bytes((len(runs) + 7) // 8)
    body = b""
    for number in range(scans):
        place, bit = 1 + number % 63, 13 - number // 63
        before = bit + 1 if bit < 13 else 0
        body += segment(0xDA, bytes([1, 1, 0, place, place, before << 4 | bit])) + packed.replace(b"\xff", b"\xff\0")
    return head + first + body + b"\xff\xd9"


def between_pixels() -> dict[str, bytes]:
    """Words where decoders do not look: behind the last pixel, in tables made anew, in rows behind the last one."""
    picture = drawn()
    jpeg, chunked = saved(picture, "JPEG", quality=95), saved(picture, "PNG")
    table, words = jpeg.index(b"\xff\xdb"), (MARK * 5)[:64]
    coder = segment(0xC4, b"\x10" + b"\0" * 8 + b"\x0e" + b"\0" * 7 + MARK)
    rows = zlib.decompress(b"".join(body for kind, body in _png_chunks(chunked) if kind == b"IDAT")) + MARK * 9
    colours = struct.pack(">8I", *([0x43414E41] * 8))
    still = {kind: saved(picture, "WEBP", lossless=kind == "lossless") for kind in ("lossy", "lossless")}
    moving = webp_without_canaries()
    gif, two = saved(picture, "GIF"), saved(picture, "GIF", save_all=True, append_images=[picture.rotate(180)])
    return {
        "a quantiser that is made anew": jpeg[:table] + segment(0xDB, b"\0" + words) + jpeg[table:],
        "a coder that is made anew": jpeg[:table] + coder + jpeg[table:],
        "settings of another coder": jpeg[:table] + segment(0xCC, MARK) + jpeg[table:],
        "rows behind the last one": png_header(*picture.size) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""),
        "colours that are none": chunked[:33] + chunk(b"cHRM", colours) + chunk(b"gAMA", MARK[:4]) + chunked[33:],
        **{f"the end of a {kind} webp": _webp_with_tail(content) for kind, content in still.items()},
        "the end of a frame of a webp": _webp_with_tail(moving),
        "blocks behind the end of a gif": gif[:-2] + bytes([len(MARK)]) + MARK + b"\0;",
        "blocks behind a frame of a gif": two[:-2] + bytes([len(MARK)]) + MARK + b"\0;",
    }  # fmt: skip


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def _webp_with_tail(data: bytes) -> bytes:
    """The last chunk, which holds pixels, says a few words more; so does the frame around it."""
    at, last, around = 12, 0, 0
    while at < len(data):
        last, around = at, at if data[at : at + 4] == b"ANMF" else 0
        at += 8 + struct.unpack_from("<I", data, at + 4)[0] + (data[at + 4] & 1)
    if around:
        last = around + 24
    size = struct.unpack_from("<I", data, last + 4)[0]
    kept = data[: last + 8 + size] + MARK + b"\0" * ((size + len(MARK)) & 1)
    sized = bytearray(kept)
    struct.pack_into("<I", sized, last + 4, size + len(MARK))
    if around:
        struct.pack_into("<I", sized, around + 4, len(kept) - around - 8)
    struct.pack_into("<I", sized, 4, len(kept) - 8)
    return bytes(sized)


def webp_without_canaries() -> bytes:
    picture = drawn()
    return saved(picture, "WEBP", save_all=True, append_images=[picture.rotate(180)], duration=80, lossless=True)


def _endless_pieces() -> dict[str, bytes]:
    """Empty parts by the hundred thousand: they would keep the reader of the container busy, not the decoder."""
    many = 300_000
    jpeg, webp, gif = saved(drawn(), "JPEG"), saved(drawn(), "WEBP"), saved(drawn(), "GIF")
    inner = webp[12:] + b"abcd\0\0\0\0" * many
    return {
        "endless chunks of a png": png_header(64, 64) + chunk(b"abCd", b"") * many,
        "endless segments of a jpeg": jpeg[:2] + b"\xff\xef\0\2" * many + jpeg[2:],
        "endless chunks of a webp": b"RIFF" + struct.pack("<I", 4 + len(inner)) + b"WEBP" + inner,
        "a jpeg in four hundred steps": stepwise_without_end(7_700, 390),
        "endless blocks of a gif": gif[:-1] + b"\x21\xfe" + b"\1x" * many + b"\0;",
    }
