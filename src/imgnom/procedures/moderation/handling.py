"""Handler records and records of rights (C3, X4). They name accounts and subjects by token and hold no value of anybody."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from imgnom.community.members.public import member_by_subject
from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import Actor, ends_at
from imgnom.procedures.moderation.models import HandlerRecord, RightGrant

PAGE = 100


@dataclass(frozen=True)
class HandlerRow:
    """A record as the officer reads it. `account` and `whose` are shortened tokens or a public nickname."""

    number: int
    at: datetime
    account: str
    role: str
    place: str
    act: str
    what: str
    whose: str
    reason: str
    result: str


@dataclass(frozen=True)
class GrantRow:
    at: datetime
    account: str
    role: str
    change: str
    by: str


def record_handling(
    *,
    by: Actor,
    place: str,
    act: str,
    what: str,
    now: datetime,
    whose: str = "",
    reason: str = "",
    result: str = "done",
) -> int:
    """The record stands; returns its number. Call it before the act: what cannot be recorded does not happen."""
    policy = policy_in_force()
    made = HandlerRecord.objects.create(
        account=by.token or "", role=by.role, at=now, place=place, act=act, what=what[:64], whose=whose, reason=reason, result=result,
        ends_at=ends_at(policy.records["handler_records"], now, policy.zone),
    )  # fmt: skip
    return made.pk


def close_handling(number: int, *, result: str) -> None:
    """What became of an act that was recorded as begun."""
    HandlerRecord.objects.filter(pk=number).update(result=result)


def was_done(*, act: str, what: str, now: datetime) -> bool:
    return HandlerRecord.objects.filter(act=act, what=what, result="done", ends_at__gt=now).exists()


def record_grant(*, subject: str, role: str, change: str, by: str, now: datetime) -> None:
    """A right was granted or has ended; `by` is a token, or the word for the command line."""
    policy = policy_in_force()
    end = ends_at(policy.records["right_grants"], now, policy.zone)
    RightGrant.objects.create(account=subject, role=role, change=change, by=by, at=now, ends_at=end)


def forget_whose(subject: str) -> int:
    """Of who left no two records say that they concern the same one: each gets a token of its own; how many."""
    numbers = list(HandlerRecord.objects.filter(whose=subject).values_list("pk", flat=True)) if subject else []
    for number in numbers:
        HandlerRecord.objects.filter(pk=number).update(whose=secrets.token_hex(13))
    return len(numbers)


def short_token(subject: str) -> str:
    """A pseudonym that can be told apart and leads nowhere: m-7f21."""
    return f"m-{subject[:6]}" if subject else ""


def _account(subject: str, known: dict[str, str]) -> str:
    """Staff by their public name; who is gone by token."""
    if subject not in known:
        card = member_by_subject(subject) if subject else None
        known[subject] = card.nickname if card else short_token(subject)
    return known[subject]


def _rows(found: Iterator[HandlerRecord]) -> tuple[HandlerRow, ...]:
    known: dict[str, str] = {}
    return tuple(
        HandlerRow(
            row.pk, row.at, _account(row.account, known) if row.role != "member" else short_token(row.account), row.role, row.place, row.act, row.what,
            short_token(row.whose), row.reason, row.result,
        )
        for row in found
    )  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What somebody of the staff did with a member's things, as that member reads it: role, act, reason, time."""

    role: str
    act: str
    what: str
    reason: str
    at: datetime


def looks_at(subject: str, *, now: datetime, limit: int = 20) -> tuple[Look, ...]:
    """The newest first. Which account it was stays with the officer."""
    rows = HandlerRecord.objects.filter(whose=subject, result="done", ends_at__gt=now).order_by("-pk")[:limit]
    return tuple(Look(row.role, row.act, row.what, row.reason, row.at) for row in rows)


def handler_rows(*, now: datetime, before: int | None = None, limit: int | None = PAGE) -> tuple[HandlerRow, ...]:
    """Newest first; what is past its end is not read any more, destroyed or not."""
    query = HandlerRecord.objects.filter(ends_at__gt=now).order_by("-pk")
    if before is not None:
        query = query.filter(pk__lt=before)
    return _rows((query[:limit] if limit is not None else query).iterator())


def grant_rows(*, now: datetime) -> tuple[GrantRow, ...]:
    known: dict[str, str] = {}
    found = RightGrant.objects.filter(ends_at__gt=now).order_by("-pk")[:PAGE]
    return tuple(
        GrantRow(row.at, _account(row.account, known), row.role, row.change, _account(row.by, known) if len(row.by) == 32 else row.by) for row in found
    )  # fmt: skip
