"""The door of the proofs."""

from imgnom.procedures.proofs.board import Board, Row, read_board
from imgnom.procedures.proofs.checks import Check, Finding, register_check
from imgnom.procedures.proofs.evidence import STALE_AFTER, check_promises, code_digest, record_rehearsal

__all__ = [
    "STALE_AFTER", "Board", "Check", "Finding", "Row", "check_promises", "code_digest", "read_board", "record_rehearsal", "register_check",
]  # fmt: skip
