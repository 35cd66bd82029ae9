"""Opaque cursors: where a page of a list begins, encrypted, so that nobody counts rows or orders posts by them.

The encryption is deterministic (AES-SIV), so that the same page keeps the same address. A cursor belongs to one list: in
another, or changed by one sign, it is no cursor, and the list begins at its newest entry.
"""

import base64
import binascii
import struct
from functools import lru_cache

from django.conf import settings

from imgnom.custody.keys.public import SealBroken, derive, open_repeatably, seal_repeatably

_OVERHEAD_BYTES = 16


@lru_cache(maxsize=2)
def _key(secret: str) -> bytes:
    return derive(secret.encode(), "page cursors")


def make_cursor(listing: str, *numbers: int) -> str:
    """A text for an address that only `read_cursor` of the same list can read."""
    return _made(settings.SECRET_KEY, listing, numbers)


@lru_cache(maxsize=1024)
def _made(secret: str, listing: str, numbers: tuple[int, ...]) -> str:
    """Kept in the process: the gallery's first page has the same cursor until somebody posts."""
    plain = struct.pack(f">{len(numbers)}q", *numbers)
    sealed = seal_repeatably(_key(secret), plain, bound_to=listing.encode())
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def read_cursors(listing: str, text: str | None, *, count: int) -> tuple[int, ...] | None:
    """The numbers; None for whatever is no cursor of this list."""
    sealed_bytes = _OVERHEAD_BYTES + 8 * count
    if not text or not text.isascii() or len(text) != -(-sealed_bytes * 4 // 3):
        return None
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        plain = open_repeatably(_key(settings.SECRET_KEY), sealed, bound_to=listing.encode())
        return struct.unpack(f">{count}q", plain)
    except (binascii.Error, SealBroken, struct.error):
        return None


def read_cursor(listing: str, text: str | None) -> int | None:
    found = read_cursors(listing, text, count=1)
    return None if found is None else found[0]
