"""ModerationError: NothingThere, AlreadyRemoved."""


class ModerationError(Exception):
    """Base of this room's errors."""


class NothingThere(ModerationError):
    """No such picture or comment, or one that only its owner may see."""


class AlreadyRemoved(ModerationError):
    """Somebody of the staff removed it before; there is no second effect."""
