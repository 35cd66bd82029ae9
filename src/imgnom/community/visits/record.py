"""Sealing and writing visits: one transaction for a batch, one key look-up for a day and class in it.

What was done, on which page and with which status lies under the day's key too: a copy of the store alone does not say when
somebody uploaded or commented, so that it cannot be held against the days of posts (docs/linkability.md).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connections, transaction

from imgnom.community.visits.models import AccessRecord, RecordDay
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeyDestroyed
from imgnom.custody.vault.public import day_key, open_rows_for_day, seal_rows_for_day
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
    has_left: bool = False
    count: int = 1  # how many requests the record stands for

    @property
    def klass(self) -> str:
        return "member" if self.subject or self.has_left else "visitor"

    @property
    def whose(self) -> str | None:
        return None if self.has_left else self.subject

    def day_in(self, zone: ZoneInfo) -> date:
        """In the policy's zone, since its periods run there."""
        return self.at.astimezone(zone).date()


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


type Row = tuple[int | str | bytes | datetime | None, ...]
# The order of a Row. One statement for all rows, with no model made of each: a busy site writes many, and at once.
COLUMNS = ("record_day_id", "at", "kind", "subject", "route", "status", "sealed")


def _facts(visit: Visit, device: str) -> bytes:
    counted = {"count": visit.count} if visit.count > 1 else {}
    return json.dumps(
        counted
        | {
            "address": visit.address, "device": device, "agent": visit.agent, "kind": visit.kind, "route": visit.route, "status": visit.status,
        }
    ).encode()  # fmt: skip


def open_facts(day: RecordDay, rows: Sequence[AccessRecord]) -> list[dict[str, Any]]:
    """What lies sealed in rows of that day; in older ones what was done stands beside it. Raises KeyDestroyed, SealBroken."""
    sealed = [(bytes(row.sealed), bound_to(row.at, row.kind, row.subject, row.route)) for row in rows]
    opened = [json.loads(plain) for plain in open_rows_for_day(day.key_id, sealed)]
    for row, facts in zip(rows, opened, strict=True):
        if row.kind:
            facts |= {"kind": row.kind, "route": row.route, "status": row.status}
    return opened


def _rows(day: RecordDay, visits: Iterable[Visit]) -> list[Row]:
    kept = list(visits)
    devices = {agent: describe(agent) for agent in {visit.agent for visit in kept}}
    plain = [(_facts(visit, devices[visit.agent]), bound_to(visit.at, "", visit.whose, "")) for visit in kept]
    adapt = connections["logs"].ops.adapt_datetimefield_value
    return [
        (day.pk, adapt(visit.at), "", visit.whose, "", 0, sealed)
        for visit, sealed in zip(kept, seal_rows_for_day(day.key_id, plain), strict=True)
    ]


def _insert(rows: Sequence[Row]) -> None:
    quote = connections["logs"].ops.quote_name
    names, marks = ", ".join(map(quote, COLUMNS)), ", ".join(["%s"] * len(COLUMNS))
    with connections["logs"].cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {quote(AccessRecord._meta.db_table)} ({names}) VALUES ({marks})",  # noqa: S608 - names of our own
            rows,
        )


def write_visits(visits: Sequence[Visit]) -> int:
    """All of them stand in the store, or none; returns how many.

    A visit whose day has ended and died meanwhile is past its deadline and is left out: a dead key stays dead.
    """
    zone = ZoneInfo(policy_in_force().zone)
    groups: dict[tuple[date, str], list[Visit]] = {}
    for visit in visits:
        groups.setdefault((visit.day_in(zone), visit.klass), []).append(visit)
    rows: list[Row] = []
    for (day, klass), group in groups.items():
        try:
            rows.extend(_rows(_record_day(day, klass, group[0].at), group))
        except KeyDestroyed:
            continue
    if rows:
        with transaction.atomic(using="logs"):
            _insert(rows)
    return len(rows)
