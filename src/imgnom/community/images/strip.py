"""Container filters: the same pixels, colour and orientation, without anything else that travelled along.

They keep what showing needs (ICC profile, Adobe marker, an orientation-only EXIF, loop count) and drop the rest,
bytes after the end included. Each returns the clean file and the kinds of things removed. Pure functions on bytes;
the pixels themselves are checked by the decoder in its jail.
"""

import struct
from collections.abc import Callable

_EXIF_HEAD = b"Exif\x00\x00"


class NotThisFormat(ValueError):
    """The container does not hold together."""


def _exif_facts(tiff: bytes) -> tuple[int, set[str]]:
    """Orientation (1–8) and the kinds of personal data in an EXIF block; damaged blocks count as camera data."""
    kinds = {"camera"}
    orientation = 1
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        offset = struct.unpack_from(order + "I", tiff, 4)[0]
        count = struct.unpack_from(order + "H", tiff, offset)[0]
        for number in range(min(count, 400)):
            tag, _kind, _n, value = struct.unpack_from(order + "HHI4s", tiff, offset + 2 + 12 * number)
            if tag == 0x0112:
                orientation = struct.unpack(order + "H", value[:2])[0]
            elif tag == 0x8825:
                kinds.add("place")
        if struct.unpack_from(order + "I", tiff, offset + 2 + 12 * count)[0]:
            kinds.add("thumbnail")
    except (KeyError, struct.error):
        pass
    return (orientation if 1 <= orientation <= 8 else 1), kinds


def _orientation_exif(orientation: int) -> bytes:
    return (
        b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00"
        + struct.pack("<H", orientation)
        + b"\x00\x00\x00\x00\x00\x00"
    )


def strip_jpeg(data: bytes) -> tuple[bytes, set[str]]:
    if data[:2] != b"\xff\xd8":
        raise NotThisFormat("jpeg")
    out, removed, at = [b"\xff\xd8"], set(), 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise NotThisFormat("jpeg")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xD9:
            break
        size = struct.unpack_from(">H", data, at + 2)[0]
        if size < 2 or at + 2 + size > len(data):
            raise NotThisFormat("jpeg")
        segment, body = data[at : at + 2 + size], data[at + 4 : at + 2 + size]
        at += 2 + size
        if marker == 0xE1 and body.startswith(_EXIF_HEAD):
            orientation, kinds = _exif_facts(body[6:])
            removed |= kinds
            if orientation != 1:
                exif = _EXIF_HEAD + _orientation_exif(orientation)
                out.append(b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
        elif marker == 0xE1:
            removed.add("description")
        elif (marker == 0xE2 and body.startswith(b"ICC_PROFILE\x00")) or (marker == 0xEE and body.startswith(b"Adobe")):
            out.append(segment)
        elif marker == 0xED:
            removed.add("description")
        elif marker == 0xFE:
            removed.add("comment")
        elif 0xE1 <= marker <= 0xEF:
            removed.add("other")
        elif marker == 0xDA:
            end, extra = _end_of_scan(data, at)
            out.append(segment + data[at:end])
            at = end
            if extra:
                break
        else:
            out.append(
                b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
                if marker == 0xE0 and body.startswith(b"JFIF")
                else segment
                if marker != 0xE0
                else b""
            )
    tail = data.find(b"\xff\xd9", at)
    if tail >= 0 and len(data) > tail + 2:
        removed.add("trailing")
    return b"".join(out) + b"\xff\xd9", removed


def _end_of_scan(data: bytes, at: int) -> tuple[int, bool]:
    """Where entropy-coded data ends: the next marker that is neither stuffing nor a restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return len(data), True
        following = data[at + 1]
        if following == 0 or 0xD0 <= following <= 0xD7:
            at += 2
        elif following == 0xFF:
            at += 1
        else:
            return at, False


_PNG_KEEP = {
    b"IHDR",
    b"PLTE",
    b"IDAT",
    b"IEND",
    b"tRNS",
    b"gAMA",
    b"cHRM",
    b"sRGB",
    b"iCCP",
    b"sBIT",
    b"acTL",
    b"fcTL",
    b"fdAT",
    b"cICP",
    b"bKGD",
    b"pHYs",
}


def strip_png(data: bytes) -> tuple[bytes, set[str]]:
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise NotThisFormat("png")
    out, removed, at = [data[:8]], set(), 8
    while at + 12 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        kind, end = data[at + 4 : at + 8], at + 12 + size
        if end > len(data):
            raise NotThisFormat("png")
        if kind in _PNG_KEEP:
            out.append(data[at:end])
        elif kind == b"eXIf":
            removed |= _exif_facts(data[at + 8 : end - 4])[1]
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            removed.add("description")
        elif kind == b"tIME":
            removed.add("time")
        else:
            removed.add("other")
        at = end
        if kind == b"IEND":
            break
    if at < len(data):
        removed.add("trailing")
    return b"".join(out), removed


def strip_webp(data: bytes) -> tuple[bytes, set[str]]:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise NotThisFormat("webp")
    end = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    chunks, removed, at, orientation = [], set(), 12, 1
    while at + 8 <= end:
        kind, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        stop = at + 8 + size + (size & 1)
        if at + 8 + size > end:
            raise NotThisFormat("webp")
        body = data[at + 8 : at + 8 + size]
        if kind == b"EXIF":
            orientation, kinds = _exif_facts(body.removeprefix(_EXIF_HEAD))
            removed |= kinds
        elif kind == b"XMP ":
            removed.add("description")
        elif kind in (b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"ICCP"):
            chunks.append((kind, body))
        else:
            removed.add("other")
        at = stop
    if end < len(data):
        removed.add("trailing")
    if orientation != 1:
        chunks.append((b"EXIF", _orientation_exif(orientation)))
    payload = b""
    for kind, body in chunks:
        if kind == b"VP8X":
            flags = (body[0] & ~0x0C) | (0x08 if orientation != 1 else 0)
            body = bytes([flags]) + body[1:]  # noqa: PLW2901 - the flags say which chunks follow
        payload += kind + struct.pack("<I", len(body)) + body + (b"\x00" if len(body) & 1 else b"")
    return b"RIFF" + struct.pack("<I", len(payload) + 4) + b"WEBP" + payload, removed


def strip_gif(data: bytes) -> tuple[bytes, set[str]]:
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 13:
        raise NotThisFormat("gif")
    removed: set[str] = set()
    at = 13 + (3 * (2 << (data[10] & 7)) if data[10] & 0x80 else 0)
    out = [data[:at]]

    def blocks(start: int) -> int:
        while start < len(data) and data[start]:
            start += data[start] + 1
        if start >= len(data):
            raise NotThisFormat("gif")
        return start + 1

    while at < len(data):
        kind = data[at]
        if kind == 0x3B:
            at += 1
            break
        if kind == 0x21 and at + 2 < len(data):
            end = blocks(at + 2)
            label = data[at + 1]
            if label == 0xF9 or (label == 0xFF and data[at + 3 : at + 14] == b"NETSCAPE2.0"):
                out.append(data[at:end])
            else:
                removed.add("comment" if label == 0xFE else "description")
            at = end
        elif kind == 0x2C and at + 10 <= len(data):
            head = at + 10 + (3 * (2 << (data[at + 9] & 7)) if data[at + 9] & 0x80 else 0)
            end = blocks(head + 1)
            out.append(data[at:end])
            at = end
        else:
            raise NotThisFormat("gif")
    if at < len(data):
        removed.add("trailing")
    return b"".join(out) + b";", removed


STRIP: dict[str, Callable[[bytes], tuple[bytes, set[str]]]] = {
    "jpeg": strip_jpeg,
    "png": strip_png,
    "webp": strip_webp,
    "gif": strip_gif,
}


def sniff(data: bytes) -> str | None:
    """The format by content alone; names and declared types count for nothing (U2)."""
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if data[4:8] == b"ftyp":
        return "heic" if data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc") else "avif"
    return None
