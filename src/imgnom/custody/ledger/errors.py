"""LedgerError: SigningKeyMissing, LeafUnknown, LedgerBroken."""


class LedgerError(Exception):
    """Base of this room's errors."""


class SigningKeyMissing(LedgerError):
    """The signing key is not in the keyring."""


class LeafUnknown(LedgerError):
    """No such leaf in the ledger (yet)."""


class LedgerBroken(LedgerError):
    """The stored ledger contradicts its own hashes or a checkpoint."""
