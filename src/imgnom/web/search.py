"""Search in bounded time: newest rows first, a limited number of rows and characters, and a time limit per statement.

Texts are compared here and not by the store: LIKE takes quadratic time on texts and words that repeat themselves, and
reads every row. A scan that has reached its limit says so and how far it came, and another request goes on from there.
There is no index over what members wrote: it would be a second copy of their texts to seal, withhold and destroy.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import DatabaseError, connections, transaction

MAX_QUERY_CHARS, MAX_WORDS, MAX_WORD_CHARS = 100, 6, 40
MAX_ROWS, MAX_TEXT_CHARS = 3_000, 1_600_000
CHUNK = 100
STATEMENT_SECONDS = 1.0
_STEPS_BETWEEN_LOOKS = 10_000  # of SQLite's virtual machine, some tenths of a millisecond
_PG_QUERY_CANCELED = "57014"
_ABOVE_ALL = 2**63 - 1


class StatementTooSlow(Exception):
    """The store was stopped in the middle of a statement."""


@dataclass(frozen=True)
class Words:
    """`is_cut`: more was typed than is searched for."""

    words: tuple[str, ...]
    is_cut: bool


@dataclass(frozen=True)
class Row:
    """`texts` are what is searched; `tags` and `names` also match without a leading # or @."""

    key: int
    position: int
    texts: tuple[str, ...]
    tags: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scan:
    """`keys` and `positions` of the rows found; `reached` is the last position looked at where a limit was reached."""

    keys: tuple[int, ...]
    positions: tuple[int, ...]
    looked_at: int
    reached: int | None


def words_of(line: str) -> Words:
    """What is searched for in a line that was typed: small letters, each word once."""
    every = line[:MAX_QUERY_CHARS].casefold().split()
    words = tuple(dict.fromkeys(word[:MAX_WORD_CHARS] for word in every))[:MAX_WORDS]
    is_cut = (
        len(line) > MAX_QUERY_CHARS or len(set(every)) > MAX_WORDS or any(len(word) > MAX_WORD_CHARS for word in every)
    )
    return Words(words, is_cut)


def _holds(row: Row, words: Sequence[str]) -> bool:
    text, tags, names = ("\n".join(part).casefold() for part in (row.texts, row.tags, row.names))
    return all(
        word in text or (word.lstrip("#") or word) in tags or (word.lstrip("@") or word) in names for word in words
    )


def _size(row: Row) -> int:
    return sum(map(len, (*row.texts, *row.tags, *row.names)))


def scan(fetch: Callable[[int | None], Sequence[Row]], words: Sequence[str], *, after: int | None, most: int) -> Scan:
    """Up to `most` rows that hold every word. `fetch` gives the next rows below a position, `CHUNK` of them at most."""
    found: list[Row] = []
    looked_at = chars = 0
    while True:
        try:
            rows = fetch(after)
        except StatementTooSlow:
            return _scan(found, looked_at, after if after is not None else _ABOVE_ALL)
        for row in rows:
            if looked_at >= MAX_ROWS or chars >= MAX_TEXT_CHARS:
                return _scan(found, looked_at, after)
            looked_at, chars, after = looked_at + 1, chars + _size(row), row.position
            if _holds(row, words):
                found.append(row)
                if len(found) == most:
                    return _scan(found, looked_at, None)
        if len(rows) < CHUNK:
            return _scan(found, looked_at, None)


def _scan(found: list[Row], looked_at: int, reached: int | None) -> Scan:
    return Scan(tuple(row.key for row in found), tuple(row.position for row in found), looked_at, reached)


@contextmanager
def limited_statements(alias: str, *, seconds: float = STATEMENT_SECONDS) -> Iterator[None]:
    """No statement inside takes longer than this. Raises StatementTooSlow."""
    connection = connections[alias]
    try:
        if connection.vendor == "sqlite":
            connection.ensure_connection()
            ends = time.monotonic() + seconds
            connection.connection.set_progress_handler(lambda: time.monotonic() > ends, _STEPS_BETWEEN_LOOKS)
            try:
                yield
            finally:
                connection.connection.set_progress_handler(None, 0)
        else:
            with transaction.atomic(using=alias):
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
                yield
    except DatabaseError as error:
        cause = error.__cause__
        code = getattr(cause, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_INTERRUPT or getattr(cause, "sqlstate", "") == _PG_QUERY_CANCELED:
            raise StatementTooSlow from None
        raise
