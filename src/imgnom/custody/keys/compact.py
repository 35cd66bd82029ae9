"""Leave no old bytes: empty SQLite's write-ahead log, rewrite PostgreSQL's tables and end its log.

SQLite overwrites deleted rows at once (`secure_delete`) and keeps them only in the log, which is cut here. PostgreSQL
keeps a deleted row in its page until the table is written anew (`VACUUM FULL`): `compact` does that for small tables
right after a destruction, `clear_residue` for all but very large ones a few times a day, together with what
statistics remember of values, and then ends the server's own log (WAL), so that the old bytes leave it too. Every step
can be killed and repeated. A table in use is left for the next time: nobody waits for us longer than LOCK_WAIT, and
nobody can read a table while it is written anew, which takes about a second for 100 MB. Whoever cuts SQLite's log holds up
all who write while it waits for those who read; so it waits for READER_WAIT_MS at a time, not as long as a writer would.
"""

from dataclasses import dataclass, field

from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.utils import Error

from imgnom.custody.owners import owns_store

REWRITE_BELOW_BYTES = 8 * 1024 * 1024
REWRITE_DAILY_BELOW_BYTES = 256 * 1024 * 1024
LOCK_WAIT = "100ms"
READER_WAIT_MS = 200
TRIES = 5


@dataclass
class Residue:
    """What old bytes may still be where, in words for an operator; empty when nothing is left."""

    left: dict[str, str] = field(default_factory=dict)


def compact(alias: str) -> bool:
    """True when nothing old is left in the store's own files; False when a reader was in the way, or when this process
    is not the store's owner: then the worker does it.
    """
    connection = connections[alias]
    if connection.in_atomic_block or not owns_store(alias):
        return False
    if connection.vendor == "sqlite":
        return _cut_log(connection)
    return not _rewrite_tables(connection, below=REWRITE_BELOW_BYTES, tries=1, how="")


def compact_stores() -> dict[str, bool]:
    return {alias: compact(alias) for alias in connections}


def clear_residue() -> Residue:
    """What was destroyed is in no file of the stores and in no log of theirs; what could not be done is told.

    Only for who owns the stores, and outside of transactions. Repeating it is harmless.
    """
    found = Residue()
    servers: dict[tuple[str, str], str] = {}
    for alias in connections:
        connection = connections[alias]
        if connection.in_atomic_block or not owns_store(alias):
            found.left[alias] = "this process may not"
        elif connection.vendor == "sqlite":
            if not _cut_log(connection):
                found.left[alias] = "a reader holds the log"
        else:
            left = _rewrite_tables(connection, below=REWRITE_DAILY_BELOW_BYTES, tries=TRIES, how="ANALYZE")
            left += _forget_statistics(connection) + _analyse_parted(connection) + _rewrite_statistics(connection)
            if left:
                found.left[alias] = f"in use or too large: {', '.join(left)}"
            facts = connection.settings_dict
            servers.setdefault((str(facts["HOST"]), str(facts["PORT"])), alias)
    for alias in servers.values():
        trouble = _end_server_log(connections[alias])
        if trouble:
            found.left[f"log of the server of {alias}"] = trouble
    return found


# ── SQLite ───────────────────────────────────────────────────────────────────────────────────────────────


def _cut_log(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        (usual,) = cursor.fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {READER_WAIT_MS}")
        try:
            return any(_is_cut(cursor) for _ in range(TRIES))
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {int(usual)}")


def _is_cut(cursor: CursorWrapper) -> bool:
    try:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return not cursor.fetchone()[0]
    except OperationalError:
        return False


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────────


def _rewrite_tables(connection: BaseDatabaseWrapper, *, below: int, tries: int, how: str) -> list[str]:
    """Every table that holds or held rows, one by one; returns those that keep old rows until the next time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(relname), pg_total_relation_size(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND pg_relation_size(oid) > 0"
        )
        tables = cursor.fetchall()
    left = []
    for table, size in tables:
        small = size < below
        options = ", ".join(filter(None, ("FULL" if small else "", how)))
        done = any(_tried(connection, f"VACUUM {f'({options})' if options else ''} {table}") for _ in range(tries))
        if not (small and done):
            left.append(table)
    return left


def _tried(connection: BaseDatabaseWrapper, statement: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_WAIT}'")
        try:
            cursor.execute(statement)
        except Error:
            return False
        finally:
            cursor.execute("RESET lock_timeout")
    return True


def _forget_statistics(connection: BaseDatabaseWrapper) -> list[str]:
    """The planner keeps common values of a table as it last saw them. ANALYZE replaces them, but leaves those of a table
    that is empty now; giving the column the type that it has removes them. A part's column is its whole's.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT quote_ident(whole.relname), quote_ident(a.attname), format_type(a.atttypid, a.atttypmod)"
            " FROM pg_class c JOIN pg_class whole ON whole.oid = coalesce(pg_partition_root(c.oid), c.oid)"
            " JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_stats s ON s.schemaname = current_schema()"
            " AND s.tablename = c.relname AND s.attname = a.attname WHERE c.relnamespace = current_schema()::regnamespace"
            " AND CASE c.relkind WHEN 'r' THEN pg_relation_size(c.oid) = 0 WHEN 'p' THEN NOT EXISTS"
            " (SELECT 1 FROM pg_partition_tree(c.oid) part WHERE pg_relation_size(part.relid) > 0) ELSE false END"
            " AND a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bytea'::regtype, 'jsonb'::regtype)"
        )
        columns = cursor.fetchall()
        cursor.execute(f"SET lock_timeout = '{LOCK_WAIT}'")
        left = []
        try:
            for table, column, kind in columns:
                try:
                    cursor.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}")
                except Error:
                    left.append(f"statistics of {table}")
        finally:
            cursor.execute("RESET lock_timeout")
    return left


def _analyse_parted(connection: BaseDatabaseWrapper) -> list[str]:
    """What the planner knows of a table in parts, besides what it knows of each."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'p' AND NOT relispartition"
            " AND relnamespace = current_schema()::regnamespace"
        )
        tables = [table for (table,) in cursor.fetchall()]
    return [table for table in tables if not any(_tried(connection, f"ANALYZE {table}") for _ in range(TRIES))]


def _rewrite_statistics(connection: BaseDatabaseWrapper) -> list[str]:
    """The planner's statistics hold common values in plain; analysed anew above, the old ones are dead rows here."""
    done = any(_tried(connection, "VACUUM (FULL) pg_catalog.pg_statistic") for _ in range(TRIES))
    return [] if done else ["pg_statistic"]


def _end_server_log(connection: BaseDatabaseWrapper) -> str:
    """A new segment of the log begins and the older ones are no longer needed; or why not, in words."""
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT pg_switch_wal()")
            cursor.execute("CHECKPOINT")
            cursor.execute("SHOW wal_recycle")
            recycled = cursor.fetchone()[0] == "on"
        except Error:
            return "not permitted; the roles of `imgnom database roles` are"
    return "wal_recycle is on: old segments stay until they are overwritten" if recycled else ""
