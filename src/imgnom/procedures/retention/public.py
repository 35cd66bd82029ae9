"""The door of retention."""

from imgnom.procedures.retention.after_restore import end_lost_archives, replay_withdrawals, subjects_leaving
from imgnom.procedures.retention.errors import AlreadyWithdrawn
from imgnom.procedures.retention.run_due import (
    DESTROYERS,
    ENDS_OTHERWISE,
    RetentionReport,
    list_due,
    run_due,
    take_policy,
)
from imgnom.procedures.retention.waiting import count_waiting_withdrawals
from imgnom.procedures.retention.withdraw_member import plan_for, resume_withdrawals, withdraw_member

__all__ = [
    "DESTROYERS",
    "ENDS_OTHERWISE",
    "AlreadyWithdrawn",
    "RetentionReport",
    "count_waiting_withdrawals",
    "end_lost_archives",
    "list_due",
    "plan_for",
    "replay_withdrawals",
    "resume_withdrawals",
    "run_due",
    "subjects_leaving",
    "take_policy",
    "withdraw_member",
]
