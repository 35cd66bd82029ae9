"""RetentionError: AlreadyWithdrawn, LeaseLost."""


class RetentionError(Exception):
    """Base of this room's errors."""


class AlreadyWithdrawn(RetentionError):
    """A second click; the first one stands, and this is its receipt's number."""

    def __init__(self, number: str) -> None:
        super().__init__(number)
        self.number = number


class LeaseLost(RetentionError):
    """Somebody else carries this withdrawal on; what this one did may be repeated without harm."""
