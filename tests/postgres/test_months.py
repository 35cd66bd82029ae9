"""Access records by month: each in its table, whole months dropped, nobody waits, nothing is lost (A3.2②, A4.2)."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import connections, models, transaction

from imgnom.community.visits import months
from imgnom.community.visits.models import AccessRecord, RecordDay
from imgnom.community.visits.public import Visit, destroy_due_records, prepare_months, record_visits, records_of
from imgnom.custody.keys.public import clear_residue, compact
from imgnom.custody.store_copies import copy_name, copy_store, install_store
from imgnom.procedures.retention.public import run_due
from imgnom.site.clock import set_clock
from tests.custody.at_once import at_once
from tests.environment import POSTGRES
from tests.rooms.test_withdrawal import somebody

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

SUBJECT = "s" * 26
ROUTE = "canary/of/a/month"


@pytest.fixture(autouse=True)
def _only_the_others(now: datetime) -> Iterator[None]:
    """Each test begins and ends with no month at all, whatever the one before made."""
    set_clock(now)
    yield
    for first in months.months_there():
        _ask(f"DROP TABLE {months._name_of(first)}")


def _ask(words: str, *values: Any) -> list[tuple[Any, ...]]:
    with connections["logs"].cursor() as cursor:
        cursor.execute(words, values or None)
        return cursor.fetchall() if cursor.description else []


def _tables() -> list[str]:
    """Where each record lies, oldest first."""
    return [str(name) for (name,) in _ask(f'SELECT tableoid::regclass::text FROM {months.TABLE} ORDER BY "at", id')]


def _visit(at: datetime, **changes: Any) -> Visit:
    facts = {"at": at, "kind": "visit", "subject": SUBJECT, "route": ROUTE, "status": 200}
    return Visit(**(facts | {"address": "203.0.113.7", "agent": "agent"} | changes))


def _month(at: datetime) -> str:
    return f"visits_accessrecord_{at.astimezone(UTC):%Y_%m}"


def _other(store: str = "logs") -> psycopg.Connection[Any]:
    facts = connections[store].get_connection_params()
    return psycopg.connect(
        **{name: value for name, value in facts.items() if name not in ("cursor_factory", "context")}
    )


def _end_of_all() -> datetime:
    end = RecordDay.objects.aggregate(end=models.Max("ends_at"))["end"]
    assert isinstance(end, datetime)
    return end


def test_the_table_has_every_column_index_and_reference_that_the_model_asks_for() -> None:
    indexes = " ".join(words for (words,) in _ask("SELECT indexdef FROM pg_indexes WHERE tablename = %s", months.TABLE))
    assert "(id, at)" in indexes
    assert "(record_day_id)" in indexes
    assert "(subject, id DESC) WHERE (subject IS NOT NULL)" in indexes
    assert _ask(
        "SELECT confrelid::regclass::text, condeferrable FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass",
        months.TABLE,
    ) == [("visits_recordday", True)]
    columns = _ask(
        "SELECT attname, replace(format_type(atttypid, atttypmod), 'character varying', 'varchar') FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0",
        months.TABLE,
    )
    assert dict(columns) == {
        field.column: field.db_type(connections["logs"]) for field in AccessRecord._meta.concrete_fields
    }


@pytest.mark.clause("A3.2②")
def test_months_are_made_ahead_and_a_record_lands_in_its_own(now: datetime) -> None:
    assert prepare_months(now=now) == months.MONTHS_AHEAD + 1
    assert prepare_months(now=now) == 0
    assert [f"{first:%Y-%m}" for first in months.months_there()] == ["2026-11", "2026-12", "2027-01"]
    edge = datetime(2026, 12, 1, tzinfo=UTC)
    for at in (now, edge - timedelta(microseconds=1), edge):
        record_visits([_visit(at)])
    assert _tables() == [_month(now), _month(now), _month(edge)]
    numbers = [row.number for row in records_of(SUBJECT, now=now)]
    assert len(set(numbers)) == 3
    assert numbers == sorted(numbers, reverse=True)


@pytest.mark.clause("A3.2②")
def test_records_without_a_month_are_kept_and_move_when_it_is_made(now: datetime) -> None:
    """A clock turned far ahead and back, or a copy put back: nothing is refused, nothing counted twice."""
    member = somebody(now)
    far, old = now + timedelta(days=4000), now - timedelta(days=70)
    for at in (old, now, far):
        record_visits([_visit(at, subject=member.subject), _visit(at, subject=None)])
    assert set(_tables()) == {months.OTHERS}
    before = [(row.number, row.at, row.address) for row in records_of(member.subject, now=now)]
    assert run_due(now=now).errors == {}
    kept = [(row.number, row.at, row.address) for row in records_of(member.subject, now=now)]
    assert kept == before
    assert set(_tables()) == {_month(old), _month(now), _month(far)}
    assert _ask(f"SELECT count(*) FROM {months.OTHERS}") == [(0,)]
    assert prepare_months(now=now - timedelta(days=700)) == 3, "a clock turned back"


@pytest.mark.clause("A3.2②", "A4.2")
def test_an_ended_month_goes_whole_and_no_byte_of_it_stays_in_the_servers_folder(now: datetime) -> None:
    prepare_months(now=now)
    record_visits([_visit(now + timedelta(hours=hour)) for hour in range(0, 72, 6)])
    sealed = [bytes(row) for row in AccessRecord.objects.values_list("sealed", flat=True)]
    with psycopg.connect(
        POSTGRES.format(store="logs").replace("imgnom_logs:", "postgres:", 1), autocommit=True
    ) as server:
        server.execute("CHECKPOINT")
        folder = Path(server.execute("SHOW data_directory").fetchone()[0])  # type: ignore[index]
        assert _lying(folder, sealed)
        end = _end_of_all()
        count, keys = destroy_due_records(now=end)
        assert (count, len(keys)) == (12, 4)
        assert _month(now) not in [months._name_of(first) for first in months.months_there()]
        assert not RecordDay.objects.exists()
        assert destroy_due_records(now=end) == (0, ())
        server.execute("SELECT pg_switch_wal()")
        server.execute("CHECKPOINT")
        assert not _lying(folder, sealed)


def _lying(folder: Path, patterns: list[bytes]) -> list[Path]:
    found = []
    for file in folder.rglob("*"):
        try:
            content = file.read_bytes() if file.is_file() else b""
        except FileNotFoundError:
            continue
        if any(pattern in content for pattern in patterns):
            found.append(file)
    return found


@pytest.mark.clause("A3.2②")
def test_a_month_with_one_living_record_stays_and_loses_its_ended_ones(now: datetime) -> None:
    """The last evening of a month in UTC is the first morning of the next in Seoul: that day ends with the next month's."""
    month = datetime(2026, 11, 1, tzinfo=UTC)
    for at in (month, datetime(2026, 11, 30, 20, tzinfo=UTC)):
        record_visits([_visit(at)])
    prepare_months(now=now)
    first, last = RecordDay.objects.order_by("day")
    assert (first.day.isoformat(), last.day.isoformat()) == ("2026-11-01", "2026-12-01")
    assert first.ends_at is not None
    assert last.ends_at is not None
    assert destroy_due_records(now=last.ends_at - timedelta(seconds=1))[0] == 1
    assert _tables() == [_month(month)]
    assert destroy_due_records(now=last.ends_at)[0] == 1
    assert _month(month) not in [months._name_of(one) for one in months.months_there()]


def test_days_shorter_than_a_month_end_in_time_and_the_month_is_cleared_away_later(now: datetime) -> None:
    prepare_months(now=now)
    record_visits([_visit(now)])
    RecordDay.objects.update(ends_at=now)
    assert destroy_due_records(now=now)[0] == 1
    assert _month(now) in [months._name_of(first) for first in months.months_there()], "others are still written to it"
    later = now + timedelta(days=40)
    record_visits([_visit(later)])
    RecordDay.objects.update(ends_at=later)
    assert destroy_due_records(now=later)[0] == 1
    assert _month(now) not in [months._name_of(first) for first in months.months_there()], "empty, and long past"


@pytest.mark.clause("A3.2②")
def test_a_month_in_use_is_not_waited_for_and_its_records_end_all_the_same(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(months, "LOCK_WAIT", "50ms")
    prepare_months(now=now)
    record_visits([_visit(now)])
    end = _end_of_all()
    with _other() as reader:
        reader.execute(f"SELECT count(*) FROM {months.TABLE}")
        assert destroy_due_records(now=end)[0] == 1
        assert _month(now) in [months._name_of(first) for first in months.months_there()]
    assert not AccessRecord.objects.exists()
    with _other() as writer:
        writer.execute(f"LOCK TABLE {months.OTHERS} IN ROW EXCLUSIVE MODE")
        assert prepare_months(now=now + timedelta(days=900)) == 0, "somebody writes among the others"
    assert prepare_months(now=now + timedelta(days=900)) == 3


def test_months_are_made_while_others_write_and_by_two_workers_at_once(now: datetime) -> None:
    """Neither a record is lost or doubled nor does anybody run into anybody."""
    stop, written, wrong = threading.Event(), [], []

    def write() -> None:
        try:
            while not stop.is_set():
                written.append(record_visits([_visit(now + timedelta(days=31 * month)) for month in range(3)]))
        except Exception as error:  # noqa: BLE001 - shown below
            wrong.append(error)
        finally:
            connections.close_all()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for thread in writers:
        thread.start()
    try:
        made = [0]
        for _ in range(40):  # a month in use waits for the next time
            made += [int(count) for count in at_once(*[lambda: prepare_months(now=now)] * 2)]
            if sum(made) == 3:
                break
    finally:
        stop.set()
        for thread in writers:
            thread.join()
    assert wrong == []
    assert sum(made) == 3
    assert AccessRecord.objects.count() == sum(written)
    prepare_months(now=now)
    assert _ask(f"SELECT count(*) FROM {months.OTHERS}") == [(0,)]


@pytest.mark.parametrize(
    "statement", ["INSERT INTO visits_accessrecord_2026_11", "ALTER TABLE visits_accessrecord ATTACH"]
)
def test_killed_in_the_middle_a_month_is_there_whole_or_not_at_all(now: datetime, statement: str) -> None:
    record_visits([_visit(now)])

    def kill(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if statement in sql:
            raise RuntimeError("killed")
        return answer

    with connections["logs"].execute_wrapper(kill), pytest.raises(RuntimeError):
        prepare_months(now=now)
    assert months.months_there() == []
    assert _tables() == [months.OTHERS]
    assert prepare_months(now=now) == 3
    assert _tables() == [_month(now)]


@pytest.mark.clause("A4.2")
def test_a_copy_holds_every_record_and_comes_back_also_where_no_month_is(now: datetime, tmp_path: Path) -> None:
    prepare_months(now=now)
    for at in (now, now + timedelta(days=31), now + timedelta(days=900)):
        record_visits([_visit(at)])
    before = list(AccessRecord.objects.order_by("pk").values_list("pk", "at", "subject", "sealed"))
    target = tmp_path / copy_name("logs")
    copy_store("logs", target)
    for first in months.months_there():
        _ask(f"DROP TABLE {months._name_of(first)}")
    install_store("logs", target)
    assert list(AccessRecord.objects.order_by("pk").values_list("pk", "at", "subject", "sealed")) == before
    assert set(_tables()) == {months.OTHERS}
    assert prepare_months(now=now) == 4
    record_visits([_visit(now)])
    assert AccessRecord.objects.order_by("-pk")[0].pk > before[-1][0]
    install_store("logs", target)  # over months that stand
    assert set(_tables()) == {_month(now), _month(now + timedelta(days=31)), _month(now + timedelta(days=900))}
    record_visits([_visit(now)])
    assert AccessRecord.objects.order_by("-pk")[0].pk > before[-1][0]


@pytest.mark.clause("A4.2")
def test_the_upkeep_knows_parts_and_forgets_what_the_planner_remembers_of_them(now: datetime) -> None:
    """Values that many rows share stand in the planner's statistics: of each part, and of the whole."""
    record_visits([_visit(now) for _ in range(50)])
    _ask(f"ANALYZE {months.TABLE}")
    question = f"SELECT DISTINCT tablename FROM pg_stats WHERE most_common_vals::text LIKE '%{SUBJECT}%'"
    assert {name for (name,) in _ask(question)} == {months.TABLE, months.OTHERS}
    prepare_months(now=now)
    left = clear_residue().left
    assert "logs" not in left, "the others are empty now, and parts of a table"
    assert {name for (name,) in _ask(question)} == {months.TABLE, _month(now)}
    destroy_due_records(now=_end_of_all())
    assert "logs" not in clear_residue().left
    assert _ask(question) == []
    assert compact("logs")


def test_going_back_takes_the_parts_along() -> None:
    from django.db.migrations.executor import MigrationExecutor

    try:
        MigrationExecutor(connections["logs"]).migrate([("visits", None)])
        assert _ask("SELECT relname FROM pg_class WHERE relname LIKE 'visits_access%'") == []
    finally:
        MigrationExecutor(connections["logs"]).migrate([("visits", "0001_initial")])
    assert _ask("SELECT relkind FROM pg_class WHERE relname = %s", months.TABLE) == [("p",)]
    assert apps.get_model("visits", "AccessRecord").objects.count() == 0
    with transaction.atomic(using="logs"):
        record_visits([_visit(datetime(2026, 11, 22, tzinfo=UTC))])
