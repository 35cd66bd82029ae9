"""Correcting one's nickname and address (A7.1). A new address counts once its mailed code came back."""

import secrets
from contextlib import suppress
from datetime import datetime

from django.db import IntegrityError, transaction

from imgnom.community.members import codes
from imgnom.community.members.errors import CodeWrong, NicknameTaken, SessionOver
from imgnom.community.members.join import ensure_nickname_free, member_with_mailbox
from imgnom.community.members.letters import queue_letter
from imgnom.community.members.mail_limits import lane_of, member_source
from imgnom.community.members.models import CodeRequest, Member
from imgnom.community.members.passwords import shut_out_others, try_code
from imgnom.community.members.rules import nickname_key
from imgnom.community.members.sessions import end_all_sessions, renew_session
from imgnom.custody.guard.public import canonical_email, is_guarded
from imgnom.custody.keys.public import compact
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.public import (
    ValueMissing,
    ValueTaken,
    forget_value,
    has_row,
    note_correction,
    replace_indexed_value,
    seal_value,
)
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import SYSTEM, Actor
from imgnom.web.requests import MemberRequest, SignedIn
from imgnom.web.throttle import hit


def _record(member: SignedIn, item: str, *, now: datetime) -> None:
    record_act(
        store="default",
        act="correct",
        clause="A7.1",
        by=Actor("member", member.subject),
        now=now,
        subject=member.subject,
        items=[item],
    )


def begin_email_change(member: SignedIn, *, email: str, now: datetime) -> str:
    """The new address waits sealed until its code comes back; a taken one gets the same answer and no code.

    Raises TooMany, and ValueError for what is no address.
    """
    mailbox = canonical_email(email)
    hit("e-mail change", member.subject, limit=10, per_seconds=3600)
    token, digits = secrets.token_hex(16), codes.digits_for(codes.mailbox_key(mailbox))
    row = f"new-{token}"
    owner = member_with_mailbox(mailbox)
    with transaction.atomic():
        # Before the address is sealed: whatever a kill leaves is found by this row and destroyed with it.
        CodeRequest.objects.create(
            token=token,
            subject=member.subject,
            kind="email",
            digits=digits,
            starts_at=now,
            ends_at=codes.code_end(now),
        )
    seal_value(member.subject, "email", email.strip(), row=row, now=now)
    lane, source = lane_of(codes.mailbox_key(mailbox)), member_source(member.subject)
    if owner in (None, member.subject):
        queue_letter(member.subject, "email", now=now, token=token, address_row=row, lane=lane, source=source)
    else:
        queue_letter(str(owner), "already_taken", now=now, lane=lane, source=source)
    return token


def confirm_email_change(request: MemberRequest, *, token: str, code: str, now: datetime) -> None:
    """The new address is the one held, found and written to; the old one is told. Raises CodeWrong.

    The switch is one transaction of the vault. Killed after it, the same code carries out the rest. All other sessions
    end, this one goes on under a new key, and a code for a new password that went to the old address is dead.
    """
    member = request.member
    if try_code(token, kind="email", code=code, now=now).subject != member.subject:
        raise CodeWrong
    told = _switch(member, new=f"new-{token}", old=f"old-{token}", now=now)
    with transaction.atomic():
        if not CodeRequest.objects.filter(token=token).delete()[0]:
            raise CodeWrong
        _record(member, "email", now=now)
        if told:
            queue_letter(member.subject, "address_changed", now=now, address_row=f"old-{token}")
        row = Member.objects.select_for_update().get(pk=member.pk)
        shut_out_others(row, keep_sid=request.session.get("sid", ""))
        with suppress(SessionOver):  # ended by another request meanwhile: then no session is left at all
            renew_session(request, now=now)
    end_all_sessions(member.pk, but=request.session.get("sid", ""))


def _switch(member: SignedIn, *, new: str, old: str, now: datetime) -> bool:
    """Whether the old address, sealed in the row `old`, is to be told. Raises CodeWrong."""

    def read(row: str) -> str:
        return reveal(member.subject, "email", purpose="registration", by=SYSTEM, now=now, row=row).open()

    try:
        address = read(new)
    except ValueMissing:
        return has_row(member.subject, "email", row=old)
    before, mailbox = read(""), canonical_email(address)
    if is_guarded(mailbox):
        raise CodeWrong
    changed = mailbox != canonical_email(before)
    if changed:
        seal_value(member.subject, "email", before, row=old, now=now)
    try:
        with transaction.atomic(using="vault"):
            replace_indexed_value(member.subject, "email", address, canonical=mailbox, from_row=new, now=now)
            note_correction(member.subject, "email", canonical_email(before), now=now)
    except ValueTaken:
        forget_value(member.subject, "email", row=old)
        raise CodeWrong from None  # somebody confirmed the same mailbox a moment ago
    return changed


def change_nickname(member: SignedIn, *, nickname: str, now: datetime) -> None:
    """Raises NicknameTaken."""
    ensure_nickname_free(nickname, now=now, but=member.pk)
    try:
        with transaction.atomic():
            Member.objects.filter(pk=member.pk).update(nickname=nickname, nickname_key=nickname_key(nickname))
            _record(member, "nickname", now=now)
            note_correction(member.subject, "nickname", nickname_key(member.nickname), now=now)
            seal_value(member.subject, "nickname", nickname, now=now)
    except IntegrityError:
        raise NicknameTaken from None
    member.nickname = nickname
    compact("default")  # the name before is gone from the store's log too
