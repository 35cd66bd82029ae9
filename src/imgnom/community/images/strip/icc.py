"""A colour profile reduced to the numbers that colours are computed from.

A profile is a container of its own: names, makers, dates, free tags and gaps between them can carry anything. It is
read tag by tag, each tag is rebuilt from its numbers, and a new profile is written around them. A profile that does not
hold together is dropped. Source: ICC.1:2022, sections 7 and 10.
"""

import math
import struct
from dataclasses import dataclass

MAX_BYTES = 4 * 1024 * 1024
_NUMBERS, _MATRIX, _CURVE, _LOOKUP = (b"XYZ ",), (b"sf32",), (b"curv", b"para"), (b"mft1", b"mft2", b"mAB ")
# The tags that colours are computed from, and the types of element that each may have.
_TAGS = {
    "wtpt": _NUMBERS, "chad": _MATRIX, "rXYZ": _NUMBERS, "gXYZ": _NUMBERS, "bXYZ": _NUMBERS, "rTRC": _CURVE, "gTRC": _CURVE,
    "bTRC": _CURVE, "kTRC": _CURVE, "A2B0": _LOOKUP, "A2B1": _LOOKUP, "A2B2": _LOOKUP,
}  # fmt: skip
_SPACES = (b"RGB ", b"GRAY", b"CMYK")
_CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
# The primaries of sRGB adapted to D50, and how far apart two profiles of the same colours are found in the wild.
_SRGB = ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
_NEAR = 0.003
_SAMPLES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.95)


class Broken(ValueError):
    """A profile that nobody could compute with."""


@dataclass(frozen=True)
class Profile:
    content: bytes
    space: str
    is_srgb: bool


def rebuild(profile: bytes) -> Profile | None:
    """The profile from its numbers alone; None where it does not hold together."""
    try:
        return _rebuild(profile)
    except (ValueError, struct.error, LookupError, ArithmeticError, TypeError):
        return None


def _rebuild(profile: bytes) -> Profile:
    if not 132 <= len(profile) <= MAX_BYTES or profile[36:40] != b"acsp":
        raise Broken
    kind, space, connection = profile[12:16], profile[16:20], profile[20:24]
    if kind not in _CLASSES or space not in _SPACES or connection not in (b"XYZ ", b"Lab "):
        raise Broken
    tags: dict[str, bytes] = {}
    for number in range(min(100, struct.unpack_from(">I", profile, 128)[0])):
        name, offset, length = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        tag = name.decode("latin-1")
        if tag in _TAGS and tag not in tags:
            if offset + length > len(profile) or profile[offset : offset + 4] not in _TAGS[tag]:
                raise Broken
            tags[tag] = _element(profile[offset : offset + length])
    if not _can_compute(tags, space):
        raise Broken
    version = 4 if profile[8] >= 4 else 2
    return Profile(_written(profile, tags, version), space.decode().strip(), _is_srgb(tags, space))


def _can_compute(tags: dict[str, bytes], space: bytes) -> bool:
    if "A2B0" in tags:
        return True
    if space == b"GRAY":
        return "kTRC" in tags
    return space == b"RGB " and {"rXYZ", "gXYZ", "bXYZ", "rTRC", "gTRC", "bTRC"} <= tags.keys()


def _element(raw: bytes) -> bytes:
    """One tag's element, as long as its own numbers say and no longer."""
    kind = raw[:4]
    if kind == b"XYZ ":
        return b"XYZ \0\0\0\0" + _exactly(raw, 8, 12)
    if kind == b"sf32":
        return b"sf32\0\0\0\0" + _exactly(raw, 8, 36)
    if kind in (b"curv", b"para"):
        return _curve(raw, 0)[0]
    if kind in (b"mft1", b"mft2"):
        return _table(raw)
    if kind == b"mAB ":
        return _pipeline(raw)
    raise Broken


def _exactly(raw: bytes, start: int, length: int) -> bytes:
    if start + length > len(raw):
        raise Broken
    return raw[start : start + length]


def _curve(raw: bytes, at: int) -> tuple[bytes, int]:
    """A curve and where it ends."""
    kind = raw[at : at + 4]
    if kind == b"curv":
        count = struct.unpack_from(">I", raw, at + 8)[0]
        end = at + 12 + 2 * count
        return b"curv\0\0\0\0" + _exactly(raw, at + 8, 4 + 2 * count), end
    if kind == b"para":
        function = struct.unpack_from(">H", raw, at + 8)[0]
        if function not in _PARAMETERS:
            raise Broken
        length = 4 * _PARAMETERS[function]
        numbers = _exactly(raw, at + 12, length)
        return b"para\0\0\0\0" + struct.pack(">HH", function, 0) + numbers, at + 12 + length
    raise Broken


def _table(raw: bytes) -> bytes:
    """lut8Type and lut16Type."""
    inputs, outputs, grid = raw[8], raw[9], raw[10]
    if not (1 <= inputs <= 4 and outputs == 3 and grid >= 2):
        raise Broken
    head, cells = raw[8:11] + b"\0" + _exactly(raw, 12, 36), grid**inputs * outputs
    if raw[:4] == b"mft1":
        return b"mft1\0\0\0\0" + head + _exactly(raw, 48, 256 * inputs + cells + 256 * outputs)
    first, last = struct.unpack_from(">HH", raw, 48)
    return b"mft2\0\0\0\0" + head + _exactly(raw, 48, 4 + 2 * (first * inputs + cells + last * outputs))


def _pipeline(raw: bytes) -> bytes:
    """lutAToBType: its parts written one after the other, without what lay between them."""
    inputs, outputs = raw[8], raw[9]
    if not (1 <= inputs <= 4 and outputs == 3):
        raise Broken
    offsets = struct.unpack_from(">5I", raw, 12)
    body, placed = b"", [0, 0, 0, 0, 0]
    for place, offset in enumerate(offsets):
        if offset:
            if place == 1:
                part = _exactly(raw, offset, 48)
            elif place == 3:
                part = _cells(raw, offset, inputs, outputs)
            else:
                part = _curves(raw, offset, inputs if place == 4 else outputs)
            placed[place] = 32 + len(body)
            body += part + b"\0" * (-len(part) % 4)
    return b"mAB \0\0\0\0" + bytes([inputs, outputs, 0, 0]) + struct.pack(">5I", *placed) + body


def _curves(raw: bytes, at: int, count: int) -> bytes:
    found = b""
    for _ in range(count):
        curve, end = _curve(raw, at)
        found += curve + b"\0" * (-len(curve) % 4)
        at = end + (-end % 4)
    return found


def _cells(raw: bytes, at: int, inputs: int, outputs: int) -> bytes:
    grid = _exactly(raw, at, 16)[:inputs]
    precision = raw[at + 16]
    if precision not in (1, 2) or min(grid) < 2:
        raise Broken
    count = outputs * precision
    for points in grid:
        count *= points
    return grid + b"\0" * (16 - inputs) + bytes([precision, 0, 0, 0]) + _exactly(raw, at + 20, count)


def _named(version: int, text: str, kind: str) -> bytes:
    """The two texts that a profile must have, in our words and the same for all."""
    if version == 4:
        wide = text.encode("utf-16-be")
        return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(wide), 28) + wide
    plain = text.encode("ascii") + b"\0"
    if kind == "cprt":
        return b"text\0\0\0\0" + plain
    return b"desc\0\0\0\0" + struct.pack(">I", len(plain)) + plain + b"\0" * 78


def _written(profile: bytes, tags: dict[str, bytes], version: int) -> bytes:
    tags = tags | {"desc": _named(version, "colours", "desc"), "cprt": _named(version, "none", "cprt")}
    at, body, index = 132 + 12 * len(tags), b"", b""
    places: dict[bytes, int] = {}
    for name, element in tags.items():
        if element not in places:
            places[element] = at + len(body)
            body += element + b"\0" * (-len(element) % 4)
        index += struct.pack(">4sII", name.encode(), places[element], len(element))
    head = struct.pack(
        ">I4xBB2x4s4s4s12x4s24xI12s48x", at + len(body), version, 0x20 if version == 4 else 0x10, profile[12:16], profile[16:20], profile[20:24], b"acsp",
        profile[67] & 3, b"\0\0\xf6\xd6\0\1\0\0\0\0\xd3-",
    )  # fmt: skip
    return head + struct.pack(">I", len(tags)) + index + body


# Primaries by their numbers in ITU-T H.273 (table 2), adapted to D50: P3 and BT.2020.
_PRIMARIES = {
    1: _SRGB,
    9: ((0.67348, 0.27904, -0.00194), (0.16567, 0.67534, 0.02998), (0.12505, 0.04561, 0.79686)),
    12: ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_PQ, _HLG = 16, 18
_WHITE_NITS, _WHITE_HLG = 203, 0.2650  # where a sheet of paper lies in pictures of high range (ITU-R BT.2408)


def of_numbers(primaries: int, curve: int) -> Profile | None:
    """A profile for colours that a file only numbers; None where they are those of sRGB or nothing is said.

    What is brighter than a sheet of paper is shown as white.
    """
    corners = _PRIMARIES.get(primaries, _SRGB)
    if corners is _SRGB and curve not in (*_GAMMAS, _PQ, _HLG):
        return None
    if curve in (_PQ, _HLG):
        light = _pq if curve == _PQ else _hlg
        steps = [round(65535 * min(1.0, light(n / 1023))) for n in range(1024)]
        element = b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *steps)
    elif curve in _GAMMAS:
        element = b"para\0\0\0\0" + struct.pack(">HHi", 0, 0, round(65536 * _GAMMAS[curve]))
    else:
        numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        element = b"para\0\0\0\0" + struct.pack(">HH5i", 3, 0, *(round(65536 * n) for n in numbers))
    tags = {"wtpt": _xyz((0.9642, 1.0, 0.8249))} | dict(zip(("rXYZ", "gXYZ", "bXYZ"), map(_xyz, corners), strict=True))
    tags |= dict.fromkeys(("rTRC", "gTRC", "bTRC"), element)
    head = b"\0" * 12 + b"mntrRGB XYZ " + b"\0" * 104
    return Profile(_written(head, tags, 4), "RGB", is_srgb=False)


def _xyz(numbers: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * n) for n in numbers))


def _pq(x: float) -> float:
    root = x ** (1 / 78.84375)
    power = max(0.0, root - 0.8359375) / (18.8515625 - 18.6875 * root)
    return float(10_000 / _WHITE_NITS * power ** (1 / 0.1593017578125))


def _hlg(x: float) -> float:
    light = x * x / 3 if x <= 0.5 else (math.exp((x - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return float((light / _WHITE_HLG) ** 1.2)


def _is_srgb(tags: dict[str, bytes], space: bytes) -> bool:
    """By its numbers: a name proves nothing."""
    if "A2B0" in tags:
        return False
    curves = ("kTRC",) if space == b"GRAY" else ("rTRC", "gTRC", "bTRC")
    for name, wanted in zip(("rXYZ", "gXYZ", "bXYZ"), _SRGB, strict=True) if space == b"RGB " else ():
        numbers = [n / 65536 for n in struct.unpack_from(">3i", tags[name], 8)]
        if any(abs(n - w) > _NEAR for n, w in zip(numbers, wanted, strict=True)):
            return False
    return all(abs(_value(tags[name], x) - _srgb_curve(x)) < _NEAR for name in curves for x in _SAMPLES)


def _srgb_curve(x: float) -> float:
    return x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4


def _value(curve: bytes, x: float) -> float:
    """What a curve makes of x (both from 0 to 1)."""
    if curve[:4] == b"curv":
        count = struct.unpack_from(">I", curve, 8)[0]
        if count == 0:
            return x
        if count == 1:
            return float(x ** (struct.unpack_from(">H", curve, 12)[0] / 256))
        place = x * (count - 1)
        low = min(int(place), count - 2)
        left, right = struct.unpack_from(">2H", curve, 12 + 2 * low)
        return float((left + (right - left) * (place - low)) / 65535)
    function = struct.unpack_from(">H", curve, 8)[0]
    g, a, b, c, d, e, f = (
        [n / 65536 for n in struct.unpack_from(f">{_PARAMETERS[function]}i", curve, 12)] + [0.0] * 7
    )[:7]
    if function == 0:
        return float(x**g)
    above = max(0.0, a * x + b) ** g
    if function in (1, 2):
        shift = c if function == 2 else 0.0
        return float(above + shift if x >= -b / a else shift)
    if function == 3:
        return float(above if x >= d else c * x)
    return float(above + e if x >= d else c * x + f)
