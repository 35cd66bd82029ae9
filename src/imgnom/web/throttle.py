"""Limits shared by all processes of a machine: counters in a file of their own, keys HMAC'd, atomic (threat N4).

Monotonic seconds, never the site's clock: a clock that is set back or turned forward opens no door and closes none.
They begin anew when the machine starts, so a window that seems to begin later than now is of an earlier start and over.

A limit must never shut out somebody for what somebody else did. The key therefore names who is asking (the address,
or the member who is signed in), never only whom it is about: 20 wrong passwords from one network do not keep the owner
out from another. A test reads every call and lists the keys without an address, each with its reason.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from math import ceil
from pathlib import Path

from django.conf import settings

from imgnom.custody.keys.public import derive, keyed_digest

LONGEST_SECONDS = 24 * 3600
TABLE = "CREATE TABLE IF NOT EXISTS windows (key TEXT PRIMARY KEY, began REAL, ends REAL, count INTEGER) WITHOUT ROWID"
INDEX = "CREATE INDEX IF NOT EXISTS windows_by_end ON windows (ends)"
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


class TooMany(Exception):
    """One request too many. `retry_after` is in seconds, at least 1."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = max(1, retry_after)
        super().__init__("too many requests")


@contextmanager
def _counters() -> Iterator[sqlite3.Connection]:
    """The file, locked for writing from the first statement: two processes that read first would block each other."""
    folder = Path(settings.IMGNOM.home) / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "limits.sqlite3", timeout=10, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(TABLE)
        connection.execute(INDEX)
        yield connection
        connection.execute("COMMIT")


def _name(scope: str, key: str) -> str:
    return keyed_digest(derive(settings.SECRET_KEY.encode(), "limits"), f"{scope}\0{key}".encode()).hex()


def _bump(scope: str, key: str, per_seconds: int) -> tuple[int, float]:
    """One more in its window: how many that makes, and how many seconds are left of it."""
    with _counters() as counters:
        # Read under the lock: who waited for it with an older instant would take the window for one of an earlier start.
        at = time.monotonic()
        row = counters.execute(BUMP, {"key": _name(scope, key), "now": at, "seconds": per_seconds}).fetchone()
        if row[0] == 1:
            counters.execute(PURGE, {"now": at, "longest": LONGEST_SECONDS})
    return row[0], row[1] - at


def hit(scope: str, key: str, *, limit: int, per_seconds: int) -> None:
    """Count one more. Raises TooMany with the seconds to wait when it is one too many.

    The window begins with its first hit and ends `per_seconds` later; what comes in between does not prolong it.
    """
    found, seconds_left = _bump(scope, key, per_seconds)
    if found > limit:
        raise TooMany(ceil(seconds_left))


def count(scope: str, key: str, *, per_seconds: int) -> int:
    """Count one more and refuse nobody: for what grows dearer, not shut, when it comes often."""
    return _bump(scope, key, per_seconds)[0]


def give_back(scope: str, key: str) -> None:
    """The last hit was none after all: its own count is taken back, what failed before it stays counted."""
    with _counters() as counters:
        counters.execute(GIVE_BACK, {"key": _name(scope, key)})


def purge() -> int:
    """Remove the windows that are over: a counter may not outlive what it counts. Returns how many went."""
    with _counters() as counters:
        return counters.execute(PURGE, {"now": time.monotonic(), "longest": LONGEST_SECONDS}).rowcount
