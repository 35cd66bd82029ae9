"""After a destruction the raw bytes are gone from the store's own files, not only from its tables (A4.2, P11)."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from django.db import connections

from imgnom.custody.keys import keyring
from imgnom.custody.keys.models import DataKey
from imgnom.custody.keys.public import compact, compact_stores, create_key, destroy_keys, keys_of, turn_epoch
from imgnom.custody.vault.models import BlindIndex, SealedValue
from imgnom.custody.vault.public import destroy_subject, index_value, new_subject, seal_value
from imgnom.policy.public import SYSTEM
from tests.custody.at_once import at_once
from tests.environment import POSTGRES

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


def _raw_sqlite(store: str) -> bytes:
    name = Path(str(connections[store].settings_dict["NAME"]))
    return b"".join(file.read_bytes() for file in sorted(name.parent.glob(f"{name.name}*")))


on_files = pytest.mark.skipif(bool(POSTGRES), reason="looks into SQLite's files")


@on_files
@pytest.mark.clause("A4.2")
def test_a_destroyed_key_is_in_no_file_of_its_store(now: datetime) -> None:
    others = [create_key(owner=f"other-{n}", klass="k", now=now) for n in range(50)]
    key_id = create_key(owner="o", klass="k", now=now)
    wrapped = bytes(DataKey.objects.get(key_id=key_id).wrapped)
    assert wrapped in _raw_sqlite("keys"), "it was there"
    destroy_keys([key_id], now=now, by=SYSTEM, clause="A4.2")
    assert compact("keys")
    assert wrapped not in _raw_sqlite("keys")
    assert bytes(DataKey.objects.get(key_id=others[0]).wrapped) in _raw_sqlite("keys")


@on_files
@pytest.mark.clause("A4.2")
def test_a_destroyed_subject_leaves_neither_value_nor_index_nor_key(now: datetime) -> None:
    for number in range(30):
        seal_value(new_subject(now=now), "email", f"other-{number}@mail.example", now=now)
    subject = new_subject(now=now)
    seal_value(subject, "email", "canary@mail.example", now=now)
    seal_value(subject, "email", "canary-second@mail.example", now=now)
    index_value(subject, "email", "canary@mail.example")
    traces = {
        "vault": [bytes(SealedValue.objects.get(subject=subject).sealed), BlindIndex.objects.get(subject=subject).digest.encode()],
        "keys": [bytes(DataKey.objects.get(key_id=keys_of(subject)[0]).wrapped)],
    }  # fmt: skip
    for store, marks in traces.items():
        for mark in marks:
            assert mark in _raw_sqlite(store)
    destroy_subject(subject, now=now, by=SYSTEM, clause="A4.2")
    for store, marks in traces.items():
        for mark in marks:
            assert mark not in _raw_sqlite(store)


@on_files
@pytest.mark.clause("A4.2")
def test_after_a_turn_no_old_wrapping_is_left(now: datetime) -> None:
    for number in range(20):
        create_key(owner=str(number), klass="k", now=now)
    old = [bytes(w) for w in DataKey.objects.values_list("wrapped", flat=True)]
    turn_epoch(now=now)
    raw = _raw_sqlite("keys")
    assert not [w for w in old if w in raw]


def test_a_destroyed_kek_is_overwritten_before_it_is_unlinked(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    seen: list[bytes] = []
    real = Path.unlink

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if self.name == "kek-1.key":
            seen.append(self.read_bytes())
        real(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    secret = keyring.path_of("kek-1").read_bytes()
    turn_epoch(now=now)
    assert seen == [b"0" * len(secret)]


def test_every_store_can_be_compacted(now: datetime) -> None:
    destroy_keys([create_key(owner="o", klass="k", now=now)], now=now, by=SYSTEM, clause="A4.2")
    assert compact_stores() == dict.fromkeys(("default", "logs", "vault", "archive", "keys", "ledger"), True)


def test_inside_a_transaction_nothing_is_compacted() -> None:
    from django.db import transaction

    with transaction.atomic(using="keys"):
        assert compact("keys") is False
    assert compact("keys") is True


@pytest.mark.skipif(bool(POSTGRES), reason="PostgreSQL's tables have a test of their own below")
def test_a_log_that_somebody_reads_is_left_before_the_reader_is_done_and_writers_wait_as_long_as_ever(
    now: datetime,
) -> None:
    """While SQLite's log waits to be cut nobody can write: a long reader must not hold up the whole site."""
    import sqlite3
    from contextlib import closing
    from threading import Event

    create_key(owner="o", klass="k", now=now)
    held, done = Event(), Event()

    def read() -> bool:
        with closing(sqlite3.connect(connections["keys"].settings_dict["NAME"], isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT COUNT(*) FROM keys_datakey").fetchall()
            held.set()
            return done.wait(10)

    def shrink() -> bool:
        held.wait(20)
        create_key(owner="p", klass="k", now=now)
        try:
            return compact("keys")
        finally:
            done.set()

    works: list[Callable[[], bool]] = [read, shrink]
    assert at_once(*works) == [True, False]
    assert compact("keys")
    with connections["keys"].cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        assert cursor.fetchone()[0] == connections["keys"].settings_dict["OPTIONS"]["timeout"] * 1000


@pytest.mark.skipif(not POSTGRES, reason="SQLite overwrites at once")
@pytest.mark.clause("A4.2")
def test_on_postgresql_a_rewritten_table_holds_living_rows_only(now: datetime) -> None:
    """The dead row stays in its page until the table is written anew; then its file is another and smaller one."""
    for number in range(300):
        create_key(owner=str(number), klass="k", now=now)
    destroy_keys(DataKey.objects.values_list("key_id", flat=True), now=now, by=SYSTEM, clause="A4.2")

    def ask(question: str) -> object:
        with connections["keys"].cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchone()[0]

    size, file = (f"SELECT {f}('keys_datakey')" for f in ("pg_relation_size", "pg_relation_filenode"))
    before = ask(file)
    assert ask(size) != 0
    assert compact("keys")
    assert ask(size) == 0
    assert ask(file) != before


@pytest.mark.skipif(not POSTGRES, reason="a lock on a table is PostgreSQL's")
def test_a_table_in_use_is_left_for_the_next_time(now: datetime) -> None:
    from threading import Event

    from django.db import transaction

    create_key(owner="o", klass="k", now=now)
    held, done = Event(), Event()

    def read() -> bool:
        with transaction.atomic(using="keys"):
            DataKey.objects.count()
            held.set()
            return done.wait(20)

    def shrink() -> bool:
        held.wait(20)
        try:
            return compact("keys")
        finally:
            done.set()

    works: list[Callable[[], bool]] = [read, shrink]
    assert at_once(*works) == [True, False]
    assert compact("keys")
