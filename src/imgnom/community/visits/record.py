"""Sealing and writing visits: one transaction for a batch, one key look-up for a day and class in it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from django.db import transaction

from imgnom.community.visits.models import AccessRecord, RecordDay
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeyDestroyed
from imgnom.custody.vault.public import day_key, seal_rows_for_day
from imgnom.policy.public import ends_at
from imgnom.web.devices import describe

RECORD = {"member": "access_records_member", "visitor": "access_records_visitor"}
MAX_AGENT_CHARS = 400
MAX_ROUTE_CHARS = 80


@dataclass(frozen=True, slots=True, repr=False)
class Visit:
    """What a request hands over, in plain words and therefore in memory only; it shows nothing of itself."""

    at: datetime
    kind: str
    subject: str | None
    route: str
    status: int
    address: str
    agent: str

    @property
    def klass(self) -> str:
        return "member" if self.subject else "visitor"

    @property
    def day(self) -> date:
        """In the policy's zone, since its periods run there."""
        return self.at.astimezone(ZoneInfo(policy_in_force().zone)).date()


def bound_to(at: datetime, kind: str, subject: str | None, route: str) -> str:
    """The open columns that a sealed part belongs to: moved to another row it does not open."""
    return f"{at.timestamp():.6f} {kind} {subject or ''} {route}"


def end_of(day: date, klass: str) -> datetime | None:
    """When all records of that day and class end together, by the policy in force."""
    policy = policy_in_force()
    noon = datetime.combine(day, time(12), ZoneInfo(policy.zone))
    return ends_at(policy.records[RECORD[klass]], noon, policy.zone)


def _record_day(day: date, klass: str, at: datetime) -> RecordDay:
    found = RecordDay.objects.filter(day=day, klass=klass).first()
    if found is not None:
        return found
    made, _ = RecordDay.objects.get_or_create(
        day=day, klass=klass, defaults={"key_id": day_key(day, klass, now=at), "ends_at": end_of(day, klass)}
    )
    return made


def _rows(day: RecordDay, visits: Iterable[Visit]) -> list[AccessRecord]:
    kept = list(visits)
    devices: dict[str, str] = {}
    plain = []
    for visit in kept:
        device = devices.get(visit.agent) or devices.setdefault(visit.agent, describe(visit.agent))
        facts = json.dumps({"address": visit.address, "device": device, "agent": visit.agent})
        plain.append((facts.encode(), bound_to(visit.at, visit.kind, visit.subject, visit.route)))
    return [
        AccessRecord(
            record_day=day, at=visit.at, kind=visit.kind, subject=visit.subject, route=visit.route, status=visit.status, sealed=sealed
        )
        for visit, sealed in zip(kept, seal_rows_for_day(day.key_id, plain), strict=True)
    ]  # fmt: skip


def write_visits(visits: Sequence[Visit]) -> int:
    """All of them stand in the store, or none; returns how many.

    A visit whose day has ended and died meanwhile is past its deadline and is left out: a dead key stays dead.
    """
    groups: dict[tuple[date, str], list[Visit]] = {}
    for visit in visits:
        groups.setdefault((visit.day, visit.klass), []).append(visit)
    rows: list[AccessRecord] = []
    for (day, klass), group in groups.items():
        try:
            rows.extend(_rows(_record_day(day, klass, group[0].at), group))
        except KeyDestroyed:
            continue
    with transaction.atomic(using="logs"):
        AccessRecord.objects.bulk_create(rows)
    return len(rows)
