"""Joining: ask, mail a code, confirm (A1.1, A2.2d, A2.2f). A taken ID or address gets the same answer as success."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction

from imgnom.community.members import codes
from imgnom.community.members.errors import CodeWrong, NicknameTaken, RegistrationGone, UsernameTaken
from imgnom.community.members.letters import queue_letter
from imgnom.community.members.models import Member, PendingRegistration
from imgnom.community.members.rules import canonical_username, nickname_key
from imgnom.custody.consent.public import record_consent
from imgnom.custody.guard.public import canonical_email, is_guarded
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.public import (
    destroy_subject,
    find_subject,
    index_value,
    is_name_held,
    new_subject,
    seal_value,
)
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import SYSTEM, Actor


@dataclass(frozen=True)
class MemberCard:
    id: int
    subject: str
    nickname: str
    joined_at: datetime


def card_of(member: Member) -> MemberCard:
    return MemberCard(member.pk, member.subject, member.nickname, member.joined_at)


def ensure_nickname_free(nickname: str, *, now: datetime, but: int | None = None) -> None:
    """Raises NicknameTaken for a living name and for one that somebody lately left."""
    key = nickname_key(nickname)
    taken = Member.objects.filter(nickname_key=key).exclude(pk=but).exists()
    if taken or is_name_held("nickname", key, now=now):
        raise NicknameTaken(nickname)


def register_member(
    *,
    username: str,
    password: str,
    nickname: str,
    email: str,
    extras: Mapping[str, str],
    consents: Mapping[str, bool],
    now: datetime,
) -> str:
    """A pending registration and its letter; returns the token for this browser. Raises NicknameTaken."""
    ensure_nickname_free(nickname, now=now)
    owner = find_subject("email", canonical_email(email))
    subject = new_subject(now=now)
    values = {"username": canonical_username(username), "nickname": nickname, "email": email.strip()} | dict(extras)
    for item, value in values.items():
        if value:
            seal_value(subject, item, value, now=now)
    token, code = secrets.token_hex(16), codes.new_code()
    with transaction.atomic():
        PendingRegistration.objects.create(
            token=token, subject=subject, password=make_password(password), code_digest=codes.digest_of(token, code),
            code_ends_at=codes.code_end(now), consents=dict(consents), starts_at=now, ends_at=codes.record_end("pending_registration", now),
        )  # fmt: skip
        if owner is None:
            queue_letter(subject, "confirm", now=now, code=code)
        else:
            queue_letter(owner, "already", now=now)
    return token


def resend_code(token: str, *, now: datetime) -> None:
    row = PendingRegistration.objects.filter(token=token, confirmed=False, ends_at__gt=now).first()
    if row is None:
        raise RegistrationGone
    address = canonical_email(reveal(row.subject, "email", purpose="registration", by=SYSTEM, now=now).open())
    code = codes.new_code()
    PendingRegistration.objects.filter(pk=row.pk).update(
        code_digest=codes.digest_of(token, code), code_ends_at=codes.code_end(now), tries=0
    )
    owner = find_subject("email", address)
    if owner is None:
        queue_letter(row.subject, "confirm", now=now, code=code)
    else:
        queue_letter(owner, "already", now=now)


def _check_code(token: str, code: str, now: datetime) -> PendingRegistration:
    with transaction.atomic():
        row = PendingRegistration.objects.select_for_update().filter(token=token).first()
        if row is None or row.ends_at <= now:
            raise RegistrationGone
        if row.confirmed:
            return row
        wrong = (
            row.tries >= codes.MAX_TRIES or row.code_ends_at <= now or not codes.matches(token, code, row.code_digest)
        )
        row.tries += 1
        row.confirmed = not wrong
        row.save(update_fields=["tries", "confirmed"])
    if wrong:
        raise CodeWrong
    return row


def confirm_registration(
    *, token: str, code: str, new_username: str | None = None, new_nickname: str | None = None, now: datetime
) -> Member:
    """The mailbox is proven: the member exists from now on.

    Raises CodeWrong, RegistrationGone, UsernameTaken (ask for another ID), NicknameTaken (ask for another name).
    """
    row = _check_code(token, code, now)
    subject = row.subject
    read = lambda item: reveal(subject, item, purpose="registration", by=SYSTEM, now=now).open()  # noqa: E731
    username = canonical_username(new_username) if new_username else read("username")
    nickname = new_nickname or read("nickname")
    mailbox = canonical_email(read("email"))
    if find_subject("email", mailbox) not in (None, subject) or is_guarded(mailbox):
        raise CodeWrong
    if find_subject("username", username) not in (None, subject) or is_name_held("username", username, now=now):
        raise UsernameTaken
    ensure_nickname_free(nickname, now=now)
    seal_value(subject, "username", username, now=now)
    index_value(subject, "email", mailbox)
    index_value(subject, "username", username)
    seal_value(subject, "nickname", nickname, now=now)
    for kind, given in row.consents.items():
        if kind in policy_in_force().consents:
            record_consent(subject, kind, given=given, way="signup", by=Actor("member", subject), now=now)
    try:
        with transaction.atomic():
            member = Member.objects.create(
                subject=subject,
                nickname=nickname,
                nickname_key=nickname_key(nickname),
                password=row.password,
                joined_at=now,
            )
            row.delete()
            record_act(
                store="default",
                act="join",
                clause="A2.2d",
                by=Actor("member", subject),
                now=now,
                subject=subject,
                policy=policy_in_force().digest,
            )
    except IntegrityError:
        raise NicknameTaken(nickname) from None
    return member


def create_confirmed_member(
    *, username: str, password: str, nickname: str, email: str, now: datetime, role: str = "member"
) -> MemberCard:
    """A member whose mailbox needs no letter: the demo's cast and staff. Raises UsernameTaken, NicknameTaken."""
    canonical = canonical_username(username)
    if find_subject("username", canonical) is not None:
        raise UsernameTaken
    ensure_nickname_free(nickname, now=now)
    subject = new_subject(now=now)
    seal_value(subject, "username", canonical, now=now)
    seal_value(subject, "email", email, now=now)
    seal_value(subject, "nickname", nickname, now=now)
    index_value(subject, "username", canonical)
    index_value(subject, "email", canonical_email(email))
    with transaction.atomic():
        member = Member.objects.create(
            subject=subject,
            nickname=nickname,
            nickname_key=nickname_key(nickname),
            password=make_password(password),
            joined_at=now,
            role=role,
        )
        record_act(
            store="default", act="join", clause="A2.2d", by=SYSTEM, now=now, subject=subject, detail={"role": role}
        )
    return card_of(member)


def due_registrations(*, now: datetime) -> int:
    """How many are past their end and still there after the worker: what retention has yet to destroy."""
    return PendingRegistration.objects.filter(ends_at__lte=now).count()


def destroy_registrations(*, now: datetime, limit: int = 200) -> tuple[int, tuple[str, ...]]:
    keys: list[str] = []
    rows = list(PendingRegistration.objects.filter(ends_at__lte=now)[:limit])
    for row in rows:
        keys.extend(destroy_subject(row.subject, now=now, by=SYSTEM, clause="A2.2d").key_ids)
        row.delete()
    return len(rows), tuple(keys)
