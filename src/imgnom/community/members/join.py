"""Joining: ask, mail a code, confirm (A1.1, A2.2d, A2.2f). A taken ID or address gets the same answer as success.

Six stores share no transaction, so the order carries the promise: the pending row stands before the first value is
sealed, and the member and the end of the pending row are one transaction. Whatever a kill leaves in between belongs to
a pending row, and that is destroyed with all its values after five days.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import Q

from imgnom.community.members import codes
from imgnom.community.members.errors import (
    AlreadyConfirmed,
    CodeWrong,
    JoinRefused,
    MailboxTaken,
    NicknameTaken,
    RegistrationGone,
    UsernameTaken,
)
from imgnom.community.members.letters import queue_letter
from imgnom.community.members.mail_limits import lane_of
from imgnom.community.members.models import Letter, Member, PendingRegistration
from imgnom.community.members.rules import canonical_username, nickname_key
from imgnom.custody.consent.public import forget_consents, record_consent
from imgnom.custody.guard.public import canonical_email, is_guarded
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import keys_of
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.public import (
    ValueTaken,
    destroy_subject,
    ensure_subject,
    find_subject,
    index_value,
    is_name_held,
    new_subject_token,
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
    others = Member.objects.filter(nickname_key=key)
    if but is not None:
        others = others.exclude(pk=but)
    if others.exists() or is_name_held("nickname", key, now=now):
        raise NicknameTaken


def _is_member(subject: str | None) -> bool:
    return Member.objects.filter(subject=subject or "").exists()


def _begin(password: str, *, now: datetime, state: str = "writing", digits: int = codes.DIGITS) -> PendingRegistration:
    """The row that a kill from here on leaves behind, and by which everything else is found and destroyed."""
    hashed = make_password(password)
    return PendingRegistration.objects.create(
        token=secrets.token_hex(16),
        subject=new_subject_token(),
        password=hashed,
        state=state,
        digits=digits,
        code_ends_at=codes.code_end(now),
        starts_at=now,
        ends_at=codes.record_end("pending_registration", now),
    )


def _seal_all(subject: str, values: Mapping[str, str], *, now: datetime) -> None:
    ensure_subject(subject, now=now)
    for item, value in values.items():
        if value:
            seal_value(subject, item, value, now=now)


def register_member(
    *,
    username: str,
    password: str,
    nickname: str,
    email: str,
    extras: Mapping[str, str],
    consents: Mapping[str, bool],
    source: str,
    now: datetime,
) -> str:
    """A pending registration and its letter, asked for by `source` (see `mail_limits`); returns the token for this browser. Raises NicknameTaken.

    The same work is done whether or not the ID or the mailbox is taken; only whom the letter is for differs.
    """
    ensure_nickname_free(nickname, now=now)
    mailbox = canonical_email(email)
    row = _begin(password, now=now, digits=codes.digits_for(codes.mailbox_key(mailbox)))
    values = {"username": canonical_username(username), "nickname": nickname, "email": email.strip()} | dict(extras)
    _seal_all(row.subject, values, now=now)
    for kind, given in consents.items():
        if given:  # with the words that stood on the form when it was sent
            record_consent(row.subject, kind, given=True, way="signup", by=Actor("visitor", row.subject), now=now)
    owner = member_with_mailbox(mailbox)
    with transaction.atomic():
        PendingRegistration.objects.filter(pk=row.pk, state="writing").update(state="waiting")
        _queue_code(row, owner, mailbox=mailbox, source=source, now=now)
    return row.token


def member_with_mailbox(mailbox: str) -> str | None:
    """The member who has this mailbox. A sign-up that stopped half-way has none."""
    found = find_subject("email", mailbox)
    return found if _is_member(found) else None


def _queue_code(row: PendingRegistration, owner: str | None, *, mailbox: str, source: str, now: datetime) -> None:
    lane = lane_of(codes.mailbox_key(mailbox))
    if owner is None:
        queue_letter(row.subject, "confirm", now=now, token=row.token, lane=lane, source=source)
    else:
        queue_letter(owner, "already", now=now, lane=lane, source=source)


def resend_code(token: str, *, source: str, now: datetime) -> None:
    """A new code with new tries; the one before is over. Raises RegistrationGone."""
    row = PendingRegistration.objects.filter(token=token, state="waiting", ends_at__gt=now).first()
    if row is None:
        raise RegistrationGone
    mailbox = canonical_email(reveal(row.subject, "email", purpose="registration", by=SYSTEM, now=now).open())
    owner, digits = member_with_mailbox(mailbox), codes.digits_for(codes.mailbox_key(mailbox))
    with transaction.atomic():
        Letter.objects.filter(token=token).delete()
        PendingRegistration.objects.filter(pk=row.pk, state="waiting").update(
            turn=row.turn + 1, digits=digits, code_ends_at=codes.code_end(now), tries=0
        )
        _queue_code(row, owner, mailbox=mailbox, source=source, now=now)


def registration_state(token: str, *, now: datetime) -> str | None:
    """`waiting` for the code, `confirmed` but for a name, or nothing."""
    row = PendingRegistration.objects.filter(token=token, ends_at__gt=now, state__in=("waiting", "confirmed")).first()
    return row.state if row else None


def _prove_mailbox(token: str, code: str, now: datetime) -> PendingRegistration:
    """The row with a proven mailbox. A proof stays: who must choose another name types no second code."""
    with transaction.atomic():
        row = PendingRegistration.objects.select_for_update().filter(token=token).first()
        if row is None or row.ends_at <= now or row.state not in ("waiting", "confirmed"):
            raise RegistrationGone
        if row.state == "confirmed":
            return row
        right = codes.matches(codes.code_of(token, row.turn, row.digits), code)
        right = right and row.tries < codes.MAX_TRIES and row.code_ends_at > now
        row.tries = min(row.tries + 1, codes.MAX_TRIES)
        row.state = "confirmed" if right else "waiting"
        row.save(update_fields=["tries", "state"])
    if not right:
        raise CodeWrong
    return row


def confirm_registration(
    *, token: str, code: str, new_username: str | None = None, new_nickname: str | None = None, now: datetime
) -> Member:
    """The mailbox is proven: the member exists from now on.

    Raises CodeWrong, RegistrationGone, AlreadyConfirmed, UsernameTaken (ask for another ID), NicknameTaken (ask for
    another name), MailboxTaken and JoinRefused (the sign-up is destroyed).
    """
    row = _prove_mailbox(token, code, now)
    subject = row.subject

    def read(item: str) -> str:
        return reveal(subject, item, purpose="registration", by=SYSTEM, now=now).open()

    username = canonical_username(new_username) if new_username else read("username")
    nickname = new_nickname or read("nickname")
    mailbox = canonical_email(read("email"))
    refused = is_guarded(mailbox)
    if refused or member_with_mailbox(mailbox) not in (None, subject):
        end_registration(row, now=now)
        raise JoinRefused if refused else MailboxTaken
    _index_mailbox(row, mailbox, now=now)
    if find_subject("username", username) not in (None, subject) or is_name_held("username", username, now=now):
        raise UsernameTaken
    ensure_nickname_free(nickname, now=now)
    for item, value, changed in (("username", username, new_username), ("nickname", nickname, new_nickname)):
        if changed:
            seal_value(subject, item, value, now=now)
    try:
        index_value(subject, "username", username)
    except ValueTaken:
        raise UsernameTaken from None
    return _become_member(row, nickname, role="member", by=Actor("member", subject), now=now)


def _index_mailbox(row: PendingRegistration, mailbox: str, *, now: datetime) -> None:
    """The mailbox is this one's; it comes before the ID, so that whatever stopped half-way is found by its mailbox.

    A sign-up with it that stopped half-way gives way. Raises MailboxTaken.
    """
    try:
        index_value(row.subject, "email", mailbox)
    except ValueTaken:
        holder = PendingRegistration.objects.filter(subject=find_subject("email", mailbox) or "").first()
        if holder is not None:
            end_registration(holder, now=now)
        try:
            index_value(row.subject, "email", mailbox)
        except ValueTaken:
            end_registration(row, now=now)
            raise MailboxTaken from None


def _become_member(row: PendingRegistration, nickname: str, *, role: str, by: Actor, now: datetime) -> Member:
    """The member stands and the pending row is gone, in one transaction: of two who come here, one gets through."""
    try:
        with transaction.atomic():
            if not PendingRegistration.objects.filter(pk=row.pk, state="confirmed").delete()[0]:
                raise AlreadyConfirmed if _is_member(row.subject) else RegistrationGone
            member = Member.objects.create(
                subject=row.subject,
                nickname=nickname,
                nickname_key=nickname_key(nickname),
                password=row.password,
                joined_at=now,
                role=role,
            )
            record_act(
                store="default",
                act="join",
                clause="A2.2d",
                by=by,
                now=now,
                subject=row.subject,
                policy=policy_in_force().digest,
                detail={} if role == "member" else {"role": role},
            )
    except IntegrityError:
        raise NicknameTaken from None
    return member


def create_confirmed_member(
    *,
    username: str,
    password: str,
    nickname: str,
    email: str,
    now: datetime,
    role: str = "member",
    extras: Mapping[str, str] | None = None,
) -> MemberCard:
    """A member whose mailbox needs no letter: the demo's cast and staff.

    Raises UsernameTaken, NicknameTaken, MailboxTaken; then nothing is left of it.
    """
    canonical = canonical_username(username)
    ensure_nickname_free(nickname, now=now)
    if is_name_held("username", canonical, now=now):
        raise UsernameTaken
    row = _begin(password, now=now, state="confirmed")
    try:
        _seal_all(
            row.subject, {"username": canonical, "nickname": nickname, "email": email} | dict(extras or {}), now=now
        )
        _index_mailbox(row, canonical_email(email), now=now)
        try:
            index_value(row.subject, "username", canonical)
        except ValueTaken:
            raise UsernameTaken from None
        return card_of(_become_member(row, nickname, role=role, by=SYSTEM, now=now))
    except (UsernameTaken, NicknameTaken):
        end_registration(row, now=now)
        raise


def end_registration(row: PendingRegistration, *, now: datetime) -> tuple[str, ...]:
    """Nothing is left of a sign-up; returns the keys that went. Safe to repeat, and powerless over a member.

    The mark comes first: from then on the sign-up cannot be confirmed, so no living member can lose their key.
    """
    marked = PendingRegistration.objects.filter(pk=row.pk).update(state="ending")
    if not marked:
        return ()
    keys = destroy_subject(row.subject, now=now, by=SYSTEM, clause="A2.2d").key_ids
    forget_consents(row.subject)
    with transaction.atomic():
        Letter.objects.filter(subject=row.subject).delete()
        PendingRegistration.objects.filter(pk=row.pk, state="ending").delete()
    return keys


def abandon_registration(token: str, *, now: datetime) -> None:
    """The same browser signed up anew: what it wrote before serves nobody."""
    row = PendingRegistration.objects.filter(token=token, state="waiting").first()
    if row is not None:
        end_registration(row, now=now)


def _over(now: datetime) -> Q:
    return Q(ends_at__lte=now) | Q(state="ending")


def due_registrations(*, now: datetime) -> int:
    """How many are past their end and still there after the worker: what retention has yet to destroy."""
    return PendingRegistration.objects.filter(_over(now)).count()


def fence_registrations(*, now: datetime, limit: int) -> tuple[str, ...]:
    """The first `limit` that are past their end cannot be confirmed any more; returns the keys that go with them."""
    rows = list(PendingRegistration.objects.filter(_over(now)).order_by("id")[:limit])
    PendingRegistration.objects.filter(pk__in=[row.pk for row in rows]).update(state="ending")
    ending = PendingRegistration.objects.filter(pk__in=[row.pk for row in rows], state="ending")
    return tuple(key_id for subject in ending.values_list("subject", flat=True) for key_id in keys_of(subject))


def destroy_registrations(*, now: datetime, limit: int = 200) -> tuple[int, tuple[str, ...]]:
    rows = list(PendingRegistration.objects.filter(_over(now)).order_by("id")[:limit])
    keys = [key for row in rows for key in end_registration(row, now=now)]
    return len(rows), tuple(keys)
