"""Sealed files and sealed rows of a day: everything that hangs on a key of its own and on no person."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO

from imgnom.custody.keys.public import (
    DataKey,
    KeyRowChanged,
    SealBroken,
    compact,
    context,
    create_open_key,
    destroy_keys,
    find_key,
    find_or_create_key,
    keys_of_many,
    open_key,
)
from imgnom.custody.ledger.public import intend_destruction
from imgnom.policy.public import Actor

FILE = "file"


def seal_file(token: str, pieces: Sequence[bytes | memoryview], target: BinaryIO, *, now: datetime) -> None:
    """Write what the pieces make together sealed under a new key of this file; a token is never used a second time."""
    key = create_open_key(owner=token, klass=FILE, now=now)
    key.seal_stream(pieces, target, bound_to=context("file", token))


def _key_of_file(key_id: str) -> DataKey:
    try:
        return open_key(key_id)
    except KeyRowChanged:
        raise SealBroken("the key of this file does not open where it stands") from None


def open_file(token: str, path: Path) -> Iterator[bytes]:
    """The file's chunks. Raises SealBroken; a file whose key is gone raises it too."""
    key_id = find_key(token, FILE)
    if key_id is None:
        raise SealBroken("the key of this file is gone")
    with path.open("rb") as source:
        yield from _key_of_file(key_id).open_stream(source, bound_to=context("file", token))


def destroy_file_keys(tokens: Iterable[str], *, now: datetime, by: Actor, clause: str) -> tuple[str, ...]:
    """The keys of these files are on the destruction list, then gone."""
    key_ids = keys_of_many(tokens)
    if key_ids:
        intend_destruction(what="file", key_ids=key_ids, clause=clause, by=by, now=now)
        destroy_keys(key_ids, now=now, by=by, clause=clause)
    return tuple(key_ids)


def file_keys(tokens: Iterable[str]) -> tuple[str, ...]:
    """The names of the keys of these files."""
    return tuple(keys_of_many(tokens))


def _owner(day: date) -> str:
    return f"day-{day.isoformat()}"


def day_key(day: date, klass: str, *, now: datetime) -> str:
    """The id of the random key of a Seoul day; made where there is none yet."""
    return find_or_create_key(owner=_owner(day), klass=f"day-{klass}", now=now)


def seal_rows_for_day(key_id: str, rows: Sequence[tuple[bytes, str]]) -> list[bytes]:
    """Rows (plain, what it is bound to) sealed under their day's key. Raises KeyDestroyed once the day has ended."""
    key = open_key(key_id)
    return [key.seal(plain, bound_to=context("day", bound)) for plain, bound in rows]


def open_rows_for_day(key_id: str, rows: Sequence[tuple[bytes, str]]) -> list[bytes]:
    """Rows (sealed, what it is bound to) opened. Raises KeyDestroyed, SealBroken."""
    key = open_key(key_id)
    return [key.open(sealed, bound_to=context("day", bound)) for sealed, bound in rows]


def destroy_day_keys(key_ids: Iterable[str], *, now: datetime, by: Actor, clause: str) -> int:
    wanted = list(key_ids)
    intend_destruction(what="day", key_ids=wanted, clause=clause, by=by, now=now)
    count = destroy_keys(wanted, now=now, by=by, clause=clause)
    compact("keys")
    return count
