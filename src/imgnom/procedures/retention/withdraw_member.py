"""Leaving, step by step (A3.0a, A4.1①, A4.2, A7.2b).

accepted → archived → content → destroyed → done. Each step may be killed and repeated: kept values are in the archive
before the live key dies, the live key is dead before the certificate, and the row forgets whom it was about last.
"""

import secrets
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from imgnom.community.comments.public import (
    anonymise_comments,
    count_comments,
    delete_comments,
    delete_comments_on,
    keep_comments,
)
from imgnom.community.images.public import anonymise_images, count_for, delete_images, keep_images
from imgnom.community.members.public import (
    canonical_username,
    mark_withdrawn,
    member_by_id,
    nickname_key,
    queue_letter,
    remove_member,
    session_count,
)
from imgnom.custody.archive.public import archive_subject
from imgnom.custody.consent.public import pseudonymise_consents
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeyDestroyed, any_alive, compact_stores
from imgnom.custody.ledger.public import intend_destruction, issue_certificate, make_number
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.public import ValueMissing, destroy_subject, fence_subject, held_items, hold_name
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import SYSTEM, Actor, Choice, LeavingFacts, WithdrawalPlan, ends_at, plan_withdrawal
from imgnom.procedures.retention.errors import AlreadyWithdrawn
from imgnom.procedures.retention.models import Withdrawal

USUAL = ("username", "email", "nickname", "password", "second_factor", "confirmation_code")


def plan_for(member_id: int, *, choice: Choice, now: datetime) -> WithdrawalPlan:
    """What leaving now would do, for the page and for the act."""
    card = member_by_id(member_id)
    pictures, private = count_for(member_id)
    extra = tuple(item for item in held_items(card.subject) if item not in USUAL) if card else ()
    facts = LeavingFacts(
        pictures - private, count_comments(member_id), private, session_count(member_id, now=now), extra
    )
    return plan_withdrawal(policy_in_force(), facts, choice=choice, now=now)


def _lines(plan: WithdrawalPlan) -> list[dict[str, Any]]:
    lines = []
    for fate in plan.fates:
        line = asdict(fate)
        line["until"] = fate.until.isoformat() if fate.until else None
        line["ends_at"] = fate.ends_at.isoformat() if fate.ends_at else None
        line["reason"] = {"ko": fate.reason.ko, "en": fate.reason.en}
        line["state"] = (
            "held" if fate.outcome in ("archived", "kept_until") else "stays" if fate.outcome == "kept" else "going"
        )
        lines.append(line)
    return lines


def withdraw_member(member_id: int, *, choice: Choice, by: Actor, now: datetime) -> str:
    """The member is gone from every page, and the rest is under way; returns the receipt number.

    Raises AlreadyWithdrawn.
    """
    plan = plan_for(member_id, choice=choice, now=now)
    number = make_number("R", 5)
    try:
        with transaction.atomic(durable=True):
            if not mark_withdrawn(member_id):
                raise AlreadyWithdrawn(str(member_id))
            leaf = record_act(
                store="default",
                act="withdraw",
                clause="A7.2b",
                by=by,
                now=now,
                subject=by.token,
                policy=policy_in_force().digest,
                detail={"choice": choice},
            )
            Withdrawal.objects.create(
                number=number, member_id=member_id, subject=by.token, choice=choice, state="accepted", lines=_lines(plan), leaves=[leaf],
                policy_digest=policy_in_force().digest, archive_ref=secrets.token_hex(13), starts_at=now,
            )  # fmt: skip
            queue_letter(str(by.token), "receipt", now=now, facts={"number": number})
    except IntegrityError:
        raise AlreadyWithdrawn(str(member_id)) from None
    resume_withdrawal(number, now=now)
    return number


def resume_withdrawal(number: str, *, now: datetime) -> None:
    """Carry a withdrawal on from wherever it stands to its end."""
    while True:
        row = Withdrawal.objects.get(number=number)
        step = STEPS.get(row.state)
        if step is None:
            return
        step(row, now)


def _to(row: Withdrawal, state: str) -> None:
    row.state = state
    row.save()


def _archive(row: Withdrawal, now: datetime) -> None:
    from imgnom.community.members.public import deliver_mail

    deliver_mail(now=row.starts_at)  # the receipt goes while the address can still be read
    subject, policy = str(row.subject), policy_in_force()
    fence_subject(subject, now=now)
    values: dict[str, str] = {}
    moving = [
        item for line in row.lines if line["outcome"] == "archived" for item in line["items"] if item != "membership"
    ]
    for item in dict.fromkeys(("username", "email", "nickname", *moving)):
        try:
            values[item] = reveal(subject, item, purpose="retention", by=SYSTEM, now=now).open()
        except (ValueMissing, KeyDestroyed):
            continue
    card = member_by_id(row.member_id or 0)
    if card is not None:
        values["membership"] = f"{card.joined_at.isoformat()} {row.starts_at.isoformat()}"
        record = policy.records["freed_names"]
        until = ends_at(record, row.starts_at, policy.zone)
        if "username" in values:
            hold_name("username", canonical_username(values["username"]), starts_at=row.starts_at, until=until)
        hold_name(
            "nickname",
            nickname_key(card.nickname),
            starts_at=row.starts_at,
            until=None if row.choice == "keep" else until,
        )
    for line in row.lines:
        if line["outcome"] == "archived":
            kept = {item: values[item] for item in line["items"] if item in values}
            if kept:
                archive_subject(
                    archive_ref=row.archive_ref, record=line["record"], values=kept, starts_at=row.starts_at,
                    due_at=datetime.fromisoformat(line["ends_at"]), by=SYSTEM, now=now,
                )  # fmt: skip
    _to(row, "archived")


def _content(row: Withdrawal, now: datetime) -> None:
    member_id = row.member_id or 0
    card = member_by_id(member_id)
    if card is not None:
        delete_comments_on(member_id, only_private=True)
        delete_images(member_id, only_private=True, now=now, by=SYSTEM)
        match row.choice:
            case "keep":
                keep_images(member_id, card.nickname)
                keep_comments(member_id, card.nickname)
            case "anonymise":
                anonymise_images(member_id)
                anonymise_comments(member_id)
            case _:
                delete_comments_on(member_id, only_private=False)
                delete_images(member_id, only_private=False, now=now, by=SYSTEM)
                delete_comments(member_id, now=now, by=SYSTEM)
    _to(row, "content")


def _destroy(row: Withdrawal, now: datetime) -> None:
    subject = str(row.subject)
    intent = intend_destruction(what="account", key_ids=[], clause="A4.2", by=SYSTEM, now=now)
    pseudonymise_consents(subject, now=row.starts_at)
    gone = destroy_subject(subject, now=now, by=SYSTEM, clause="A4.2")
    remove_member(row.member_id or 0)
    if any_alive(gone.key_ids):
        raise RuntimeError("a destroyed key is still there")
    going = [item for line in row.lines if line["outcome"] == "destroyed_now" for item in line["items"]]
    made = issue_certificate(
        items=list(dict.fromkeys([*gone.items, *going])), what="account", method="keys destroyed, rows deleted and overwritten, files overwritten and unlinked",
        key_ids=gone.key_ids, clause="A4.2", policy_digest=row.policy_digest, by=SYSTEM, now=now,
    )  # fmt: skip
    row.leaves = [*row.leaves, intent, made.leaf_id]
    row.certificates = [*row.certificates, made.number]
    for line in row.lines:
        if line["state"] == "going":
            line |= {"state": "destroyed", "certificate": made.number, "destroyed_at": now.isoformat()}
    _to(row, "destroyed")


def _forget(row: Withdrawal, now: datetime) -> None:
    row.subject, row.member_id = None, None
    _to(row, "done")
    compact_stores()


STEPS = {"accepted": _archive, "archived": _content, "content": _destroy, "destroyed": _forget}


def resume_withdrawals(*, now: datetime) -> int:
    """Everything that a kill left behind (I2)."""
    waiting = list(Withdrawal.objects.exclude(state="done").values_list("number", flat=True)[:50])
    for number in waiting:
        resume_withdrawal(number, now=now)
    return len(waiting)
