"""The room's errors.

MemberError
├── NicknameTaken      public, said at once
├── UsernameTaken      ┐
├── MailboxTaken       ├ told only to who has proven the mailbox
├── JoinRefused        ┘
├── CodeWrong          wrong, too old, or tried too often
├── RegistrationGone   nothing waits for confirmation in this browser
├── AlreadyConfirmed   the same confirmation was carried out a moment ago
├── PasswordTooLike    like the account's other words
├── SessionOver        the session ended or was renewed by another request
└── LoginWrong         ID, address or password: which one is never told
"""


class MemberError(Exception):
    """Base of this room's errors."""


class NicknameTaken(MemberError):
    """Somebody has, or lately had, this nickname. Nicknames are public, so this is said at once."""


class UsernameTaken(MemberError):
    """Told only to who has proven the mailbox."""


class MailboxTaken(MemberError):
    """The proven mailbox has an account already."""


class JoinRefused(MemberError):
    """The proven mailbox belongs to somebody who may not join again now (A2.2g)."""


class CodeWrong(MemberError):
    """Wrong, used, too old, or tried too often."""


class RegistrationGone(MemberError):
    """Nothing waits for confirmation in this browser."""


class AlreadyConfirmed(MemberError):
    """The same confirmation came a moment before this one; there is no second effect."""


class PasswordTooLike(MemberError):
    """The new password is like the ID, the nickname or the address."""


class LoginWrong(MemberError):
    """ID, address or password: which one is never told. Carries the subject, or a decoy."""


class SessionOver(MemberError):
    """The session of this request was ended or renewed by another request meanwhile."""
