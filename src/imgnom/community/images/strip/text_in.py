"""Whether coded pixels read like a text somewhere, or end like one."""

# Of coded pixels about one byte in three is a printable sign; so many in a row are words (or a very plain sky).
_WORDS = b"x" * 24
_PRINTABLE = bytes(ord("x") if 32 <= sign < 127 or sign in (9, 10, 13) else 0 for sign in range(256))


# Behind the last pixel there is room that no decoder looks at: fewer signs are enough there.
_LAST = 12


def reads_like_text(coded: bytes) -> bool:
    last = coded.rstrip(b"\0")[-_LAST:].translate(_PRINTABLE)
    return last == _WORDS[:_LAST] or _WORDS in coded.translate(_PRINTABLE)
