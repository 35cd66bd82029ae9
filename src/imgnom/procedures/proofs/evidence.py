"""Evidence: gathered by the worker or by a rehearsal, kept as entries of the ledger, read back only with their proof.

The board takes the colour of a clause from a ledger entry that lies under a signed checkpoint. Whoever changes a row
of a database changes no colour: the entry's proof breaks, and what cannot be proven is no evidence.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from django.db import transaction

import imgnom
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.ledger.public import make_checkpoint, proven_leaf, sequence
from imgnom.custody.outbox.public import record_act
from imgnom.policy.public import SYSTEM
from imgnom.procedures.proofs.checks import Finding, all_checks
from imgnom.procedures.proofs.models import Evidence

# A worker that stopped turns the board red within a day (A0.1); one hour is left for a round that takes long.
STALE_AFTER = timedelta(hours=25)
LOOK_BACK = 4
# What a check says that could neither show nor deny its promise.
UNKNOWN = "unknown"


@cache
def code_digest() -> str:
    """Which code this is: a digest of every file of the package. A proof of other code is no proof of this one."""
    root = Path(imgnom.__file__).parent
    total = hashlib.sha256()
    for file in sorted(root.rglob("*")):
        if file.is_file() and file.suffix in (".py", ".html"):
            total.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()[:32]


def _keep(kind: str, act: str, detail: Mapping[str, str], *, outcome: str, now: datetime) -> None:
    with transaction.atomic(using="default"):
        leaf = record_act(
            store="default",
            act=act,
            clause="A0.1",
            by=SYSTEM,
            now=now,
            outcome=outcome,
            policy=policy_in_force().digest,
            detail=dict(detail),
        )
        Evidence.objects.create(kind=kind, leaf_id=leaf, at=now)
        old = Evidence.objects.filter(kind=kind).order_by("-id").values_list("id", flat=True)[LOOK_BACK:]
        Evidence.objects.filter(id__in=list(old)).delete()
    sequence(now=now)
    make_checkpoint(now=now)


def check_promises(*, now: datetime) -> tuple[str, ...]:
    """Run every check and keep what was found as one ledger entry; returns the names of those that failed.

    A check that cannot be carried out has failed: what nobody can look at is not kept.
    """
    found: dict[str, str] = {}
    failed: list[str] = []
    for check in all_checks():
        try:
            finding = check.look(now)
        except Exception:  # noqa: BLE001 - see above
            finding = Finding(0, 1)
        found[check.name] = f"{finding.seen}/{finding.faults}" if finding.known else UNKNOWN
        if finding.faults:
            failed.append(check.name)
    _keep("checks", "check_promises", found, outcome="failed" if failed else "done", now=now)
    return tuple(failed)


def record_rehearsal(states: Mapping[str, str], *, policy: str, code: str, now: datetime) -> bool:
    """Keep what a rehearsal of this policy and this code proved. Of another policy or code: False, nothing is kept."""
    if policy != policy_in_force().digest or code != code_digest():
        return False
    detail = {f"clause {key}": state for key, state in states.items() if state in ("green", "red")}
    outcome = "failed" if "red" in detail.values() else "done"
    _keep("rehearsal", "rehearse", detail | {"code": code}, outcome=outcome, now=now)
    return True


@dataclass(frozen=True)
class Proven:
    """A piece of evidence as its ledger entry tells it."""

    at: datetime
    detail: Mapping[str, str]


def latest(kind: str) -> Proven | None:
    """The newest evidence of a kind whose entry is proven and speaks of the policy in force."""
    acts = {"checks": "check_promises", "rehearsal": "rehearse"}
    for row in Evidence.objects.filter(kind=kind).order_by("-id")[:LOOK_BACK]:
        leaf = proven_leaf(row.leaf_id)
        if leaf and leaf["act"] == acts[kind] and leaf["policy"] == policy_in_force().digest:
            return Proven(datetime.fromisoformat(leaf["time"]), leaf["detail"])
    return None
