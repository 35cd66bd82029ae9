"""A second copy of every receipt, beside the acts it speaks of: a restored site answers for it too (A4.2, I6)."""

from collections.abc import Iterator
from dataclasses import dataclass
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
    Receipt.objects.update_or_create(
        number=receipt.number,
        defaults={
            "choice": receipt.choice, "language": receipt.language, "state": receipt.state, "lines": receipt.lines, "policy_digest": receipt.policy_digest,
            "archive_ref": receipt.archive_ref, "letter": receipt.letter, "leaves": receipt.leaves, "certificates": receipt.certificates,
            "starts_at": receipt.starts_at,
        },
    )  # fmt: skip


def kept_receipts() -> Iterator[KeptReceipt]:
    for row in Receipt.objects.order_by("pk").iterator(chunk_size=500):
        yield KeptReceipt(
            row.number, row.choice, row.language, row.state, row.lines, row.policy_digest, row.archive_ref, row.letter, row.leaves,
            row.certificates, row.starts_at,
        )  # fmt: skip
