"""What a receipt says (I6): what went, what is still there and until when, with certificates and proofs; never whose.

A line is called destroyed only after a look: its certificate, or a store in which nothing with that end is left.
What the ledger attests of it is told apart from what only the site says: `receipt_document` shows the entries beside
each, all under one checkpoint, and lists the fields that no entry covers.
Every receipt lives twice: in the withdrawal's row, and beside the ledger, where a restored site finds it again.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from imgnom.community.visits.public import due_records
from imgnom.custody.consent.public import due_consents
from imgnom.custody.ledger.public import (
    KeptReceipt,
    LeafUnknown,
    certificate,
    keep_receipt,
    make_checkpoint,
    proofs_of,
    receipt_mark,
    sequence,
)
from imgnom.custody.owners import owns_store
from imgnom.custody.vault.public import due_names, is_fenced
from imgnom.policy.public import Policy, ends_at, last_day
from imgnom.procedures.retention.models import Withdrawal

RECEIPT, CERTIFICATE_FILE = "imgnom receipt 2", "imgnom certificate file 2"
# What a receipt says of today is the site's word; no entry of the ledger covers it.
UNATTESTED = ("as_of", "lines", "state")
UNATTESTED_ALONE = ("choice", "policy", "receipt", "withdrawn_at")  # besides, where its act of leaving is not at hand
PROOF_TRIES = 20
PROOF_WAIT_SECONDS = 0.1
# Kept with an end but without a certificate of this receipt's own: how many rows with such an end are left.
LEFT = {
    "freed_names": lambda end: due_names(now=end),
    "consent_records": lambda end: due_consents(now=end),
    "access_records_member": lambda end: due_records(now=end),
}


def find_receipt(number: str) -> Withdrawal | None:
    """By its number, as people type it."""
    return Withdrawal.objects.filter(number="".join(number.split()).upper()).first()


def copy_receipt(row: Withdrawal) -> None:
    """The copy beside the ledger says what the row says."""
    keep_receipt(
        KeptReceipt(
            row.number, row.choice, row.language, row.state, row.lines, row.policy_digest, row.archive_ref, row.letter, row.leaves,
            row.certificates, row.starts_at,
        )
    )  # fmt: skip


def line_state(row: Withdrawal, line: Mapping[str, Any], now: datetime) -> str:
    """going, held, refused (its day is over, the worker has not been there yet), destroyed, or stays."""
    state, record = str(line["state"]), str(line["record"])
    if state != "held":
        return state
    if record == "mail_queue" and is_fenced(row.letter):
        return "destroyed"
    end = datetime.fromisoformat(line["ends_at"]) if line["ends_at"] else None
    if end is None or now < end:
        return "held"
    return "destroyed" if record in LEFT and not LEFT[record](end) else "refused"


def receipt_facts(row: Withdrawal, *, now: datetime) -> dict[str, Any]:
    """What, when, until when; and the signed certificates."""
    lines = [dict(line) | {"state": line_state(row, line, now)} for line in row.lines]
    return {
        "receipt": row.number, "as_of": now.isoformat(timespec="seconds"), "withdrawn_at": row.starts_at.isoformat(), "choice": row.choice,
        "policy": row.policy_digest, "state": row.state, "lines": lines, "certificates": certificates_of(row),
    }  # fmt: skip


def certificates_of(row: Withdrawal) -> list[dict[str, Any]]:
    found = []
    for number in row.certificates:
        try:
            found.append(_with_attested_grade(certificate(number)))
        except LeafUnknown:  # the ledger's store is an older one than ours; what it does not know is not claimed
            continue
    return found


def _with_attested_grade(found: dict[str, Any]) -> dict[str, Any]:
    """One that an earlier version called final is called so again when the ledger says it too: at the next daily run."""
    return found if found["final_leaf_id"] else found | {"grade": "cryptographic"}


def receipt_document(row: Withdrawal, *, now: datetime) -> dict[str, Any]:
    """The receipt with its proofs, to be signed."""
    facts = receipt_facts(row, now=now)
    raised = [found["final_leaf_id"] for found in facts["certificates"] if found["final_leaf_id"]]
    proofs = proofs_for([*row.leaves, *raised], now=now)
    leaving = next((proof for proof in proofs.values() if _is_leaving(row, proof["leaf"])), None)
    certificates, ledger = _proven(facts["certificates"], proofs)
    unattested: tuple[str, ...] = UNATTESTED_ALONE
    if leaving is not None:
        ledger.insert(0, leaving)
        facts["withdrawn_at"] = leaving["leaf"]["time"]
        unattested = () if "receipt" in leaving["leaf"]["detail"] else ("receipt",)
    return facts | {
        "format": RECEIPT, "certificates": certificates, "ledger": ledger, "not_attested": sorted((*UNATTESTED, *unattested)),
    }  # fmt: skip


def certificate_document(number: str, *, now: datetime) -> dict[str, Any]:
    """A certificate with its proofs, to be signed. Raises LeafUnknown."""
    found = _with_attested_grade(certificate(number))
    proofs = proofs_for([found["leaf_id"], *([found["final_leaf_id"]] if found["final_leaf_id"] else [])], now=now)
    shown, ledger = _proven([found], proofs)
    if not shown:
        raise LeafUnknown(number)
    return shown[0] | {"format": CERTIFICATE_FILE, "ledger": ledger}


def _is_leaving(row: Withdrawal, leaf: Mapping[str, Any]) -> bool:
    """The act of leaving that this receipt answers for."""
    detail: Mapping[str, Any] = leaf["detail"]
    return bool(
        leaf["act"] == "withdraw"
        and detail.get("choice") == row.choice
        and leaf["policy"] == row.policy_digest
        and detail.get("receipt", receipt_mark(row.number)) == receipt_mark(row.number)
    )


def _proven(
    certificates: Sequence[Mapping[str, Any]], proofs: Mapping[str, dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The certificates whose act is proven, with the grade that is, and the proofs of both."""
    shown, ledger = [], []
    for found in certificates:
        if found["leaf_id"] not in proofs:
            continue
        raised = proofs.get(found["final_leaf_id"])
        ledger += [proofs[found["leaf_id"]], *([raised] if raised else [])]
        shown.append(
            {
                "certificate": found["certificate"], "signature": found["signature"], "leaf_id": found["leaf_id"],
                "grade": found["grade"] if raised else "cryptographic",
            }
        )  # fmt: skip
    return shown, ledger


def proofs_for(leaves: Sequence[str], *, now: datetime) -> dict[str, dict[str, Any]]:
    """The ledger's proof of each by id, all of one checkpoint; an act that has not entered yet is brought in, or waited
    for while another process does it.
    """
    wanted = set(leaves)
    for _ in range(PROOF_TRIES):
        found = proofs_of(leaves)
        if set(found) == wanted:
            break
        if owns_store("ledger"):
            sequence(now=now)
            make_checkpoint(now=now)
        time.sleep(PROOF_WAIT_SECONDS)
    return found


def recompute_receipts(policy: Policy) -> int:
    """After a change of the policy: what is still held ends as the file now says; how many receipts changed."""
    changed = 0
    for row in Withdrawal.objects.all().iterator(chunk_size=500):
        before = [dict(line) for line in row.lines]
        for line in row.lines:
            record = policy.records.get(line["record"])
            if line["state"] == "held" and record is not None:
                end = ends_at(record, row.starts_at, policy.zone)
                line["ends_at"] = end.isoformat() if end else None
                line["until"] = until_of(policy, line["record"], row.starts_at)
        if row.lines != before:
            row.save(update_fields=["lines"])
            copy_receipt(row)
            changed += 1
    return changed


def until_of(policy: Policy, record: str, start: datetime) -> str | None:
    day = last_day(policy.records[record], start, policy.zone)
    return day.isoformat() if day else None
