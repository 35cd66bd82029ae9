"""A second copy of every receipt, beside the acts it speaks of: a restored site answers for it too (A4.2, I6)."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from imgnom.custody.ledger.models import Receipt


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


def keep_receipt(receipt: KeptReceipt) -> None:
    """The receipt's facts as they are now; saying them twice changes nothing."""
    facts = {field.name: getattr(receipt, field.name) for field in fields(receipt)}
    # One statement: a leaving tells it four times.
    Receipt.objects.bulk_create(
        [Receipt(**facts)], update_conflicts=True, unique_fields=["number"], update_fields=[name for name in facts if name != "number"]
    )  # fmt: skip


def kept_receipts() -> Iterator[KeptReceipt]:
    for row in Receipt.objects.order_by("pk").iterator(chunk_size=500):
        yield KeptReceipt(
            row.number, row.choice, row.language, row.state, row.lines, row.policy_digest, row.archive_ref, row.letter, row.leaves,
            row.certificates, row.starts_at,
        )  # fmt: skip
