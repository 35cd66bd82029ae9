"""Checkpoints, proofs and the walk over the whole ledger."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from imgnom.custody.ledger import merkle
from imgnom.custody.ledger.append import canonical, node_at, tree_size
from imgnom.custody.ledger.errors import LeafUnknown, LedgerBroken
from imgnom.custody.ledger.models import Certificate, Checkpoint, Leaf, Node
from imgnom.custody.ledger.signing import from_base64, origin, sign_note, verifier_key, verify_note
from imgnom.custody.ledger.witness import Told, tell_witness, told, witness_notes, write_to_folder

CHUNK = 2000


@dataclass(frozen=True)
class VerifyResult:
    ok: bool
    problem: str
    size: int


def make_checkpoint(*, now: datetime) -> Checkpoint:
    """Sign size and root as they stand; the same size is signed once. A witness folder gets a copy."""
    with transaction.atomic(using="ledger"):
        size = tree_size()
        found = Checkpoint.objects.filter(size=size).first()
        if found is None:
            text = f"{origin()}\n{size}\n{base64.b64encode(merkle.root(size, node_at)).decode()}\n"
            found, _ = Checkpoint.objects.get_or_create(size=size, defaults={"note": sign_note(text), "made_at": now})
    write_to_folder(found.size, found.note)
    return found


def show_witness(*, send: Callable[[str, str], None], now: datetime, at_once: bool = False) -> Told:
    """A witness that is no folder has the latest checkpoint, or the failure is written down; `send` mails it."""
    found = Checkpoint.objects.order_by("-size").first()
    if found is None or not found.size:
        return told()
    return tell_witness(found.size, found.note, fits=_misfit, send=send, now=now, at_once=at_once)


def _misfit(note: str) -> str:
    """Empty when this ledger goes on from that checkpoint; otherwise why not."""
    try:
        size, root = checkpoint_facts(note)
    except ValueError:
        return "it holds something that this ledger's key did not sign"
    if size > tree_size():
        return f"it has seen {size} entries, and this ledger has {tree_size()}"
    return "" if merkle.root(size, node_at) == root else f"it has seen another ledger of {size} entries"


def latest_checkpoint() -> str:
    found = Checkpoint.objects.order_by("-size").first()
    return found.note if found else ""


def proof_of(leaf_id: str) -> dict[str, Any]:
    """Leaf, place and hashes up to the latest checkpoint, as JSON facts. Raises LeafUnknown."""
    leaf = Leaf.objects.filter(leaf_id=leaf_id).first()
    checkpoint = Checkpoint.objects.order_by("-size").first()
    if leaf is None or checkpoint is None or leaf.index >= checkpoint.size:
        raise LeafUnknown(leaf_id)
    hashes = merkle.inclusion_proof(leaf.index, checkpoint.size, node_at)
    return {
        "leaf": json.loads(leaf.payload),
        "index": leaf.index,
        "size": checkpoint.size,
        "hashes": [base64.b64encode(h).decode() for h in hashes],
        "checkpoint": checkpoint.note,
    }


def proven_leaf(leaf_id: str) -> dict[str, Any] | None:
    """The leaf, if it lies under the latest signed checkpoint by proof; None otherwise. Nothing stored is trusted."""
    try:
        proof = proof_of(leaf_id)
        size, root = checkpoint_facts(proof["checkpoint"])
    except (LeafUnknown, ValueError, Node.DoesNotExist):
        return None
    entry = Leaf.objects.values_list("payload", flat=True).get(leaf_id=leaf_id).encode()
    hashes = [from_base64(one) for one in proof["hashes"]]
    leaf: dict[str, Any] = proof["leaf"]
    holds = leaf.get("id") == leaf_id and merkle.verify_inclusion(
        merkle.leaf_hash(entry), proof["index"], size, hashes, root
    )
    return leaf if holds else None


def consistency(old: int, new: int) -> list[str]:
    return [base64.b64encode(h).decode() for h in merkle.consistency_proof(old, new, node_at)]


def consistency_proof(old: int) -> dict[str, Any]:
    """That the latest checkpoint goes on from one of that size, as JSON facts. Raises LeafUnknown."""
    checkpoint = Checkpoint.objects.order_by("-size").first()
    if checkpoint is None or not 0 < old <= checkpoint.size:
        raise LeafUnknown(str(old))
    return {
        "from": old,
        "size": checkpoint.size,
        "hashes": consistency(old, checkpoint.size),
        "checkpoint": checkpoint.note,
    }


def checkpoint_facts(note: str, key: str | None = None) -> tuple[int, bytes]:
    """Size and root. Raises ValueError for a note that this key did not sign, or that is no checkpoint of ours."""
    lines = verify_note(note, key=key).splitlines()
    if len(lines) < 3 or not lines[1].isdecimal() or str(int(lines[1])) != lines[1]:
        raise ValueError("this is no checkpoint")
    root = from_base64(lines[2])
    if len(root) != len(merkle.EMPTY):
        raise ValueError("the root is no SHA-256")
    return int(lines[1]), root


def _signed_roots(key: str | None, saved: str | None) -> dict[int, bytes]:
    """What was signed, here, at the witness and in hand: size → root. Raises LedgerBroken with the first fault."""
    wanted: dict[int, bytes] = {}
    for checkpoint in Checkpoint.objects.order_by("size"):
        try:
            size, root = checkpoint_facts(checkpoint.note, key)
        except ValueError:
            raise LedgerBroken(f"checkpoint {checkpoint.size}: its signature does not hold") from None
        if size != checkpoint.size:
            raise LedgerBroken(f"checkpoint {checkpoint.size}: says {size}")
        wanted[size] = root
    in_hand = [("witness checkpoint given by hand", saved)] if saved is not None else []
    for name, note in (*((f"witness {name}", note) for name, note in witness_notes()), *in_hand):
        try:
            size, root = checkpoint_facts(note, key)
        except ValueError:
            raise LedgerBroken(f"{name}: its signature does not hold") from None
        if wanted.setdefault(size, root) != root:
            raise LedgerBroken(f"checkpoint {size}: the witness saw another root")
    return wanted


def _ensure_nodes(computed: Mapping[tuple[int, int], bytes]) -> None:
    """The stored hashes are those of the leaves. Raises LedgerBroken, naming the first entry below a wrong one."""
    by_level: dict[int, list[int]] = {}
    for level, index in computed:
        by_level.setdefault(level, []).append(index)
    wrong: list[tuple[int, int]] = []
    for level, places in by_level.items():
        rows = Node.objects.filter(level=level, index__gte=min(places), index__lte=max(places))
        stored = {row.index: bytes(row.digest) for row in rows}
        wrong += [(i << level, level) for i in places if stored.get(i) != computed[level, i]]
    if wrong:
        entry, level = min(wrong, key=lambda w: (w[1], w[0]))
        words = f"entry {entry} was changed" if level == 0 else f"a stored hash above entry {entry} was changed"
        raise LedgerBroken(words)


def _is_whole(leaf: Leaf) -> bool:
    try:
        return bool(json.loads(leaf.payload)["id"] == leaf.leaf_id and canonical(leaf.payload).decode() == leaf.payload)
    except (ValueError, KeyError, TypeError):
        return False


def _walk(wanted: Mapping[int, bytes]) -> tuple[int, int, dict[int, bytes]]:
    """Number of entries and of hashes, and the root at each wanted size, from the leaves alone. Raises LedgerBroken."""
    roots = {0: merkle.EMPTY}
    stack: list[tuple[int, bytes]] = []
    computed: dict[tuple[int, int], bytes] = {}
    size = nodes = 0
    for leaf in Leaf.objects.order_by("index").iterator(chunk_size=CHUNK):
        if leaf.index != size:
            raise LedgerBroken(f"entry {size} is missing")
        if not _is_whole(leaf):
            raise LedgerBroken(f"entry {size} was changed")
        digest, level = merkle.leaf_hash(leaf.payload.encode()), 0
        computed[0, size] = digest
        while stack and stack[-1][0] == level:
            digest, level = merkle.node_hash(stack.pop()[1], digest), level + 1
            computed[level, size >> level] = digest
        stack.append((level, digest))
        size += 1
        if size in wanted:
            roots[size] = _fold(stack)
        if len(computed) >= CHUNK:
            _ensure_nodes(computed)
            nodes += len(computed)
            computed.clear()
    _ensure_nodes(computed)
    return size, nodes + len(computed), roots


def verify_ledger(*, key: str | None = None, saved: str | None = None) -> VerifyResult:
    """Walk all leaves from 0, rebuild the tree, compare with stored hashes, checkpoints and the witness.

    `key` is a verifier key to trust instead of our own, `saved` a checkpoint that somebody kept. The result names the first fault.
    """
    size = 0
    try:
        wanted = _signed_roots(key, saved)
        size, nodes, roots = _walk(wanted)
        for at, root in sorted(wanted.items()):
            if at > size:
                raise LedgerBroken(f"entries {size} to {at - 1} were cut off: a checkpoint covers {at}")
            if roots.get(at) != root:
                raise LedgerBroken(f"the first {at} entries are not those that were signed")
        if Node.objects.count() != nodes:
            raise LedgerBroken(f"hashes of entries beyond {size} are stored, but not the entries")
    except LedgerBroken as broken:
        return VerifyResult(False, str(broken), size)
    return VerifyResult(True, "", size)


def _fold(stack: list[tuple[int, bytes]]) -> bytes:
    digest = stack[-1][1]
    for _, left in reversed(stack[:-1]):
        digest = merkle.node_hash(left, digest)
    return digest


def export_ledger(folder: Path) -> None:
    """leaves.jsonl, checkpoints.txt, certificates.jsonl, key.txt: what an outsider needs to verify."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "leaves.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for leaf in Leaf.objects.order_by("index").iterator(chunk_size=2000):
            file.write(leaf.payload + "\n")
    notes = Checkpoint.objects.order_by("size").values_list("note", flat=True)
    (folder / "checkpoints.txt").write_text("\n".join(notes), encoding="utf-8")
    with (folder / "certificates.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for row in Certificate.objects.order_by("id").iterator():
            file.write(
                json.dumps({"certificate": json.loads(row.content), "signature": row.signature}, ensure_ascii=False)
                + "\n"
            )
    (folder / "key.txt").write_text(verifier_key(), encoding="utf-8")
