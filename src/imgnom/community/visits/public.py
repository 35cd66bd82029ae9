"""The door of the access records."""

import json
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from imgnom.community.visits.devices import describe
from imgnom.community.visits.models import AccessRecord
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeysError, compact
from imgnom.custody.vault.public import destroy_day_keys, open_for_day, seal_for_day
from imgnom.policy.public import SYSTEM, ends_at, last_day
from imgnom.web.address import client_address
from imgnom.web.dates import in_seoul

__all__ = ["RecordRow", "destroy_due_records", "due_records", "recompute_records", "record_access", "records_of"]
RECORD = {"member": "access_records_member", "visitor": "access_records_visitor"}


@dataclass(frozen=True)
class RecordRow:
    at: datetime
    kind: str
    route: str
    address: str
    device: str
    until: object


def record_access(
    request: HttpRequest, *, kind: str, subject: str | None, route: str, status: int, now: datetime
) -> None:
    """One record, sealed under the key of its day and class, with its end from the policy."""
    policy, day = policy_in_force(), in_seoul(now).date()
    klass = "member" if subject else "visitor"
    agent = request.headers.get("User-Agent", "")[:400]
    facts = json.dumps({"address": client_address(request), "device": describe(agent), "agent": agent}).encode()
    sealed, key_id = seal_for_day(day, klass, facts, bound=subject or "", now=now)
    end = ends_at(policy.records[RECORD[klass]], now, policy.zone)
    AccessRecord.objects.create(
        day=day,
        at=now,
        kind=kind,
        klass=klass,
        subject=subject,
        route=route[:80],
        status=status,
        key_id=key_id,
        sealed=sealed,
        ends_at=end,
    )


def records_of(subject: str, *, now: datetime, limit: int = 100, before: int | None = None) -> list[RecordRow]:
    """One's own records that are not past their end, newest first."""
    policy = policy_in_force()
    rows = AccessRecord.objects.filter(subject=subject, ends_at__gt=now).order_by("-id")[:limit]
    found = []
    for row in rows:
        try:
            facts = json.loads(open_for_day(row.key_id, bytes(row.sealed), bound=subject))
        except KeysError:
            continue
        until = last_day(policy.records[RECORD[row.klass]], row.at, policy.zone)
        found.append(RecordRow(row.at, row.kind, row.route, facts["address"], facts["device"], until))
    return found


def due_records(*, now: datetime) -> int:
    return AccessRecord.objects.filter(ends_at__lte=now).count()


def destroy_due_records(*, now: datetime) -> tuple[int, tuple[str, ...]]:
    """Keys of days whose records have all ended, then the rows in chunks."""
    due_keys = set(AccessRecord.objects.filter(ends_at__lte=now).values_list("key_id", flat=True).distinct())
    living = set(
        AccessRecord.objects.filter(ends_at__gt=now, key_id__in=due_keys).values_list("key_id", flat=True).distinct()
    )
    keys = tuple(sorted(due_keys - living))
    if keys:
        destroy_day_keys(keys, now=now, by=SYSTEM, clause="A3.2②")
    count = 0
    while ids := list(AccessRecord.objects.filter(ends_at__lte=now).values_list("id", flat=True)[:1000]):
        count += AccessRecord.objects.filter(id__in=ids).delete()[0]
    if count:
        compact("logs")
    return count, keys


def recompute_records() -> int:
    """After a change of the policy: new ends from each record's own time."""
    policy, changed = policy_in_force(), 0
    for row in AccessRecord.objects.all().iterator():
        end = ends_at(policy.records[RECORD[row.klass]], row.at, policy.zone)
        if end != row.ends_at:
            AccessRecord.objects.filter(pk=row.pk).update(ends_at=end)
            changed += 1
    return changed
