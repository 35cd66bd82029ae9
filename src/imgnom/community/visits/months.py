"""On PostgreSQL the access records of one month lie in one table, which goes as a whole once its last day has ended.

What is dropped leaves no old rows behind in its pages, however many there were. The owner of the store makes the months
to come; a record whose month nobody has made yet, since a clock was turned or a copy was put back, lies among the others
until then. Months are UTC's, days are the policy's: what counts is whether a record of a living day lies in the table.
On SQLite all records lie in one table, where a deleted row is overwritten at once.

Who needs both tables takes the days' first, as the deletion of a day does. We wait at most LOCK_WAIT for a table in use, and
what could not be done is left for the next time; a web server's records wait in its queue meanwhile.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import OperationalError, connections, migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState
from django.db.models import Model

from imgnom.custody.owners import owns_store

TABLE = "visits_accessrecord"
DAYS = "visits_recordday"
OTHERS = f"{TABLE}_others"
MONTHS_AHEAD = 2
LOCK_WAIT = "1s"


class CreateModelInMonths(migrations.CreateModel):
    """As Django makes it; on PostgreSQL parted by `at`, which its key has to hold then."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.all_models[app_label][self.name_lower]
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        elif self.allow_migrate_model(schema_editor.connection.alias, model):
            _create_parted(schema_editor, model)


def _create_parted(editor: BaseDatabaseSchemaEditor, model: type[Model]) -> None:
    sql, _ = editor.table_sql(model)
    columns, key, rest = sql.partition(" PRIMARY KEY")
    if not key or not rest.endswith(")"):
        raise RuntimeError("Django makes this table in another way than this version knows")
    editor.execute(f'{columns}{rest[:-1]}, PRIMARY KEY ("id", "at")) PARTITION BY RANGE ("at")', None)
    editor.execute(f"CREATE TABLE {OTHERS} PARTITION OF {TABLE} DEFAULT", None)
    editor.deferred_sql.extend(editor._model_indexes_sql(model))  # type: ignore[attr-defined]  # what create_model does


def _may() -> bool:
    return connections["logs"].vendor == "postgresql" and owns_store("logs")


def _month_after(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)


def _name_of(first: date) -> str:
    return f"{TABLE}_{first.year:04}_{first.month:02}"


def months_there() -> list[date]:
    """The first days of the months that have a table of their own."""
    with connections["logs"].cursor() as cursor:
        cursor.execute(
            "SELECT right(c.relname, 7) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass AND c.relname ~ %s ORDER BY c.relname",
            [TABLE, f"^{TABLE}_[0-9]{{4}}_[0-9]{{2}}$"],
        )
        return [date(int(name[:4]), int(name[5:]), 1) for (name,) in cursor.fetchall()]


def _strays() -> set[date]:
    """Months of records that lie among the others."""
    with connections["logs"].cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT date_trunc('month', \"at\" AT TIME ZONE 'UTC')::date FROM {OTHERS}")  # noqa: S608 - a name of ours
        return {first for (first,) in cursor.fetchall()}


def prepare_months(*, now: datetime) -> int:
    """Tables for this month, those to come, and those of records that lie among the others; how many were made.

    Where a table is in use the month waits for the next time; its records lie among the others and are found there.
    """
    if not _may():
        return 0
    wanted = [now.astimezone(UTC).date().replace(day=1)]
    for _ in range(MONTHS_AHEAD):
        wanted.append(_month_after(wanted[-1]))
    made = 0
    for first in sorted({*wanted, *_strays()} - set(months_there())):
        try:
            made += _make(first)
        except OperationalError:  # somebody is at work there
            continue
    return made


def _make(first: date) -> bool:
    """One month's table, with its records from among the others: all of it, or nothing. False where it is there."""
    name, columns = _name_of(first), 'id, "at", kind, subject, route, status, sealed, record_day_id'
    begin, end = (datetime(day.year, day.month, 1, tzinfo=UTC).isoformat() for day in (first, _month_after(first)))
    with transaction.atomic(using="logs"), connections["logs"].cursor() as cursor:
        _lock(cursor)
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        if cursor.fetchone()[0]:
            return False
        cursor.execute(f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        cursor.execute(
            f'WITH moved AS (DELETE FROM {OTHERS} WHERE "at" >= %s AND "at" < %s RETURNING {columns})'  # noqa: S608 - names of ours
            f" INSERT INTO {name} ({columns}) SELECT {columns} FROM moved",
            [begin, end],
        )
        # A statement that parts tables takes no values from outside; these two are dates of our own.
        cursor.execute(f"ALTER TABLE {TABLE} ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}')")
    return True


def drop_ended_months(*, ended: Collection[int], now: datetime) -> int:
    """Months past in which no record of a living day lies, as whole tables; how many records went with them.

    `ended` are the numbers of the days whose keys are dead. A table in use stays, and its records are deleted one by one.
    """
    if not _may():
        return 0
    count = 0
    for first in months_there():
        if _month_after(first) > now.astimezone(UTC).date() or _lives(first, ended):
            continue
        try:
            count += _drop(first, ended)
        except OperationalError:  # somebody reads there
            continue
    return count


def _lives(first: date, ended: Collection[int]) -> bool:
    with connections["logs"].cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT 1 FROM {_name_of(first)} WHERE record_day_id <> ALL(%s))",  # noqa: S608 - a name of ours
            [list(ended)],
        )
        return bool(cursor.fetchone()[0])


def _drop(first: date, ended: Collection[int]) -> int:
    name = _name_of(first)
    with transaction.atomic(using="logs"), connections["logs"].cursor() as cursor:
        _lock(cursor)
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        if not cursor.fetchone()[0] or _lives(first, ended):  # another was first, or a late record came in
            return 0
        cursor.execute(f"SELECT count(*) FROM {name}")  # noqa: S608 - a name of ours
        (count,) = cursor.fetchone()
        cursor.execute(f"DROP TABLE {name}")
    return int(count)


def _lock(cursor: Any) -> None:
    """Nobody is in between: a writer who had chosen the others before its month came would be refused."""
    cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
    cursor.execute(f"LOCK TABLE {DAYS} IN SHARE ROW EXCLUSIVE MODE")
    # The parts follow by themselves: DROP and ATTACH take what they need of them.
    cursor.execute(f"LOCK TABLE ONLY {TABLE} IN ACCESS EXCLUSIVE MODE")
