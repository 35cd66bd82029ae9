"""Seals of rows: every row of the ledger store that no Merkle proof covers carries a MAC over all of its columns.

The key is derived from the ledger's signing key, so that whoever can write to the database but has no keyring can
change, swap, copy or add no row unseen. A deleted row is missed by the entry of the ledger that names it, or by the
tally of its table. An older genuine version of one row that is put back is found only where an entry contradicts it.
"""

import hmac
import json
from datetime import UTC, datetime
from typing import Any

from django.db import models

from imgnom.custody.ledger.models import Tally
from imgnom.custody.ledger.signing import row_key
from imgnom.custody.transactions import hold_lock

# The row's number names nothing, and the seal does not cover itself.
UNSEALED = ("id", "seal")


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def seal_of(row: models.Model) -> str:
    """The MAC over the table's name and every column. Raises SigningKeyMissing."""
    columns = [field.attname for field in row._meta.concrete_fields if field.attname not in UNSEALED]
    said = [row._meta.db_table, {name: _plain(getattr(row, name)) for name in columns}]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hmac.digest(row_key(), text.encode(), "sha256").hex()


def is_sealed(row: models.Model) -> bool:
    return hmac.compare_digest(str(getattr(row, "seal", "")), seal_of(row))


def insert_sealed(row: Any) -> None:
    """The new row is in the ledger store, under its seal."""
    row.seal = seal_of(row)
    row.save(using="ledger", force_insert=True)


def update_sealed(row: Any, **changes: Any) -> None:
    """The row says so from now on, under a new seal."""
    for name, value in changes.items():
        setattr(row, name, value)
    row.seal = seal_of(row)
    row.save(using="ledger", update_fields=[*changes, "seal"])


def count_row(table: str) -> None:
    """One row more in a table that is counted; in the transaction that adds it."""
    hold_lock("ledger", f"tally of {table}")
    tally = Tally.objects.filter(table=table).first()
    if tally is None:
        insert_sealed(Tally(table=table, rows=1))
    else:
        update_sealed(tally, rows=tally.rows + 1)
