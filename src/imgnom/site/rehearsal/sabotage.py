"""Steps that may be broken on purpose, to see that the board tells the truth: each turns exactly its clauses red.

All may be broken at once: `seen` says by which words on the board each is found out, and no two share any.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """`clauses` turn red, with words that hold one of `seen`."""

    words: str
    clauses: tuple[str, ...]
    seen: tuple[str, ...]
    # What the worker does not get to see while the step is broken.
    forgotten: tuple[str, ...] = ()


SABOTAGES = {
    # destruction
    "destroy-intent": Step(
        "what was destroyed is struck off the destruction list", ("A4.2",), ("was not on the list",)
    ),
    "destroy-fence": Step("somebody who left may be written about again", ("A4.2",), ("a late write revived",)),
    "destroy-keys": Step(
        "the keys of those who left come back from an old copy", ("A4.2",), ("keys of people who left are still there",)
    ),
    "destroy-indexes": Step(
        "the indexes of those who left come back from an old copy",
        ("A4.2",),
        ("indexes still lead to people who left",),
    ),
    "destroy-values": Step(
        "the sealed values of those who left come back from an old copy",
        ("A4.2",),
        ("sealed values of people who left",),
    ),
    "destroy-files": Step("deleted pictures come back from an old copy", ("A4.0",), ("files of pictures that went",)),
    "certificate": Step(
        "one word of a certificate is changed",
        ("I6", "A4.2"),
        ("the receipt's proof holds", "each certificate's proof holds"),
    ),
    "certificate-final": Step("certificates never become final", ("A4.2",), ("certificates are not final",)),
    # archive
    "archive-move": Step(
        "what is kept for a while never reaches the separate store", ("A3.1", "A4.1①"), ("reached the separate store",)
    ),
    "archive-deadline": Step(
        "the archive is not emptied on its day",
        ("A3.1", "A4.1①"),
        ("values stayed in the separate store", "the separate store holds something of"),
        forgotten=("identity_after_leaving",),
    ),
    "archive-refusal": Step("the archive opens past its day", ("A4.1②", "I2"), ("kept values opened past their day",)),
    # turn
    "turn": Step("the key-encryption key of before is kept", ("A4.2", "I9"), ("data keys of an old copy open",)),
    "turn-rewrap": Step("one data key stays under the key of before", ("I9",), ("today's data keys open",)),
    # ledger
    "ledger": Step("one entry of the ledger is changed", ("A0.1",), ("the ledger is broken: entry 0 was changed",)),
    "ledger-seal": Step("one seal of the ledger is changed", ("A0.1",), ("its signature does not hold",)),
    "ledger-certificate": Step(
        "one certificate is changed in the store of the ledger",
        ("A0.1",),
        ("the ledger is broken: ledger_certificate",),
    ),
    "ledger-cut": Step(
        "the end of the ledger and its seals are cut off", ("A0.1",), ("were cut off: a checkpoint covers",)
    ),
    "ledger-rewrite": Step(
        "the ledger is written anew and sealed with the site's own key", ("A0.1",), ("saw another root",)
    ),
    # restore
    "restore-replay": Step(
        "a restored vault is overwritten with the copy", ("A4.2",), ("have values in the restored vault",)
    ),
    "restore-sessions": Step(
        "the sessions of the site before are put back",
        ("A2.2c", "A4.2"),
        ("a browser of before got 200 on a restored site",),
    ),
    "restore-ledger": Step("a restored ledger is cut back to the copy's", ("A4.2", "I6"), ("does not go on from",)),
    # the rest of the worker's work, and leaks
    "access-records": Step(
        "access records stay past their day",
        ("A1.2", "A3.2②"),
        ("access records stayed past their day",),
        forgotten=("access_records",),
    ),
    "pending": Step(
        "unconfirmed registrations are never cleared",
        ("A2.2d",),
        ("unconfirmed registrations; over: True",),
        forgotten=("pending_registration",),
    ),
    "strip": Step("something that came inside a picture is written beside it", ("A2.1",), ("in media/left-behind",)),
    "log": Step("an address is written into a log file", ("A1.1",), ("in logs/left-behind",)),
}


def bring_back(old: Path, new: Path, table: str) -> list[int]:
    """Rows of an older copy of a store over today's, as a careless operator might; the row numbers of what came back."""
    with closing(sqlite3.connect(old)) as store:
        columns = ", ".join(f'"{row[1]}"' for row in store.execute(f"PRAGMA table_info({table})"))
        rows = store.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608 - names from the table
    with closing(sqlite3.connect(new)) as store, store:
        before = {row[0] for row in store.execute(f"SELECT rowid FROM {table}")}  # noqa: S608 - ours
        for row in rows:
            places = ", ".join("?" * len(row))
            store.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})", row)  # noqa: S608 - see above
        return [row[0] for row in store.execute(f"SELECT rowid FROM {table}") if row[0] not in before]  # noqa: S608 - ours


def take_away(store_file: Path, table: str, rows: Sequence[int]) -> None:
    """Mend it again, so that the rest of the rehearsal shows this step alone."""
    with closing(sqlite3.connect(store_file)) as store, store:
        store.executemany(f"DELETE FROM {table} WHERE rowid = ?", [(row,) for row in rows])  # noqa: S608 - ours


@contextmanager
def spoilt(store_file: Path, *statements: str, only: bool = True) -> Iterator[None]:
    """While the block runs the store is as the statements leave it, or whatever the block does; then it is as before.

    With `only` false nothing happens at all: the step is not to be broken.
    """
    from django.db import connections

    if not only:
        yield
        return
    connections.close_all()
    with closing(sqlite3.connect(":memory:")) as aside:
        _over(store_file, aside)
        with closing(sqlite3.connect(store_file)) as store, store:
            for statement in statements:
                store.execute(statement)
        try:
            yield
        finally:
            connections.close_all()
            with closing(sqlite3.connect(store_file)) as store:
                aside.backup(store)


def _over(source: Path, target: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(source)) as old:
        old.backup(target)


# Where the end of each stands that a step may hide: store and table.
_ENDS = {
    "identity_after_leaving": ("archive", "archive_archivedvalue"),
    "access_records": ("logs", "visits_recordday"),
    "pending_registration": ("default", "members_pendingregistration"),
}


@contextmanager
def hidden_from_the_worker(records: Sequence[str]) -> Iterator[None]:
    """While the block runs the ends of these records lie in a far future, so that nothing of them is due."""
    from django.db import connections

    before = []
    for alias, table in (_ENDS[record] for record in records):
        with connections[alias].cursor() as cursor:
            cursor.execute(f"SELECT id, ends_at FROM {table}")  # noqa: S608 - one of _ENDS
            before.append((alias, table, cursor.fetchall()))
            cursor.execute(f"UPDATE {table} SET ends_at = '9999-01-01 00:00:00'")  # noqa: S608 - one of _ENDS
    try:
        yield
    finally:
        for alias, table, rows in before:
            with connections[alias].cursor() as cursor:
                for key, end in rows:
                    cursor.execute(f"UPDATE {table} SET ends_at = %s WHERE id = %s", [end, key])  # noqa: S608 - one of _ENDS
