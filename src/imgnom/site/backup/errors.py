"""BackupError: BackupRefused, RestoreRefused. The text is the one line an operator reads."""


class BackupError(Exception):
    """Base of this room's errors."""


class BackupRefused(BackupError):
    """Nothing was written, or what was written does not count."""


class RestoreRefused(BackupError):
    """Nothing was changed, or the restore stands where it was and goes on when it is asked again."""
