"""The door of retention."""

from imgnom.procedures.retention.errors import AlreadyWithdrawn
from imgnom.procedures.retention.run_due import DESTROYERS, ENDS_OTHERWISE, RetentionReport, list_due, run_due
from imgnom.procedures.retention.withdraw_member import plan_for, resume_withdrawals, withdraw_member

__all__ = [
    "DESTROYERS",
    "ENDS_OTHERWISE",
    "AlreadyWithdrawn",
    "RetentionReport",
    "list_due",
    "plan_for",
    "resume_withdrawals",
    "run_due",
    "withdraw_member",
]
