"""Photographs that carry canaries wherever a camera, a phone or a program hides something, in four formats.

JPEG: EXIF with artist, serial number, maker note, a place and a thumbnail; XMP; IPTC; a colour profile; a comment; a tail
behind the end, as motion photographs have. PNG: the same EXIF and XMP, text in its three kinds, a profile, a tail.
WebP: EXIF, XMP, a profile, an unknown chunk. GIF (two frames): comments, XMP, a tail. Built by hand, byte by byte: a
library that writes metadata may also leave some out.
"""

import gzip
import secrets
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyvips

from imgnom.site.rehearsal.canaries import latin
from imgnom.site.rehearsal.hunt import Canary

FORMATS = ("jpg", "png", "webp", "gif")
WIDTH, HEIGHT = 480, 360
_BYTES_OF = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}


@dataclass
class Hidden:
    """The canaries of one picture, by where they hide."""

    kind: str
    canaries: dict[str, Canary] = field(default_factory=dict)

    def word(self, where: str) -> str:
        word = latin()
        self.canaries[f"{self.kind} {where}"] = word
        return word

    def place(self) -> tuple[tuple[int, int], ...]:
        """Degrees, minutes, seconds; the seconds are a canary of eight bytes, as EXIF keeps them."""
        seconds = (secrets.randbelow(2**31) + 2**30, secrets.randbelow(2**31) + 2**30)
        self.canaries[f"{self.kind} EXIF place"] = struct.pack("<II", *seconds)
        return (37, 1), (33, 1), seconds


# ── EXIF: a small TIFF ───────────────────────────────────────────────────────────────────────────────────────────────


def _folder(entries: list[tuple[int, int, bytes]], at: int, following: int = 0) -> bytes:
    """One image file directory at offset `at`: its entries, then the values that are longer than four bytes."""
    head, values = struct.pack("<H", len(entries)), b""
    after = at + 2 + 12 * len(entries) + 4
    for tag, kind, value in sorted(entries):
        count = len(value) // _BYTES_OF[kind]
        if len(value) <= 4:
            place = value.ljust(4, b"\0")
        else:
            place = struct.pack("<I", after + len(values))
            values += value + b"\0" * (len(value) % 2)
        head += struct.pack("<HHI", tag, kind, count) + place
    return head + struct.pack("<I", following) + values


def _exif(hidden: Hidden) -> bytes:
    def text(where: str) -> bytes:
        return hidden.word(f"EXIF {where}").encode() + b"\0"

    place = b"".join(struct.pack("<II", *part) for part in hidden.place())
    camera = [
        (0x9286, 7, b"UNICODE\0" + hidden.word("EXIF user comment").encode("utf-16-le")),
        (0x927C, 7, b"Jogakbo\0" + zlib.compress(hidden.word("EXIF maker note, compressed").encode() * 3)),
        (0xA430, 2, text("owner")),
        (0xA431, 2, text("serial number")),
    ]
    where = [
        (1, 2, b"N\0\0\0"),
        (2, 5, place),
        (3, 2, b"E\0\0\0"),
        (4, 5, place),
        (0x1C, 7, b"ASCII\0\0\0" + hidden.word("EXIF name of the place").encode()),
    ]
    thumbnail = _jpeg_with(_pixels("jpg", small=True), [(0xFE, hidden.word("EXIF thumbnail").encode())])
    first = [(0x010E, 2, text("description")), (0x013B, 2, text("artist")), (0x8298, 2, text("copyright")),
             (0x9C9C, 1, hidden.word("EXIF comment of Windows").encode("utf-16-le") + b"\0\0"),
             (0x8769, 4, b"\0" * 4), (0x8825, 4, b"\0" * 4)]  # fmt: skip
    length = len(_folder(first, 8))
    camera_at = 8 + length
    where_at = camera_at + len(_folder(camera, camera_at))
    second_at = where_at + len(_folder(where, where_at))
    first[4:] = [(0x8769, 4, struct.pack("<I", camera_at)), (0x8825, 4, struct.pack("<I", where_at))]
    second = [(0x0103, 3, struct.pack("<H", 6)), (0x0201, 4, b"\0" * 4), (0x0202, 4, struct.pack("<I", len(thumbnail)))]
    thumbnail_at = second_at + len(_folder(second, second_at))
    second[1] = (0x0201, 4, struct.pack("<I", thumbnail_at))
    return (
        struct.pack("<2sHI", b"II", 42, 8)
        + _folder(first, 8, following=second_at)
        + _folder(camera, camera_at)
        + _folder(where, where_at)
        + _folder(second, second_at)
        + thumbnail
    )


def _xmp(hidden: Hidden) -> bytes:
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'exif:GPSLatitude="37,33.{hidden.word("XMP place")}N" exif:GPSLongitude="126,58.7N">'
        f"<dc:creator><rdf:Seq><rdf:li>{hidden.word('XMP creator')}</rdf:li></rdf:Seq></dc:creator>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def _iptc(hidden: Hidden) -> bytes:
    records = b""
    for number, where in ((80, "IPTC author"), (90, "IPTC city"), (120, "IPTC caption")):
        value = hidden.word(where).encode()
        records += struct.pack(">BBBH", 0x1C, 2, number, len(value)) + value
    return b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records + b"\0" * (len(records) % 2)


def _profile(hidden: Hidden) -> bytes:
    """The usual sRGB profile with something behind its last tag."""
    plain = bytes(pyvips.Image.profile_load("srgb"))
    tail = hidden.word("colour profile").encode()
    return struct.pack(">I", len(plain) + len(tail)) + plain[4:] + tail


# ── four containers ──────────────────────────────────────────────────────────────────────────────────────────────────


def _pixels(kind: str, *, small: bool = False) -> bytes:
    """A clean picture: a soft slope in a random colour, in two frames where the format moves."""
    width, height = (96, 72) if small else (WIDTH, HEIGHT)
    colour = [secrets.randbelow(120) + 60 for _ in range(3)]
    slope = pyvips.Image.xyz(width, height)[0] * (60 / width)
    image = (slope + colour).cast("uchar").copy(interpretation="srgb")
    if kind == "gif":
        image = image.join(image.invert(), "vertical").copy()
        image.set_type(pyvips.GValue.gint_type, "page-height", height)
        image.set_type(pyvips.GValue.array_int_type, "delay", [200, 200])
    return bytes(image.write_to_buffer(f".{kind}", keep="none"))


def _jpeg_with(plain: bytes, segments: list[tuple[int, bytes]]) -> bytes:
    made = b"".join(struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body for mark, body in segments)
    return plain[:2] + made + plain[2:]


def _jpeg(hidden: Hidden) -> bytes:
    segments = [
        (0xE1, b"Exif\0\0" + _exif(hidden)),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + _xmp(hidden)),
        (0xED, _iptc(hidden)),
        (0xE2, b"ICC_PROFILE\0\x01\x01" + _profile(hidden)),
        (0xEB, b"JP\0\0" + hidden.word("unknown segment").encode()),
        (0xFE, hidden.word("comment").encode()),
    ]
    return _jpeg_with(_pixels("jpg"), segments) + b"\0\0\0\x18ftypmp42" + hidden.word("tail").encode()


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png(hidden: Hidden) -> bytes:
    plain = _pixels("png")
    word = hidden.word
    chunks = (
        _chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(_profile(hidden)))
        + _chunk(b"tEXt", b"Author\0" + word("text").encode())
        + _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(word("compressed text").encode() * 3))
        + _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _xmp(hidden))
        + _chunk(b"iTXt", b"Title\0\x01\0ko\0\0" + zlib.compress(word("international text").encode() * 3))
        + _chunk(b"eXIf", _exif(hidden))
        + _chunk(b"imGn", word("unknown chunk").encode())
    )
    # The signature is 8 bytes long, the header chunk 25.
    return plain[:33] + chunks + plain[33:] + word("tail").encode()


def _riff(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _webp(hidden: Hidden) -> bytes:
    plain = _pixels("webp")
    size = (WIDTH - 1).to_bytes(3, "little") + (HEIGHT - 1).to_bytes(3, "little")
    flags = bytes((0b00101100, 0, 0, 0))  # a profile, EXIF and XMP follow
    chunks = (
        _riff(b"VP8X", flags + size)
        + _riff(b"ICCP", _profile(hidden))
        + plain[12:]
        + _riff(b"EXIF", _exif(hidden))
        + _riff(b"XMP ", _xmp(hidden))
        + _riff(b"IMGN", gzip.compress(hidden.word("unknown chunk, compressed").encode() * 3))
    )
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _gif(hidden: Hidden) -> bytes:
    plain = _pixels("gif")
    palette = 3 * 2 ** ((plain[10] & 7) + 1) if plain[10] & 0x80 else 0
    start = 13 + palette
    comment = hidden.word("comment").encode()
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    extensions = (
        b"\x21\xfe" + bytes((len(comment),)) + comment + b"\0"
        b"\x21\xff\x0bXMP DataXMP" + _xmp(hidden) + trailer
    )  # fmt: skip
    return b"GIF89a" + plain[6:start] + extensions + plain[start:] + hidden.word("tail").encode()


_MADE_BY: dict[str, Callable[[Hidden], bytes]] = {"jpg": _jpeg, "png": _png, "webp": _webp, "gif": _gif}


def photograph(kind: str, name: str = "") -> tuple[bytes, dict[str, Canary]]:
    """A picture of this format and the canaries in it; `name` tells two of the same format apart."""
    hidden = Hidden(f"{name or kind}")
    return _MADE_BY[kind](hidden), hidden.canaries


def photographs() -> Iterator[tuple[str, bytes, dict[str, Canary]]]:
    """(format, file, canaries) in each format."""
    for kind in FORMATS:
        yield kind, *photograph(kind)
