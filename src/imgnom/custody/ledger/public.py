"""The door of the ledger."""

from imgnom.custody.ledger.append import sequence
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
    export_ledger,
    latest_checkpoint,
    make_checkpoint,
    proof_of,
    proven_leaf,
    verify_ledger,
)
from imgnom.custody.ledger.errors import LeafUnknown, LedgerBroken, LedgerError, SigningKeyMissing
from imgnom.custody.ledger.signing import verifier_key

__all__ = [
    "Certificate", "LeafUnknown", "LedgerBroken", "LedgerError", "SigningKeyMissing", "VerifyResult", "certificate", "close_intent", "consistency",
    "export_ledger", "finalise_certificates", "intend_destruction", "intended_keys", "issue_certificate", "latest_checkpoint", "make_checkpoint",
    "make_number", "open_intents", "proof_of", "proven_leaf", "sequence", "sign_document", "verifier_key", "verify_ledger",
]  # fmt: skip
