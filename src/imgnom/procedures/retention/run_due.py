"""Destroying what is due (A3.0a, A4.0): one table of destroyers, run by the worker or by command.

Missed runs are made good: each destroyer takes whatever is past its end. One that fails stops no other.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from imgnom.community.images.public import sweep_orphans
from imgnom.community.members.public import (
    destroy_codes,
    destroy_letters,
    destroy_registrations,
    destroy_sessions,
    due_codes,
    due_letters,
    due_registrations,
    due_sessions,
    fence_registrations,
    recompute_member_ends,
    subjects_of_members,
)
from imgnom.community.visits.public import (
    destroy_due_records,
    detach_strangers,
    due_day_keys,
    due_records,
    prepare_months,
    recompute_records,
)
from imgnom.custody.archive.public import close_archive, destroy_archive, due_archives, recompute_archives
from imgnom.custody.consent.public import (
    carry_out_policy,
    destroy_due_consents,
    due_consents,
    note_in_force,
    policy_waits,
    recompute_consents,
)
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import any_alive, compact_stores, last_turn, turn_epoch
from imgnom.custody.ledger.public import (
    close_intent,
    finalise_certificates,
    intend_destruction,
    intended_keys,
    issue_certificate,
    make_checkpoint,
    open_intents,
    sequence,
)
from imgnom.custody.vault.public import destroy_due_names, due_names, recompute_names
from imgnom.policy.public import SYSTEM, ends_at
from imgnom.procedures.moderation.public import (
    destroy_handler_records,
    destroy_right_grants,
    due_handler_records,
    due_right_grants,
    recompute_records_of_handling,
)
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.receipts import copy_receipt, recompute_receipts
from imgnom.procedures.retention.waiting import count_waiting
from imgnom.procedures.retention.withdraw_member import LEASE_SECONDS, resume_withdrawals

# So long a round of withdrawals lasts before it is shown that somebody is at work.
ROUND_SECONDS = 5.0
REGISTRATIONS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Destroyer:
    """One kind of record: how many are due, and how they end; returns (count, keys)."""

    record: str
    due: Callable[[datetime], int]
    destroy: Callable[[datetime], tuple[int, tuple[str, ...]]]
    # Which keys that takes along, said before the first of them dies; for kinds that get a certificate of the run.
    keys: Callable[[datetime], tuple[str, ...]] | None = None


@dataclass
class RetentionReport:
    at: datetime
    destroyed: dict[str, int] = field(default_factory=dict)
    certificates: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    epoch: int | None = None
    copy_problem: str = ""  # the copy of the keys could not be renewed, so the old KEK had to stay

    def as_json(self) -> dict[str, Any]:
        return {
            "at": self.at.isoformat(),
            "destroyed": self.destroyed,
            "certificates": self.certificates,
            "errors": self.errors,
            "epoch": self.epoch,
            "copy_problem": self.copy_problem,
        }


def _archives(now: datetime) -> tuple[int, tuple[str, ...]]:
    """Each with a certificate of its own, which the receipt of that withdrawal learns of; one that fails stops no other."""
    keys: list[str] = []
    failed: Exception | None = None
    due = due_archives(now=now)
    for entry in due:
        try:
            keys.extend(end_archive(entry.archive_ref, entry.record, now))
        except Exception as error:  # noqa: BLE001 - raised below, after the others had their turn
            failed = error
    if failed is not None:
        raise failed
    return len(due), tuple(keys)


def end_archive(archive_ref: str, record: str, now: datetime) -> tuple[str, ...]:
    """Intent, keys, rows, certificate, receipt; killed between any two and repeated it has the same outcome."""
    key_ids, items = destroy_archive(archive_ref, record, now=now, by=SYSTEM)
    if any_alive(key_ids):
        raise RuntimeError("a destroyed key is still there")
    row = Withdrawal.objects.filter(archive_ref=archive_ref).first()
    line = next((line for line in row.lines if line["record"] == record), None) if row else None
    made = issue_certificate(
        items=list(line["items"] if line else items), what=record, method="key destroyed, rows deleted and overwritten", key_ids=key_ids,
        clause="A4.1①", policy_digest=policy_in_force().digest, by=SYSTEM, now=now, reference=f"archive:{archive_ref}:{record}",
    )  # fmt: skip
    _tell_receipt(archive_ref, record, made.number, made.leaf_id, now)
    close_archive(archive_ref, record, now=now)
    return key_ids


def _tell_receipt(archive_ref: str, record: str, certificate: str, leaf: str, now: datetime) -> None:
    with transaction.atomic():
        row = Withdrawal.objects.select_for_update().filter(archive_ref=archive_ref).first()
        if row is None:
            return
        for line in row.lines:
            if line["record"] == record and line["state"] != "destroyed":
                line |= {"state": "destroyed", "certificate": certificate, "destroyed_at": now.isoformat()}
        row.certificates = list(dict.fromkeys([*row.certificates, certificate]))
        row.leaves = list(dict.fromkeys([*row.leaves, leaf]))
        row.save(update_fields=["lines", "certificates", "leaves"])
    copy_receipt(row)


DESTROYERS = (
    Destroyer(
        "pending_registration",
        lambda now: due_registrations(now=now),
        lambda now: destroy_registrations(now=now, limit=REGISTRATIONS_AT_ONCE),
        lambda now: fence_registrations(now=now, limit=REGISTRATIONS_AT_ONCE),
    ),
    Destroyer("confirmation_code", lambda now: due_codes(now=now), lambda now: (destroy_codes(now=now), ())),
    Destroyer("session", lambda now: due_sessions(now=now), lambda now: (destroy_sessions(now=now), ())),
    Destroyer("mail_queue", lambda now: due_letters(now=now), lambda now: (destroy_letters(now=now), ())),
    Destroyer("identity_after_leaving", lambda now: len(due_archives(now=now)), _archives),
    Destroyer("freed_names", lambda now: due_names(now=now), lambda now: (destroy_due_names(now=now), ())),
    Destroyer(
        "access_records_member",
        lambda now: due_records(now=now),
        lambda now: destroy_due_records(now=now),
        lambda now: due_day_keys(now=now),
    ),
    Destroyer("consent_records", lambda now: due_consents(now=now), lambda now: (destroy_due_consents(now=now), ())),
    Destroyer(
        "handler_records",
        lambda now: due_handler_records(now=now),
        lambda now: (destroy_handler_records(now=now), ()),
    ),
    Destroyer("right_grants", lambda now: due_right_grants(now=now), lambda now: (destroy_right_grants(now=now), ())),
)
# Records that end otherwise, each with the reason; a test holds the two lists against the policy.
ENDS_OTHERWISE = {
    "account": "ends with withdrawal",
    "posts": "the owner's choice at leaving, or their own deletion",
    "private_pictures": "end with withdrawal",
    "access_records_visitor": "destroyed together with members' records, by their own ends",
    "one_way_entry": "permanent; ends when a case is overturned",
    "receipts": "permanent, of no person",
}


def _finish_withdrawals(now: datetime, tell: Callable[[str], None]) -> None:
    """All of them, also one that a killed process held: its lease runs out. A round at a time, so that life is shown."""
    gives_up = time.monotonic() + 2 * LEASE_SECONDS
    while True:
        resume_withdrawals(now=now, seconds=ROUND_SECONDS)
        waiting = count_waiting(held_only=False)
        if not waiting or (waiting == count_waiting(held_only=True) and time.monotonic() > gives_up):
            return
        tell("withdrawals")
        time.sleep(0 if waiting > count_waiting(held_only=True) else 0.1)


def list_due(*, now: datetime) -> dict[str, int]:
    """How much is past its end, kind by kind, and how many withdrawals are under way."""
    return {destroyer.record: destroyer.due(now) for destroyer in DESTROYERS} | {"withdrawals": count_waiting()}


def take_policy(*, now: datetime) -> bool:
    """A changed file is a new version: every stored end is worked out anew (I1). True when there was something to do.

    Killed in the middle it is done again: the version counts as carried out only after the last store.
    """
    policy = policy_in_force()
    if not policy_waits(policy):
        return False
    note_in_force(policy, now=now)
    recompute_archives(now=now, by=SYSTEM)
    recompute_records()
    recompute_consents()
    freed = policy.records["freed_names"]
    recompute_names(lambda start: ends_at(freed, start, policy.zone))
    recompute_records_of_handling()
    recompute_member_ends()
    recompute_receipts(policy)
    carry_out_policy(policy, now=now)
    return True


def run_due(*, now: datetime, on_progress: Callable[[str], None] | None = None) -> RetentionReport:
    """Everything due is destroyed, certified where keys died, stores compacted, the epoch turned, the ledger sealed."""
    report = RetentionReport(now)
    tell = on_progress or (lambda _line: None)
    work: list[tuple[str, Callable[[], object]]] = [
        ("policy", lambda: take_policy(now=now)),
        ("months", lambda: prepare_months(now=now)),
        ("withdrawals", lambda: _finish_withdrawals(now, tell)),
        *((d.record, lambda d=d: _run_one(d, now, report)) for d in DESTROYERS),
        ("records of former members", lambda: detach_strangers(subjects_of_members)),
        ("orphans", lambda: sweep_orphans(now=now)),
        ("compaction", compact_stores),
        ("epoch", lambda: _turn(now, report)),
        (
            "certificates",
            lambda: finalise_certificates(
                now=now, horizon_days=int(policy_in_force().setting("backup_days")), turned_at=last_turn()
            ),
        ),
        ("ledger", lambda: (sequence(now=now), make_checkpoint(now=now))),
        ("compaction again", compact_stores),
    ]
    for name, step in work:
        tell(name)
        try:
            step()
        except Exception as error:  # noqa: BLE001 - told in the report and tried again next time
            report.errors[name] = type(error).__name__
    return report


def _turn(now: datetime, report: RetentionReport) -> None:
    turned = turn_epoch(now=now)
    report.epoch, report.copy_problem = turned.epoch, turned.copy_problem


def _run_one(destroyer: Destroyer, now: datetime, report: RetentionReport) -> None:
    """Intent with the keys, destruction, certificate; what a kill left between them is made good by the next run."""
    prefix = f"run:{destroyer.record}:"
    begun, due = open_intents(prefix), destroyer.due(now)
    if not due and not begun:
        return
    fresh = f"{prefix}{secrets.token_hex(8)}" if due and destroyer.keys else None
    if due:
        named = {key_id for reference in begun for key_id in intended_keys(reference)}
        keys = tuple(key_id for key_id in (destroyer.keys(now) if destroyer.keys else ()) if key_id not in named)
        intend_destruction(what=destroyer.record, key_ids=keys, clause="A4.0", by=SYSTEM, now=now, reference=fresh)
    count, _ = destroyer.destroy(now)
    report.destroyed[destroyer.record] = count
    for reference in (*begun, *([fresh] if fresh else [])):
        _certify(destroyer.record, reference, count if reference == fresh and not begun else None, now, report)
        close_intent(reference, now=now)


def _certify(record: str, reference: str, count: int | None, now: datetime, report: RetentionReport) -> None:
    """One certificate for the keys of this intent that are gone; without a count where a kill came between."""
    keys = intended_keys(reference)
    if any_alive(keys):
        keys = tuple(key_id for key_id in keys if not any_alive([key_id]))
    if not keys:
        return
    made = issue_certificate(
        items=[record] if count is None else {record: count}, what=record, method="keys destroyed, rows deleted and overwritten", key_ids=keys,
        clause="A4.2", policy_digest=policy_in_force().digest, by=SYSTEM, now=now, reference=reference,
    )  # fmt: skip
    report.certificates.append(made.number)
