"""WebP, written anew: canvas, pixels, transparency, frames, colour profile, orientation.

Source: RFC 9649. A frame is a container too, and may hold chunks of its own that nobody shows.
"""

import struct
from collections.abc import Iterator

from imgnom.community.images.strip import exif, icc
from imgnom.community.images.strip.clean import MAX_FRAMES, MAX_PIECES, Clean, NotThisFormat, TooMuch, ensure_size
from imgnom.community.images.strip.text_in import reads_like_text

_PIXELS = (b"VP8 ", b"VP8L")
_ICC, _ALPHA, _EXIF, _XMP, _ANIMATION = 0x20, 0x10, 0x08, 0x04, 0x02


def _chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    for _ in range(MAX_PIECES):
        if at + 8 > end:
            return
        kind, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > end:
            raise NotThisFormat("cut-off")
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + (size & 1)
    raise TooMuch("bomb")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)


def _still_size(kind: bytes, body: bytes) -> tuple[int, int]:
    """Width and height from the head of the coded pixels."""
    if kind == b"VP8 ":
        if body[3:6] != b"\x9d\x01\x2a" or len(body) < 10:
            raise NotThisFormat("undecodable")
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if body[:1] != b"\x2f" or len(body) < 5:
        raise NotThisFormat("undecodable")
    bits = struct.unpack_from("<I", body, 1)[0]
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _uint24(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 3], "little")


class _WebP:
    def __init__(self, data: bytes) -> None:
        end = 8 + struct.unpack_from("<I", data, 4)[0] if len(data) >= 20 else 0
        if not 20 <= end <= len(data) + 1:
            raise NotThisFormat("cut-off")
        self.removed: set[str] = set()
        self.orientation = 1
        self.profile: icc.Profile | None = None
        self.has_profile = False
        self.canvas: bytes | None = None
        self.animation: bytes | None = None
        self.alpha: bytes | None = None
        self.still: tuple[bytes, bytes] | None = None
        self.frames: list[bytes] = []
        self.file_bytes = len(data)
        if end + (end & 1) < len(data):
            self.removed.add("trailing")
        for kind, body in _chunks(data, 12, min(end, len(data))):
            self.take(kind, body)

    def take(self, kind: bytes, body: bytes) -> None:
        if kind in _PIXELS and self.still is None:
            self.still = (kind, body)
        elif kind == b"VP8X" and self.canvas is None and len(body) >= 10:
            self.canvas = body[:10]
        elif kind == b"ANIM" and len(body) >= 6:
            self.animation = body[:6]
        elif kind == b"ANMF" and len(body) > 16:
            self.frames.append(self.frame(body))
            if len(self.frames) > MAX_FRAMES:
                raise TooMuch("bomb")
        elif kind == b"ALPH" and self.alpha is None:
            self.alpha = body
        elif kind == b"ICCP":
            # The first alone: a broken one says no more when it comes again.
            self.profile = self.profile if self.has_profile else icc.rebuild(body)
            self.has_profile = True
        elif kind == b"EXIF":
            self.orientation, kinds = exif.read_exif(body.removeprefix(exif.HEAD))
            self.removed |= kinds
        elif kind == b"XMP ":
            self.removed |= exif.kinds_in_text(body)
        else:
            self.removed.add("other")

    def frame(self, body: bytes) -> bytes:
        """One frame of an animation: its place and time, its transparency, its pixels."""
        kept, sized = b"", False
        wide, high = _uint24(body, 6) + 1, _uint24(body, 9) + 1
        for kind, inner in _chunks(body, 16, len(body)):
            if kind in _PIXELS and not sized:
                if _still_size(kind, inner) != (wide, high):
                    raise NotThisFormat("undecodable")
                kept, sized = kept + _chunk(kind, inner), True
            elif kind == b"ALPH" and not kept:
                kept = _chunk(kind, inner)
            else:
                self.removed.add("other")
        if not sized:
            raise NotThisFormat("undecodable")
        return body[:16] + kept

    def size(self) -> tuple[int, int]:
        if self.canvas:
            return _uint24(self.canvas, 4) + 1, _uint24(self.canvas, 7) + 1
        if self.still is None:
            raise NotThisFormat("undecodable")
        return _still_size(*self.still)


def strip_webp(data: bytes) -> Clean:
    webp = _WebP(data)
    width, height = webp.size()
    animated = bool(webp.animation and webp.frames)
    ensure_size(width, height, frames=len(webp.frames) if animated else 1, file_bytes=len(data))
    if not animated and webp.still is None:
        raise NotThisFormat("undecodable")
    if webp.profile and webp.profile.space != "RGB":
        webp.profile = None
    if not animated and webp.still and _still_size(*webp.still) != (width, height):
        raise NotThisFormat("undecodable")
    payload = b"".join(_written(webp, width, height, animated=animated))
    clean = b"RIFF" + struct.pack("<I", len(payload) + 4) + b"WEBP" + payload
    coded = webp.frames if animated else [webp.still[1] if webp.still else b"", webp.alpha or b""]
    words = any(reads_like_text(part) for part in coded)
    return Clean([clean], frozenset(webp.removed), webp.profile is not None and not webp.profile.is_srgb, words)


def _written(webp: _WebP, width: int, height: int, *, animated: bool) -> Iterator[bytes]:
    flags = (webp.canvas[0] & _ALPHA if webp.canvas else 0) | (_ICC if webp.profile else 0)
    flags |= (_EXIF if webp.orientation != 1 else 0) | (_ANIMATION if animated else 0)
    if flags or webp.alpha or webp.canvas:
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        yield _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size)
    if webp.profile:
        yield _chunk(b"ICCP", webp.profile.content)
    if animated and webp.animation:
        yield _chunk(b"ANIM", webp.animation)
        for frame in webp.frames:
            yield _chunk(b"ANMF", frame)
    elif webp.still:
        if webp.alpha and webp.still[0] == b"VP8 ":
            yield _chunk(b"ALPH", webp.alpha)
        yield _chunk(*webp.still)
    if webp.orientation != 1:
        yield _chunk(b"EXIF", exif.orientation_exif(webp.orientation))
