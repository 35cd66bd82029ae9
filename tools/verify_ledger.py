"""Verify an exported imgnom ledger, a receipt or a certificate, trusting nothing but a key you already hold.

    python verify_ledger.py --key FILE [--checkpoint FILE] PATH

PATH is an export folder, a receipt .json, a certificate .json, or a proof of consistency as the site hands it out at
/privacy/ledger/consistency/SIZE. With an older checkpoint of an exported ledger, or of SIZE entries, it proves that
nothing before that checkpoint was rewritten or cut. Needs Python and `cryptography`; imports nothing of imgnom.
Exit status 0 only if everything holds.
"""

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

type Document = dict[str, Any]


class Broken(Exception):
    """What does not hold, in words."""


def canonical(value: object) -> bytes:
    """RFC 8785 for what a ledger holds: texts, whole numbers, booleans, null, lists, objects with plain keys."""
    if isinstance(value, float):
        raise Broken("a leaf holds a fraction, which no act of a ledger has")
    if isinstance(value, dict):
        keys = sorted(value, key=lambda k: k.encode("utf-16-be"))
        return b"{" + b",".join(canonical(k) + b":" + canonical(value[k]) for k in keys) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(canonical, value)) + b"]"
    return json.dumps(value, ensure_ascii=False).encode()


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_from_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        raise Broken("the leaf's place is outside the tree")
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            raise Broken("the proof is too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while fn & 1 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise Broken("the proof is too short")
    return r


def ensure_consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: list[bytes]) -> None:
    """RFC 9162, 2.1.4.2. Raises Broken."""
    other = Broken(f"the ledger of {new} entries does not go on from the one of {old} entries")
    if not 0 < old <= new:
        raise Broken(f"a ledger of {new} entries cannot go on from {old}")
    if old == new:
        if path or old_root != new_root:
            raise other
        return
    steps = [old_root, *path] if old & (old - 1) == 0 else path
    if not steps:
        raise other
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = steps[0]
    for c in steps[1:]:
        if sn == 0:
            raise other
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while fn & 1 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or fr != old_root or sr != new_root:
        raise other


def from_base64(text: str) -> bytes:
    """Read where there is one way to write each value. Raises ValueError."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("base64 is not written in the one way there is")
    return raw


class Key:
    """A C2SP note verifier key: name+hash+base64(0x01 ‖ public key)."""

    def __init__(self, text: str) -> None:
        try:
            self.name, mark, body = text.strip().split("+", 2)
            raw = from_base64(body)
            if raw[:1] != b"\x01" or len(raw) != 33:
                raise ValueError
        except ValueError:
            raise Broken("the key file holds no verifier key") from None
        self.mark = hashlib.sha256(self.name.encode() + b"\n\x01" + raw[1:]).digest()[:4]
        if self.mark.hex() != mark:
            raise Broken("the verifier key's hash does not fit its key")
        self.public = Ed25519PublicKey.from_public_bytes(raw[1:])

    def checkpoint(self, note: str) -> tuple[int, bytes]:
        """Size and root of a checkpoint that this key signed."""
        text, _, signatures = note.partition("\n\n")
        lines = text.split("\n")
        for line in signatures.splitlines():
            parts = line.split(" ")
            if len(parts) != 3 or parts[0] != "—" or parts[1] != self.name:
                continue
            try:
                mark = from_base64(parts[2])
                self.public.verify(mark[4:], (text + "\n").encode())
            except (InvalidSignature, ValueError):
                break
            if mark[:4] != self.mark or len(lines) < 3 or lines[0] != self.name:
                break
            return int(lines[1]), from_base64(lines[2])
        raise Broken("a checkpoint is not signed by this key")

    def verify(self, signature: str, content: bytes, what: str = "a certificate") -> None:
        try:
            self.public.verify(from_base64(signature), content)
        except (InvalidSignature, ValueError):
            raise Broken(f"{what} is not signed by this key") from None


def verify_proofs(key: Key, proofs: list[Document]) -> int:
    for proof in proofs:
        size, root = key.checkpoint(proof["checkpoint"])
        path = [from_base64(h) for h in proof["hashes"]]
        if (
            size != proof["size"]
            or root_from_path(leaf_hash(canonical(proof["leaf"])), proof["index"], size, path) != root
        ):
            raise Broken(f"the leaf {proof['leaf'].get('id')} is not in the signed ledger")
    return len(proofs)


def verify_certificate(key: Key, found: Document) -> None:
    key.verify(found["signature"], canonical(found["certificate"]))


def verify_consistency(key: Key, proof: Document, older: str | None) -> str:
    """That the ledger of the proof's checkpoint begins with the one of the older checkpoint."""
    if older is None:
        raise Broken("a proof of consistency needs the older checkpoint: --checkpoint FILE")
    old, old_root = key.checkpoint(older)
    new, new_root = key.checkpoint(proof["checkpoint"])
    if old > new:
        raise Broken(f"entries {new} to {old - 1} were cut off: the older checkpoint covers {old}")
    if proof["from"] != old or proof["size"] != new:
        raise Broken(f"this proof begins at {proof['from']}, the older checkpoint is of {old} entries")
    ensure_consistent(old, new, old_root, new_root, [from_base64(one) for one in proof["hashes"]])
    return f"{new} entries go on from the {old} of the older checkpoint"


def ensure_no_fork(key: Key, proofs: list[Document], older: str) -> None:
    """A receipt shows its own acts only: of an older ledger it can say something where both are of one size."""
    old, old_root = key.checkpoint(older)
    roots = dict(key.checkpoint(proof["checkpoint"]) for proof in proofs)
    if old not in roots:
        raise Broken(
            f"this file alone does not show that the ledger went on from {old} entries:"
            f" fetch /privacy/ledger/consistency/{old} from the site and verify that"
        )
    if roots[old] != old_root:
        raise Broken(f"the ledger of {old} entries is another one than the older checkpoint saw")


def verify_document(key: Key, document: Document, older: str | None) -> str:
    """A receipt or a certificate: its signatures, over every word of it, and that every act it names is in the ledger."""
    if isinstance(document, dict) and {"from", "hashes", "checkpoint"} <= set(document):
        return verify_consistency(key, document, older)
    if not isinstance(document, dict) or "ledger" not in document or "signed" not in document:
        raise Broken("this is neither a receipt nor a certificate")
    body = {name: value for name, value in document.items() if name != "signed"}
    key.verify(document["signed"], canonical(body), "the document")
    proven = {proof["leaf"]["id"] for proof in document["ledger"]}
    certificates = [document] if "signature" in document else document["certificates"]
    if verify_proofs(key, document["ledger"]) == 0:
        raise Broken("there is no proof in it")
    for found in certificates:
        verify_certificate(key, found)
        if found["certificate"]["leaf"] not in proven:
            raise Broken(f"certificate {found['certificate']['certificate']} has no proof in the ledger")
    if older is not None:
        ensure_no_fork(key, document["ledger"], older)
    return f"{len(certificates)} certificates and {len(proven)} ledger proofs hold"


def fold(stack: list[tuple[int, bytes]]) -> bytes:
    if not stack:
        return hashlib.sha256().digest()
    digest = stack[-1][1]
    for _, left in reversed(stack[:-1]):
        digest = node_hash(left, digest)
    return digest


def verify_export(key: Key, folder: Path, older: str | None) -> str:
    notes = [
        n + "\n" for n in (folder / "checkpoints.txt").read_text(encoding="utf-8").replace("\n\n—", "\0—").split("\n\n")
    ]
    wanted: dict[int, bytes] = {}
    for note in (n.replace("\0—", "\n\n—") for n in notes if n.strip()):
        wanted.update([key.checkpoint(note)])
    if not wanted:
        raise Broken("the export holds no checkpoint")
    if older is not None:
        size, root = key.checkpoint(older)
        if wanted.setdefault(size, root) != root:
            raise Broken(f"the ledger of {size} entries is another one than the older checkpoint saw")
    stack: list[tuple[int, bytes]] = []
    count = 0
    roots = {0: fold([])}
    for line in (folder / "leaves.jsonl").read_bytes().splitlines():
        if canonical(json.loads(line)) != line:
            raise Broken(f"entry {count} is not in canonical form")
        digest, level = leaf_hash(line), 0
        while stack and stack[-1][0] == level:
            digest, level = node_hash(stack.pop()[1], digest), level + 1
        stack.append((level, digest))
        count += 1
        if count in wanted:
            roots[count] = fold(stack)
    for size, root in sorted(wanted.items()):
        if size > count:
            raise Broken(f"entries {count} to {size - 1} were cut off: a checkpoint covers {size}")
        if roots[size] != root:
            raise Broken(f"the first {size} entries are not those that were signed")
    if count != max(wanted):
        raise Broken(f"{count - max(wanted)} entries stand behind the last checkpoint, signed by nobody")
    certificates = (folder / "certificates.jsonl").read_text(encoding="utf-8").splitlines()
    for certificate in certificates:
        verify_certificate(key, json.loads(certificate))
    return f"{count} entries, {len(wanted)} checkpoints, {len(certificates)} certificates hold"


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify an imgnom ledger export, receipt or certificate.")
    parser.add_argument("--key", required=True, type=Path, help="verifier key, as published at /privacy/ledger/key")
    parser.add_argument("--checkpoint", type=Path, help="an older checkpoint that the ledger must continue")
    parser.add_argument("path", type=Path)
    args = parser.parse_args()
    try:
        key = Key(args.key.read_text(encoding="utf-8"))
        older = args.checkpoint.read_text(encoding="utf-8") if args.checkpoint else None
        if args.path.is_dir():
            words = verify_export(key, args.path, older)
        else:
            words = verify_document(key, json.loads(args.path.read_text(encoding="utf-8")), older)
    except Broken as broken:
        print(f"does not hold: {broken}", file=sys.stderr)
        return 1
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        print(f"does not hold: it cannot be read ({type(error).__name__})", file=sys.stderr)
        return 1
    print(f"holds: {words}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
