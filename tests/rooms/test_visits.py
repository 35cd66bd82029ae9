"""Access records: complete, sealed by their day, off the request's path, gone on their day."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client

from imgnom.community.members.public import create_confirmed_member
from imgnom.community.visits import middleware as visiting
from imgnom.community.visits import writer as writing
from imgnom.community.visits.limits import LIMIT, REPEATED, WINDOW_SECONDS, VisitorLimit
from imgnom.community.visits.models import AccessRecord, RecordDay
from imgnom.community.visits.public import (
    Visit,
    destroy_due_records,
    due_records,
    recompute_records,
    record_visits,
    records_of,
)
from imgnom.community.visits.record import bound_to, open_facts
from imgnom.community.visits.writer import DirectWriter, QueueWriter, Tally
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeyDestroyed, SealBroken, any_alive
from imgnom.custody.vault.public import open_rows_for_day
from imgnom.policy.public import ends_at
from imgnom.site.clock import set_clock
from imgnom.web.paging import make_cursor

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

SUBJECT = "s" * 26
AGENT = "CanaryAgent/9.1 (X11; Linux x86_64) Firefox/140.0"
LOGIN = {"login": "mirae.k", "password": "kite over the river"}


@pytest.fixture(autouse=True)
def _time_stands_still(now: datetime) -> None:
    set_clock(now)


def visit(now: datetime, **changes: object) -> Visit:
    facts = {"at": now, "kind": "visit", "subject": SUBJECT, "route": "i/<str:public_id>", "status": 200}
    return Visit(**(facts | {"address": "203.0.113.7", "agent": AGENT} | changes))  # type: ignore[arg-type]


def member_client(now: datetime) -> Client:
    create_confirmed_member(
        username="mirae.k", password=LOGIN["password"], nickname="미래", email="mirae@mail.example", now=now
    )
    client = Client(headers={"user-agent": AGENT}, REMOTE_ADDR="203.0.113.7")
    assert client.post("/login", LOGIN).status_code == 303
    return client


def wait_for(fact: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


def opened() -> list[tuple[AccessRecord, dict[str, Any]]]:
    """All records with what lies sealed in them."""
    rows = AccessRecord.objects.order_by("pk").select_related("record_day")
    return [(row, open_facts(row.record_day, [row])[0]) for row in rows]


@pytest.mark.clause("A1.2")
def test_a_page_a_change_and_a_sign_in_make_one_record_each_and_pictures_none(now: datetime) -> None:
    client = member_client(now)
    client.get("/")
    client.post("/upload", {})
    client.get("/healthz")
    client.get("/static/web/site.css").close()
    client.get("/media/nothing/preview")
    kinds = [(facts["kind"], facts["route"], facts["status"]) for _, facts in opened()]
    assert kinds == [("login", "login", 303), ("visit", "", 200), ("change", "upload", 422)]
    assert set(AccessRecord.objects.values_list("at", flat=True)) == {now}


@pytest.mark.clause("A1.2", "A2.2c")
def test_a_failed_sign_in_is_recorded_for_the_account_it_was_aimed_at_and_for_nobody_else(now: datetime) -> None:
    member_client(now)
    Client().post("/login", LOGIN | {"password": "wrong wrong"})
    Client().post("/login", LOGIN | {"login": "nobody.there"})
    rows = [row.subject for row, facts in opened() if facts["kind"] == "failed_login"]
    assert rows[0] is not None
    assert rows[1] is None


@pytest.mark.clause("A1.2")
def test_proving_oneself_again_is_a_record_of_its_own_kind(now: datetime) -> None:
    client = member_client(now)
    client.post("/step-up", {"password": LOGIN["password"], "next": "/me/records"})
    assert [facts["kind"] for _, facts in opened()].count("step_up") == 1


@pytest.mark.clause("A1.2", "A4.2")
def test_neither_address_nor_device_is_plain_in_the_store(home: Path, now: datetime) -> None:
    record_visits([visit(now)])
    found = records_of(SUBJECT, now=now)
    assert found[0].address == "203.0.113.7"
    row = AccessRecord.objects.get()
    assert b"203.0.113.7" not in bytes(row.sealed)
    assert b"CanaryAgent" not in bytes(row.sealed)
    for file in (home / "db").glob("*"):
        assert b"CanaryAgent" not in file.read_bytes()


@pytest.mark.clause("A1.2")
@pytest.mark.parametrize("column", ["kind", "subject", "route", "at"])
def test_a_sealed_part_opens_only_in_its_own_row(now: datetime, column: str) -> None:
    record_visits([visit(now), visit(now + timedelta(minutes=1), kind="change", route="upload")])
    other = AccessRecord.objects.order_by("pk").last()
    changed = {"subject": "x" * 26, "kind": "login", "route": "me/privacy", "at": now}[column]
    AccessRecord.objects.filter(pk=other.pk).update(**{column: changed})
    subject = "x" * 26 if column == "subject" else SUBJECT
    numbers = [row.number for row in records_of(subject, now=now)]
    assert other.pk not in numbers


def test_a_flipped_byte_is_refused_and_a_row_moved_to_another_day_does_not_open(now: datetime) -> None:
    record_visits([visit(now), visit(now + timedelta(days=1))])
    first, second = RecordDay.objects.order_by("day")
    row = AccessRecord.objects.get(record_day=first)
    bound = bound_to(row.at, row.kind, row.subject, row.route)
    with pytest.raises(SealBroken):
        open_rows_for_day(second.key_id, [(bytes(row.sealed), bound)])
    sealed = bytearray(row.sealed)
    sealed[20] ^= 1
    with pytest.raises(SealBroken):
        open_rows_for_day(first.key_id, [(bytes(sealed), bound)])
    assert open_rows_for_day(first.key_id, [(bytes(row.sealed), bound)])


@pytest.mark.clause("A1.2", "A3.2②")
def test_days_turn_at_midnight_in_seoul_and_each_class_has_its_own_key_and_end(now: datetime) -> None:
    evening = datetime(2026, 11, 22, 14, 59, 59, tzinfo=UTC)  # 23:59:59 in Seoul
    record_visits([visit(evening), visit(evening, subject=None), visit(evening + timedelta(seconds=1))])
    days = list(RecordDay.objects.order_by("day", "klass").values_list("day", "klass", "key_id"))
    assert [(str(day), klass) for day, klass, _ in days] == [
        ("2026-11-22", "member"),
        ("2026-11-22", "visitor"),
        ("2026-11-23", "member"),
    ]
    assert len({key for _, _, key in days}) == 3
    policy = policy_in_force()
    for day in RecordDay.objects.filter(day="2026-11-22"):
        record = policy.records[f"access_records_{day.klass}"]
        assert day.ends_at == ends_at(record, evening, policy.zone)


@pytest.mark.clause("A3.2②", "A1.2")
def test_a_record_is_refused_from_its_end_on_and_its_key_and_rows_are_destroyed(now: datetime) -> None:
    record_visits([visit(now), visit(now, subject=None), visit(now + timedelta(days=1))])
    day = RecordDay.objects.get(day="2026-11-22", klass="member")
    end = day.ends_at
    assert end is not None
    assert len(records_of(SUBJECT, now=end - timedelta(seconds=1))) == 2
    assert len(records_of(SUBJECT, now=end)) == 1, "refused at the instant, whether or not the worker ran"
    assert due_records(now=end - timedelta(seconds=1)) == 1, "the visitor's, long since"
    count, keys = destroy_due_records(now=end)
    assert count == 2
    assert day.key_id in keys
    assert not any_alive(keys)
    assert AccessRecord.objects.count() == 1
    with pytest.raises(KeyDestroyed):
        open_rows_for_day(day.key_id, [(b"\x01" + b"0" * 40, "")])
    assert destroy_due_records(now=end) == (0, ())


@pytest.mark.clause("A3.2②")
def test_a_destruction_killed_between_keys_and_rows_is_finished_next_time(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgnom.community.visits import public

    record_visits([visit(now)])
    end = RecordDay.objects.get().ends_at
    assert end is not None
    real = public.destroy_day_keys

    def killed(*args: object, **kwargs: object) -> None:
        real(*args, **kwargs)  # type: ignore[arg-type]
        raise RuntimeError("killed")

    monkeypatch.setattr(public, "destroy_day_keys", killed)
    with pytest.raises(RuntimeError):
        destroy_due_records(now=end)
    assert record_visits([visit(now)]) == 0, "a late visit of a dead day is not written under a new key"
    monkeypatch.setattr(public, "destroy_day_keys", real)
    assert destroy_due_records(now=end)[0] == 1
    assert not AccessRecord.objects.exists()
    assert not RecordDay.objects.exists()


@pytest.mark.clause("A0.3", "A3.2②")
def test_a_changed_period_moves_the_end_of_every_day(now: datetime) -> None:
    record_visits([visit(now), visit(now, subject=None)])
    right = list(RecordDay.objects.order_by("pk").values_list("ends_at", flat=True))
    RecordDay.objects.update(ends_at=now)
    assert recompute_records() == 2
    assert list(RecordDay.objects.order_by("pk").values_list("ends_at", flat=True)) == right
    assert recompute_records() == 0


@pytest.mark.clause("A1.2", "A7.1")
def test_my_records_shows_my_own_with_address_device_agent_and_end_page_by_page(now: datetime) -> None:
    client = member_client(now)
    subject = AccessRecord.objects.get(subject__isnull=False).subject
    record_visits([visit(now, subject=subject, address=f"203.0.113.{n}", route="") for n in range(60)])
    record_visits([visit(now, address="198.51.100.99")])
    first = client.get("/me/records")
    assert len(first.context["rows"]) == 50
    text = first.content.decode()
    assert "CanaryAgent/9.1" in text
    assert "Firefox · Linux · computer" in text
    assert "2031-11-22" in text
    assert "198.51.100.99" not in text
    second = client.get(f"/me/records?before={first.context['older']}")
    seen = [shown["row"].number for page in (first, second) for shown in page.context["rows"]]
    assert len(seen) == len(set(seen)) == 61
    assert second.context["older"] is None
    for language, words in (("ko", "로그인"), ("en", "Signed in")):
        page = client.get(
            f"/me/records?before={make_cursor(f'access records {subject}', seen[-1] + 1)}",
            headers={"accept-language": language},
        )
        assert words in page.content.decode()
    assert client.get("/me/records?before=junk").status_code == 200


@pytest.mark.clause("A7.1")
def test_my_records_asks_for_proof_and_costs_the_same_number_of_queries_for_many(
    now: datetime, django_assert_max_num_queries: Callable[..., object]
) -> None:
    assert Client().get("/me/records").status_code == 302
    client = member_client(now)
    subject = AccessRecord.objects.get(subject__isnull=False).subject
    record_visits([visit(now, subject=subject) for _ in range(49)])
    with django_assert_max_num_queries(2, using="logs"):  # type: ignore[attr-defined]
        records_of(subject, now=now)
    set_clock(now + timedelta(minutes=11))
    assert client.get("/me/records").status_code == 302


class SlowStore:
    """A store that can be told to fail or to hold."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.visits: list[Visit] = []
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()

    def write(self, visits: Sequence[Visit]) -> int:
        self.gate.wait(10)
        if self.broken:
            raise DatabaseError("full")
        if any(v.route == "poison" for v in visits):
            raise ValueError("poison")
        self.batches.append([v.route for v in visits])
        self.visits += visits
        return len(visits)

    @property
    def routes(self) -> list[str]:
        return [route for batch in self.batches for route in batch]


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


def queue(store: SlowStore, **changes: object) -> QueueWriter:
    return QueueWriter(write=store.write, **({"linger_seconds": 0.01, "retry_seconds": 0.01} | changes))  # type: ignore[arg-type]


@pytest.mark.clause("A1.2")
def test_the_queue_writes_batches_in_order_and_a_clean_stop_loses_nothing(store: SlowStore, now: datetime) -> None:
    made = queue(store, linger_seconds=5.0)
    for number in range(2_500):
        made.put(visit(now, route=str(number)))
    assert made.close()
    assert store.routes == [str(number) for number in range(2_500)]
    assert len(store.batches) <= 4


def test_a_flush_returns_when_what_was_put_before_it_stands(store: SlowStore, now: datetime) -> None:
    made = queue(store, linger_seconds=30.0)
    made.put(visit(now, route="a"))
    assert made.flush(within_seconds=5)
    assert store.routes == ["a"]
    store.gate.clear()
    made.put(visit(now, route="b"))
    assert not made.flush(within_seconds=0.05)
    store.gate.set()
    assert made.close()


@pytest.mark.clause("A1.2")
def test_a_store_that_fails_fills_the_queue_and_is_tried_until_it_takes_all(
    store: SlowStore, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    store.broken = True
    made = queue(store, capacity=5)
    for number in range(8):
        made.put(visit(now, route=str(number)))
    wait_for(lambda: "DatabaseError" in caplog.text)
    for number in range(8, 13):
        made.put(visit(now, route=str(number)))
    assert not made.has_room(wait_seconds=0.01)
    store.broken = False
    assert made.has_room(wait_seconds=5)
    assert made.close()
    assert store.routes == [str(number) for number in range(13)]
    assert "203.0.113.7" not in caplog.text
    assert "CanaryAgent" not in caplog.text


def test_what_cannot_be_written_before_the_end_is_told_by_number(
    store: SlowStore, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    store.broken = True
    made = queue(store)
    made.put(visit(now))
    assert not made.close(within_seconds=0.3)
    assert "1 visits could not be written" in caplog.text


def test_one_visit_that_cannot_be_sealed_does_not_hold_up_the_others(
    store: SlowStore, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    made = queue(store, linger_seconds=5.0)
    for route in ("a", "poison", "b"):
        made.put(visit(now, route=route))
    assert made.close()
    assert store.routes == ["a", "b"]
    assert made.refused == 1
    assert "a visit cannot be recorded: ValueError" in caplog.text


@pytest.mark.clause("A1.2")
def test_no_page_is_given_out_while_visits_cannot_be_kept(
    store: SlowStore, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.gate.clear()
    made = queue(store, capacity=2)
    monkeypatch.setattr(writing, "_installed", [made])
    monkeypatch.setattr(visiting, "WAIT_SECONDS", 0.05)
    made.put(visit(now))
    wait_for(lambda: not made._waiting)
    made.put(visit(now))
    made.put(visit(now))
    answer = Client().get("/")
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert Client().get("/healthz").status_code == 200
    store.gate.set()
    wait_for(lambda: made.has_room(wait_seconds=0))
    assert Client().get("/").status_code == 200
    assert made.close()
    assert store.routes[-1] == ""


@pytest.mark.clause("A1.2")
def test_a_sign_in_stands_before_its_answer_leaves(
    store: SlowStore, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.gate.clear()
    made = queue(store)
    monkeypatch.setattr(writing, "_installed", [made])
    member_client(now)
    assert [facts["kind"] for _, facts in opened()].count("login") == 1
    store.gate.set()
    assert made.close()
    assert store.routes == []


@pytest.mark.clause("A1.2")
def test_a_sign_in_that_the_store_does_not_take_now_waits_with_the_others(
    store: SlowStore, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: DirectWriter, _visit: Visit) -> None:
        raise DatabaseError("full")

    made = queue(store)
    monkeypatch.setattr(writing, "_installed", [made])
    monkeypatch.setattr(DirectWriter, "put", full)
    member_client(now)
    assert made.close()
    assert store.routes == ["login"]


@pytest.mark.clause("A1.2")
def test_how_many_visits_a_crash_lost_is_known_afterwards(home: Path, store: SlowStore, now: datetime) -> None:
    folder = home / "cache"
    tally = Tally(folder)
    tally.tell(10, 7)
    dead = next(folder.glob("visits-*.tally"))
    assert Tally.count_lost(folder) == 3 or dead.exists()
    gone = folder / "visits-4194399-1.tally"
    gone.write_bytes(Tally.FORM.pack(12, 5))
    assert Tally.count_lost(folder) == 7
    assert not gone.exists()
    assert Tally.count_lost(folder) == 0
    clean = QueueWriter(write=store.write, tally=Tally(folder), linger_seconds=0.01)
    clean.put(visit(now))
    assert clean.close()
    assert Tally.count_lost(folder) == 0


def test_a_visit_shows_nothing_of_itself(now: datetime) -> None:
    assert "203.0.113.7" not in repr(visit(now))
    assert "CanaryAgent" not in f"{visit(now)}"


# ── one stranger and the records of all others ─────────────────────────────────────────────────────────────


def stranger(now: datetime, address: str = "203.0.113.7", **changes: object) -> Visit:
    return visit(now, **({"subject": None, "address": address} | changes))


def counted(visits: list[Visit]) -> int:
    """How many requests these records stand for."""
    return sum(one.count for one in visits)


class Clock:
    at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.mark.clause("A1.2")
def test_visitors_of_one_network_get_so_many_records_an_hour_and_then_a_number(now: datetime) -> None:
    clock = Clock()
    limit = VisitorLimit(clock=clock)
    written = [record for _ in range(50_000) for record in limit.admit(stranger(now))]
    assert len(written) < LIMIT + 20
    assert counted(written) > 25_000, "at least half is counted at any time"
    assert counted(written + limit.rest()) == 50_000
    assert limit.rest() == []
    clock.at += WINDOW_SECONDS
    assert limit.admit(stranger(now)) == [stranger(now)], "a new hour"


@pytest.mark.clause("A1.2")
def test_an_hour_that_is_over_writes_the_rest_of_its_number(now: datetime) -> None:
    clock = Clock()
    limit = VisitorLimit(clock=clock)
    written = [record for _ in range(LIMIT + 7) for record in limit.admit(stranger(now))]
    clock.at += WINDOW_SECONDS
    later = limit.admit(stranger(now, "198.51.100.1"))
    assert [(one.address, one.kind, one.count) for one in later][:1] == [("203.0.113.7", REPEATED, 3)]
    assert counted(written + later) == LIMIT + 8


@pytest.mark.clause("A1.2")
@pytest.mark.parametrize(
    ("addresses", "most"),
    [
        ([f"2001:db8:1:1::{n:x}" for n in range(6_000)], LIMIT), ([f"2001:db8:1:{n:x}::1" for n in range(20_000)], 8 * LIMIT),
        ([f"203.0.113.{n}" for n in range(256)] * 40, 8 * LIMIT),
    ],
    ids=["one /64", "one /48", "one /24"],
)  # fmt: skip
def test_many_addresses_of_one_network_share_its_records(now: datetime, addresses: list[str], most: int) -> None:
    limit = VisitorLimit(clock=Clock())
    written = [record for address in addresses for record in limit.admit(stranger(now, address))]
    assert len([one for one in written if one.kind != REPEATED]) <= most
    assert counted(written + limit.rest()) == len(addresses)


@pytest.mark.clause("A1.2")
def test_counters_of_networks_have_a_bound_and_lose_no_number(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgnom.community.visits.limits.MOST_NETWORKS", 50)
    monkeypatch.setattr("imgnom.community.visits.limits.LIMIT", 2)
    limit = VisitorLimit(clock=Clock())
    sent = [f"10.{n}.{n}.1" for n in range(200) for _ in range(9)]
    written = [record for address in sent for record in limit.admit(stranger(now, address))]
    assert len(limit._counters) <= 52
    assert counted(written + limit.rest()) == len(sent)


@pytest.mark.clause("A1.2")
def test_members_records_are_each_kept_whatever_strangers_of_their_network_send(
    store: SlowStore, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgnom.community.visits.limits.LIMIT", 3)
    made = queue(store)
    client = member_client(now)
    monkeypatch.setattr(writing, "_installed", [made])
    other = Client(headers={"user-agent": AGENT}, REMOTE_ADDR="203.0.113.7")
    for _ in range(20):
        other.get("/privacy")
        client.get("/")
    for _ in range(20):
        other.post("/login", LOGIN | {"login": "nobody.there"})
    assert made.close()
    assert store.routes.count("") - [one.kind for one in store.visits].count(REPEATED) == 20, "each of the member's"
    assert store.routes.count("privacy") == 3
    assert sum(one.count for one in store.visits if one.subject is None) == 40
    assert [facts["kind"] for _, facts in opened()].count("failed_login") == 0, "they are in the number"


@pytest.mark.clause("A1.2")
def test_strangers_cannot_take_the_last_quarter_of_the_queue(store: SlowStore, now: datetime) -> None:
    store.gate.clear()
    made = queue(store, capacity=8)
    made.put(visit(now))
    wait_for(lambda: not made._waiting)
    for _ in range(6):
        made.put(stranger(now))
    assert not made.has_room(wait_seconds=0.01)
    assert made.has_room(wait_seconds=0.01, for_member=True)
    store.gate.set()
    assert made.close()


@pytest.mark.clause("A1.2")
def test_a_record_that_counts_many_says_how_many_under_the_days_key(now: datetime) -> None:
    record_visits([stranger(now, kind=REPEATED, route="", status=0, count=512)])
    assert [facts["count"] for _, facts in opened()] == [512]
