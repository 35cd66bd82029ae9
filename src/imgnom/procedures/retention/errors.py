"""RetentionError: AlreadyWithdrawn."""


class RetentionError(Exception):
    """Base of this room's errors."""


class AlreadyWithdrawn(RetentionError):
    """A second click; the first one stands."""
