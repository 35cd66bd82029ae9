"""Limits shared by all processes of a machine: counters in a file of their own, keys HMAC'd, atomic (threat N4).

Monotonic seconds, never the site's clock: a clock that is set back or turned forward opens no door and closes none.
They begin anew when the machine starts, so a window that seems to begin later than now is of an earlier start and over.

A limit must never shut out somebody for what somebody else did. The key of `hit` therefore names who is asking (the
address, or the member who is signed in), never only whom it is about. `take_turn` counts all askers of one account
together and only delays; its callers let a browser that is known to the account pass.

A limit must not tell whether an account exists. Keys hold what was typed, in its canonical form, and nothing that is
looked up with it: a token of the account, or a decoy that changes with time, would count known and unknown differently.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from math import ceil
from pathlib import Path

from django.conf import settings

from imgnom.custody.keys.public import derive, keyed_digest
from imgnom.web.address import limit_networks

LONGEST_SECONDS = 24 * 3600
TABLE = "CREATE TABLE IF NOT EXISTS windows (key TEXT PRIMARY KEY, began REAL, ends REAL, count INTEGER) WITHOUT ROWID"
INDEX = "CREATE INDEX IF NOT EXISTS windows_by_end ON windows (ends)"
TURNS = "CREATE TABLE IF NOT EXISTS turns (key TEXT PRIMARY KEY, began REAL, ends REAL, count INTEGER, next_at REAL) WITHOUT ROWID"
BUMP = """
    INSERT INTO windows VALUES (:key, :now, :now + :seconds, 1)
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN ends <= :now OR began > :now THEN 1 ELSE count + 1 END,
        ends = CASE WHEN ends <= :now OR began > :now THEN :now + :seconds ELSE ends END,
        began = CASE WHEN ends <= :now OR began > :now THEN :now ELSE began END
    RETURNING count, ends
"""
GIVE_BACK = "UPDATE windows SET count = count - 1 WHERE key = :key AND count > 0"
PURGE = "DELETE FROM windows WHERE ends <= :now OR ends > :now + :longest"
PURGE_TURNS = "DELETE FROM turns WHERE ends <= :now OR ends > :now + :longest"
SET_TURN = """
    INSERT INTO turns VALUES (:key, :began, :ends, :count, :next_at)
    ON CONFLICT (key) DO UPDATE SET began = :began, ends = :ends, count = :count, next_at = :next_at
"""


class TooMany(Exception):
    """One request too many. `retry_after` is in seconds, at least 1."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = max(1, retry_after)
        super().__init__("too many requests")


@contextmanager
def _counters() -> Iterator[sqlite3.Connection]:
    """The file, locked for writing from the first statement: two processes that read first would block each other."""
    with closing(_open_or_begin_anew()) as connection:
        yield connection
        connection.execute("COMMIT")


def _open_or_begin_anew() -> sqlite3.Connection:
    """The file is not synced: after a power cut it may be no database any more, and limits begin anew with the machine."""
    folder = Path(settings.IMGNOM.home) / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "limits.sqlite3"
    try:
        return _open(file)
    except sqlite3.OperationalError:  # locked, read-only, no room
        raise
    except sqlite3.DatabaseError:
        for name in (file.name, f"{file.name}-journal"):
            (folder / name).unlink(missing_ok=True)
        return _open(file)


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=10, isolation_level=None)
    try:
        for statement in ("PRAGMA synchronous=OFF", "PRAGMA secure_delete=ON", "BEGIN IMMEDIATE", TABLE, INDEX, TURNS):
            connection.execute(statement)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _name(scope: str, key: str) -> str:
    return keyed_digest(derive(settings.SECRET_KEY.encode(), "limits"), f"{scope}\0{key}".encode()).hex()


def _bump(connection: sqlite3.Connection, name: str, per_seconds: int, at: float) -> tuple[int, float]:
    """One more in its window: how many that makes, and how many seconds are left of it."""
    row = connection.execute(BUMP, {"key": name, "now": at, "seconds": per_seconds}).fetchone()
    if row[0] == 1:
        connection.execute(PURGE, {"now": at, "longest": LONGEST_SECONDS})
    return row[0], row[1] - at


def hit(scope: str, key: str, *, limit: int, per_seconds: int) -> None:
    """Count one more. Raises TooMany with the seconds to wait when it is one too many.

    The window begins with its first hit and ends `per_seconds` later; what comes in between does not prolong it.
    """
    name = _name(scope, key)
    with _counters() as counters:
        # Read under the lock: who waited for it with an older instant would take the window for one of an earlier start.
        found, seconds_left = _bump(counters, name, per_seconds, time.monotonic())
    if found > limit:
        raise TooMany(ceil(seconds_left))


def _network_names(scope: str, address: str, about: str) -> list[tuple[str, int]]:
    return [(_name(scope, f"{about}\0{network}"), times) for network, times in limit_networks(address)]


def hit_network(scope: str, address: str, *, limit: int, per_seconds: int, about: str = "") -> None:
    """Count one more for the address's network and the wider ones around it. Raises TooMany.

    `limit` is that of one IPv4 address or IPv6 /64; wider networks have a multiple of it. What a narrow network is
    refused does not count in the wider ones, so that one customer cannot use up the limit of all others. With `about`
    (what was typed) each value has counters of its own.
    """
    with _counters() as counters:
        at = time.monotonic()
        for name, times in _network_names(scope, address, about):
            found, seconds_left = _bump(counters, name, per_seconds, at)
            if found > limit * times:
                break
        else:
            return
    raise TooMany(ceil(seconds_left))


def take_turn(scope: str, key: str, *, free: int, first_seconds: int, longest_seconds: int) -> None:
    """One more try at `key` by whoever it is: `free` tries a day, then each try doubles the wait for the next.

    Raises TooMany with the seconds to wait. A try that is refused counts for nothing and prolongs nothing. The wait
    never exceeds `longest_seconds`, and everything is forgotten a day after the first try.
    """
    name = _name(scope, key)
    with _counters() as counters:
        at = time.monotonic()
        began, ends, count, next_at = counters.execute(
            "SELECT began, ends, count, next_at FROM turns WHERE key = ?", (name,)
        ).fetchone() or (at, at + LONGEST_SECONDS, 0, at)
        if ends <= at or began > at:
            began, ends, count, next_at = at, at + LONGEST_SECONDS, 0, at
        wait = next_at - at
        if wait <= 0:
            count += 1
            # Capped before it is computed: the count grows for a day.
            pause = min(first_seconds * 2 ** min(count - free, 20), longest_seconds) if count >= free else 0
            values = {"key": name, "began": began, "ends": ends, "count": count, "next_at": at + pause}
            counters.execute(SET_TURN, values)
            counters.execute(PURGE_TURNS, {"now": at, "longest": LONGEST_SECONDS})
    if wait > 0:
        raise TooMany(ceil(wait))


def return_turn(scope: str, key: str) -> None:
    """The last try was no failure: it is as if it had not been made, and what failed before stays counted."""
    with _counters() as counters:
        counters.execute(
            "UPDATE turns SET count = count - 1, next_at = min(next_at, ?) WHERE key = ? AND count > 0",
            (time.monotonic(), _name(scope, key)),
        )


def count(scope: str, key: str, *, per_seconds: int) -> int:
    """Count one more and refuse nobody: for what grows dearer, not shut, when it comes often."""
    with _counters() as counters:
        return _bump(counters, _name(scope, key), per_seconds, time.monotonic())[0]


def give_back(scope: str, key: str) -> None:
    """The last hit was none after all: its own count is taken back, what failed before it stays counted."""
    with _counters() as counters:
        counters.execute(GIVE_BACK, {"key": _name(scope, key)})


def give_back_network(scope: str, address: str, *, about: str = "") -> None:
    with _counters() as counters:
        for name, _ in _network_names(scope, address, about):
            counters.execute(GIVE_BACK, {"key": name})


def purge() -> int:
    """Remove the windows that are over: a counter may not outlive what it counts. Returns how many went."""
    with _counters() as counters:
        over = {"now": time.monotonic(), "longest": LONGEST_SECONDS}
        return counters.execute(PURGE, over).rowcount + counters.execute(PURGE_TURNS, over).rowcount
