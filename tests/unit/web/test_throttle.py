"""Counters: right under load, over when they are over, gone afterwards, and never against somebody else."""

import ast
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgnom.web import throttle
from imgnom.web.throttle import TooMany, hit, purge


class Clock:
    def __init__(self) -> None:
        self.seconds = 5000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture(autouse=True)
def _fresh(home: Path) -> Iterator[None]:
    for file in (home / "cache").glob("limits.sqlite3*") if (home / "cache").exists() else []:
        file.unlink()
    yield
    for file in (home / "cache").glob("limits.sqlite3*"):
        file.unlink()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(throttle, "time", made)
    return made


def rows(home: Path) -> list[tuple[str, float, float, int]]:
    with sqlite3.connect(home / "cache" / "limits.sqlite3") as connection:
        found = connection.execute("SELECT * FROM windows").fetchall()
    connection.close()
    return found


@pytest.mark.clause("A1.1")
def test_one_too_many_is_told_how_long_to_wait(clock: Clock) -> None:
    for _ in range(3):
        hit("try", "198.51.100.1", limit=3, per_seconds=60)
    clock.seconds += 20.5
    with pytest.raises(TooMany) as refused:
        hit("try", "198.51.100.1", limit=3, per_seconds=60)
    assert refused.value.retry_after == 40
    hit("try", "198.51.100.2", limit=3, per_seconds=60)
    hit("other", "198.51.100.1", limit=3, per_seconds=60)


def test_trying_on_does_not_prolong_the_wait(clock: Clock) -> None:
    for second in range(59):
        clock.seconds = 5000.0 + second
        if second < 1:
            hit("try", "a", limit=1, per_seconds=60)
        else:
            with pytest.raises(TooMany):
                hit("try", "a", limit=1, per_seconds=60)
    clock.seconds = 5060.0
    hit("try", "a", limit=1, per_seconds=60)


def test_a_machine_that_starts_anew_locks_nobody_out(clock: Clock) -> None:
    clock.seconds = 900_000.0
    hit("try", "a", limit=1, per_seconds=600)
    clock.seconds = 12.0
    hit("try", "a", limit=1, per_seconds=600)
    with pytest.raises(TooMany) as refused:
        hit("try", "a", limit=1, per_seconds=600)
    assert refused.value.retry_after <= 600


@pytest.mark.clause("A4.0")
def test_counters_go_when_their_window_is_over(clock: Clock, home: Path) -> None:
    hit("short", "a", limit=9, per_seconds=60)
    hit("long", "a", limit=9, per_seconds=3600)
    assert len(rows(home)) == 2
    clock.seconds += 61
    assert purge() == 1
    assert [round(row[2] - row[1]) for row in rows(home)] == [3600]
    clock.seconds += 3600
    hit("other", "b", limit=9, per_seconds=60)
    assert len(rows(home)) == 1, "the first hit of a new window sweeps what is over"


@pytest.mark.clause("A4.0")
def test_counters_of_an_earlier_start_go_too(clock: Clock, home: Path) -> None:
    clock.seconds = 900_000.0
    hit("try", "a", limit=9, per_seconds=600)
    clock.seconds = 12.0
    assert purge() == 1


@pytest.mark.clause("A5.0")
def test_nothing_in_the_file_says_who_was_counted(home: Path) -> None:
    hit("try", "198.51.100.77", limit=9, per_seconds=60)
    content = b"".join(file.read_bytes() for file in (home / "cache").glob("limits.sqlite3*"))
    assert b"windows" in content
    assert b"198.51.100.77" not in content
    assert b"try" not in content.replace(b"retry", b"")


def test_fifty_at_once_are_counted_one_by_one() -> None:
    refused: list[int] = []

    def one() -> None:
        try:
            hit("race", "a", limit=20, per_seconds=600)
        except TooMany as error:
            refused.append(error.retry_after)

    threads = [threading.Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(refused) == 30


# What a key may be made of: who is asking. A subject alone names whom it is about, and a stranger could use it up.
ASKING = ("limit_key(", "request.member.", "member.subject", "token", "address", "here")


@pytest.mark.clause("A1.1")
def test_no_counter_can_be_used_up_by_a_stranger_against_a_member() -> None:
    calls: list[tuple[str, str]] = []
    for path in (Path(throttle.__file__).parents[1]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hit":
                calls.append((ast.unparse(node.args[0]), ast.unparse(node.args[1])))
    assert len(calls) > 5
    assert [call for call in calls if not any(word in call[1] for word in ASKING)] == []
