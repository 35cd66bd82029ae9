"""A thief's question: does a wrapped key from an old copy open with the keyring as it is today?"""

from collections.abc import Sequence
from typing import Any

from imgnom.custody.keys import hazmat, keyring
from imgnom.custody.keys.errors import KeyringWrong


def opens_today(row: Sequence[Any]) -> bool:
    """Whether any key-encryption key in the keyring unwraps it, of (key_id, owner, klass, wrapped).

    Asked by the rehearsal; nothing is returned of the key.
    """
    key_id, owner, klass, wrapped = row
    for file in sorted(keyring.folder().glob("kek-*.key")):
        use = hazmat.use_of_key(key_id, owner, klass, int(file.stem.removeprefix("kek-")))
        try:
            hazmat.unwrap(keyring.read_key(file.stem), bytes(wrapped), use, unbound=True)
        except KeyringWrong:
            continue
        return True
    return False
