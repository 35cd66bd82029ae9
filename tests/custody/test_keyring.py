"""The keyring: missing, cut, swapped, open to others, from another site; and the turn of an epoch under load (F3, F17)."""

import json
import os
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import transaction
from django.test import Client

from imgnom.custody.keys import epochs, hazmat, keyring
from imgnom.custody.keys.models import DataKey, DestroyedKey, Epoch
from imgnom.custody.keys.public import (
    KeyDestroyed,
    KeyId,
    KeyringMissing,
    KeyringWrong,
    KeyUnknown,
    check_keyring,
    create_key,
    destroy_keys,
    ensure_keyring,
    find_or_create_key,
    keys_status,
    last_turn,
    open_key,
    turn_epoch,
)
from imgnom.custody.ledger.public import make_checkpoint, sequence, verify_ledger
from imgnom.custody.outbox.models import Outbox
from imgnom.custody.transactions import InsideTransaction
from imgnom.custody.vault.public import new_subject, seal_value
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import SYSTEM
from imgnom.site.cli import main
from tests.custody.at_once import at_once

FILES = [*keyring.LASTING, "kek-1"]
one_transaction = pytest.mark.django_db(databases="__all__")
many_transactions = pytest.mark.django_db(databases="__all__", transaction=True)


def _break(name: str, how: str) -> None:
    file = keyring.path_of(name)
    if how == "missing":
        file.unlink()
    elif how == "cut":
        file.write_text(file.read_text(encoding="ascii")[:40], encoding="ascii")
    elif how == "no key":
        file.write_text("this was a key once", encoding="ascii")
    elif how == "another site's":
        file.write_text(hazmat.new_key().hex(), encoding="ascii")
    elif how == "a folder":
        file.unlink()
        file.mkdir(mode=0o700)
    else:
        file.chmod(0o604)


@pytest.fixture(autouse=True)
def _no_folder_left_behind(home: Path) -> object:
    yield
    for name in FILES:
        if keyring.path_of(name).is_dir():
            keyring.path_of(name).rmdir()


@one_transaction
@pytest.mark.clause("I9")
@pytest.mark.parametrize("how", ["missing", "cut", "no key", "another site's", "a folder", "readable by all"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_keyring_closes_the_doors_and_names_the_file(name: str, how: str) -> None:
    """Nothing is made anew, and readyz says so without saying what."""
    assert Client().get("/readyz").status_code == 200
    _break(name, how)
    with pytest.raises((KeyringMissing, KeyringWrong), match=f"{name}.key"):
        check_keyring()
    with pytest.raises((KeyringMissing, KeyringWrong)):
        ensure_keyring(now=datetime(2026, 11, 22, tzinfo=None).astimezone())
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["keyring"] is False
    assert name not in answer.content.decode()


@one_transaction
def test_a_swapped_file_with_the_old_date_is_noticed(now: datetime) -> None:
    file = keyring.path_of("kek-1")
    check_keyring()
    facts = file.stat()
    file.write_text(hazmat.new_key().hex(), encoding="ascii")
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with pytest.raises(KeyringWrong, match="swapped"):
        check_keyring()


@one_transaction
def test_two_files_of_the_same_keyring_are_not_interchangeable() -> None:
    one, other = keyring.path_of("index"), keyring.path_of("pepper-1")
    parked = one.read_text(encoding="ascii")
    one.write_text(other.read_text(encoding="ascii"), encoding="ascii")
    other.write_text(parked, encoding="ascii")
    with pytest.raises(KeyringWrong):
        check_keyring()


@one_transaction
def test_a_keyring_folder_that_others_may_change_is_refused_and_one_a_group_may_read_is_not() -> None:
    keyring.folder().chmod(0o750)
    keyring.path_of("index").chmod(0o640)
    check_keyring()
    keyring.folder().chmod(0o777)
    try:
        with pytest.raises(KeyringWrong, match="permissions"):
            check_keyring()
    finally:
        keyring.folder().chmod(0o700)


@one_transaction
def test_a_key_is_never_written_over_another() -> None:
    with pytest.raises(FileExistsError):
        keyring.write_key("index")


@one_transaction
@pytest.mark.clause("A4.2")
def test_unknown_is_never_taken_for_erased(now: datetime) -> None:
    with pytest.raises(KeyUnknown):
        open_key("f" * 32)
    with pytest.raises(KeyUnknown):
        seal_value("nobody", "email", "x@mail.example", now=now)
    key_id = create_key(owner="o", klass="k", now=now)
    assert destroy_keys([key_id, "f" * 32], now=now, by=SYSTEM, clause="A4.2") == 1
    with pytest.raises(KeyDestroyed):
        open_key(key_id)
    with pytest.raises(KeyUnknown):
        open_key("f" * 32)


@one_transaction
def test_destroying_twice_is_one_act(now: datetime) -> None:
    key_id = create_key(owner="o", klass="k", now=now)
    destroy_keys([key_id], now=now, by=SYSTEM, clause="A4.2")
    before = Outbox.objects.using("keys").count()
    assert destroy_keys([key_id], now=now, by=SYSTEM, clause="A4.2") == 0
    assert Outbox.objects.using("keys").count() == before
    assert DestroyedKey.objects.count() == 1


@one_transaction
def test_a_turn_inside_a_transaction_is_refused(now: datetime) -> None:
    for store in ("keys", "default"):
        with transaction.atomic(using=store), pytest.raises(InsideTransaction):
            turn_epoch(now=now)
    assert keyring.path_of("kek-1").exists()


@one_transaction
@pytest.mark.clause("I9")
def test_turning_again_is_harmless_and_tells_itself(now: datetime) -> None:
    key_id = create_key(owner="o", klass="k", now=now)
    for number in (2, 3, 4):
        report = turn_epoch(now=now + timedelta(days=number))
        assert (report.epoch, report.rewrapped) == (number, 1)
        open_key(key_id)
        assert [f.name for f in keyring.folder().glob("kek-*")] == [f"kek-{number}.key"]
        assert last_turn() == now + timedelta(days=number)
    assert Epoch.objects.count() == 1
    acts = [json.loads(p)["act"] for p in Outbox.objects.using("keys").values_list("payload", flat=True)]
    assert acts.count("turn_epoch") == 3


@one_transaction
def test_a_turn_takes_more_keys_than_one_chunk(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "REWRAPPED_AT_ONCE", 3)
    made = [create_key(owner=str(n), klass="k", now=now) for n in range(8)]
    before = {key_id: open_key(key_id)._raw for key_id in made}
    assert turn_epoch(now=now).rewrapped == 8
    assert {key_id: open_key(key_id)._raw for key_id in made} == before


def _killed_at(monkeypatch: pytest.MonkeyPatch, place: object, name: str, call: int) -> None:
    real, calls = getattr(place, name), iter(range(1, 1000))

    def dying(*args: object, **more: object) -> object:
        if next(calls) == call:
            raise RuntimeError("killed")
        return real(*args, **more)

    monkeypatch.setattr(place, name, dying)


@one_transaction
@pytest.mark.clause("A4.2", "I9")
@pytest.mark.parametrize("call", range(1, 6))
@pytest.mark.parametrize(
    ("place", "name"),
    [(keyring, "write_key"), (keyring, "sync_folder"), (hazmat, "wrap"), (hazmat, "unwrap"), (epochs, "_rewrap_chunk"), (epochs, "record_act"),
     (epochs, "hold_lock"), (keyring, "destroy_key_file"), (epochs, "_sweep_retired")],
)  # fmt: skip
def test_a_turn_killed_at_its_nth_step_loses_no_key_and_revives_none(
    now: datetime, monkeypatch: pytest.MonkeyPatch, place: object, name: str, call: int
) -> None:
    monkeypatch.setattr(epochs, "REWRAPPED_AT_ONCE", 2)
    made = [create_key(owner=str(n), klass="k", now=now) for n in range(4)]
    dead = create_key(owner="dead", klass="k", now=now)
    before = {key_id: open_key(key_id)._raw for key_id in made}
    with monkeypatch.context() as patch:
        _killed_at(patch, place, name, call)
        try:
            turn_epoch(now=now)
        except RuntimeError:
            check_keyring()
            destroy_keys([dead], now=now, by=SYSTEM, clause="A4.2")
            assert {key_id: open_key(key_id)._raw for key_id in made} == before
            made.append(between := create_key(owner="between", klass="k", now=now))
            before[between] = open_key(between)._raw
    report = turn_epoch(now=now)
    assert {key_id: open_key(key_id)._raw for key_id in made} == before
    assert not DataKey.objects.exclude(epoch=report.epoch).exists()
    assert [f.name for f in keyring.folder().glob("kek-*")] == [f"kek-{report.epoch}.key"]
    check_keyring()


@one_transaction
def test_a_fresh_kek_that_was_lost_before_its_use_is_made_again(now: datetime) -> None:
    key_id = create_key(owner="o", klass="k", now=now)
    epochs._begin(now)
    keyring.destroy_key_file("kek-2")
    check_keyring()
    turn_epoch(now=now)
    open_key(key_id)


@one_transaction
def test_a_fresh_kek_that_was_lost_after_its_use_closes_the_doors(now: datetime) -> None:
    create_key(owner="o", klass="k", now=now)
    number = epochs._begin(now)
    epochs._rewrap_chunk(number)
    keyring.destroy_key_file("kek-2")
    with pytest.raises(KeyringMissing, match="kek-2"):
        check_keyring()
    with pytest.raises(KeyringMissing):
        turn_epoch(now=now)
    assert not keyring.path_of("kek-2").exists()


@many_transactions
@pytest.mark.clause("A4.2")
def test_reads_and_new_keys_go_on_while_epochs_turn(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "REWRAPPED_AT_ONCE", 2)
    subjects = [new_subject(now=now) for _ in range(5)]
    for subject in subjects:
        seal_value(subject, "email", f"{subject}@mail.example", now=now)
    over = threading.Event()

    def turn() -> int:
        try:
            return sum(turn_epoch(now=now).rewrapped for _ in range(4))
        finally:
            over.set()

    def read() -> int:
        count = 0
        while not over.is_set() or count < 5:
            subject = subjects[count % 5]
            value = reveal(subject, "email", purpose="notices", by=SYSTEM, now=now).open()
            assert value == f"{subject}@mail.example"
            count += 1
            over.wait(0.005)  # a store whose lock is never free would try patience, not the turn
        return count

    made: list[KeyId] = []

    def make() -> int:
        while not over.is_set() or len(made) < 5:
            made.append(create_key(owner=f"new-{len(made)}", klass="k", now=now))
            over.wait(0.005)
        return len(made)

    rewrapped, reads, new = at_once(turn, read, make)
    assert rewrapped >= 20
    assert reads >= 5
    assert new == len(made)
    check_keyring()
    turn_epoch(now=now)
    for key_id in made:
        open_key(key_id)
    assert len(list(keyring.folder().glob("kek-*"))) == 1


@many_transactions
def test_two_turns_at_once_stand_in_a_row(now: datetime) -> None:
    made = [create_key(owner=str(n), klass="k", now=now) for n in range(20)]
    reports = at_once(*[lambda: turn_epoch(now=now)] * 3)
    assert sorted(report.epoch for report in reports) == [2, 3, 4]
    for key_id in made:
        open_key(key_id)
    check_keyring()
    sequence(now=now)
    make_checkpoint(now=now)
    assert verify_ledger().ok


@many_transactions
def test_one_owner_has_one_key_however_many_ask_at_once(now: datetime) -> None:
    made = at_once(*[lambda: find_or_create_key(owner="day-2026-11-22", klass="day-member", now=now)] * 6)
    assert len(set(made)) == 1
    assert DataKey.objects.filter(owner="day-2026-11-22").count() == 1


@many_transactions
@pytest.mark.clause("A4.2")
def test_a_destroyed_kek_leaves_the_memory_of_others(now: datetime) -> None:
    key_id = create_key(owner="o", klass="k", now=now)
    old = keyring.path_of("kek-1")
    open_key(key_id)
    held = keyring._cache[old]
    turn_epoch(now=now)
    keyring._cache.clear()
    keyring._cache[old] = held  # as another process holds it that took no part in the turn
    open_key(key_id)
    assert old not in keyring._cache


@many_transactions
def test_keys_status_and_turn_by_command(now: datetime, capsys: pytest.CaptureFixture[str]) -> None:
    create_key(owner="o", klass="file", now=now)
    create_key(owner="p", klass="file", now=now)
    assert main(["keys", "turn", "--json"]) == 0
    capsys.readouterr()
    assert main(["keys", "turn", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == keys_status()
    assert told["epoch"] == 3
    assert told["kinds"] == {"file": 2}
    assert told["waiting_for_a_turn"] == 0
    assert main(["keys", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told
