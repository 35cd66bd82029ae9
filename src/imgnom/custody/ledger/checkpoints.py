"""Checkpoints, proofs and the walk over the whole ledger."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from imgnom.custody.ledger import merkle
from imgnom.custody.ledger.append import canonical
from imgnom.custody.ledger.errors import LeafUnknown
from imgnom.custody.ledger.models import Certificate, Checkpoint, Leaf, Node
from imgnom.custody.ledger.signing import origin, sign_note, verifier_key, verify_note


@dataclass(frozen=True)
class VerifyResult:
    ok: bool
    problem: str
    size: int


def _node(level: int, index: int) -> bytes:
    return bytes(Node.objects.get(level=level, index=index).digest)


def _size() -> int:
    last = Leaf.objects.order_by("-index").first()
    return last.index + 1 if last else 0


def make_checkpoint(*, now: datetime) -> Checkpoint:
    """Sign size and root as they stand; the same size is signed once. A witness folder gets a copy."""
    with transaction.atomic(using="ledger"):
        size = _size()
        found = Checkpoint.objects.filter(size=size).first()
        if found is None:
            text = f"{origin()}\n{size}\n{base64.b64encode(merkle.root(size, _node)).decode()}\n"
            found = Checkpoint.objects.create(size=size, note=sign_note(text), made_at=now)
    _tell_witness(found)
    return found


def _witness_folder() -> Path | None:
    name = settings.IMGNOM.witness
    return Path(name) if name and "://" not in name and not name.startswith("mailto:") else None


def _tell_witness(checkpoint: Checkpoint) -> None:
    folder = _witness_folder()
    if folder is None or not folder.is_dir():
        return
    file = folder / f"checkpoint-{checkpoint.size:012d}.txt"
    if not file.exists():
        partial = file.with_suffix(".part")
        partial.write_text(checkpoint.note, encoding="utf-8")
        partial.replace(file)


def latest_checkpoint() -> str:
    found = Checkpoint.objects.order_by("-size").first()
    return found.note if found else ""


def proof_of(leaf_id: str) -> dict[str, Any]:
    """Leaf, place and hashes up to the latest checkpoint, as JSON facts. Raises LeafUnknown."""
    leaf = Leaf.objects.filter(leaf_id=leaf_id).first()
    checkpoint = Checkpoint.objects.order_by("-size").first()
    if leaf is None or checkpoint is None or leaf.index >= checkpoint.size:
        raise LeafUnknown(leaf_id)
    hashes = merkle.inclusion_proof(leaf.index, checkpoint.size, _node)
    return {
        "leaf": json.loads(leaf.payload),
        "index": leaf.index,
        "size": checkpoint.size,
        "hashes": [base64.b64encode(h).decode() for h in hashes],
        "checkpoint": checkpoint.note,
    }


def consistency(old: int, new: int) -> list[str]:
    return [base64.b64encode(h).decode() for h in merkle.consistency_proof(old, new, _node)]


def _checkpoint_facts(note: str) -> tuple[int, bytes]:
    lines = verify_note(note).splitlines()
    return int(lines[1]), base64.b64decode(lines[2])


def verify_ledger() -> VerifyResult:
    """Walk all leaves from 0, rebuild the tree, compare with nodes, checkpoints and the witness; name the first fault."""
    level_zero: dict[tuple[int, int], bytes] = {}
    roots: dict[int, bytes] = {}
    wanted = {}
    for checkpoint in Checkpoint.objects.order_by("size"):
        try:
            size, root = _checkpoint_facts(checkpoint.note)
        except ValueError:
            return VerifyResult(False, f"checkpoint {checkpoint.size}: its signature does not hold", 0)
        if size != checkpoint.size:
            return VerifyResult(False, f"checkpoint {checkpoint.size}: says {size}", 0)
        wanted[size] = root
    folder = _witness_folder()
    for file in sorted(folder.glob("checkpoint-*.txt")) if folder and folder.is_dir() else []:
        try:
            size, root = _checkpoint_facts(file.read_text(encoding="utf-8"))
        except ValueError:
            return VerifyResult(False, f"witness {file.name}: its signature does not hold", 0)
        if wanted.setdefault(size, root) != root:
            return VerifyResult(False, f"checkpoint {size}: the witness saw another root", 0)
    stack: list[tuple[int, bytes]] = []
    expected = 0
    for leaf in Leaf.objects.order_by("index").iterator(chunk_size=2000):
        if leaf.index != expected:
            return VerifyResult(False, f"entry {expected} is missing", expected)
        try:
            whole = json.loads(leaf.payload)["id"] == leaf.leaf_id and canonical(leaf.payload).decode() == leaf.payload
        except (ValueError, KeyError):
            whole = False
        digest = merkle.leaf_hash(leaf.payload.encode())
        node = Node.objects.filter(level=0, index=leaf.index).first()
        if not whole or node is None or bytes(node.digest) != digest:
            return VerifyResult(False, f"entry {leaf.index} was changed", leaf.index)
        level_zero.clear()
        level = 0
        while stack and stack[-1][0] == level:
            digest = merkle.node_hash(stack.pop()[1], digest)
            level += 1
        stack.append((level, digest))
        expected += 1
        if expected in wanted:
            roots[expected] = _fold(stack)
    roots.setdefault(0, merkle.EMPTY)
    for size, root in sorted(wanted.items()):
        if size > expected:
            return VerifyResult(
                False, f"entries {expected} to {size - 1} were cut off: a checkpoint covers {size}", expected
            )
        if roots.get(size) != root:
            return VerifyResult(False, f"the first {size} entries are not those that were signed", expected)
    return VerifyResult(True, "", expected)


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


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
