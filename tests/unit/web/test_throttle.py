"""Counters: right under load, over when they are over, gone afterwards, and never against somebody else."""

import ast
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imgnom.web import throttle
from imgnom.web.throttle import TooMany, give_back_network, hit, hit_network, purge, return_turn, take_turn


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


def refused(call: Callable[[], None]) -> int:
    """The seconds to wait, or 0 for a call that went through."""
    try:
        call()
    except TooMany as error:
        return error.retry_after
    return 0


@pytest.mark.clause("A1.1")
@pytest.mark.parametrize(
    ("address", "allowed"),
    [("2001:db8:0:{:x}00::1", 8 * 3), ("2001:db8:0:1{:02x}::1", 2 * 3), ("203.0.113.{}", 8 * 3), ("2001:db8::{:x}", 3)],
)
def test_wider_network_has_a_limit_of_its_own(clock: Clock, address: str, allowed: int) -> None:
    """Whoever changes the /64 within a /48 or a /56, or the host within a /24, gets no further than its limit."""
    answers = [
        refused(lambda n=n: hit_network("try", address.format(n % 240), limit=3, per_seconds=60)) for n in range(400)
    ]
    assert answers.count(0) == allowed
    clock.seconds += 60
    assert refused(lambda: hit_network("try", address.format(1), limit=3, per_seconds=60)) == 0


@pytest.mark.clause("A1.1")
def test_one_customer_cannot_use_up_the_wider_network(clock: Clock) -> None:
    for _ in range(100):
        refused(lambda: hit_network("try", "2001:db8::1", limit=3, per_seconds=60))
    assert refused(lambda: hit_network("try", "2001:db8:0:1::1", limit=3, per_seconds=60)) == 0
    assert refused(lambda: hit_network("try", "2001:db8::1", about="else", limit=3, per_seconds=60)) == 0


def test_network_hit_is_given_back_at_every_width(clock: Clock) -> None:
    for number in range(100):
        address = f"2001:db8:0:{number % 2:x}::1"
        hit_network("try", address, limit=1, per_seconds=60)
        give_back_network("try", address)


@pytest.mark.clause("A1.1")
def test_turns_are_free_at_first_and_then_wait_ever_longer_up_to_a_bound(clock: Clock) -> None:
    turn = lambda: take_turn("try", "a", free=3, first_seconds=10, longest_seconds=60)  # noqa: E731
    assert [refused(turn) for _ in range(3)] == [0, 0, 0]
    waits = []
    for _ in range(6):
        waits.append(refused(turn))
        assert refused(turn) == waits[-1], "asking does not prolong the wait"
        clock.seconds += waits[-1]
        assert refused(turn) == 0
    assert waits == [10, 20, 40, 60, 60, 60]
    assert refused(lambda: take_turn("try", "b", free=3, first_seconds=10, longest_seconds=60)) == 0
    clock.seconds = 5000.0 + 24 * 3600
    assert [refused(turn) for _ in range(3)] == [0, 0, 0]


def test_turns_in_one_day_stay_bounded_whoever_takes_them(clock: Clock) -> None:
    turn = lambda: take_turn("try", "a", free=20, first_seconds=30, longest_seconds=1800)  # noqa: E731
    taken = 0
    while clock.seconds < 5000.0 + 24 * 3600:
        wait = refused(turn)
        taken += wait == 0
        clock.seconds += wait
    assert taken < 80


def test_turn_that_succeeds_is_returned_without_a_trace(clock: Clock) -> None:
    turn = lambda: take_turn("try", "a", free=2, first_seconds=10, longest_seconds=60)  # noqa: E731
    turn()
    for _ in range(50):
        turn()
        return_turn("try", "a")
    turn()
    assert refused(turn) == 10


def test_turns_are_purged_after_a_day_and_after_a_restart(clock: Clock, home: Path) -> None:
    take_turn("try", "a", free=2, first_seconds=10, longest_seconds=60)
    assert purge() == 0
    clock.seconds += 24 * 3600
    assert purge() == 1
    take_turn("try", "a", free=2, first_seconds=10, longest_seconds=60)
    clock.seconds = 12.0
    take_turn("try", "a", free=1, first_seconds=10, longest_seconds=60)
    assert refused(lambda: take_turn("try", "a", free=1, first_seconds=10, longest_seconds=60)) == 10


# What a key of `hit` may be made of: who is asking. `hit_network` always has the address of who asks.
ASKING = ("request.member.", "member.subject", "self._own", "known", "browser")
# Counts of all askers together, which only delay: from a browser that the account knows they are not asked.
TURNS = {'"login account"': "enter.py", "scope": "guess_limits.py"}


@pytest.mark.clause("A1.1")
def test_no_counter_can_be_used_up_by_a_stranger_against_a_member() -> None:
    calls: list[tuple[str, str]] = []
    turns: dict[str, str] = {}
    for path in (Path(throttle.__file__).parents[1]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hit":
                calls.append((ast.unparse(node.args[0]), ast.unparse(node.args[1])))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "take_turn":
                turns[ast.unparse(node.args[0]).replace("'", '"')] = path.name
    assert len(calls) > 5
    assert [call for call in calls if not any(word in call[1] for word in ASKING)] == []
    assert turns == TURNS


def test_damaged_counter_file_is_begun_anew(home: Path) -> None:
    (home / "cache").mkdir(exist_ok=True)
    file = home / "cache" / "limits.sqlite3"
    file.write_bytes(b"cut off by a power failure" * 100)
    hit("scope", "key", limit=1, per_seconds=60)
    with pytest.raises(TooMany):
        hit("scope", "key", limit=1, per_seconds=60)
