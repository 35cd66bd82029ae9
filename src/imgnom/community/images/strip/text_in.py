"""Whether coded pixels read like a text somewhere, or end like one."""

# Of coded pixels about one byte in three is a printable sign; so many in a row are words (or a very plain sky).
_WORDS = b"x" * 24
_PRINTABLE = bytes(ord("x") if 32 <= sign < 127 or sign in (9, 10, 13) else 0 for sign in range(256))


# Behind the last pixel there is room that no decoder looks at: fewer signs are enough there.
_LAST = 12
_PIECE = 256 * 1024


def reads_like_text(coded: bytes | memoryview) -> bool:
    if _last_of(coded).translate(_PRINTABLE) == _WORDS[:_LAST]:
        return True
    # By pieces: while one is looked through nothing else happens in this process.
    pieces = (bytes(coded[at : at + _PIECE + len(_WORDS)]) for at in range(0, len(coded), _PIECE))
    return any(_WORDS in piece.translate(_PRINTABLE) for piece in pieces)


def _last_of(coded: bytes | memoryview) -> bytes:
    """The last signs before the zeros that fill up."""
    end = len(coded)
    while end:
        piece = bytes(coded[max(0, end - _PIECE) : end])
        if found := piece.rstrip(b"\0"):
            end -= len(piece) - len(found)
            return bytes(coded[max(0, end - _LAST) : end])
        end -= len(piece)
    return b""
