"""The door of the access records."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connections, transaction
from django.db.models import Count, Max, Min

from imgnom.community.visits.after_restore import day_keys, drop_dead_days
from imgnom.community.visits.models import AccessRecord, RecordDay
from imgnom.community.visits.months import drop_ended_months, prepare_months
from imgnom.community.visits.record import RECORD, Visit, bound_to, end_of, open_facts, write_visits
from imgnom.community.visits.writer import install_queue_writer, visits_waiting, writer
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeysError, compact
from imgnom.custody.vault.public import destroy_day_keys, seal_rows_for_day
from imgnom.policy.public import SYSTEM, last_day

__all__ = [
    "RecordRow", "RecordSpan", "Visit", "count_records", "day_keys", "destroy_due_records", "detach_records", "detach_strangers", "drop_dead_days", "due_day_keys", "due_records", "install_queue_writer",
    "prepare_months", "recompute_records", "record_span", "record_visits", "records_of", "visits_waiting", "writer",
]  # fmt: skip
CHUNK = 2_000


@dataclass(frozen=True)
class RecordRow:
    """One's own record, opened."""

    number: int
    at: datetime
    kind: str
    route: str
    status: int
    address: str
    device: str
    agent: str
    until: date | None


def record_visits(visits: list[Visit]) -> int:
    """They stand in the store; returns how many."""
    return write_visits(visits)


def records_of(subject: str, *, now: datetime, limit: int = 100, before: int | None = None) -> list[RecordRow]:
    """One's own records that are not past their end, newest first, those older than number `before`."""
    policy = policy_in_force()
    query = AccessRecord.objects.filter(subject=subject, record_day__ends_at__gt=now).select_related("record_day")
    if before is not None:
        query = query.filter(pk__lt=before)
    rows = list(query.order_by("-pk")[:limit])
    opened: dict[int, dict[str, Any]] = {}
    for day in {row.record_day_id: row.record_day for row in rows}.values():
        of_day = [row for row in rows if row.record_day_id == day.pk]
        try:
            opened |= {row.pk: facts for row, facts in zip(of_day, open_facts(day, of_day), strict=True)}
        except KeysError:  # destroyed between our two looks, or not ours: it is not shown
            continue
    found = []
    for row in rows:
        if row.pk in opened:
            facts = opened[row.pk]
            until = last_day(policy.records[RECORD[row.record_day.klass]], row.at, policy.zone)
            found.append(
                RecordRow(
                    row.pk,
                    row.at,
                    facts["kind"],
                    facts["route"],
                    facts["status"],
                    facts["address"],
                    facts["device"],
                    facts["agent"],
                    until,
                )
            )
    return found


def count_records(subject: str, *, most: int) -> int:
    """How many records of a member there are, counted up to `most`."""
    return len(AccessRecord.objects.filter(subject=subject).values_list("pk")[:most])


def detach_records(subject: str, *, limit: int) -> int:
    """Some records of who left are of nobody from now on; how many they were."""
    found = list(AccessRecord.objects.filter(subject=subject).select_related("record_day").order_by("pk")[:limit])
    for day in {row.record_day_id: row.record_day for row in found}.values():
        _detach(day, [row for row in found if row.record_day_id == day.pk])
    return len(found)


def _detach(day: RecordDay, rows: list[AccessRecord]) -> None:
    """Opened and sealed anew, since the seal is bound to the columns. Of a day whose key is gone only the columns are left."""
    try:
        plain = [json.dumps(facts).encode() for facts in open_facts(day, rows)]
        bound = [bound_to(row.at, "", None, "") for row in rows]
        sealed = seal_rows_for_day(day.key_id, list(zip(plain, bound, strict=True)))
    except KeysError:
        sealed = [bytes(row.sealed) for row in rows]
    table = AccessRecord._meta.db_table
    with transaction.atomic(using="logs"), connections["logs"].cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET subject = NULL, kind = '', route = '', status = 0, sealed = %s WHERE id = %s",  # noqa: S608 - a name of ours
            [(content, row.pk) for row, content in zip(rows, sealed, strict=True)],
        )


def detach_strangers(read_living: Callable[[], Collection[str]], *, limit: int = CHUNK) -> int:
    """Records that came in while their member was leaving; how many.

    Members are read after the records: who joins meanwhile was a member before their first record.
    """
    count = 0
    subjects = set(AccessRecord.objects.filter(subject__isnull=False).values_list("subject", flat=True).distinct())
    living = read_living()
    for subject in [str(subject) for subject in subjects if subject not in living]:
        while (done := detach_records(subject, limit=limit)) > 0:
            count += done
    return count


@dataclass(frozen=True)
class RecordSpan:
    """How many records of oneself there are, the last one's time, and the first and the last end."""

    count: int
    last_at: datetime
    first_end: datetime | None
    last_end: datetime | None


def record_span(subject: str, *, now: datetime) -> RecordSpan | None:
    """None where nothing is held."""
    rows = AccessRecord.objects.filter(subject=subject, record_day__ends_at__gt=now)
    facts = rows.aggregate(
        count=Count("pk"), last=Max("at"), first_end=Min("record_day__ends_at"), last_end=Max("record_day__ends_at")
    )
    return RecordSpan(facts["count"], facts["last"], facts["first_end"], facts["last_end"]) if facts["count"] else None


def due_records(*, now: datetime) -> int:
    """Records past their end; or days past theirs, of which a kill left no more than the day."""
    days = RecordDay.objects.filter(ends_at__lte=now)
    return AccessRecord.objects.filter(record_day__ends_at__lte=now).count() or days.count()


def due_day_keys(*, now: datetime) -> tuple[str, ...]:
    """The keys that `destroy_due_records` takes along."""
    return tuple(RecordDay.objects.filter(ends_at__lte=now).order_by("key_id").values_list("key_id", flat=True))


def destroy_due_records(*, now: datetime) -> tuple[int, tuple[str, ...]]:
    """Keys of the days that have ended, then whole months, other rows in chunks, then the days; repeating it is harmless
    (A3.2②).
    """
    days = list(RecordDay.objects.filter(ends_at__lte=now))
    keys = tuple(sorted(day.key_id for day in days))
    if keys:
        destroy_day_keys(keys, now=now, by=SYSTEM, clause="A3.2②")
    count = drop_ended_months(ended=[day.pk for day in days], now=now) if days else 0
    for day in days:
        rows = AccessRecord.objects.filter(record_day=day).order_by("pk")
        while ids := list(rows.values_list("pk", flat=True)[:CHUNK]):
            count += AccessRecord.objects.filter(record_day=day, pk__lte=ids[-1]).delete()[0]
        day.delete()
    if days:
        compact("logs")
    return count, keys


def recompute_records() -> int:
    """After a change of the policy: new ends from each day; how many days changed."""
    changed = 0
    for day in RecordDay.objects.all():
        end = end_of(day.day, day.klass)
        if end != day.ends_at:
            RecordDay.objects.filter(pk=day.pk).update(ends_at=end)
            changed += 1
    return changed
