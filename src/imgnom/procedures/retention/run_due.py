"""Destroying what is due (A3.0a, A4.0): one table of destroyers, run by the worker or by command.

Missed runs are made good: each destroyer takes whatever is past its end. One that fails stops no other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

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
)
from imgnom.community.visits.public import destroy_due_records, due_records, recompute_records
from imgnom.custody.archive.public import destroy_archive, due_archives, recompute_archives
from imgnom.custody.consent.public import adopt_policy, destroy_due_consents, due_consents
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import compact_stores, last_turn, turn_epoch
from imgnom.custody.ledger.public import (
    finalise_certificates,
    intend_destruction,
    issue_certificate,
    make_checkpoint,
    sequence,
)
from imgnom.custody.vault.public import destroy_due_names, due_names
from imgnom.policy.public import SYSTEM
from imgnom.procedures.moderation.public import (
    destroy_handler_records,
    destroy_right_grants,
    due_handler_records,
    due_right_grants,
)
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.withdraw_member import resume_withdrawals


@dataclass(frozen=True)
class Destroyer:
    """One kind of record: how many are due, and how they end; returns (count, keys)."""

    record: str
    due: Callable[[datetime], int]
    destroy: Callable[[datetime], tuple[int, tuple[str, ...]]]


@dataclass
class RetentionReport:
    at: datetime
    destroyed: dict[str, int] = field(default_factory=dict)
    certificates: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    epoch: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "at": self.at.isoformat(),
            "destroyed": self.destroyed,
            "certificates": self.certificates,
            "errors": self.errors,
            "epoch": self.epoch,
        }


def _archives(now: datetime) -> tuple[int, tuple[str, ...]]:
    keys: list[str] = []
    due = due_archives(now=now)
    for entry in due:
        key_ids, items = destroy_archive(entry.archive_ref, entry.record, now=now, by=SYSTEM)
        keys.extend(key_ids)
        made = issue_certificate(
            items=list(items), what=entry.record, method="key destroyed, rows deleted and overwritten", key_ids=key_ids, clause="A4.1①",
            policy_digest=policy_in_force().digest, by=SYSTEM, now=now,
        )  # fmt: skip
        _tell_receipt(entry.archive_ref, entry.record, made.number, made.leaf_id, now)
    return len(due), tuple(keys)


def _tell_receipt(archive_ref: str, record: str, certificate: str, leaf: str, now: datetime) -> None:
    row = Withdrawal.objects.filter(archive_ref=archive_ref).first()
    if row is None:
        return
    for line in row.lines:
        if line["record"] == record:
            line |= {"state": "destroyed", "certificate": certificate, "destroyed_at": now.isoformat()}
    row.certificates = [*row.certificates, certificate]
    row.leaves = [*row.leaves, leaf]
    row.save(update_fields=["lines", "certificates", "leaves"])


DESTROYERS = (
    Destroyer(
        "pending_registration",
        lambda now: due_registrations(now=now),
        lambda now: destroy_registrations(now=now, limit=10_000),
    ),
    Destroyer("confirmation_code", lambda now: due_codes(now=now), lambda now: (destroy_codes(now=now), ())),
    Destroyer("session", lambda now: due_sessions(now=now), lambda now: (destroy_sessions(now=now), ())),
    Destroyer("mail_queue", lambda now: due_letters(now=now), lambda now: (destroy_letters(now=now), ())),
    Destroyer("identity_after_leaving", lambda now: len(due_archives(now=now)), _archives),
    Destroyer("freed_names", lambda now: due_names(now=now), lambda now: (destroy_due_names(now=now), ())),
    Destroyer("access_records_member", lambda now: due_records(now=now), lambda now: destroy_due_records(now=now)),
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


def list_due(*, now: datetime) -> dict[str, int]:
    return {destroyer.record: destroyer.due(now) for destroyer in DESTROYERS}


def _take_policy(now: datetime) -> None:
    """A changed file is a new version: every stored end is worked out anew (I1)."""
    if adopt_policy(policy_in_force(), now=now):
        recompute_archives(now=now, by=SYSTEM)
        recompute_records()


def run_due(*, now: datetime, on_progress: Callable[[str], None] | None = None) -> RetentionReport:
    """Everything due is destroyed, certified where keys died, stores compacted, the epoch turned, the ledger sealed."""
    report = RetentionReport(now)
    tell = on_progress or (lambda _line: None)
    work: list[tuple[str, Callable[[], object]]] = [
        ("policy", lambda: _take_policy(now)),
        ("withdrawals", lambda: resume_withdrawals(now=now)),
        *((d.record, lambda d=d: _run_one(d, now, report)) for d in DESTROYERS),  # type: ignore[misc]
        ("orphans", lambda: sweep_orphans(now=now)),
        ("compaction", compact_stores),
        ("epoch", lambda: setattr(report, "epoch", turn_epoch(now=now).epoch)),
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


def _run_one(destroyer: Destroyer, now: datetime, report: RetentionReport) -> None:
    due = destroyer.due(now)
    if not due:
        return
    intend_destruction(what=destroyer.record, key_ids=[], clause="A4.0", by=SYSTEM, now=now)
    count, keys = destroyer.destroy(now)
    report.destroyed[destroyer.record] = count
    if keys and destroyer.record != "identity_after_leaving":
        made = issue_certificate(
            items={destroyer.record: count}, what=destroyer.record, method="keys destroyed, rows deleted and overwritten", key_ids=keys, clause="A4.2",
            policy_digest=policy_in_force().digest, by=SYSTEM, now=now,
        )  # fmt: skip
        report.certificates.append(made.number)
