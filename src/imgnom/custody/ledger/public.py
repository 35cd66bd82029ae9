"""The door of the ledger."""

from imgnom.custody.ledger.append import free_leases, held_still, sequence
from imgnom.custody.ledger.certificates import (
    Certificate,
    certificate,
    close_intent,
    finalise_certificates,
    intend_destruction,
    intended_keys,
    issue_certificate,
    make_number,
    open_intents,
    sign_document,
)
from imgnom.custody.ledger.checkpoints import (
    VerifyResult,
    consistency,
    consistency_proof,
    export_ledger,
    latest_checkpoint,
    make_checkpoint,
    proof_of,
    proofs_of,
    proven_leaf,
    show_witness,
    verify_ledger,
)
from imgnom.custody.ledger.errors import LeafUnknown, LedgerBroken, LedgerError, SigningKeyMissing
from imgnom.custody.ledger.receipts import KeptReceipt, keep_receipt, kept_receipts, receipt_mark
from imgnom.custody.ledger.signing import holds_bytes, sign_bytes, verifier_key
from imgnom.custody.ledger.standing import (
    Standing,
    acts_from,
    has_been,
    keys_said_destroyed,
    standing,
    witnessed_roots,
)
from imgnom.custody.ledger.witness import Told, WitnessAway, has_seen, told, witness_trouble

__all__ = [
    "Certificate", "KeptReceipt", "LeafUnknown", "LedgerBroken", "LedgerError", "SigningKeyMissing", "Standing", "Told", "VerifyResult", "WitnessAway",
    "acts_from", "certificate", "close_intent", "consistency", "consistency_proof", "export_ledger", "finalise_certificates", "free_leases", "has_been", "has_seen", "held_still",
    "holds_bytes", "intend_destruction", "intended_keys", "issue_certificate", "keep_receipt", "kept_receipts", "keys_said_destroyed",
    "latest_checkpoint", "make_checkpoint", "make_number", "open_intents", "proof_of", "proofs_of", "proven_leaf", "receipt_mark", "sequence", "show_witness", "sign_bytes",
    "sign_document", "standing", "told", "verifier_key", "verify_ledger", "witness_trouble", "witnessed_roots",
]  # fmt: skip
