"""The door of the vault. Plaintext is not here: see `reveal`."""

from imgnom.custody.vault.after_restore import drop_dead_values, hold_digest, hold_indexed_name, known_subjects
from imgnom.custody.vault.copied import (
    NAME,
    WORDS,
    SomebodyLeaves,
    leave_copied,
    open_copied,
    seal_copied,
)
from imgnom.custody.vault.errors import (
    PersonalNotOpened,
    RevealRefused,
    SubjectFenced,
    ValueMissing,
    ValueTaken,
    VaultError,
)
from imgnom.custody.vault.files import (
    FILE,
    day_key,
    destroy_day_keys,
    destroy_file_keys,
    file_keys,
    open_file,
    open_rows_for_day,
    seal_file,
    seal_rows_for_day,
)
from imgnom.custody.vault.uses import UseRow, corrections_of, note_use, uses_of
from imgnom.custody.vault.values import (
    SUBJECT,
    DestroyedSubject,
    begin_destruction,
    decoy_subject,
    destroy_due_names,
    destroy_subject,
    due_names,
    ensure_subject,
    fence_subject,
    find_subject,
    forget_value,
    has_row,
    held_items,
    hold_name,
    index_value,
    is_fenced,
    is_name_held,
    is_restricted,
    ledger_name,
    lift_restriction,
    new_subject,
    new_subject_token,
    note_correction,
    recompute_names,
    replace_indexed_value,
    restrict,
    seal_value,
    sealed_at,
    unindex,
)

__all__ = [
    "FILE", "NAME", "SUBJECT", "WORDS", "DestroyedSubject", "PersonalNotOpened", "RevealRefused", "SomebodyLeaves", "SubjectFenced", "UseRow",
    "ValueMissing", "ValueTaken", "VaultError", "begin_destruction", "corrections_of", "day_key", "decoy_subject", "destroy_day_keys",
    "destroy_due_names", "destroy_file_keys", "destroy_subject", "drop_dead_values", "due_names", "ensure_subject", "fence_subject",
    "file_keys", "find_subject", "forget_value", "has_row", "held_items", "hold_digest", "hold_indexed_name", "hold_name", "index_value", "is_fenced",
    "is_name_held", "is_restricted", "known_subjects", "leave_copied", "ledger_name", "lift_restriction", "new_subject", "new_subject_token", "note_correction",
    "note_use", "open_copied", "open_file", "open_rows_for_day", "recompute_names", "replace_indexed_value", "restrict", "seal_copied", "seal_file",
    "seal_rows_for_day", "seal_value", "sealed_at", "unindex", "uses_of",
]  # fmt: skip
