"""GIF, written anew: screen, colour tables, frames with their delays, the loop count.

Source: GIF89a specification; the looping extension of Netscape. Comments, plain text, other applications' blocks (XMP,
colour profiles, anything) and what stands behind the end go.
"""

import struct

from imgnom.community.images.strip import exif
from imgnom.community.images.strip.clean import (
    MAX_FRAMES,
    MAX_PIXELS_IN_ALL_FRAMES,
    Clean,
    NotThisFormat,
    TooMuch,
    ensure_size,
)
from imgnom.community.images.strip.text_in import reads_like_text

_TRAILER, _EXTENSION, _IMAGE = 0x3B, 0x21, 0x2C
_CONTROL, _COMMENT, _APPLICATION = 0xF9, 0xFE, 0xFF
# Blocks hold up to 255 bytes, so that the largest file has this many when they are half full.
_MOST_BLOCKS = 250_000
# A long chain is full blocks but for its last one: so much of it is passed at a time.
_RUN = 64 * 256
_ZEROS = bytes(64 * 1024)
_LOOPING = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


class _Gif:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.removed: set[str] = set()
        self.loop: bytes | None = None
        self.control: bytes | None = None
        self.frames: list[bytes] = []
        self.may_hide_words = False
        self.drawn_pixels = 0
        self.blocks_left = _MOST_BLOCKS
        self.width, self.height, flags = struct.unpack_from("<HHB", data, 6)
        start = 13 + (3 * (2 << (flags & 7)) if flags & 0x80 else 0)
        if start > len(data):
            raise NotThisFormat("cut-off")
        self.head = data[:start]
        self.read(start)

    def blocks_end(self, at: int) -> int:
        """Where a chain of sub-blocks ends."""
        data, left = self.data, self.blocks_left
        try:
            while size := data[at]:
                full = data[at : at + _RUN : 256] if size == 255 else b""
                count = len(full) - len(full.lstrip(b"\xff")) or 1
                at += count * (size + 1)
                left -= count
                if left < 0:
                    raise TooMuch("bomb")
        except IndexError:
            raise NotThisFormat("cut-off") from None
        self.blocks_left = left - 1
        return at + 1

    def read(self, at: int) -> None:
        data = self.data
        while at < len(data) and data[at] != _TRAILER:
            if data[at] == _EXTENSION and at + 2 < len(data):
                end = self.blocks_end(at + 2)
                self.extension(data[at + 1], data[at + 2 : end])
                at = end
            elif data[at] == _IMAGE:
                at = self.image(at)
            elif data[at] == 0 and self.frames:  # zeros between blocks are a slip of some old writers
                while data.startswith(_ZEROS, at):
                    at += len(_ZEROS)
                at += len(data[at : at + len(_ZEROS)]) - len(data[at : at + len(_ZEROS)].lstrip(b"\0"))
            elif self.frames:
                break  # as browsers do: what was drawn so far is the picture
            else:
                raise NotThisFormat("undecodable")
        if at >= len(data) and not self.frames:
            raise NotThisFormat("cut-off")
        if at + 1 < len(data):
            self.removed.add("trailing")

    def extension(self, label: int, body: bytes) -> None:
        if label == _CONTROL and len(body) >= 5 and body[0] == 4:
            self.control = body[1:5]
        elif label == _APPLICATION and body[1:12] in _LOOPING:
            if body[12:14] == b"\x03\x01" and len(body) >= 16 and self.loop is None:
                self.loop = body[14:16]
        elif label == _COMMENT:
            self.removed.add("comment")
        else:
            self.removed |= exif.kinds_in_text(body)

    def image(self, at: int) -> int:
        data = self.data
        if at + 11 > len(data):
            raise NotThisFormat("cut-off")
        wide, high, flags = struct.unpack_from("<HHB", data, at + 5)
        pixels = at + 10 + (3 * (2 << (flags & 7)) if flags & 0x80 else 0)
        end = self.blocks_end(pixels + 1)
        ensure_size(wide, high, file_bytes=len(data))
        self.drawn_pixels += wide * high
        if len(self.frames) >= MAX_FRAMES or self.drawn_pixels > MAX_PIXELS_IN_ALL_FRAMES:
            raise TooMuch("bomb")
        self.may_hide_words |= reads_like_text(data[pixels : end - 1])
        control = b"\x21\xf9\x04" + self.control + b"\x00" if self.control else b""
        self.frames.append(control + data[at:end])
        self.control = None
        return end


def strip_gif(data: bytes) -> Clean:
    if len(data) < 14:
        raise NotThisFormat("cut-off")
    gif = _Gif(data)
    if not gif.frames:
        raise NotThisFormat("undecodable")
    ensure_size(gif.width, gif.height, frames=len(gif.frames), file_bytes=len(data))
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + gif.loop + b"\x00" if gif.loop is not None else b""
    head = (
        b"GIF89a" + gif.head[6:]
        if gif.head[3:6] == b"87a" and (loop or any(f[0] == _EXTENSION for f in gif.frames))
        else gif.head
    )
    return Clean([head, loop, *gif.frames, b";"], frozenset(gif.removed), may_hide_words=gif.may_hide_words)
