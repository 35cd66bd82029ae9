"""Container filters: the same pixels, colours and orientation, without anything else that travelled along (A2.1).

A container is not copied with parts cut out: it is written anew from what showing the picture needs, field by field.
What stays: compressed pixels, tables of the decoder, a colour profile reduced to its numbers (`icc`), an EXIF block
with the orientation alone, delays and the loop count of an animation. What goes is told by its kind. Pure functions on
bytes; the compressed pixels themselves are checked by the decoder in its jail.
"""

from collections.abc import Callable

from imgnom.community.images.strip.avif import family, strip_avif
from imgnom.community.images.strip.clean import Clean, NotThisFormat, TooMuch
from imgnom.community.images.strip.gif import strip_gif
from imgnom.community.images.strip.jpeg import strip_jpeg
from imgnom.community.images.strip.png import strip_png
from imgnom.community.images.strip.webp import strip_webp

__all__ = ["STRIP", "Clean", "NotThisFormat", "TooMuch", "sniff"]

STRIP: dict[str, Callable[[bytes], Clean]] = {
    "jpeg": strip_jpeg,
    "png": strip_png,
    "webp": strip_webp,
    "gif": strip_gif,
    "avif": strip_avif,
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
    return family(data) if data[4:8] == b"ftyp" else None
