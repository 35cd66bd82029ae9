"""Words that a copy of a store does not hold in plain: they lie beside it, sealed under keys that die with their owner.

A store holds titles, comments and names as they are shown. A copy that leaves the machine holds them empty, and a file
beside it holds them sealed: what hangs on a picture under the picture's key, what hangs on a person under that
person's, and what the person may leave behind under two keys of their own, made when first copied. Leaving sets these
free as far as the choice keeps comments or the name, and destroys all others: so a copy of before says nothing of
somebody who was destroyed since, and gives back what they left to everybody.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import batched
from typing import Any

from django.db import connections, transaction

from imgnom.custody.keys.public import (
    KeyDestroyed,
    context,
    create_keys,
    open_key,
    opened_keys,
    set_keys_free,
)
from imgnom.custody.store_copies import Withheld
from imgnom.custody.vault.models import Fence
from imgnom.custody.vault.values import blind_digest

# Comments, and the name under which posts stay.
WORDS, NAME = "words", "name"
LEFT_BEHIND: Mapping[str, tuple[str, ...]] = {"keep": (WORDS, NAME), "anonymise": (WORDS,), "delete": ()}
AT_ONCE = 500


class SomebodyLeaves(Exception):
    """Who is on the way out stood in the copy as a member: it has to be made anew."""


def _fenced(owners: Iterable[str]) -> bool:
    return Fence.objects.filter(subject__in=list(owners)).exists()


def _keys(klass: str, owners: Sequence[str], now: datetime) -> Mapping[str, tuple[str, Any]]:
    """Owner → (name of the key, opened key). Raises SomebodyLeaves."""
    found = opened_keys(owners, klass)
    missing = [owner for owner in owners if owner not in found]
    if klass not in (WORDS, NAME) or not missing:
        return found
    if _fenced(missing):
        raise SomebodyLeaves
    made = create_keys(missing, klass=klass, now=now)
    if _fenced(missing):  # between our look and now: their destruction may have counted their keys already
        raise SomebodyLeaves
    return {**found, **opened_keys(made, klass)}


def _bound(table: str, row: int) -> bytes:
    return context("copied", table, str(row))


def seal_copied(what: Withheld, rows: Iterable[Sequence[Any]], *, now: datetime) -> Iterator[str]:
    """A line of JSON for every row (owner of the key, number, columns) whose owner has a key. Raises SomebodyLeaves."""
    for batch in batched(rows, AT_ONCE):
        keys = _keys(what.klass, list(dict.fromkeys(str(row[0]) for row in batch)), now)
        for owner, number, *values in batch:
            if str(owner) not in keys:
                continue
            key_id, key = keys[str(owner)]
            told = dict(zip(what.columns, values, strict=True))
            sealed = key.seal(json.dumps(told).encode(), bound_to=_bound(what.table, number))
            line = {"table": what.table, "row": number, "key": key_id, "sealed": base64.b64encode(sealed).decode()}
            if what.held:
                item, column = what.held
                line["held"] = blind_digest(item, str(told[column]))
            yield json.dumps(line)


def open_copied(store: str, lines: Iterable[str]) -> dict[tuple[str, int], str]:
    """Words stand in their rows again, as far as their keys live. Repeating it is harmless.

    Returns (table, row) → digest of a name whose key is dead. Raises SealBroken for a line that was changed.
    """
    held: dict[tuple[str, int], str] = {}
    connection = connections[store]
    quote = connection.ops.quote_name
    key_id, key = "", None
    for batch in batched(lines, AT_ONCE):
        with transaction.atomic(using=store), connection.cursor() as cursor:
            for line in map(json.loads, batch):
                if line["key"] != key_id:
                    key_id, key = line["key"], _opened(line["key"])
                if key is None:
                    if "held" in line:
                        held[line["table"], line["row"]] = line["held"]
                    continue
                plain = key.open(base64.b64decode(line["sealed"]), bound_to=_bound(line["table"], line["row"]))
                told: dict[str, Any] = json.loads(plain)
                columns = ", ".join(f"{quote(name)} = %s" for name in told)
                cursor.execute(
                    f"UPDATE {quote(line['table'])} SET {columns} WHERE id = %s",  # noqa: S608 - names of a signed file, quoted
                    [*told.values(), line["row"]],
                )
    return held


def _opened(key_id: str) -> Any:
    try:
        return open_key(key_id)
    except KeyDestroyed:
        return None


def leave_copied(subject: str, choice: str) -> None:
    """What the choice leaves behind hangs on nobody from now on. Before the destruction of the subject; repeatable."""
    for klass in LEFT_BEHIND.get(choice, ()):
        set_keys_free(subject, klass)
