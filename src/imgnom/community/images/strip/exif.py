"""EXIF, XMP and IPTC: which kinds of personal data are in them, and the one number that stays, the orientation.

Sources: Exif 3.0 (tags 0x0112, 0x8825, 0x9003 and its kin), IPTC-IIM 4.2 (records 2:90–2:101 name places).
"""

import struct

HEAD = b"Exif\x00\x00"
ORIENTATION, EXIF_IFD, GPS_IFD = 0x0112, 0x8769, 0x8825
_TIMES = {0x0132, 0x9003, 0x9004}
_PLACES_IN_XMP = (b"GPSL", b"photoshop:City", b":Location", b"CountryName", b"photoshop:State")
_PLACES_IN_IPTC = tuple(b"\x1c\x02" + bytes([record]) for record in (0x5A, 0x5C, 0x5F, 0x65))
MAX_ENTRIES = 400


def read_exif(tiff: bytes) -> tuple[int, set[str]]:
    """Orientation (1–8) and the kinds of personal data in an EXIF block; damaged blocks count as camera data."""
    kinds = {"camera"}
    orientation = 1
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        waiting = [struct.unpack_from(order + "I", tiff, 4)[0]]
        for depth in range(2):
            for offset in waiting:
                entries, following = _entries(tiff, order, offset)
                if depth == 0 and ORIENTATION in entries:
                    orientation = struct.unpack(order + "H", entries[ORIENTATION][:2])[0]
                if GPS_IFD in entries:
                    kinds.add("place")
                if _TIMES & entries.keys():
                    kinds.add("time")
                if depth == 0 and following:
                    kinds.add("thumbnail")
            waiting = [struct.unpack(order + "I", entries[EXIF_IFD])[0]] if EXIF_IFD in entries else []
    except (KeyError, struct.error):
        pass
    return (orientation if 1 <= orientation <= 8 else 1), kinds


def _entries(tiff: bytes, order: str, offset: int) -> tuple[dict[int, bytes], int]:
    count = struct.unpack_from(order + "H", tiff, offset)[0]
    found: dict[int, bytes] = {}
    for number in range(min(count, MAX_ENTRIES)):
        tag, _kind, _n, value = struct.unpack_from(order + "HHI4s", tiff, offset + 2 + 12 * number)
        found.setdefault(tag, value)
    return found, struct.unpack_from(order + "I", tiff, offset + 2 + 12 * count)[0] if count <= MAX_ENTRIES else 0


def orientation_exif(orientation: int) -> bytes:
    """A TIFF block that says the orientation and nothing else."""
    entry = struct.pack("<HHIHH", ORIENTATION, 3, 1, orientation, 0)
    return b"II*\x00\x08\x00\x00\x00\x01\x00" + entry + b"\x00\x00\x00\x00"


def kinds_in_text(block: bytes) -> set[str]:
    """Kinds of personal data in XMP or IPTC."""
    place = any(mark in block for mark in (*_PLACES_IN_XMP, *_PLACES_IN_IPTC))
    return {"description", "place"} if place else {"description"}
