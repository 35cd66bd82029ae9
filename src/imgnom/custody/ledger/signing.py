"""Signing checkpoints and certificates with the ledger's Ed25519 key, in the form of C2SP signed notes.

A note is text, an empty line, and lines `— name base64(key hash ‖ signature)`. The verifier key reads
`name+hash+base64(0x01 ‖ public key)`. The seed is a file of the keyring; it is never made here.
"""

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from imgnom.custody.keyring_file import parse
from imgnom.custody.ledger.errors import SigningKeyMissing
from imgnom.custody.ledger.models import Checkpoint

LOOKED_AT = 8


@lru_cache(maxsize=32)
def _is_ours(note: str, _key_of: bytes) -> bool:
    try:
        verify_note(note, key=verifier_key(note.partition("\n")[0]))
    except ValueError:
        return False
    return True


def origin() -> str:
    """The ledger's name, taken from the base URL when its first checkpoint is signed and kept for ever.

    A site that moves to another address, or a command run beside the server, must not speak under another name:
    everything that was signed before would no longer verify. Only a checkpoint that our key signed under its own name
    is believed: whoever writes to the database does not choose what the key signs next.
    """
    for note in Checkpoint.objects.order_by("size").values_list("note", flat=True)[:LOOKED_AT]:
        if _is_ours(note, _public()):
            return note.partition("\n")[0]
    return f"{urlsplit(settings.IMGNOM.base_url).netloc.replace(':', '.')}/ledger"


@lru_cache(maxsize=4)
def _key(file: Path, _stamp: int) -> Ed25519PrivateKey:
    raw, _ = parse(file.stem, file.read_text(encoding="ascii"))
    return Ed25519PrivateKey.from_private_bytes(raw)


def _signer() -> Ed25519PrivateKey:
    file = Path(settings.IMGNOM.keyring) / "ledger-signing.key"
    try:
        return _key(file, file.stat().st_mtime_ns)
    except (OSError, ValueError):
        raise SigningKeyMissing("ledger-signing.key is missing from the keyring, or was cut or swapped.") from None


@lru_cache(maxsize=4)
def _derived(signer: Ed25519PrivateKey) -> bytes:
    return HKDF(SHA256(), 32, b"imgnom", b"seal of a row of the ledger store").derive(signer.private_bytes_raw())


def row_key() -> bytes:
    """The secret under which rows of the ledger store are sealed. Raises SigningKeyMissing."""
    return _derived(_signer())


def _public() -> bytes:
    return _signer().public_key().public_bytes_raw()


def _key_hash(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def verifier_key(name: str | None = None) -> str:
    """Our public key under the ledger's name, or under a name that is handed in."""
    name, public = name or origin(), _public()
    return f"{name}+{_key_hash(name, public).hex()}+{base64.b64encode(b'\x01' + public).decode()}\n"


def from_base64(text: str) -> bytes:
    """Read where there is one way to write each value; spare bits and strange characters raise ValueError."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("base64 is not written in the one way there is")
    return raw


def _opened(key: str) -> tuple[str, bytes, Ed25519PublicKey]:
    """Name, key hash and public key of a verifier key. Raises ValueError."""
    name, mark, body = key.strip().split("+", 2)
    raw = from_base64(body)
    if raw[:1] != b"\x01" or len(raw) != 33 or _key_hash(name, raw[1:]).hex() != mark:
        raise ValueError("this is no verifier key")
    return name, bytes.fromhex(mark), Ed25519PublicKey.from_public_bytes(raw[1:])


def _ensure_note_text(text: str) -> None:
    """C2SP: UTF-8 with no control character but the newline, and a newline at the end. Raises ValueError."""
    if not text.endswith("\n") or any(ord(c) < 0x20 and c != "\n" for c in text):
        raise ValueError("a note is plain text that ends with a newline")


def sign_note(text: str) -> str:
    """The note with our signature line. `text` must end with a newline; raises ValueError."""
    _ensure_note_text(text)
    name = origin()
    mark = _key_hash(name, _public()) + _signer().sign(text.encode())
    return f"{text}\n— {name} {base64.b64encode(mark).decode()}\n"


def verify_note(note: str, *, key: str | None = None) -> str:
    """The text of a note that `key` (without one: ours) signed. Raises ValueError otherwise.

    Lines of other signers are passed over; a line under this key's name and hash must hold.
    """
    name, mark, public = _opened(verifier_key() if key is None else key)
    head, separator, signatures = note.rpartition("\n\n")
    text = head + "\n"
    if not separator or not signatures.endswith("\n"):
        raise ValueError("the note has another form")
    _ensure_note_text(text)
    for signature in [found for signer, found in map(_signature, signatures.splitlines()) if signer == name]:
        if signature[:4] == mark:
            try:
                public.verify(signature[4:], text.encode())
            except InvalidSignature:
                break
            return text
    raise ValueError("the note is not signed by this ledger's key")


def _signature(line: str) -> tuple[str, bytes]:
    """Signer, and key hash with signature. Raises ValueError."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not parts[1]:
        raise ValueError("the note has another form")
    found = from_base64(parts[2])
    if len(found) < 5:
        raise ValueError("the note has another form")
    return parts[1], found


def sign_bytes(content: bytes) -> str:
    return base64.b64encode(_signer().sign(content)).decode()


def holds_bytes(content: bytes, signature: str) -> bool:
    """Whether this ledger's key signed exactly these bytes."""
    try:
        _signer().public_key().verify(from_base64(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True
