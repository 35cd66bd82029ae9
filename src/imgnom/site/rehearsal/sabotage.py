"""Steps that may be broken on purpose, to see that the board tells the truth: each turns exactly its clauses red."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    words: str
    clauses: tuple[str, ...]
    # What the worker does not get to see while the step is broken.
    forgotten: tuple[str, ...] = ()


SABOTAGES = {
    "destroy-keys": Step("the keys of those who left come back from an old copy", ("A4.2",)),
    "archive-deadline": Step(
        "the archive is not emptied on its day", ("A3.1", "A4.1①"), forgotten=("identity_after_leaving",)
    ),
    "access-records": Step("access records stay past their day", ("A1.2", "A3.2②"), forgotten=("access_records",)),
    "pending": Step("unconfirmed registrations are never cleared", ("A2.2d",), forgotten=("pending_registration",)),
    "strip": Step("something that came inside a picture is written beside it", ("A2.1",)),
    "log": Step("an address is written into a log file", ("A1.1",)),
    "ledger": Step("one entry of the ledger is changed", ("A0.1",)),
}


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
