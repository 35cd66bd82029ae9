"""What a filter hands back, the limits that a header alone can break, and the errors.

NotThisFormat   the container does not hold together, or the file was cut off
TooMuch         "too-many-pixels", "too-much-room" or "bomb": refused before anything is decoded (U5, U6)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from imgnom.community.images.limits import (
    MAX_FRAMES,
    MAX_PIXELS,
    MAX_PIXELS_AVIF,
    MAX_PIXELS_IN_ALL_FRAMES,
    MAX_PIXELS_PER_BYTE,
    MAX_SIDE_PX,
)

__all__ = [
    "MAX_FRAMES",
    "MAX_PIECES",
    "MAX_PIXELS_AVIF",
    "MAX_PIXELS_IN_ALL_FRAMES",
    "Clean",
    "NotThisFormat",
    "TooMuch",
    "ensure_size",
]


# Millions of empty chunks would keep the web server busy, not the decoder: no picture has as many pieces.
MAX_PIECES = 50_000


class NotThisFormat(ValueError):
    """The reason is `undecodable` or `cut-off`."""


class TooMuch(ValueError):
    """The reason is a key of the words that tell it."""


@dataclass(frozen=True)
class Clean:
    """`pieces` follow one another in the file; megabytes are views of what came, and not copied.

    `has_foreign_colours`: the pixels are in other colours than sRGB, by profile or by ink.

    `may_hide_words`: coded pixels read like a text in some place; the decoder looks whether they are pixels.
    `seen`: the same file in a form that the decoder understands better; empty where it needs none.
    """

    pieces: Sequence[bytes | memoryview]
    removed: frozenset[str]
    has_foreign_colours: bool = False
    may_hide_words: bool = False
    seen: bytes = b""

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)


def ensure_size(width: int, height: int, *, frames: int = 1, file_bytes: int) -> None:
    """Raises TooMuch, and NotThisFormat for a picture without an area."""
    if width < 1 or height < 1:
        raise NotThisFormat("undecodable")
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise TooMuch("too-many-pixels")
    everything = width * height * frames
    if (
        frames > MAX_FRAMES
        or everything > MAX_PIXELS_IN_ALL_FRAMES
        or everything > MAX_PIXELS_PER_BYTE * max(1024, file_bytes)
    ):
        raise TooMuch("bomb")
