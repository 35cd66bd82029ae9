"""Leaving, step by step (A3.0a, A4.1①, A4.2, A7.2b).

accepted → archived → keyless → emptied → coarsened → gone → certified → done. The acceptance is one transaction: from then on no
page shows the person, and their posts stand as they chose. The steps behind it may be killed and repeated and are
carried on by one at a time, under a lease: intent and fence stand before anything is moved, what is kept is in the
archive before the live key dies, the key is dead before files and rows, and these before the one certificate. The row
forgets whom it was about last. The letter with the number has the address under a key of its own, so that a mail
server that is down stops nothing and loses nothing.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import F, ProtectedError

from imgnom.community.comments.public import (
    anonymise_comments,
    coarsen_comments,
    count_comments,
    count_settling_comments,
    delete_comments,
    delete_comments_on,
    keep_comments,
)
from imgnom.community.images.public import (
    anonymise_images,
    coarsen_images,
    count_for,
    count_settling_images,
    delete_images,
    hide_images,
    keep_images,
    keys_of_images,
)
from imgnom.community.members.public import (
    canonical_username,
    mark_withdrawn,
    member_by_id,
    nickname_key,
    queue_parting_letter,
    remove_member,
    role_of,
    session_count,
)
from imgnom.community.visits.public import count_records, detach_records
from imgnom.custody.archive.public import archive_subject
from imgnom.custody.consent.public import pseudonymise_consents
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeyDestroyed, any_alive, compact_stores
from imgnom.custody.ledger.public import issue_certificate, make_checkpoint, make_number, receipt_mark, sequence
from imgnom.custody.outbox.public import record_act
from imgnom.custody.owners import owns_store
from imgnom.custody.vault.public import (
    begin_destruction,
    destroy_subject,
    held_items,
    hold_name,
    leave_copied,
    ledger_name,
)
from imgnom.custody.vault.reveal import reveal_items
from imgnom.policy.public import (
    CHOICES,
    SYSTEM,
    Actor,
    Choice,
    Item,
    LeavingFacts,
    WithdrawalPlan,
    ends_at,
    plan_withdrawal,
)
from imgnom.procedures.moderation.public import forget_whose, record_grant
from imgnom.procedures.retention.errors import AlreadyWithdrawn, LeaseLost
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.receipts import copy_receipt
from imgnom.web.words import current_language

log = logging.getLogger("imgnom.retention")

LEASE_SECONDS = 20.0
FILES_AT_ONCE = 100
# The person who pressed the button waits for so many pictures at most; more of them the worker destroys. Nobody sees any
# of them since the acceptance.
FILES_AT_PRESS = 25
POSTS_AT_PRESS = 100
RECORDS_AT_PRESS = 500
RECORDS_AT_ONCE = 2000
# When the copy of the receipt beside the ledger is renewed: what happens in between changes nothing that it says.
COPIED_IN = ("archived", "certified", "done")
# Items that the plan names by itself, or that live shorter than a membership.
USUAL = ("username", "email", "nickname", "password", "second_factor", "confirmation_code")


def plan_for(member_id: int, *, choice: Choice, now: datetime) -> WithdrawalPlan:
    """What leaving now would do."""
    return plan_withdrawal(policy_in_force(), facts_for(member_id, now=now), choice=choice, now=now)


def plans_for(member_id: int, *, now: datetime) -> tuple[LeavingFacts, dict[Choice, WithdrawalPlan]]:
    """What is held, and what leaving now would do by each choice."""
    facts, policy = facts_for(member_id, now=now), policy_in_force()
    return facts, {choice: plan_withdrawal(policy, facts, choice=choice, now=now) for choice in CHOICES}


def facts_for(member_id: int, *, now: datetime) -> LeavingFacts:
    """What is held of a member, in numbers and names of items."""
    card = member_by_id(member_id)
    pictures, private = count_for(member_id)
    extra = tuple(item for item in held_items(card.subject) if item not in USUAL) if card else ()
    return LeavingFacts(
        pictures - private, count_comments(member_id), private, session_count(member_id, now=now), extra
    )


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


def withdraw_member(member_id: int, *, choice: Choice, by: Actor, now: datetime, press: str = "") -> str:
    """The member is gone from every page, and the rest is under way; returns the receipt number.

    `press` is the mark of the page on which the button stood. Raises AlreadyWithdrawn with the first press's number.
    """
    plan = plan_for(member_id, choice=choice, now=now)
    number = make_number("R", 5)
    card = member_by_id(member_id)
    try:
        with transaction.atomic(durable=True):
            if card is None or not mark_withdrawn(member_id):
                raise AlreadyWithdrawn(number_of(member_id))
            leaf = record_act(
                store="default", act="withdraw", clause="A7.2b", by=Actor(by.role, None), now=now, subject=ledger_name("withdrawal", card.subject),
                policy=policy_in_force().digest, detail={"choice": choice, "receipt": receipt_mark(number)}, day_in=policy_in_force().zone,
            )  # fmt: skip
            Withdrawal.objects.create(
                number=number, press=press or None, member_id=member_id, subject=by.token, choice=choice, language=current_language(), state="accepted",
                lines=_lines(plan), leaves=[leaf], policy_digest=policy_in_force().digest, archive_ref=secrets.token_hex(13),
                letter=secrets.token_hex(13), starts_at=now,
            )  # fmt: skip
            settle_posts(member_id, card.nickname, choice, now)
            if (role := role_of(card.subject)) and role != "member":
                record_grant(subject=card.subject, role=role, change="ended", by=_whose_word(by), now=now)
    except IntegrityError:
        raise AlreadyWithdrawn(number_of(member_id)) from None
    try:
        copy_receipt(Withdrawal.objects.get(number=number))
        if owns_store("archive"):  # a web server with a role of its own cannot look into it: the worker goes on
            resume_withdrawal(number, now=now, seconds=0)
    except Exception as error:  # noqa: BLE001 - it is accepted and recorded; the worker carries it on
        log.error("a withdrawal waits for the worker: %s", type(error).__name__)  # noqa: TRY400 - no values in logs
    return number


def _whose_word(by: Actor) -> str:
    """As the record of rights tells it."""
    return "command line" if by.role == SYSTEM.role else str(by.token)


def number_of(member_id: int) -> str:
    """The receipt number of a withdrawal that is under way; empty once it is done, for then nobody knows whose it is."""
    return Withdrawal.objects.filter(member_id=member_id).values_list("number", flat=True).first() or ""


def number_of_press(press: str) -> str:
    """The receipt number that a press of this very page's button led to."""
    found = Withdrawal.objects.filter(press=press).values_list("number", flat=True).first() if press else None
    return found or ""


def settle_posts(member_id: int, nickname: str, choice: str, now: datetime) -> None:
    """What the choice says about texts and names, at once; files follow. Repeating it takes in what came late."""
    match choice:
        case "keep":
            keep_images(member_id, nickname)
            keep_comments(member_id, nickname)
        case "anonymise":
            anonymise_images(member_id)
            anonymise_comments(member_id)
        case _:
            hide_images(member_id)
            delete_comments(member_id, now=now, by=SYSTEM)


# ── the steps ──────────────────────────────────────────────────────────────────────────────────────────────────────


def resume_withdrawal(number: str, *, now: datetime, seconds: float | None = None) -> bool:
    """Carry a withdrawal on from wherever it stands; True when nothing of it waits any more.

    False while somebody else is at it, or when `seconds` of real time have passed and files are left.
    """
    row = _take(number)
    if row is None:
        return not Withdrawal.objects.filter(number=number).exclude(state="done").exists()
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        while (step := STEPS.get(row.state)) is not None:
            if not step(row, now, deadline):
                return False
        return True
    finally:
        if row.leased_until:
            Withdrawal.objects.filter(pk=row.pk, lease_token=row.lease_token).update(leased_until=0)


def resume_withdrawals(*, now: datetime, seconds: float | None = None) -> int:
    """Everything that a kill left behind (I2); how many are done now. One that fails stops no other; it is raised last."""
    done, failed = 0, None
    for number in list(Withdrawal.objects.exclude(state="done").order_by("pk").values_list("number", flat=True)):
        try:
            done += resume_withdrawal(number, now=now, seconds=seconds)
        except Exception as error:  # noqa: BLE001 - raised below, after the others had their turn
            failed = error
    if failed is not None:
        raise failed
    return done


def _take(number: str) -> Withdrawal | None:
    """The row under a fresh lease; None while somebody else holds it. Real time, never the site's clock."""
    with transaction.atomic():
        free = Withdrawal.objects.filter(number=number, leased_until__lt=time.time()).exclude(state="done")
        if not free.update(leased_until=time.time() + LEASE_SECONDS, lease_token=F("lease_token") + 1):
            return None
        return Withdrawal.objects.get(number=number)


def _save(row: Withdrawal, *, copied: bool = False, **changes: Any) -> bool:
    """The changes stand, if the lease is still ours; `copied` where the receipt's copy says so already. Raises LeaseLost."""
    mine = Withdrawal.objects.filter(pk=row.pk, lease_token=row.lease_token)
    if not mine.update(**{"leased_until": time.time() + LEASE_SECONDS} | changes):
        raise LeaseLost(row.number)
    for name, value in changes.items():
        setattr(row, name, value)
    if row.state in COPIED_IN and not copied:
        copy_receipt(row)
    return True


def _archive(row: Withdrawal, now: datetime, _deadline: float | None) -> bool:
    subject, policy, member_id = str(row.subject), policy_in_force(), row.member_id or 0
    queue_parting_letter(
        subject,
        template_id="receipt",
        own=row.letter,
        now=row.starts_at,
        language=row.language,
        facts={"number": row.number},
    )
    leave_copied(subject, row.choice)
    begin_destruction(subject, now=now, by=SYSTEM, clause="A4.2")
    kept = [line for line in row.lines if line["outcome"] == "archived"]
    values = _values(subject, member_id, row.starts_at, {i for line in kept for i in line["items"]}, now)
    card = member_by_id(member_id)
    if card is not None:
        until = ends_at(policy.records["freed_names"], row.starts_at, policy.zone)
        username = values.get("username") or _read(subject, ["username"], now).get("username")
        never = row.choice == "keep"
        with transaction.atomic(using="vault"):
            if username is not None:
                hold_name("username", canonical_username(username), starts_at=row.starts_at, until=until)
            hold_name("nickname", nickname_key(card.nickname), starts_at=row.starts_at, until=None if never else until)
    for line in kept:
        mine = {item: values[item] for item in line["items"] if item in values}
        if mine:
            archive_subject(
                archive_ref=row.archive_ref, record=line["record"], values=mine, starts_at=row.starts_at,
                due_at=datetime.fromisoformat(line["ends_at"]) if line["ends_at"] else None, by=SYSTEM, now=now,
            )  # fmt: skip
    return _save(row, state="archived")


def _read(subject: str, items: Iterable[str], now: datetime) -> dict[str, str]:
    try:
        found = reveal_items(subject, items, purpose="retention", by=SYSTEM, now=now)
    except KeyDestroyed:
        return {}
    return {item: value.open() for item, value in found.items()}


def _values(subject: str, member_id: int, left_at: datetime, wanted: set[str], now: datetime) -> Mapping[str, str]:
    """What the records keep, opened; whatever item a policy file names."""
    items: Mapping[str, Item] = policy_in_force().items
    found = _read(subject, sorted(item for item in wanted if item in items and item != "membership"), now)
    card = member_by_id(member_id)
    if card is not None and "membership" in wanted:
        zone = ZoneInfo(policy_in_force().zone)
        found["membership"] = f"{card.joined_at.astimezone(zone).date()} {left_at.astimezone(zone).date()}"
    return found


def _destroy_keys(row: Withdrawal, now: datetime, _deadline: float | None) -> bool:
    pseudonymise_consents(str(row.subject), now=row.starts_at)
    leave_copied(str(row.subject), row.choice)  # a backup may have come between
    destroy_subject(str(row.subject), now=now, by=SYSTEM, clause="A4.2", compacts=False)  # `_forget` does, all of them
    return _save(row, state="keyless")


def _empty(row: Withdrawal, now: datetime, deadline: float | None) -> bool:
    """Files of pictures that go, so many at once; False when the time of the caller is over before the last.

    Which keys they have is noted before the first one dies, so that the certificate names them all.
    """
    member_id, only_private = row.member_id or 0, row.choice != "delete"
    if deadline is not None and time.monotonic() >= deadline:
        every, private = count_for(member_id)
        if (private if only_private else every) > FILES_AT_PRESS:
            return False
    if not row.file_keys and (keys := keys_of_images(member_id, only_private=only_private)):
        _save(row, file_keys=list(keys))
    delete_comments_on(member_id, only_private=only_private)
    while True:
        count, _ = delete_images(member_id, only_private=only_private, now=now, by=SYSTEM, limit=FILES_AT_ONCE)
        if count < FILES_AT_ONCE:
            return _save(row, state="emptied")
        _save(row, state="keyless")
        if deadline is not None and time.monotonic() > deadline:
            return False


def _coarsen(row: Withdrawal, now: datetime, deadline: float | None) -> bool:
    """Nothing of the posts that stay tells more than their day, and no record elsewhere whose they were (docs/linkability.md).

    False when the time of the caller is over and much is left.
    """
    del now
    member_id, subject, in_order = row.member_id or 0, str(row.subject), row.choice == "keep"
    if deadline is not None and time.monotonic() >= deadline:
        posts = count_settling_images(member_id) + count_settling_comments(member_id)
        if posts > POSTS_AT_PRESS or count_records(subject, most=RECORDS_AT_PRESS + 1) > RECORDS_AT_PRESS:
            return False
        deadline = None  # little is left: all of it at once
    steps: tuple[Callable[[], int], ...] = (
        lambda: coarsen_images(member_id, in_order=in_order),
        lambda: coarsen_comments(member_id, in_order=in_order),
        lambda: detach_records(subject, limit=RECORDS_AT_ONCE),
        lambda: forget_whose(subject),
    )
    for step in steps:
        while step():
            _save(row, state="emptied")
            if deadline is not None and time.monotonic() > deadline:
                return False
    return _save(row, state="coarsened")


def _remove(row: Withdrawal, now: datetime, _deadline: float | None) -> bool:
    """The member's row goes. A post that was on its way while they left keeps it: then it is settled like the others."""
    member_id = row.member_id or 0
    try:
        remove_member(member_id)
    except (ProtectedError, IntegrityError):
        card = member_by_id(member_id)
        with transaction.atomic():
            settle_posts(member_id, card.nickname if card else "", row.choice, now)
        late = keys_of_images(member_id, only_private=False)
        return _save(row, state="keyless", file_keys=[*row.file_keys, *late])
    return _save(row, state="gone")


def _certify(row: Withdrawal, now: datetime, _deadline: float | None) -> bool:
    key_ids = tuple(
        dict.fromkeys([*begin_destruction(str(row.subject), now=now, by=SYSTEM, clause="A4.2"), *row.file_keys])
    )
    if any_alive(key_ids):
        raise RuntimeError("a destroyed key is still there")
    row.refresh_from_db(fields=["lines", "certificates", "leaves"])
    going = [line for line in row.lines if line["outcome"] == "destroyed_now" and line["count"] != 0]
    made = issue_certificate(
        items=list(dict.fromkeys(item for line in going for item in line["items"])), what="account", method="keys destroyed, rows deleted and overwritten, files overwritten and unlinked",
        key_ids=key_ids, clause="A4.2", policy_digest=row.policy_digest, by=SYSTEM, now=now, reference=f"withdrawal:{row.archive_ref}",
    )  # fmt: skip
    lines = [
        line | {"state": "destroyed", "certificate": made.number, "destroyed_at": now.isoformat()}
        if line["state"] == "going"
        else line
        for line in row.lines
    ]
    return _save(
        row,
        state="certified",
        lines=lines,
        leaves=list(dict.fromkeys([*row.leaves, made.leaf_id])),
        certificates=list(dict.fromkeys([*row.certificates, made.number])),
    )


def _forget(row: Withdrawal, now: datetime, _deadline: float | None) -> bool:
    """The copy says done first: nobody comes back to a row that has forgotten whom it was about."""
    row.state = "done"
    copy_receipt(row)
    _save(row, copied=True, state="done", subject=None, member_id=None, file_keys=[], leased_until=0)
    compact_stores()
    if sequence(now=now):
        make_checkpoint(now=now)
    return True


Step = Callable[[Withdrawal, datetime, float | None], bool]
STEPS: dict[str, Step] = {
    "accepted": _archive, "archived": _destroy_keys, "keyless": _empty, "emptied": _coarsen, "coarsened": _remove,
    "gone": _certify, "certified": _forget,
}  # fmt: skip
