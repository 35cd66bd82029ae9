"""MemberError: NicknameTaken, UsernameTaken, CodeWrong, LoginWrong, RegistrationGone."""


class MemberError(Exception):
    """Base of this room's errors."""


class NicknameTaken(MemberError):
    """Somebody has, or lately had, this nickname. Nicknames are public, so this is said at once."""


class UsernameTaken(MemberError):
    """Told only to who has proven the mailbox."""


class CodeWrong(MemberError):
    """Wrong, used, too old, or tried too often."""


class LoginWrong(MemberError):
    """ID, address or password: which one is never told."""


class RegistrationGone(MemberError):
    """Nothing waits for confirmation in this browser."""
