"""Changing and resetting the password; either way the other sessions end (A2.2a, A7.1, threats N1, N3)."""

import secrets
from datetime import datetime

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import transaction

from imgnom.community.members import codes
from imgnom.community.members.enter import locate, prove_password
from imgnom.community.members.errors import CodeWrong, PasswordTooLike
from imgnom.community.members.known_browsers import known_browser
from imgnom.community.members.letters import queue_letter
from imgnom.community.members.mail_limits import lane_of, network_source
from imgnom.community.members.models import CodeRequest, Member, MemberSession
from imgnom.community.members.rules import check_password
from imgnom.community.members.sessions import end_all_sessions, forget_cookies, renew_session
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.public import RevealRefused, ValueMissing
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import SYSTEM, Actor
from imgnom.web.address import client_address
from imgnom.web.guards import mark_step_up
from imgnom.web.requests import MemberRequest, Request
from imgnom.web.throttle import hit, hit_network


def ensure_password_differs(subject: str, *, nickname: str, password: str, by: Actor, now: datetime) -> None:
    """Unlike the account's other words. Raises PasswordTooLike."""
    beside = [nickname]
    for item, purpose in (("username", "rights"), ("email", "rights")):
        try:
            beside.append(reveal(subject, item, purpose=purpose, by=by, now=now).open())
        except (ValueMissing, RevealRefused):
            continue
    try:
        check_password(password, beside=tuple(beside))
    except ValidationError:
        raise PasswordTooLike from None


def shut_out_others(member: Member, *, keep_sid: str) -> None:
    """Inside a transaction of the default store: no session signs anybody in, and no code for a reset works, until
    the one with `keep_sid` is renewed.
    """
    member.session_epoch += 1
    member.save(update_fields=["session_epoch"])
    forget_cookies(
        MemberSession.objects.filter(member=member).exclude(sid=keep_sid).values_list("session_key", flat=True)
    )
    CodeRequest.objects.filter(subject=member.subject, kind="reset").delete()


def _set_password(member: Member, hashed: str, *, keep_sid: str, now: datetime) -> None:
    """Inside a transaction of the default store."""
    member.password = hashed
    member.save(update_fields=["password"])
    shut_out_others(member, keep_sid=keep_sid)
    record_act(
        store="default",
        act="change_password",
        clause="A7.1",
        by=Actor("member", member.subject),
        now=now,
        subject=member.subject,
        items=["password"],
    )


def change_password(request: MemberRequest, *, current: str, password: str, now: datetime) -> None:
    """All other sessions end, this one goes on under a new key, and the owner is told by mail.

    The current password is asked every time: who took over a browser or copied its cookie does not know it.
    Raises LoginWrong, TooMany, PasswordTooLike, SessionOver.
    """
    member = request.member
    prove_password(request, password=current)
    own = Actor("member", member.subject)
    ensure_password_differs(member.subject, nickname=member.nickname, password=password, by=own, now=now)
    hashed = make_password(password)
    with transaction.atomic():
        row = Member.objects.select_for_update().get(pk=member.pk)
        _set_password(row, hashed, keep_sid=request.session.get("sid", ""), now=now)
        queue_letter(row.subject, "new_password", now=now)
        mark_step_up(request)
        renew_session(request, now=now)
    end_all_sessions(row.pk, but=request.session["sid"])


def request_reset(request: Request, *, login: str, now: datetime) -> str:
    """A token for this browser and a letter, for nobody's name too: that one is dropped when it would be sent.

    Counted by what was typed, see `enter`; a browser known to the account has a limit of its own. Raises TooMany.
    """
    address = client_address(request)
    found = locate(login, now=now)
    subject, browser = found.subject, known_browser(request, found.subject)
    if browser:
        hit("reset known browser", f"{subject}\0{browser}", limit=5, per_seconds=600)
    else:
        hit_network("reset", address, limit=60, per_seconds=600)
        hit_network("reset account", address, about=found.typed, limit=5, per_seconds=600)
    token, digits = secrets.token_hex(16), codes.digits_for(found.typed)
    with transaction.atomic():
        CodeRequest.objects.create(
            token=token, subject=subject, kind="reset", digits=digits, starts_at=now, ends_at=codes.code_end(now)
        )
        source = "" if browser else network_source(address)
        queue_letter(subject, "reset", now=now, token=token, lane=lane_of(found.typed), source=source)
    return token


def try_code(token: str, *, kind: str, code: str, now: datetime) -> CodeRequest:
    """The request that this code answers; every try counts, and who has the right one may come again with it.

    Raises CodeWrong.
    """
    with transaction.atomic():
        row = CodeRequest.objects.select_for_update().filter(token=token, kind=kind, ends_at__gt=now).first()
        if row is None:
            raise CodeWrong
        right = codes.matches(codes.code_of(token, 0, row.digits), code) and row.tries < codes.MAX_TRIES
        row.tries = min(row.tries + 1, codes.MAX_TRIES)
        row.save(update_fields=["tries"])
    if not right:
        raise CodeWrong
    return row


def reset_password(*, token: str, code: str, password: str, now: datetime) -> str:
    """Every session ends, and the code is used up; returns whose it was. Raises CodeWrong, PasswordTooLike.

    The password is hashed only after the code proved right: the hash is what costs.
    """
    subject = try_code(token, kind="reset", code=code, now=now).subject
    member = Member.objects.filter(subject=subject).exclude(state="withdrawn").first()
    if member is None:
        raise CodeWrong
    ensure_password_differs(subject, nickname=member.nickname, password=password, by=SYSTEM, now=now)
    hashed = make_password(password)
    with transaction.atomic():
        if not CodeRequest.objects.filter(token=token, kind="reset").delete()[0]:
            raise CodeWrong
        row = Member.objects.select_for_update().get(pk=member.pk)
        _set_password(row, hashed, keep_sid="", now=now)
        queue_letter(subject, "new_password", now=now)
    end_all_sessions(row.pk)
    return subject
