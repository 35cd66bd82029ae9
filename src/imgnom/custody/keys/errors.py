"""KeysError: KeyUnknown, KeyDestroyed, KeyringMissing, KeyringWrong (KeyRowChanged), CopyUnusable, SealBroken."""


class KeysError(Exception):
    """Base of this room's errors."""


class KeyUnknown(KeysError):
    """There never was such a key: something is wrong, and it must not be taken for an erasure."""


class KeyDestroyed(KeysError):
    """The key was destroyed on purpose; what it sealed is gone."""


class KeyringMissing(KeysError):
    """A file of the keyring is not there."""


class KeyringWrong(KeysError):
    """A file of the keyring is cut, swapped, or from another site."""


class KeyRowChanged(KeyringWrong):
    """A row of the key store does not open: it was changed, copied or moved to another owner, or another KEK wraps it."""


class SealBroken(KeysError):
    """A sealed value was changed, moved to another place, or belongs to another key."""


class CopyUnusable(KeysError):
    """The copy of the key store is missing, changed, of another site, or could not be written."""
