"""The door of the desk."""

from imgnom.procedures.moderation.ending import (
    destroy_handler_records,
    destroy_right_grants,
    due_handler_records,
    due_right_grants,
    recompute_records_of_handling,
)
from imgnom.procedures.moderation.handling import Look, forget_whose, looks_at, record_grant, record_handling

__all__ = [
    "Look", "destroy_handler_records", "destroy_right_grants", "due_handler_records", "due_right_grants", "forget_whose", "looks_at", "recompute_records_of_handling", "record_grant", "record_handling",
]  # fmt: skip
