from typing import ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Member(AbstractBaseUser):
    """Who takes part. ID and e-mail live in the vault under `subject`, a random token."""

    subject = models.CharField(max_length=32, unique=True)
    nickname = models.CharField(max_length=40)
    nickname_key = models.CharField(max_length=160, unique=True)
    role = models.CharField(max_length=16, default="member")
    state = models.CharField(max_length=12, default="active")
    joined_at = models.DateTimeField()
    session_epoch = models.IntegerField(default=1)
    last_totp_step = models.BigIntegerField(default=0)

    USERNAME_FIELD = "subject"
    objects: ClassVar[BaseUserManager[Self]] = BaseUserManager()

    personal = {
        "nickname": "nickname",
        "nickname_key": "nickname",
        "password": "password",
        "joined_at": "membership",
        "state": "membership",
        "last_login": "membership",
    }
    not_personal = {
        "id": "a number of the row",
        "subject": "random",
        "role": "member or a role of the staff",
        "session_epoch": "counts up to end all sessions",
        "last_totp_step": "so that a code works once",
    }


class PendingRegistration(models.Model):
    """A sign-up that waits for its code. It blocks nobody: nothing of it is indexed before the mailbox is proven.

    writing → waiting → confirmed → (a member, and the row is gone), or ending → gone. The row is written before the
    first value is sealed and goes after the last one is destroyed, so that whatever a kill leaves is found again.
    """

    token = models.CharField(max_length=32, unique=True)
    subject = models.CharField(max_length=32, unique=True)
    password = models.CharField(max_length=128)
    state = models.CharField(max_length=10, default="writing")
    turn = models.SmallIntegerField(default=0)
    digits = models.SmallIntegerField(default=6)
    code_ends_at = models.DateTimeField()
    tries = models.SmallIntegerField(default=0)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)

    personal = {"password": "password", "token": "confirmation_code"}
    not_personal = {
        "id": "a number of the row",
        "subject": "random",
        "state": "how far it is",
        "turn": "how often a code was sent",
        "digits": "how long the code is",
        "code_ends_at": "when the code ends",
        "tries": "how often a code was tried",
        "starts_at": "when it began",
        "ends_at": "when it is destroyed",
    }


class CodeRequest(models.Model):
    """A mailed code for a reset or a new address; the code is worked out from the token."""

    token = models.CharField(max_length=32, unique=True)
    subject = models.CharField(max_length=32)
    kind = models.CharField(max_length=12)
    digits = models.SmallIntegerField(default=6)
    tries = models.SmallIntegerField(default=0)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)

    personal = {"token": "confirmation_code"}
    not_personal = {
        "id": "a number of the row",
        "subject": "random",
        "kind": "reset or e-mail",
        "digits": "how long the code is",
        "tries": "how often a code was tried",
        "starts_at": "when it began",
        "ends_at": "when it ends",
    }


class MemberSession(models.Model):
    """A browser that is signed in. Which device it is stands sealed in the vault, in the row `session-<id>`."""

    sid = models.CharField(max_length=64, unique=True)
    session_key = models.CharField(max_length=40, default="")
    member = models.ForeignKey(Member, on_delete=models.PROTECT)
    epoch = models.IntegerField()
    starts_at = models.DateTimeField()
    last_seen = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)

    personal = {"starts_at": "session", "last_seen": "session", "sid": "session", "session_key": "session"}
    not_personal = {
        "id": "a number of the row",
        "member": "a number",
        "epoch": "compared with the member's",
        "ends_at": "when it ends",
    }


class KnownDevice(models.Model):
    """A kind of device from which the member signed in lately: a keyed digest, so that a new one can be told."""

    member = models.ForeignKey(Member, on_delete=models.PROTECT)
    digest = models.CharField(max_length=64)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)

    personal = {"digest": "session", "starts_at": "session"}
    not_personal = {"id": "a number of the row", "member": "a number", "ends_at": "when it is forgotten"}

    class Meta:
        constraints = [models.UniqueConstraint(fields=["member", "digest"], name="members_one_row_per_device")]


class Letter(models.Model):
    """A letter that waits: whom (a token), which template; never an address, never a word of it."""

    subject = models.CharField(max_length=32)
    template_id = models.CharField(max_length=40)
    language = models.CharField(max_length=2, default="ko")
    token = models.CharField(max_length=32, default="", db_index=True)
    address_row = models.CharField(max_length=64, default="")
    own = models.BooleanField(default=False)
    lane = models.CharField(max_length=64, default="", db_index=True)
    source = models.CharField(max_length=64, default="")
    refused = models.BooleanField(default=False)
    facts = models.JSONField(default=dict)
    tries = models.SmallIntegerField(default=0)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)
    leased_until = models.FloatField(default=0)

    personal = {
        "template_id": "mail_queue",
        "token": "confirmation_code",
        "lane": "mail_queue",
        "source": "mail_queue",
    }
    not_personal = {
        "id": "a number of the row",
        "subject": "random",
        "language": "ko, en or, where it is empty, both",
        "address_row": "which sealed address",
        "own": "whether the address is sealed for this letter alone",
        "refused": "whether the last try failed for this mailbox, not for all",
        "facts": "numbers and paths, of no person",
        "tries": "how often it was tried",
        "starts_at": "when it was queued",
        "ends_at": "when it is given up",
        "leased_until": "real time, seconds",
    }


class SentMessage(models.Model):
    """A message that went to a mailbox within the last day: keyed digests, so that the next ones can be counted."""

    mailbox = models.CharField(max_length=64, db_index=True)
    source = models.CharField(max_length=64, default="")
    sent_at = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)

    personal = {"mailbox": "mail_queue", "source": "mail_queue", "sent_at": "mail_queue"}
    not_personal = {"id": "a number of the row", "ends_at": "when it is destroyed"}


class Enrolment(models.Model):
    """A one-time link by which staff set their password and second factor; only a keyed digest of it is kept."""

    digest = models.CharField(max_length=64, unique=True)
    member = models.ForeignKey(Member, on_delete=models.PROTECT)
    ends_at = models.DateTimeField()

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "digest": "of a random link",
        "member": "a number",
        "ends_at": "when it ends",
    }
