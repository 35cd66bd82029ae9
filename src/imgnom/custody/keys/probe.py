"""A thief's question: does a wrapped key from an old copy open with the keyring as it is today?"""

from imgnom.custody.keys import hazmat, keyring
from imgnom.custody.keys.errors import KeyringWrong


def opens_today(wrapped: bytes) -> bool:
    """Whether any key-encryption key in the keyring unwraps it. Asked by the rehearsal; nothing is returned of the key."""
    for file in sorted(keyring.folder().glob("kek-*.key")):
        try:
            hazmat.unwrap(keyring.read_key(file.stem), wrapped)
        except KeyringWrong:
            continue
        return True
    return False
