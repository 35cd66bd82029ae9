"""Pictures of our own, drawn as SVG, rendered as cameras would deliver them: invented maker, date and coordinates.

The hidden data is real EXIF, so that its removal at upload can be watched. Rendering SVG happens here only, on files
of ours; uploads never reach that loader.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyvips

PICS = Path(__file__).with_name("pics")
CAMERA = "Jogakbo Optics"


@dataclass(frozen=True)
class Photograph:
    name: str
    content: bytes


# stem of the drawing, width in px, format, latitude, longitude
_PLAN = (
    ("jirisan-dawn", 2400, "jpg", 35.337, 127.731),
    ("moon-jar", 1500, "webp", 37.524, 126.980),
    ("hangang", 2600, "jpg", 37.528, 126.934),
    ("jogakbo", 1400, "png", 37.582, 126.983),
    ("lanterns", 1800, "jpg", 37.574, 126.983),
    ("persimmons", 2000, "jpg", 36.017, 127.660),
    ("window-cat", 1600, "webp", 35.160, 129.160),
    ("east-sea", 2600, "jpg", 37.795, 128.918),
    ("first-snow", 1500, "png", 37.664, 128.705),
    ("ginkgo", 1900, "jpg", 37.587, 126.998),
    ("tea", 1500, "jpg", 34.763, 127.080),
    ("stairs", 1300, "png", 35.097, 129.010),
    ("lotus", 1700, "webp", 36.290, 126.910),
    ("river-night", 2400, "jpg", 37.520, 126.996),
    ("bamboo", 1500, "jpg", 35.329, 126.985),
    ("tangerines", 1800, "jpg", 33.450, 126.570),
    ("ink-ridge", 2400, "png", 38.119, 128.465),
    ("cosmos", 1800, "jpg", 37.589, 127.155),
    ("stones", 1400, "webp", 33.390, 126.240),
    ("terraces", 2200, "jpg", 34.731, 127.895),
    ("autumn-pass", 2400, "jpg", 38.082, 128.404),
    ("rain-window", 1500, "jpg", 37.566, 126.978),
    ("giwa", 1900, "jpg", 37.579, 126.977),
    ("lattice", 1300, "png", 35.815, 127.153),
    ("mountain-hut", 1900, "jpg", 35.360, 127.730),
    ("blue-hour", 2400, "jpg", 35.153, 129.118),
)


def _degrees(value: float) -> str:
    whole = int(value)
    minutes = int((value - whole) * 60)
    seconds = round(((value - whole) * 60 - minutes) * 60 * 100)
    return f"{whole}/1 {minutes}/1 {seconds}/100"


def _packet(latitude: float, longitude: float) -> bytes:
    """The same place once more, as programs write it (XMP)."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        f'exif:GPSLatitude="{_minutes(latitude)}N" exif:GPSLongitude="{_minutes(longitude)}E"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def _minutes(value: float) -> str:
    return f"{int(value)},{(value - int(value)) * 60:.4f}"


def _with_camera_data(image: pyvips.Image, latitude: float, longitude: float) -> pyvips.Image:
    made = image.copy()
    text = pyvips.GValue.gstr_type
    for name, value in (
        ("exif-ifd0-Make", CAMERA),
        ("exif-ifd0-Model", "Baste 35"),
        ("exif-ifd0-Artist", "Invented for the demo"),
        ("exif-ifd2-DateTimeOriginal", "2026:10:03 08:12:00"),
        ("exif-ifd3-GPSLatitudeRef", "N"),
        ("exif-ifd3-GPSLatitude", _degrees(latitude)),
        ("exif-ifd3-GPSLongitudeRef", "E"),
        ("exif-ifd3-GPSLongitude", _degrees(longitude)),
    ):
        made.set_type(text, name, value)
    made.set_type(pyvips.GValue.blob_type, "xmp-data", _packet(latitude, longitude))
    return made


def _render(stem: str, width: int) -> pyvips.Image:
    image = pyvips.Image.thumbnail(str(PICS / f"{stem}.svg"), width)
    return image.flatten(background=[244, 246, 245]) if image.hasalpha() else image


def _encode(image: pyvips.Image, kind: str) -> bytes:
    options = {"jpg": {"Q": 90}, "webp": {"Q": 88, "effort": 1}, "png": {"compression": 6}}[kind]
    return bytes(image.write_to_buffer(f".{kind}", keep="all", **options))


@cache
def sample_photograph() -> Photograph:
    """One JPEG with a place, a time and a camera in it, for trying the removal by hand."""
    image = _with_camera_data(_render("hangang", 2400), 37.528, 126.934)
    return Photograph("imgnom-sample-with-gps.jpg", _encode(image, "jpg"))


def lantern_gif() -> Photograph:
    """A short loop: the same drawing, its light going up and down."""
    base = _render("lanterns", 480)
    frames = [(base * [level, level, level]).cast("uchar") for level in (1.0, 0.93, 0.86, 0.93)]
    joined = pyvips.Image.arrayjoin(frames, across=1).copy()
    joined.set_type(pyvips.GValue.gint_type, "page-height", base.height)
    joined.set_type(pyvips.GValue.array_int_type, "delay", [260] * len(frames))
    joined.set_type(pyvips.GValue.gint_type, "loop", 0)
    return Photograph("lanterns.gif", bytes(joined.write_to_buffer(".gif")))


def photographs() -> Iterator[tuple[str, Photograph]]:
    """(stem, file) for each drawing of the plan, in the order in which they are uploaded."""
    for stem, width, kind, latitude, longitude in _PLAN:
        image = _with_camera_data(_render(stem, width), latitude, longitude)
        yield stem, Photograph(f"{stem}.{kind}", _encode(image, kind))
