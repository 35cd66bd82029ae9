"""Signing in, sessions, second factor, passwords (A2.2a, A2.2c, threats N1–N4)."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction

from imgnom.community.members import codes
from imgnom.community.members.errors import CodeWrong, LoginWrong
from imgnom.community.members.join import create_confirmed_member
from imgnom.community.members.letters import end_letter, queue_letter
from imgnom.community.members.models import CodeRequest, Enrolment, Letter, Member, MemberSession, PendingRegistration
from imgnom.community.members.rules import canonical_username
from imgnom.custody.guard.public import canonical_email
from imgnom.custody.in_force import recompute_ends
from imgnom.custody.keys.public import compact
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.public import (
    ValueMissing,
    ValueTaken,
    decoy_subject,
    find_subject,
    forget_value,
    index_value,
    note_correction,
    note_use,
    seal_value,
)
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import SYSTEM, Actor
from imgnom.web.address import limit_key
from imgnom.web.guards import mark_step_up
from imgnom.web.requests import Request
from imgnom.web.throttle import hit

ENROLMENT_DAYS = 2
STAFF_ROLES = ("moderator", "officer", "administrator", "auditor")
# Compared with when nobody is found, so that the answer takes the same time.
_DUMMY = make_password("imgnom: nobody has this password")


@dataclass(frozen=True)
class Staff:
    subject: str
    login: str
    role: str
    password: str
    totp_secret: str
    enrolment_path: str


def _locate(login: str, now: datetime) -> tuple[Member | None, str]:
    item = "email" if "@" in login else "username"
    try:
        canonical = canonical_email(login) if item == "email" else canonical_username(login)
    except (ValueError, UnicodeError):
        canonical = login
    subject = find_subject(item, canonical)
    member = Member.objects.filter(subject=subject).first() if subject else None
    return member, member.subject if member else decoy_subject(item, canonical, now=now)


def prove_login(*, login: str, password: str, address: str, now: datetime) -> Member:
    """The member whose ID or address and password these are. Raises LoginWrong, TooMany; tells nothing else.

    Counts per address, and per account and address together: a stranger elsewhere cannot lock the owner out.
    """
    hit("login address", limit_key(address), limit=120, per_seconds=600)
    member, subject = _locate(login, now)
    hit("login account", f"{subject}\0{limit_key(address)}", limit=20, per_seconds=600)
    right = check_password(password, member.password if member else _DUMMY)
    if member is None or not right or member.state == "withdrawn":
        raise LoginWrong(subject)
    note_use(member.subject, "email" if "@" in login else "username", purpose="identity", by=SYSTEM, now=now)
    note_use(member.subject, "password", purpose="identity", by=SYSTEM, now=now)
    return member


def start_session(request: Request, member: Member) -> None:
    """A new session id; the session holds numbers only."""
    now: datetime = request.now
    request.session.flush()
    sid = secrets.token_hex(24)
    request.session[SESSION_KEY] = str(member.pk)
    request.session[BACKEND_SESSION_KEY] = "imgnom.community.members.backend.MemberBackend"
    request.session[HASH_SESSION_KEY] = member.get_session_auth_hash()
    request.session["sid"] = sid
    mark_step_up(request)
    MemberSession.objects.create(
        sid=sid,
        member=member,
        epoch=member.session_epoch,
        starts_at=now,
        last_seen=now,
        ends_at=codes.record_end("session", now),
    )
    request.member = member
    request.actor = Actor(member.role, member.subject)
    request.access_note = ("login", member.subject)


def end_session(request: Request) -> None:
    MemberSession.objects.filter(sid=request.session.get("sid", "")).delete()
    request.session.flush()


def end_all_sessions(member_id: int, *, but: str = "") -> int:
    return MemberSession.objects.filter(member_id=member_id).exclude(sid=but).delete()[0]


def held_dates(member_id: int, subject: str, *, now: datetime) -> dict[str, tuple[datetime, ...]]:
    """When what lives shorter than the membership ends, item by item, the first end first."""
    sessions = MemberSession.objects.filter(member_id=member_id, ends_at__gt=now)
    codes_waiting = CodeRequest.objects.filter(subject=subject, ends_at__gt=now)
    letters = Letter.objects.filter(subject=subject, ends_at__gt=now)
    found = {"session": sessions, "confirmation_code": codes_waiting, "mail_queue": letters}
    ends = {item: tuple(rows.order_by("ends_at").values_list("ends_at", flat=True)) for item, rows in found.items()}
    return {item: dates for item, dates in ends.items() if dates}


def due_sessions(*, now: datetime) -> int:
    return MemberSession.objects.filter(ends_at__lte=now).count()


def destroy_sessions(*, now: datetime) -> int:
    from django.contrib.sessions.models import Session

    gone = MemberSession.objects.filter(ends_at__lte=now).delete()[0]
    Session.objects.filter(expire_date__lt=now).delete()
    return gone


def due_codes(*, now: datetime) -> int:
    return CodeRequest.objects.filter(ends_at__lte=now).count()


def destroy_codes(*, now: datetime) -> int:
    for row in CodeRequest.objects.filter(ends_at__lte=now, kind="email"):
        forget_value(row.subject, "email", row=f"new-{row.token}")
    return CodeRequest.objects.filter(ends_at__lte=now).delete()[0]


def due_letters(*, now: datetime) -> int:
    return Letter.objects.filter(ends_at__lte=now).count()


def destroy_letters(*, now: datetime) -> int:
    letters = list(Letter.objects.filter(ends_at__lte=now))
    for letter in letters:
        end_letter(letter, now=now)
    return len(letters)


def recompute_member_ends() -> int:
    """After a change of the policy: sign-ups that wait, sessions and letters end by the periods now in force."""
    return sum(
        (
            recompute_ends(PendingRegistration.objects.all(), "pending_registration"),
            recompute_ends(MemberSession.objects.all(), "session", start="last_seen"),
            recompute_ends(Letter.objects.all(), "mail_queue"),
        )
    )


def has_second_factor(member: Member) -> bool:
    from imgnom.custody.vault.public import held_items

    return "second_factor" in held_items(member.subject)


def prove_second_factor(member: Member, code: str, *, now: datetime) -> None:
    """A time-based code, each step once. Raises CodeWrong, TooMany. The real time counts: phones know no other."""
    hit("second factor", member.subject, limit=10, per_seconds=600)
    try:
        secret = reveal(member.subject, "second_factor", purpose="identity", by=SYSTEM, now=now).open()
    except ValueMissing:  # whoever has no second factor cannot prove one
        raise CodeWrong from None
    totp = pyotp.TOTP(secret)
    step = int(time.time()) // 30
    for candidate in (step, step - 1, step + 1):
        if secrets.compare_digest(totp.at(candidate * 30).encode(), code.strip().encode()):
            if Member.objects.filter(pk=member.pk, last_totp_step__lt=candidate).update(last_totp_step=candidate):
                return
            break
    raise CodeWrong


def enrolment_digest(token: str) -> str:
    """What is kept of an enrolment link: who reads the table cannot use it."""
    return hashlib.sha256(token.encode()).hexdigest()


def enrol_staff(row: Enrolment, *, password: str, secret: str, code: str, now: datetime) -> None:
    """The link is used up, password and second factor are set anew, and every session ends. Raises CodeWrong."""
    totp, step = pyotp.TOTP(secret), int(time.time()) // 30
    used = next(
        (
            s
            for s in (step, step - 1, step + 1)
            if secrets.compare_digest(totp.at(s * 30).encode(), code.strip().encode())
        ),
        None,
    )
    if used is None or not Enrolment.objects.filter(pk=row.pk, ends_at__gt=now).delete()[0]:
        raise CodeWrong
    member = row.member
    seal_value(member.subject, "second_factor", secret, now=now)
    Member.objects.filter(pk=member.pk).update(last_totp_step=used)
    change_password(member, password=password, keep_sid="", now=now)


def create_staff(*, login: str, role: str, now: datetime) -> Staff:
    """A staff account with password, second factor and a one-time link to set both anew."""
    password, secret = secrets.token_urlsafe(15), pyotp.random_base32()
    card = create_confirmed_member(
        username=login,
        password=password,
        nickname=f"{role}-{secrets.token_hex(3)}",
        email=f"{login}@staff.invalid",
        now=now,
        role=role,
    )
    seal_value(card.subject, "second_factor", secret, now=now)
    token = secrets.token_urlsafe(32)
    Enrolment.objects.create(
        token=enrolment_digest(token), member_id=card.id, ends_at=now + timedelta(days=ENROLMENT_DAYS)
    )
    return Staff(card.subject, login, role, password, secret, f"/staff/enrol/{token}")


def change_password(member: Member, *, password: str, keep_sid: str, now: datetime) -> None:
    """All other sessions end."""
    with transaction.atomic():
        member.password = make_password(password)
        member.session_epoch += 1
        member.save(update_fields=["password", "session_epoch"])
        MemberSession.objects.filter(member=member).exclude(sid=keep_sid).delete()
        MemberSession.objects.filter(sid=keep_sid).update(epoch=member.session_epoch)
        record_act(
            store="default",
            act="change_password",
            clause="A7.1",
            by=Actor("member", member.subject),
            now=now,
            subject=member.subject,
            items=["password"],
        )


def request_reset(*, login: str, address: str, now: datetime) -> str:
    """Always a token for this browser; a letter only where there is an account."""
    hit("reset", limit_key(address), limit=20, per_seconds=600)
    member, subject = _locate(login, now)
    hit("reset account", f"{subject}\0{limit_key(address)}", limit=5, per_seconds=600)
    token, code = secrets.token_hex(16), codes.new_code()
    with transaction.atomic():
        CodeRequest.objects.create(
            token=token,
            subject=subject,
            kind="reset",
            code_digest=codes.digest_of(token, code),
            starts_at=now,
            ends_at=codes.code_end(now),
        )
    if member is not None:
        queue_letter(subject, "reset", now=now, code=code)
    return token


def _use_code(token: str, kind: str, code: str, now: datetime) -> CodeRequest:
    with transaction.atomic():
        row = CodeRequest.objects.select_for_update().filter(token=token, kind=kind, ends_at__gt=now).first()
        if row is None:
            raise CodeWrong
        right = row.tries < codes.MAX_TRIES and codes.matches(token, code, row.code_digest)
        row.tries += 1
        row.save(update_fields=["tries"])
        if right:
            row.delete()
    if not right:
        raise CodeWrong
    return row


def reset_password(*, token: str, code: str, password: str, now: datetime) -> None:
    """Raises CodeWrong. Every session ends."""
    row = _use_code(token, "reset", code, now)
    member = Member.objects.filter(subject=row.subject).first()
    if member is None:
        raise CodeWrong
    change_password(member, password=password, keep_sid="", now=now)


def begin_email_change(member: Member, email: str, *, now: datetime) -> str:
    """The new address waits sealed until its code comes back; a taken one gets the same answer and no code."""
    token, code = secrets.token_hex(16), codes.new_code()
    row = f"new-{token}"
    seal_value(member.subject, "email", email.strip(), row=row, now=now)
    CodeRequest.objects.create(
        token=token,
        subject=member.subject,
        kind="email",
        code_digest=codes.digest_of(token, code),
        starts_at=now,
        ends_at=codes.code_end(now),
    )
    owner = find_subject("email", canonical_email(email))
    if owner in (None, member.subject):
        queue_letter(member.subject, "email", now=now, code=code, address_row=row)
    else:
        queue_letter(owner, "already", now=now)
    return token


def confirm_email_change(member: Member, *, token: str, code: str, now: datetime) -> None:
    """Raises CodeWrong."""
    row = _use_code(token, "email", code, now)
    if row.subject != member.subject:
        raise CodeWrong
    name = f"new-{token}"
    address = reveal(member.subject, "email", purpose="registration", by=SYSTEM, now=now, row=name).open()
    before = reveal(member.subject, "email", purpose="rights", by=Actor("member", member.subject), now=now).open()
    try:
        index_value(member.subject, "email", canonical_email(address))
    except ValueTaken:
        raise CodeWrong from None  # somebody else proved this mailbox meanwhile; nobody is told so
    note_correction(member.subject, "email", canonical_email(before), now=now)
    seal_value(member.subject, "email", address, now=now)
    forget_value(member.subject, "email", row=name)
    with transaction.atomic():
        record_act(
            store="default",
            act="correct",
            clause="A7.1",
            by=Actor("member", member.subject),
            now=now,
            subject=member.subject,
            items=["email"],
        )


def change_nickname(member: Member, *, nickname: str, now: datetime) -> None:
    """Raises NicknameTaken."""
    from imgnom.community.members.join import ensure_nickname_free
    from imgnom.community.members.rules import nickname_key

    ensure_nickname_free(nickname, now=now, but=member.pk)
    note_correction(member.subject, "nickname", nickname_key(member.nickname), now=now)
    seal_value(member.subject, "nickname", nickname, now=now)
    with transaction.atomic():
        member.nickname, member.nickname_key = nickname, nickname_key(nickname)
        member.save(update_fields=["nickname", "nickname_key"])
        record_act(
            store="default",
            act="correct",
            clause="A7.1",
            by=Actor("member", member.subject),
            now=now,
            subject=member.subject,
            items=["nickname"],
        )
    compact("default")  # the name before is gone from the store's log too


def remove_member(member_id: int) -> None:
    """The row goes for good; sessions, codes, letters of it before."""
    with transaction.atomic():
        member = Member.objects.filter(pk=member_id).first()
        if member is None:
            return
        MemberSession.objects.filter(member=member).delete()
        Enrolment.objects.filter(member=member).delete()
        CodeRequest.objects.filter(subject=member.subject).delete()
        Letter.objects.filter(subject=member.subject).delete()
        PendingRegistration.objects.filter(subject=member.subject).delete()
        member.delete()
