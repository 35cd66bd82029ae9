"""Checkpoints, proofs and the walk over the whole ledger."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import rfc8785
from django.db import transaction

from imgnom.custody.ledger import merkle
from imgnom.custody.ledger.append import node_at, tree_size
from imgnom.custody.ledger.check_rows import ensure_named_rows, ensure_rows
from imgnom.custody.ledger.errors import LeafUnknown, LedgerBroken, LedgerError, SigningKeyMissing
from imgnom.custody.ledger.models import Certificate, Checkpoint, Leaf, Node
from imgnom.custody.ledger.sealed_rows import count_row, insert_sealed
from imgnom.custody.ledger.signing import from_base64, origin, sign_bytes, sign_note, verifier_key, verify_note
from imgnom.custody.ledger.witness import Told, tell_witness, told, witness_notes, write_to_folder
from imgnom.custody.transactions import hold_lock

CHUNK = 2000
EXPORT = "imgnom ledger export 2"
EXPORTED = {"leaves.jsonl", "checkpoints.txt", "certificates.jsonl", "key.txt", "export.json"}
# Acts beside which a row of the ledger store stands.
NAMING = ("destroy", "intend_destruction")


@dataclass(frozen=True)
class VerifyResult:
    ok: bool
    problem: str
    size: int


def make_checkpoint(*, now: datetime) -> Checkpoint:
    """Sign size and root as they stand; the same size is signed once. A witness folder gets a copy."""
    with transaction.atomic(using="ledger"):
        hold_lock("ledger", "checkpoint")
        size = tree_size()
        found = Checkpoint.objects.filter(size=size).first()
        if found is None:
            text = f"{origin()}\n{size}\n{base64.b64encode(merkle.root(size, node_at)).decode()}\n"
            found = Checkpoint(size=size, note=sign_note(text), made_at=now)
            insert_sealed(found)
            count_row(Checkpoint._meta.db_table)
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


def proofs_of(leaf_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Leaf, place and hashes up to the latest checkpoint, as JSON facts, by id: all of one checkpoint.

    An act that is not under it yet is left out.
    """
    checkpoint = Checkpoint.objects.order_by("-size").first()
    if checkpoint is None:
        return {}
    rows = Leaf.objects.filter(leaf_id__in=list(leaf_ids), index__lt=checkpoint.size)
    return {
        row.leaf_id: {
            "leaf": json.loads(row.payload),
            "index": row.index,
            "size": checkpoint.size,
            "hashes": [
                base64.b64encode(h).decode() for h in merkle.inclusion_proof(row.index, checkpoint.size, node_at)
            ],
            "checkpoint": checkpoint.note,
        }
        for row in rows
    }


def proof_of(leaf_id: str) -> dict[str, Any]:
    """The proof of one leaf. Raises LeafUnknown."""
    found = proofs_of([leaf_id])
    if leaf_id not in found:
        raise LeafUnknown(leaf_id)
    return found[leaf_id]


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
    if len(lines) != 3 or not (lines[1].isascii() and lines[1].isdecimal()) or str(int(lines[1])) != lines[1]:
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
        words = (
            f"entry {entry} was changed (ledger_leaf or ledger_node)"
            if level == 0
            else f"a stored hash above entry {entry} was changed (ledger_node)"
        )
        raise LedgerBroken(words)


def _act_of(leaf: Leaf) -> dict[str, Any] | None:
    """The act of a row that is whole; None otherwise."""
    try:
        act = json.loads(leaf.payload)
        is_whole = act["id"] == leaf.leaf_id and rfc8785.dumps(act).decode() == leaf.payload
    except (ValueError, KeyError, TypeError):
        return None
    return act if is_whole else None


def _walk(wanted: Mapping[int, bytes]) -> tuple[int, int, dict[int, bytes]]:
    """Number of entries and of hashes, and the root at each wanted size, from the leaves alone. Raises LedgerBroken."""
    roots = {0: merkle.EMPTY}
    stack: list[tuple[int, bytes]] = []
    computed: dict[tuple[int, int], bytes] = {}
    acts: list[tuple[int, dict[str, Any]]] = []
    size = nodes = 0
    for leaf in Leaf.objects.order_by("index").iterator(chunk_size=CHUNK):
        if leaf.index != size:
            raise LedgerBroken(f"entry {size} is missing (ledger_leaf)")
        act = _act_of(leaf)
        if act is None:
            raise LedgerBroken(f"entry {size} was changed (ledger_leaf)")
        if act.get("act") in NAMING:
            acts.append((size, act))
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
            ensure_named_rows(acts)
            acts.clear()
    _ensure_nodes(computed)
    ensure_named_rows(acts)
    return size, nodes + len(computed), roots


def verify_ledger(*, key: str | None = None, saved: str | None = None) -> VerifyResult:
    """Walk all leaves from 0, rebuild the tree, compare with stored hashes, checkpoints and the witness, and with the
    certificates, receipts and intents beside it.

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
            raise LedgerBroken(f"hashes of entries beyond {size} are stored, but not the entries (ledger_node)")
        ensure_rows()
    except LedgerBroken as broken:
        return VerifyResult(False, str(broken), size)
    except SigningKeyMissing:
        return VerifyResult(
            False, "the signing key is missing, without which the rows beside the tree cannot be checked", size
        )
    return VerifyResult(True, "", size)


def _fold(stack: list[tuple[int, bytes]]) -> bytes:
    digest = stack[-1][1]
    for _, left in reversed(stack[:-1]):
        digest = merkle.node_hash(left, digest)
    return digest


def export_ledger(folder: Path) -> None:
    """What an outsider needs to verify, up to the last checkpoint: entries, checkpoints, certificates, key, and a signed
    list of these files. Raises LedgerError for a folder with other things in it: they would be taken for evidence.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if strange := sorted({place.name for place in folder.iterdir()} - EXPORTED):
        raise LedgerError(f"{folder} holds {strange[0]}, which is no part of an export. Give an empty folder.")
    notes = list(Checkpoint.objects.order_by("size").values_list("size", "note"))
    size = notes[-1][0] if notes else 0
    leaves = Leaf.objects.filter(index__lt=size).order_by("index").values_list("payload", flat=True)
    digests = {
        "leaves.jsonl": _write_lines(
            folder / "leaves.jsonl", (payload.encode() for payload in leaves.iterator(chunk_size=CHUNK))
        ),
        "checkpoints.txt": _write_text(folder / "checkpoints.txt", "\n".join(note for _, note in notes)),
        "certificates.jsonl": _write_lines(folder / "certificates.jsonl", _certificates_below(size)),
        "key.txt": _write_text(folder / "key.txt", verifier_key()),
    }
    listed: dict[str, Any] = {"format": EXPORT, "origin": origin(), "files": digests}
    signed = rfc8785.dumps(listed | {"signed": sign_bytes(rfc8785.dumps(listed))})
    (folder / "export.json").write_bytes(signed)


def _certificates_below(size: int) -> Iterable[bytes]:
    """A canonical line for each certificate whose leaf is one of the first `size` entries."""
    numbers = list(Certificate.objects.order_by("id").values_list("pk", flat=True))
    for place in range(0, len(numbers), CHUNK):
        rows = list(Certificate.objects.filter(pk__in=numbers[place : place + CHUNK]).order_by("id"))
        there = Leaf.objects.filter(leaf_id__in=[row.leaf_id for row in rows], index__lt=size)
        known = set(there.values_list("leaf_id", flat=True))
        for row in rows:
            if row.leaf_id in known:
                yield rfc8785.dumps({"certificate": json.loads(row.content), "signature": row.signature})


def _write_lines(file: Path, lines: Iterable[bytes]) -> str:
    """Written; the SHA-256 of what was."""
    digest = hashlib.sha256()
    with file.open("wb") as target:
        for line in lines:
            target.write(line + b"\n")
            digest.update(line + b"\n")
    return digest.hexdigest()


def _write_text(file: Path, text: str) -> str:
    file.write_bytes(text.encode())
    return hashlib.sha256(text.encode()).hexdigest()
