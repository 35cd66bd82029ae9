"""A second copy of every receipt, beside the acts it speaks of: a restored site answers for it too (A4.2, I6)."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from django.db import transaction

from imgnom.custody.ledger.models import Receipt
from imgnom.custody.ledger.sealed_rows import count_row, insert_sealed, update_sealed
from imgnom.custody.transactions import hold_lock


@dataclass(frozen=True)
class KeptReceipt:
    """What a receipt says, of no person. `leaves[0]` is the leaf of the act that it answers for."""

    number: str
    choice: str
    language: str
    state: str
    lines: list[dict[str, Any]]
    policy_digest: str
    archive_ref: str
    letter: str
    leaves: list[str]
    certificates: list[str]
    starts_at: datetime


def receipt_mark(number: str) -> str:
    """What the act of leaving says of its receipt: whoever holds the number can tell that it is theirs, nobody else."""
    return hashlib.sha256(b"imgnom receipt\n" + number.encode()).hexdigest()


def keep_receipt(receipt: KeptReceipt) -> None:
    """The receipt's facts as they are now; saying them twice changes nothing."""
    facts = {field.name: getattr(receipt, field.name) for field in fields(receipt)}
    with transaction.atomic(using="ledger"):
        hold_lock("ledger", f"receipt {receipt.number}")
        found = Receipt.objects.filter(number=receipt.number).first()
        if found is None:
            insert_sealed(Receipt(**facts))
            count_row(Receipt._meta.db_table)
        else:
            update_sealed(found, **facts)


def kept_receipts() -> Iterator[KeptReceipt]:
    for row in Receipt.objects.order_by("pk").iterator(chunk_size=500):
        yield KeptReceipt(
            row.number, row.choice, row.language, row.state, row.lines, row.policy_digest, row.archive_ref, row.letter, row.leaves,
            row.certificates, row.starts_at,
        )  # fmt: skip
