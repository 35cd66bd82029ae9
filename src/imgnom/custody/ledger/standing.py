"""Where a ledger stands, for whoever brings an older one back: its place in the tree, the witness, what it destroyed."""

import base64
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from imgnom.custody.ledger import merkle
from imgnom.custody.ledger.append import node_at, tree_size
from imgnom.custody.ledger.checkpoints import checkpoint_facts
from imgnom.custody.ledger.errors import LedgerBroken
from imgnom.custody.ledger.models import Certificate, Intent, Leaf
from imgnom.custody.ledger.signing import origin, verifier_key
from imgnom.custody.ledger.witness import witness_notes


@dataclass(frozen=True)
class Standing:
    origin: str
    size: int
    root: str  # base64


def _text(root: bytes) -> str:
    return base64.b64encode(root).decode()


def standing() -> Standing:
    size = tree_size()
    return Standing(origin(), size, _text(merkle.root(size, node_at)))


def has_been(other: Standing) -> bool:
    """Whether this ledger's first entries are exactly those of the other: it went on from there."""
    return other.size <= tree_size() and _text(merkle.root(other.size, node_at)) == other.root


def witnessed_roots(name: str) -> dict[int, str]:
    """Size → root of every checkpoint that the witness holds of the ledger of this name, signed by our key.

    Empty without a witness. Raises LedgerBroken for one that is not ours.
    """
    found, key = {}, verifier_key(name)
    for file, note in witness_notes():
        try:
            size, root = checkpoint_facts(note, key)
        except ValueError:
            raise LedgerBroken(f"witness {file}: its signature does not hold") from None
        found[size] = _text(root)
    return found


def keys_said_destroyed() -> set[str]:
    """Every key that the destruction list or a certificate names."""
    found: set[str] = set()
    for model in (Intent, Certificate):
        for text in model.objects.values_list("key_ids", flat=True).iterator():
            found.update(json.loads(text))
    return found


def acts_from(index: int, *, acts: Collection[str] | None) -> Iterator[dict[str, Any]]:
    """The leaves from that place on, of these acts (None: of all), in order."""
    for payload in Leaf.objects.filter(index__gte=index).order_by("index").values_list("payload", flat=True).iterator():
        leaf: dict[str, Any] = json.loads(payload)
        if acts is None or leaf["act"] in acts:
            yield leaf
