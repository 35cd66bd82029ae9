"""The line in front of the sandbox: so many files are opened at once on this machine, one of each member.

Tickets are rows of a file in the cache folder, shared by all web processes. A free slot goes to the member who was
served longest ago, so that whoever sends many files waits between them and others do not. The line has a last place and
a longest wait; beyond them the caller is told to come again. A ticket ends with its owner's `with` block; one whose
process died, hangs or stands still is passed over.

Seconds are monotonic and begin anew when the machine starts. Members are keyed digests.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from django.conf import settings

from imgnom.community.images.errors import Busy, OneAtATime
from imgnom.custody.keys.public import derive, keyed_digest

# Slots and places of the machine. Of one member one file is opened, and one more may wait while the line is short.
AT_ONCE, PLACES, PLACES_OF_A_MEMBER, SHORT_LINE = 2, 10, 2, 5
WAIT_SECONDS = 30.0
# What visitors ask for comes in between, and does not hold up a page.
WAIT_FOR_DISPLAY_SECONDS = 0.3
LOOK_SECONDS = 0.05
# Whoever has not looked for this long stands still.
STILL_SECONDS = 3.0
# A file is given up by the clock before this.
LONGEST_SECONDS = 60.0
DISPLAY = ""

_TABLES = """
CREATE TABLE IF NOT EXISTS tickets
    (ticket INTEGER PRIMARY KEY AUTOINCREMENT, member TEXT, process INTEGER, born TEXT, seen REAL, began REAL);
CREATE TABLE IF NOT EXISTS served (member TEXT PRIMARY KEY, turn INTEGER) WITHOUT ROWID;
"""
_NEXT = """
SELECT ticket FROM tickets LEFT JOIN served USING (member)
WHERE began IS NULL AND seen > :still AND member NOT IN (SELECT member FROM tickets WHERE began IS NOT NULL)
ORDER BY COALESCE(turn, 0), ticket LIMIT 1
"""
_SERVED = "INSERT INTO served VALUES (:member, :turn) ON CONFLICT (member) DO UPDATE SET turn = :turn"


@contextmanager
def turn(who: str, *, wait_seconds: float) -> Iterator[None]:
    """One of the slots is this caller's, inside. `who` is a member's subject, or DISPLAY. Raises Busy, OneAtATime."""
    member = keyed_digest(derive(settings.SECRET_KEY.encode(), "line"), who.encode()).hex()
    ticket, until = _join_or_begin_anew(member), time.monotonic() + wait_seconds
    try:
        while not _is_my_turn(ticket, member):
            if time.monotonic() >= until:
                raise Busy
            time.sleep(LOOK_SECONDS)
        yield
    finally:
        _leave(ticket)


@contextmanager
def _line() -> Iterator[sqlite3.Connection]:
    """The file, locked for writing from the first statement."""
    folder = Path(settings.IMGNOM.home) / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "line.sqlite3", timeout=10, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'served'").fetchone():
            for statement in _TABLES.split(";"):
                connection.execute(statement)
        yield connection
        connection.execute("COMMIT")


def _join_or_begin_anew(member: str) -> int:
    """The file is not synced: after a power cut it may be no database any more, and holds nothing that is worth mending."""
    try:
        return _join(member)
    except sqlite3.OperationalError:  # locked, read-only, no room
        raise
    except sqlite3.DatabaseError:
        for name in ("line.sqlite3", "line.sqlite3-journal"):
            (Path(settings.IMGNOM.home) / "cache" / name).unlink(missing_ok=True)
        return _join(member)


def _join(member: str) -> int:
    with _line() as line:
        _drop_dead(line)
        every, own = line.execute(
            "SELECT COUNT(*), COUNT(CASE WHEN member = ? THEN 1 END) FROM tickets", [member]
        ).fetchone()
        if own >= PLACES_OF_A_MEMBER or (own and every >= SHORT_LINE):
            raise OneAtATime
        if every >= PLACES:
            raise Busy
        process = os.getpid()
        row = (member, process, _born(process), time.monotonic())
        made = line.execute("INSERT INTO tickets (member, process, born, seen) VALUES (?, ?, ?, ?)", row)
    return int(made.lastrowid or 0)


def _is_my_turn(ticket: int, member: str) -> bool:
    with _line() as line:
        _drop_dead(line)
        at = time.monotonic()
        line.execute("UPDATE tickets SET seen = ? WHERE ticket = ?", [at, ticket])
        if line.execute("SELECT COUNT(began) FROM tickets").fetchone()[0] >= AT_ONCE:
            return False
        first = line.execute(_NEXT, {"still": at - STILL_SECONDS}).fetchone()
        if first is None or first[0] != ticket:
            return False
        line.execute("UPDATE tickets SET began = ? WHERE ticket = ?", [at, ticket])
        last = line.execute("SELECT COALESCE(MAX(turn), 0) FROM served").fetchone()[0]
        line.execute(_SERVED, {"member": member, "turn": last + 1})
    return True


def _leave(ticket: int) -> None:
    with _line() as line:
        line.execute("DELETE FROM tickets WHERE ticket = ?", [ticket])
        if not line.execute("SELECT 1 FROM tickets").fetchone():
            line.execute("DELETE FROM served")


def _drop_dead(line: sqlite3.Connection) -> None:
    at = time.monotonic()
    for ticket, process, born, seen, began in line.execute(
        "SELECT ticket, process, born, seen, began FROM tickets"
    ).fetchall():
        # Later than now: of an earlier start of the machine.
        is_over = seen > at or (began is not None and at - began > LONGEST_SECONDS) or at - seen > 2 * LONGEST_SECONDS
        if is_over or (process != os.getpid() and _born(process) != born):
            line.execute("DELETE FROM tickets WHERE ticket = ?", [ticket])


def _born(process: int) -> str:
    """What tells a process from a later one of the same number; empty when there is none."""
    with suppress(OSError):
        told = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
        return told.rpartition(")")[2].split()[19]
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass
    return "alive"
