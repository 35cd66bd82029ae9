"""The door of the vault. Plaintext is not here: see `reveal`."""

from imgnom.custody.vault.errors import (
    PersonalNotOpened,
    RevealRefused,
    SubjectFenced,
    ValueMissing,
    ValueTaken,
    VaultError,
)
from imgnom.custody.vault.files import (
    day_key,
    destroy_day_keys,
    destroy_file_keys,
    open_file,
    open_rows_for_day,
    seal_file,
    seal_rows_for_day,
)
from imgnom.custody.vault.values import (
    DestroyedSubject,
    decoy_subject,
    destroy_due_names,
    destroy_subject,
    due_names,
    fence_subject,
    find_subject,
    forget_value,
    held_items,
    hold_name,
    index_value,
    is_name_held,
    is_restricted,
    lift_restriction,
    new_subject,
    restrict,
    seal_value,
    sealed_at,
    unindex,
)

__all__ = [
    "DestroyedSubject", "PersonalNotOpened", "RevealRefused", "SubjectFenced", "ValueMissing", "ValueTaken", "VaultError", "day_key", "decoy_subject",
    "destroy_day_keys", "destroy_due_names", "destroy_file_keys", "destroy_subject", "due_names", "fence_subject", "find_subject",
    "forget_value", "held_items", "hold_name", "index_value", "is_name_held", "is_restricted", "lift_restriction", "new_subject",
    "open_file", "open_rows_for_day", "restrict", "seal_file", "seal_rows_for_day", "seal_value", "sealed_at", "unindex",
]  # fmt: skip
