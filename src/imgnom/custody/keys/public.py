"""The door of the keys."""

from imgnom.custody.keys.compact import compact, compact_stores
from imgnom.custody.keys.data_keys import (
    KeyId,
    any_alive,
    count_revived,
    create_key,
    destroy_keys,
    find_key,
    find_or_create_key,
    keys_of,
    keys_status,
    open_key,
)
from imgnom.custody.keys.epochs import TurnReport, check_keyring, ensure_keyring, last_turn, turn_epoch
from imgnom.custody.keys.errors import KeyDestroyed, KeyringMissing, KeyringWrong, KeysError, KeyUnknown, SealBroken
from imgnom.custody.keys.hazmat import DataKey, context, derive, keyed_digest
from imgnom.custody.keys.keyring import read_key
from imgnom.custody.keys.probe import opens_today

__all__ = [
    "DataKey",
    "KeyDestroyed",
    "KeyId",
    "KeyUnknown",
    "KeyringMissing",
    "KeyringWrong",
    "KeysError",
    "SealBroken",
    "TurnReport",
    "any_alive",
    "check_keyring",
    "compact",
    "compact_stores",
    "context",
    "count_revived",
    "create_key",
    "derive",
    "destroy_keys",
    "ensure_keyring",
    "find_key",
    "find_or_create_key",
    "keyed_digest",
    "keys_of",
    "keys_status",
    "last_turn",
    "open_key",
    "opens_today",
    "read_key",
    "turn_epoch",
]  # fmt: skip
