"""Leave no old bytes: empty SQLite's write-ahead log, rewrite or vacuum PostgreSQL's tables.

SQLite overwrites deleted rows at once (`secure_delete`) and keeps them only in the log, which is cut here. PostgreSQL
keeps a deleted row in its page: a small table is written anew (`VACUUM FULL`), a large one is only vacuumed, and its
old rows, wrapped keys and sealed values, are worthless once the epoch has turned. Its own log (WAL) is the server's.
"""

from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import Error

REWRITE_BELOW_BYTES = 64 * 1024 * 1024
LOCK_WAIT = "500ms"


def compact(alias: str) -> bool:
    """True when nothing old is left in the store's own files; False when a reader was in the way, to be tried again."""
    connection = connections[alias]
    if connection.in_atomic_block:
        return False
    return _cut_log(connection) if connection.vendor == "sqlite" else _rewrite_tables(connection)


def _cut_log(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return not cursor.fetchone()[0]
        except OperationalError:
            return False


def _rewrite_tables(connection: BaseDatabaseWrapper) -> bool:
    """Every table that holds or held rows, one by one; a table in use is left for the next time."""
    whole = True
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(relname), pg_total_relation_size(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND pg_relation_size(oid) > 0"
        )
        tables = cursor.fetchall()
        cursor.execute(f"SET lock_timeout = '{LOCK_WAIT}'")
        try:
            for table, size in tables:
                small = size < REWRITE_BELOW_BYTES
                try:
                    cursor.execute(f"VACUUM {'(FULL)' if small else ''} {table}")
                except Error:
                    whole = False
                whole = whole and small
        finally:
            cursor.execute("RESET lock_timeout")
    return whole


def compact_stores() -> dict[str, bool]:
    return {alias: compact(alias) for alias in connections}
