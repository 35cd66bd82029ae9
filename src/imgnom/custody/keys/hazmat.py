"""The only place that touches primitives, together with the ledger's signing module.

AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D); a version byte in front and in the associated data.
AES-KW (RFC 3394) wraps data keys, each under a key of its own that HKDF-Expand makes from the epoch's KEK and from what the
wrapped key is for: AES-KW binds nothing by itself, and so a wrap opens in its own row only. HMAC-SHA256 makes blind indexes,
AES-SIV page cursors, HKDF-SHA256 derives one key per item.
Long streams are sealed in 1 MiB chunks, each bound to its place and to whether it is the last.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from imgnom.custody.keys.errors import KeyRowChanged, SealBroken

WRAP_VERSION = b"\x02"
VERSION = b"\x01"
NONCE_BYTES = 12
TAG_BYTES = 16
KEY_BYTES = 32
KEYWRAP_BYTES = 8
CHUNK_BYTES = 1024 * 1024
STREAM_MAGIC = b"IMGNOM\x01"


def context(*parts: str) -> bytes:
    """Length-prefixed parts, so that no two lists of parts give the same bytes."""
    return b"".join(len(raw := part.encode()).to_bytes(4, "big") + raw for part in parts)


class DataKey:
    """An opened data key. It shows nothing of itself and cannot be pickled."""

    __slots__ = ("_cipher", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw, self._cipher = raw, AESGCM(raw)

    def __repr__(self) -> str:
        return "<DataKey>"

    def __reduce__(self) -> str:
        raise TypeError("a data key is never pickled")

    def seal(self, plain: bytes, *, bound_to: bytes) -> bytes:
        """Version ‖ nonce ‖ ciphertext ‖ tag, opened only with this key and the same `bound_to`."""
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, plain, bound_to + VERSION)

    def open(self, sealed: bytes, *, bound_to: bytes) -> bytes:
        """Raises SealBroken for a changed, moved or foreign value."""
        if sealed[:1] != VERSION or len(sealed) < 1 + NONCE_BYTES + TAG_BYTES:
            raise SealBroken("the sealed value has another form")
        try:
            return self._cipher.decrypt(sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :], bound_to + VERSION)
        except InvalidTag:
            raise SealBroken("the sealed value does not open here") from None

    def seal_stream(self, pieces: Sequence[bytes | memoryview], target: BinaryIO, *, bound_to: bytes) -> None:
        """Whatever the pieces, the same chunks: of CHUNK_BYTES each but for the last."""
        cipher, size = self._cipher, sum(map(len, pieces))
        last = max(0, size - 1) // CHUNK_BYTES
        room = memoryview(
            bytearray(min(size, CHUNK_BYTES) + TAG_BYTES)
        )  # one for all: fresh memory costs as much as sealing
        target.write(STREAM_MAGIC)
        for number, chunk in enumerate(_chunks(pieces)):
            nonce, sealed = os.urandom(NONCE_BYTES), room[: len(chunk) + TAG_BYTES]
            cipher.encrypt_into(nonce, chunk, _place(bound_to, number, number == last), sealed)
            target.write(nonce)
            target.write(sealed)

    def open_stream(self, source: BinaryIO, *, bound_to: bytes) -> Iterator[bytes]:
        """Chunks in order. Raises SealBroken for a changed, cut, lengthened or reordered file."""
        if source.read(len(STREAM_MAGIC)) != STREAM_MAGIC:
            raise SealBroken("the sealed file has another form")
        cipher = self._cipher
        block = NONCE_BYTES + CHUNK_BYTES + TAG_BYTES
        piece = source.read(block)
        number = 0
        while True:
            following = source.read(block)
            try:
                yield cipher.decrypt(piece[:NONCE_BYTES], piece[NONCE_BYTES:], _place(bound_to, number, not following))
            except (InvalidTag, ValueError):
                raise SealBroken("the sealed file does not open here") from None
            if not following:
                return
            piece, number = following, number + 1


def _chunks(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Of CHUNK_BYTES each, views where one piece holds it whole; an empty one of nothing at all."""
    parts: list[memoryview] = []
    free, count = CHUNK_BYTES, 0
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            part, rest = rest[:free], rest[free:]
            parts.append(part)
            free -= len(part)
            if not free:
                yield parts[0] if len(parts) == 1 else b"".join(parts)
                parts, free, count = [], CHUNK_BYTES, count + 1
    if parts or not count:
        yield b"".join(parts)


def sealed_size(size: int) -> int:
    """How long the sealed file of so many bytes is."""
    return len(STREAM_MAGIC) + size + max(1, -(-size // CHUNK_BYTES)) * (NONCE_BYTES + TAG_BYTES)


def _place(bound_to: bytes, number: int, last: bool) -> bytes:
    return bound_to + number.to_bytes(8, "big") + (b"\x01" if last else b"\x00") + VERSION


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def use_of_key(key_id: str, owner: str, klass: str, epoch: int) -> bytes:
    """What a wrapped key is bound to: every column of its row that says whose it is and what for."""
    return context("imgnom wrapped data key", key_id, owner, klass, str(epoch))


def wrap(kek: bytes, key: bytes, bound_to: bytes) -> bytes:
    """Version ‖ AES-KW, opened only with this KEK and the same `bound_to`."""
    return WRAP_VERSION + aes_key_wrap(_wrapping_key(kek, bound_to), key)


def unwrap(kek: bytes, wrapped: bytes, bound_to: bytes, *, unbound: bool) -> bytes:
    """Raises KeyRowChanged. With `unbound` a wrap of an earlier version opens too, which is bound to nothing."""
    try:
        if unbound and len(wrapped) == KEY_BYTES + KEYWRAP_BYTES:
            return aes_key_unwrap(kek, wrapped)
        if wrapped[:1] == WRAP_VERSION and len(wrapped) == 1 + KEY_BYTES + KEYWRAP_BYTES:
            return aes_key_unwrap(_wrapping_key(kek, bound_to), wrapped[1:])
    except InvalidUnwrap:
        pass
    raise KeyRowChanged("A wrapped key does not open where it stands: its row was changed, or another key wraps it.")


def _wrapping_key(kek: bytes, bound_to: bytes) -> bytes:
    """RFC 5869, 2.3; the KEK is uniformly random, so that nothing has to be extracted first (3.3)."""
    return HKDFExpand(SHA256(), KEY_BYTES, bound_to).derive(kek)


def derive(master: bytes, label: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, b"imgnom", label.encode()).derive(master)


def keyed_digest(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).digest()


def seal_repeatably(key: bytes, plain: bytes, *, bound_to: bytes) -> bytes:
    """AES-SIV (RFC 5297): the same plaintext gives the same ciphertext. For values that are no secret of a person."""
    return AESSIV(key).encrypt(plain, [bound_to])


def open_repeatably(key: bytes, sealed: bytes, *, bound_to: bytes) -> bytes:
    """Raises SealBroken for a changed or foreign value."""
    try:
        return AESSIV(key).decrypt(sealed, [bound_to])
    except InvalidTag:
        raise SealBroken("the sealed value does not open here") from None


def fingerprint(key: bytes) -> str:
    """A value that recognises a key and gives nothing of it away."""
    return keyed_digest(key, b"imgnom fingerprint").hex()
