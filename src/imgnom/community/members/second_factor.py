"""Staff accounts and their second factor (I10, threat N3): a time-based code, each step of thirty seconds once."""

import base64
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction

from imgnom.community.members.codes import matches
from imgnom.community.members.errors import CodeWrong
from imgnom.community.members.guess_limits import return_try, take_try
from imgnom.community.members.join import create_confirmed_member
from imgnom.community.members.letters import NO_MAILBOX
from imgnom.community.members.models import Enrolment, Member
from imgnom.community.members.passwords import ensure_password_differs
from imgnom.community.members.sessions import end_all_sessions
from imgnom.custody.keys.public import derive, keyed_digest
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.public import ValueMissing, seal_value
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import SYSTEM, Actor
from imgnom.web.requests import Request

STAFF_ROLES = ("moderator", "officer", "administrator", "auditor")
STEP_SECONDS = 30
ENROLMENT_FOR = timedelta(days=2)


@dataclass(frozen=True)
class Staff:
    subject: str
    login: str
    role: str
    password: str
    totp_secret: str
    enrolment_path: str


def _step_of(secret: str, code: str) -> int | None:
    """The step whose code this is: the present one, or a neighbour for a phone whose clock is off."""
    totp, step = pyotp.TOTP(secret), int(time.time()) // STEP_SECONDS
    return next((near for near in (step, step - 1, step + 1) if matches(totp.at(near * STEP_SECONDS), code)), None)


def prove_second_factor(request: Request, member: Member, *, code: str) -> None:
    """A code of the member's own secret, once. Raises CodeWrong, TooMany. The real time counts: phones know no other."""
    now = request.now
    take_try(request, "second factor", member.subject)
    try:
        secret = reveal(member.subject, "second_factor", purpose="identity", by=SYSTEM, now=now).open()
    except ValueMissing:
        raise CodeWrong from None
    step = _step_of(secret, code)
    if step is None or not Member.objects.filter(pk=member.pk, last_totp_step__lt=step).update(last_totp_step=step):
        raise CodeWrong
    return_try(request, "second factor", member.subject)


def create_staff(*, login: str, role: str, now: datetime) -> Staff:
    """A staff account with password, second factor and a one-time link to set both anew.

    Raises UsernameTaken, NicknameTaken, MailboxTaken.
    """
    password, secret, token = secrets.token_urlsafe(15), pyotp.random_base32(), secrets.token_urlsafe(32)
    card = create_confirmed_member(
        username=login,
        password=password,
        nickname=f"{role}-{secrets.token_hex(3)}",
        email=f"{login}@{NO_MAILBOX}",
        now=now,
        role=role,
        extras={"second_factor": secret},
    )
    Enrolment.objects.create(digest=_digest(token), member_id=card.id, ends_at=now + ENROLMENT_FOR)
    return Staff(card.subject, login, role, password, secret, f"/staff/enrol/{token}")


def _digest(token: str) -> str:
    return keyed_digest(derive(settings.SECRET_KEY.encode(), "enrolment link"), token.encode()).hex()


def secret_of_link(token: str) -> str:
    """The secret that this link offers: worked out from it, so that no store holds it before it is taken."""
    raw = keyed_digest(derive(settings.SECRET_KEY.encode(), "enrolment secret"), token.encode())
    return base64.b32encode(raw[:20]).decode()


def find_enrolment(token: str, *, now: datetime) -> Member | None:
    row = Enrolment.objects.select_related("member").filter(digest=_digest(token), ends_at__gt=now).first()
    return row.member if row else None


def enrol_staff(token: str, *, code: str, password: str, now: datetime) -> None:
    """Password and second factor are the ones set here, every session ends, and the link is used up.

    Raises CodeWrong, PasswordTooLike.
    """
    member = find_enrolment(token, now=now)
    secret = secret_of_link(token)
    step = _step_of(secret, code)
    if member is None or step is None:
        raise CodeWrong
    ensure_password_differs(member.subject, nickname=member.nickname, password=password, by=SYSTEM, now=now)
    hashed = make_password(password)
    seal_value(member.subject, "second_factor", secret, now=now)
    with transaction.atomic():
        if not Enrolment.objects.filter(digest=_digest(token)).delete()[0]:
            raise CodeWrong
        row = Member.objects.select_for_update().get(pk=member.pk)
        row.password, row.session_epoch, row.last_totp_step = hashed, row.session_epoch + 1, step
        row.save(update_fields=["password", "session_epoch", "last_totp_step"])
        record_act(
            store="default",
            act="enrol_staff",
            clause="A9.1",
            by=Actor(row.role, row.subject),
            now=now,
            subject=row.subject,
            items=["password", "second_factor"],
        )
    end_all_sessions(row.pk)
