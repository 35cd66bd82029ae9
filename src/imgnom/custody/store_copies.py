"""A whole copy of one store, and putting it back, on either engine (A4.2, design §5).

SQLite: the online backup in one step, a consistent snapshot while writers go on. PostgreSQL: one snapshot
(REPEATABLE READ), each table through COPY into one uncompressed ZIP; put back by TRUNCATE and COPY in one transaction.
A copy is synced and checked before it counts. Nothing here knows what the rows mean.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

SUFFIXES = {"sqlite": ".sqlite3", "postgresql": ".pgcopy"}
TABLES = "tables.json"
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Withheld:
    """Columns that a copy of a store holds empty, because whoever makes the copy keeps their values sealed beside it.

    `ask` gives (owner of the key, number of the row, the columns), in SQL that both engines read; `klass` is the kind of
    that key; `blanks` says what stands in a column instead, in SQL over the row; `held` is (item, column) of a name that
    has to stay held for a while even when nobody can read it any more.
    """

    table: str
    klass: str
    columns: tuple[str, ...]
    ask: str
    blanks: Mapping[str, str]
    held: tuple[str, str] | None = None


@dataclass(frozen=True)
class Leaving:
    """What a copy leaves out: `take` is given each kind's rows, as they stand in the copy; `emptied` tables have none."""

    withheld: Sequence[Withheld]
    emptied: Sequence[str]
    take: Callable[[Withheld, Iterable[Sequence[Any]]], None]

    @property
    def blanks(self) -> dict[str, dict[str, str]]:
        """Table → column → what stands there instead."""
        found: dict[str, dict[str, str]] = {}
        for one in self.withheld:
            found.setdefault(one.table, {}).update(one.blanks)
        return found


NOTHING_LEFT_OUT = Leaving((), (), lambda _one, _rows: None)


class CopyBroken(Exception):
    """A copy is cut, changed, or of another engine."""


def copy_name(alias: str) -> str:
    """What a copy of this store is called; the ending says for which engine it is."""
    return alias + SUFFIXES[connections[alias].vendor]


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(file: Path) -> None:
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


def erase(file: Path) -> None:
    """Overwritten, synced, unlinked; one that is gone already is fine."""
    try:
        with file.open("r+b") as handle:
            left = file.stat().st_size
            while left > 0:
                left -= handle.write(b"\0" * min(left, CHUNK_BYTES))
            handle.flush()
            os.fsync(handle.fileno())
        file.unlink()
    except FileNotFoundError:
        return


def digest_of(file: Path) -> tuple[str, int]:
    """(SHA-256 in hex, bytes), read from the file as it lies there."""
    with file.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
        return found, handle.tell()


def copy_store(alias: str, target: Path, *, leaving: Leaving = NOTHING_LEFT_OUT) -> None:
    """The store as it is at one instant stands in `target`, synced and for our eyes only; whole, but for what it leaves out.

    Raises CopyBroken, and what `leaving.take` raises.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    connection = connections[alias]
    try:
        if connection.vendor == "sqlite":
            _copy_sqlite(connection, target, leaving)
        else:
            _copy_postgresql(alias, connection, target, leaving)
    except (sqlite3.Error, psycopg.Error, DatabaseError) as error:
        raise CopyBroken(f"the store {alias} cannot be copied: {' '.join(str(error).split())}") from None
    sync_file(target)
    ensure_whole(target)


def ensure_whole(file: Path) -> None:
    """Raises CopyBroken."""
    try:
        fault = _fault_of_sqlite(file) if file.suffix == SUFFIXES["sqlite"] else _fault_of_zip(file)
    except (sqlite3.Error, zipfile.BadZipFile, KeyError, OSError) as error:
        fault = type(error).__name__
    if fault:
        raise CopyBroken(f"{file.name} is not whole ({fault})")


def install_store(alias: str, source: Path) -> None:
    """The copy stands in the store's place; what was there is overwritten. Repeating it after a kill is harmless.

    Nobody else may use the store meanwhile. Raises CopyBroken.
    """
    connection = connections[alias]
    if source.name != copy_name(alias):
        raise CopyBroken(f"{source.name} is no copy for the store {alias} on {connection.display_name}")
    try:
        if connection.vendor == "sqlite":
            _install_sqlite(connection, source)
        else:
            _install_postgresql(alias, connection, source)
    except (psycopg.Error, DatabaseError) as error:
        raise CopyBroken(f"the store {alias} cannot be put in its place: {' '.join(str(error).split())}") from None


# ── SQLite ───────────────────────────────────────────────────────────────────────────────────────────────


def _copy_sqlite(connection: BaseDatabaseWrapper, target: Path, leaving: Leaving) -> None:
    connection.ensure_connection()
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        connection.connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE").fetchone()  # one file, nothing beside it
        _leave_out(copy, leaving)


def _leave_out(copy: sqlite3.Connection, leaving: Leaving) -> None:
    """What is left out is overwritten in the copy, and in no journal: a copy that fails does not count anyway."""
    for one in leaving.withheld:
        leaving.take(one, copy.execute(one.ask))
    copy.execute("PRAGMA journal_mode=OFF").fetchone()
    copy.execute("PRAGMA secure_delete=ON").fetchone()
    for table, blanks in leaving.blanks.items():
        columns = ", ".join(f'"{name}" = {blank}' for name, blank in blanks.items())
        copy.execute(f'UPDATE "{table}" SET {columns}')  # noqa: S608 - words of our own
    for table in leaving.emptied:
        copy.execute(f'DELETE FROM "{table}"')  # noqa: S608 - as above
    copy.execute("PRAGMA journal_mode=DELETE").fetchone()


def _fault_of_sqlite(file: Path) -> str:
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as copy:
        answer = str(copy.execute("PRAGMA integrity_check").fetchone()[0])
    return "" if answer == "ok" else answer


def _install_sqlite(connection: BaseDatabaseWrapper, source: Path) -> None:
    connection.close()
    place = Path(connection.settings_dict["NAME"])
    fresh, gone = place.with_name(f"{place.name}.restoring"), place.with_name(f"{place.name}.gone")
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh.unlink(missing_ok=True)
    shutil.copyfile(source, fresh)
    sync_file(fresh)
    for ending in ("-wal", "-shm", "-journal"):
        erase(place.with_name(place.name + ending))
    if place.exists():
        place.replace(gone)
    fresh.replace(place)
    sync_folder(place.parent)
    erase(gone)


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _snapshot(alias: str, connection: BaseDatabaseWrapper) -> Iterator[Any]:
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield cursor


def _quoted(connection: BaseDatabaseWrapper, *names: str) -> str:
    return ", ".join(connection.ops.quote_name(name) for name in names)


_NO_PART = "NOT (SELECT relispartition FROM pg_class WHERE relname = c.table_name AND relnamespace = current_schema()::regnamespace)"


def _tables(cursor: Any) -> dict[str, list[str]]:
    """Table → its columns, in a fixed order. A table in parts stands for all of them: rows find theirs when they come back."""
    cursor.execute(
        "SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t"  # noqa: S608 - words of our own
        " USING (table_schema, table_name) WHERE t.table_type = 'BASE TABLE' AND c.table_schema = current_schema()"
        f" AND c.is_generated = 'NEVER' AND {_NO_PART} ORDER BY c.table_name, c.ordinal_position"
    )
    found: dict[str, list[str]] = {}
    for table, column in cursor.fetchall():
        found.setdefault(table, []).append(column)
    return found


def _copy_postgresql(alias: str, connection: BaseDatabaseWrapper, target: Path, leaving: Leaving) -> None:
    with _snapshot(alias, connection) as cursor, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as bag:
        for one in leaving.withheld:
            leaving.take(one, cursor.cursor.stream(one.ask))
        tables = _tables(cursor)
        bag.writestr(TABLES, json.dumps(tables))
        for table, columns in tables.items():
            blanks = leaving.blanks.get(table, {})
            wanted = ", ".join(blanks.get(name) or _quoted(connection, name) for name in columns)
            where = "WHERE false" if table in leaving.emptied else ""
            # Not by the table's name alone: one in parts is only copied by what it answers.
            # By their first column, which is random for posts and keys: not in the order in which they came or were changed.
            asked = f"SELECT {wanted} FROM {_quoted(connection, table)} {where} ORDER BY 1"  # noqa: S608 - as above, quoted
            words = f"COPY ({asked}) TO STDOUT"
            with cursor.copy(words) as rows, bag.open(f"{table}.copy", "w", force_zip64=True) as entry:
                for block in rows:
                    entry.write(block)


def _fault_of_zip(file: Path) -> str:
    with zipfile.ZipFile(file) as bag:
        tables = json.loads(bag.read(TABLES))
        missing = {f"{table}.copy" for table in tables} - set(bag.namelist())
        return bag.testzip() or ", ".join(sorted(missing))


def _install_postgresql(alias: str, connection: BaseDatabaseWrapper, source: Path) -> None:
    with transaction.atomic(using=alias), connection.cursor() as cursor, zipfile.ZipFile(source) as bag:
        wanted, there = json.loads(bag.read(TABLES)), _tables(cursor)
        strange = [table for table, columns in wanted.items() if set(columns) - set(there.get(table, []))]
        if strange:
            raise CopyBroken(f"{source.name} holds tables of another version: {', '.join(strange)}")
        cursor.execute(f"TRUNCATE {_quoted(connection, *there)} RESTART IDENTITY CASCADE")
        for table, columns in wanted.items():
            words = f"COPY {_quoted(connection, table)} ({_quoted(connection, *columns)}) FROM STDIN"
            with bag.open(f"{table}.copy") as entry, cursor.copy(words) as rows:
                while block := entry.read(CHUNK_BYTES):
                    rows.write(block)
        _set_sequences(cursor, connection)


def _set_sequences(cursor: Any, connection: BaseDatabaseWrapper) -> None:
    """New rows get numbers beyond those that came back."""
    cursor.execute(
        "SELECT c.table_name, c.column_name FROM information_schema.columns c"  # noqa: S608 - words of our own
        f" WHERE c.table_schema = current_schema() AND c.is_identity = 'YES' AND {_NO_PART}"
    )
    for table, column in cursor.fetchall():
        name, place = _quoted(connection, column), _quoted(connection, table)
        beyond = f"COALESCE(max({name}), 1), max({name}) IS NOT NULL"
        words = f"SELECT setval(pg_get_serial_sequence(%s, %s), {beyond}) FROM {place}"  # noqa: S608 - the server's own names, quoted
        cursor.execute(words, [place, column])
