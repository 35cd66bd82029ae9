"""Verify an exported imgnom ledger, a receipt or a certificate, trusting nothing but a key you already hold.

    python verify_ledger.py --key FILE [--checkpoint FILE] PATH

PATH is an export folder, a receipt .json, a certificate .json, or a proof of consistency as the site hands it out at
/privacy/ledger/consistency/SIZE. With an older checkpoint of an exported ledger, or of SIZE entries, it proves that
nothing before that checkpoint was rewritten or cut. Needs Python 3.9 or newer and `cryptography`; imports nothing of
imgnom. Exit status 0 only if everything holds.

Files are read exactly as the site publishes them: canonical JSON (RFC 8785), each value written in one way, no field
missing, none added, one checkpoint in a document. The key holder is not trusted either: what a document says must be
what its ledger entries say, also where its signature holds. What no entry covers is listed as not attested.
Formats: docs/evidence.md.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Document = dict[str, Any]

RECEIPT = "imgnom receipt 2"
CERTIFICATE_FILE = "imgnom certificate file 2"
CERTIFICATE = "imgnom certificate 2"
EXPORT = "imgnom ledger export 2"

# Bounds on hostile files. A tree of 2**63 entries needs 63 hashes.
MOST_DOCUMENT_BYTES = 16 * 1024 * 1024
MOST_SMALL_BYTES = 64 * 1024
MOST_LINE_BYTES = 1024 * 1024
MOST_DEPTH = 16
MOST_HASHES = 64
MOST_PROOFS = 10_000
LARGEST_NUMBER = 2**53 - 1

HEX_32 = re.compile(r"[0-9a-f]{32}")
HEX_64 = re.compile(r"[0-9a-f]{64}")
NUMBER = re.compile(r"[A-Z]-[2-9A-HJKMNP-Z]{4}(-[2-9A-HJKMNP-Z]{4}){1,9}")
DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}")


class Broken(Exception):
    """What does not hold, in one line."""


# ── JSON, read and written in one way only ──────────────────────────────────────────────────────────────────────────


def canonical(value: object) -> bytes:
    """RFC 8785 for what a ledger holds: texts, whole numbers, booleans, null, lists, objects."""
    if isinstance(value, float):
        raise Broken("it holds a fraction, which no act of a ledger has")
    if isinstance(value, dict):
        keys = sorted(value, key=lambda k: k.encode("utf-16-be"))
        return b"{" + b",".join(canonical(k) + b":" + canonical(value[k]) for k in keys) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(canonical, value)) + b"]"
    return json.dumps(value, ensure_ascii=False).encode()


def _no_fraction(_text: str) -> None:
    raise Broken("it holds a number that is not whole")


def _whole_number(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > LARGEST_NUMBER:
        raise Broken("it holds a number beyond 2**53")
    return int(text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Document:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Broken("it names one field twice")
    return found


def _ensure_shallow(value: object) -> None:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise Broken(f"it is nested deeper than {MOST_DEPTH} levels")


def parse(raw: bytes, what: str) -> Any:
    """Strict JSON: UTF-8 without a byte order mark, no field twice, whole numbers only, bounded depth."""
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_float=_no_fraction,
            parse_int=_whole_number, parse_constant=_no_fraction,
        )  # fmt: skip
        _ensure_shallow(value)
    except Broken as broken:
        raise Broken(f"{what}: {broken}") from None
    except (ValueError, RecursionError):
        raise Broken(f"{what} is not JSON in UTF-8") from None
    return value


def parse_canonical(raw: bytes, what: str) -> Any:
    value = parse(raw, what)
    try:
        if canonical(value) == raw:
            return value
    except ValueError:  # half a character
        pass
    raise Broken(f"{what} is not written byte for byte as the site publishes it (canonical JSON)")


def fields(value: object, what: str, needed: Iterable[str], optional: Iterable[str] = ()) -> Document:
    """The value as an object with exactly these fields."""
    if not isinstance(value, dict):
        raise Broken(f"{what} is not an object")
    wanted = set(needed)
    missing, extra = wanted - set(value), set(value) - wanted - set(optional)
    if missing:
        raise Broken(f"{what} lacks the field {min(missing)!r}")
    if extra:
        raise Broken(f"{what} has a field that does not belong there: {printable(min(extra))}")
    return value


def printable(text: object) -> str:
    """A value of a file as one bounded line, without control characters."""
    shown = json.dumps(text, ensure_ascii=True)
    return shown if len(shown) <= 120 else shown[:117] + "..."


def text_of(found: Document, name: str, what: str) -> str:
    value = found[name]
    if type(value) is not str:
        raise Broken(f"{what}: {name!r} is not a text")
    return value


def count_of(found: Document, name: str, what: str) -> int:
    value = found[name]
    if type(value) is not int or value < 0:
        raise Broken(f"{what}: {name!r} is not a count")
    return value


def list_of(found: Document, name: str, what: str) -> list[Any]:
    value = found[name]
    if type(value) is not list:
        raise Broken(f"{what}: {name!r} is not a list")
    return value


def texts_of(found: Document, name: str, what: str) -> list[str]:
    value = list_of(found, name, what)
    if any(type(one) is not str for one in value):
        raise Broken(f"{what}: {name!r} holds something else than texts")
    return value


def matched(pattern: re.Pattern[str], found: Document, name: str, what: str) -> str:
    value = text_of(found, name, what)
    if not pattern.fullmatch(value):
        raise Broken(f"{what}: {name!r} has another form")
    return value


def from_base64(text: object, what: str, length: int) -> bytes:
    """Exactly `length` bytes, written in the one way there is."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True) if type(text) is str else b""
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != length or base64.b64encode(raw).decode() != text:
        raise Broken(f"{what} is not {length} bytes of base64 in its one form")
    return raw


# ── the Merkle tree of RFC 9162 ─────────────────────────────────────────────────────────────────────────────────────


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


def fold(stack: list[tuple[int, bytes]]) -> bytes:
    """The root of what the stack of complete subtrees covers."""
    if not stack:
        return hashlib.sha256().digest()
    digest = stack[-1][1]
    for _, left in reversed(stack[:-1]):
        digest = node_hash(left, digest)
    return digest


def hashes_of(found: Document, what: str) -> list[bytes]:
    hashes = list_of(found, "hashes", what)
    if len(hashes) > MOST_HASHES:
        raise Broken(f"{what}: a proof has at most {MOST_HASHES} hashes")
    return [from_base64(one, f"{what}: a hash", 32) for one in hashes]


# ── the key, and what it signs ──────────────────────────────────────────────────────────────────────────────────────


class Checkpoint(NamedTuple):
    """A signed size and root; `note` is the text as it was found."""

    size: int
    root: bytes
    note: str


class Key:
    """A C2SP note verifier key: name+hash+base64(0x01 ‖ public key), on one line."""

    def __init__(self, text: str) -> None:
        wrong = Broken("the key file holds no verifier key (one line: name+hash+key)")
        line = text.removesuffix("\n")
        parts = line.split("+", 2)
        if len(parts) != 3 or not parts[0] or any(c.isspace() or not c.isprintable() for c in line):
            raise wrong
        self.name, mark, body = parts
        raw = from_base64(body, "the verifier key", 33)
        if raw[:1] != b"\x01":
            raise wrong
        self.text = line
        self.mark = hashlib.sha256(self.name.encode() + b"\n\x01" + raw[1:]).digest()[:4]
        if self.mark.hex() != mark:
            raise Broken("the verifier key's hash does not fit its key")
        self.public = Ed25519PublicKey.from_public_bytes(raw[1:])

    def _signature(self, line: str) -> bytes | None:
        """Ours without its key hash; None for the line of another signer. Raises Broken for a line of another form."""
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014" or not parts[1] or "+" in parts[1]:
            raise Broken("a checkpoint has a signature line of another form")
        try:
            raw = base64.b64decode(parts[2].encode("ascii"), validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if len(raw) < 5 or base64.b64encode(raw).decode() != parts[2]:
            raise Broken("a checkpoint has a signature line of another form")
        return raw[4:] if parts[1] == self.name and raw[:4] == self.mark else None

    def checkpoint(self, note: object, *, cosigned: bool = False) -> Checkpoint:
        """A C2SP checkpoint that this key signed: name, size, root, empty line, signature.

        With `cosigned` lines of other signers may stand beside ours, as a witness adds them.
        """
        if type(note) is not str:
            raise Broken("a checkpoint is not a text")
        if any((ord(c) < 0x20 and c != "\n") or ord(c) == 0x7F for c in note):
            raise Broken("a checkpoint holds control characters")
        text, separator, signatures = note.partition("\n\n")
        lines = text.split("\n")
        if not separator or not signatures.endswith("\n") or len(lines) != 3 or not DECIMAL.fullmatch(lines[1]):
            raise Broken("a checkpoint is not name, size, root and signature")
        if lines[0] != self.name:
            raise Broken(f"a checkpoint is of another ledger: {printable(lines[0])}")
        root = from_base64(lines[2], "the root of a checkpoint", 32)
        every = signatures[:-1].split("\n")
        ours = [found for found in map(self._signature, every[:MOST_HASHES]) if found is not None]
        if len(every) > (MOST_HASHES if cosigned else 1) or len(ours) > 1:
            raise Broken("a checkpoint has more signatures than one")
        try:
            self.public.verify(ours[0], (text + "\n").encode())
        except (IndexError, InvalidSignature, ValueError):
            raise Broken("a checkpoint is not signed by this key") from None
        return Checkpoint(int(lines[1]), root, note)

    def verify(self, signature: object, content: bytes, what: str) -> None:
        raw = from_base64(signature, f"the signature of {what}", 64)
        try:
            self.public.verify(raw, content)
        except (InvalidSignature, ValueError):
            raise Broken(f"{what} is not signed by this key") from None


# ── entries of the ledger ───────────────────────────────────────────────────────────────────────────────────────────

LEAF = ("id", "time", "act", "clause", "policy", "items", "outcome", "detail")


def ensure_leaf(leaf: object, what: str) -> Document:
    """An act with what every act says. Other fields stand under the same hash and are not interpreted."""
    if not isinstance(leaf, dict) or not set(LEAF) <= set(leaf):
        raise Broken(f"{what} is no act of a ledger")
    matched(HEX_32, leaf, "id", what)
    for name in ("time", "act", "clause", "outcome"):
        text_of(leaf, name, what)
    texts_of(leaf, "items", what)
    if not isinstance(leaf["detail"], dict) or not isinstance(leaf["policy"], (str, type(None))):
        raise Broken(f"{what} is no act of a ledger")
    return leaf


class Proofs:
    """The entries that a document proves, all of them under its one checkpoint."""

    def __init__(self, key: Key, found: list[Any]) -> None:
        if not found:
            raise Broken("there is no proof in it")
        if len(found) > MOST_PROOFS:
            raise Broken(f"a document has at most {MOST_PROOFS} proofs")
        self.leaves: dict[str, Document] = {}
        self.used: set[str] = set()
        indexes: set[int] = set()
        first: Checkpoint | None = None
        for place, proof in enumerate(found):
            what = f"proof {place}"
            fields(proof, what, ("leaf", "index", "size", "hashes", "checkpoint"))
            if first is None:
                first = key.checkpoint(proof["checkpoint"])
            if proof["checkpoint"] != first.note or count_of(proof, "size", what) != first.size:
                raise Broken("the proofs of a document are not all of one checkpoint")
            leaf, index = ensure_leaf(proof["leaf"], what), count_of(proof, "index", what)
            root = root_from_path(leaf_hash(canonical(leaf)), index, first.size, hashes_of(proof, what))
            if root != first.root:
                raise Broken(f"the leaf {leaf['id']} is not in the signed ledger")
            if leaf["id"] in self.leaves or index in indexes:
                raise Broken(f"the leaf {leaf['id']} is proven twice")
            self.leaves[leaf["id"]] = leaf
            indexes.add(index)
        assert first is not None
        self.checkpoint = first

    def take(self, leaf_id: str, what: str) -> Document:
        if leaf_id not in self.leaves:
            raise Broken(f"{what} has no proof in the ledger")
        self.used.add(leaf_id)
        return self.leaves[leaf_id]

    def of_act(self, act: str) -> list[Document]:
        return [leaf for leaf in self.leaves.values() if leaf["act"] == act]

    def ensure_all_used(self) -> None:
        strange = sorted(set(self.leaves) - self.used)
        if strange:
            raise Broken(f"the leaf {strange[0]} has nothing to do with this document")


# ── certificates ────────────────────────────────────────────────────────────────────────────────────────────────────

CONTENT = (
    "certificate", "origin", "time", "what", "items", "method", "keys_destroyed", "verified", "clause", "policy",
    "holder", "leaf",
)  # fmt: skip


class Certificate(NamedTuple):
    """A certificate whose content agrees with itself."""

    number: str
    leaf: str
    content: Document
    is_bound: bool  # its leaf holds the digest of the whole content; of one made before, the leaf names its facts

    @property
    def name(self) -> str:
        return f"certificate {self.number}"


def read_certificate(key: Key, content: object, signature: object) -> Certificate:
    """Signed, of this ledger, and of the form of a certificate."""
    what = "a certificate"
    is_bound = isinstance(content, dict) and "format" in content
    found = fields(content, what, (*CONTENT, *(("format",) if is_bound else ())), ("keys", "keys_sha256"))
    if is_bound and found["format"] != CERTIFICATE:
        raise Broken(f"{what} is in a format that this program does not know")
    key.verify(signature, canonical(found), what)
    number = matched(NUMBER, found, "certificate", what)
    what = f"certificate {number}"
    if text_of(found, "origin", what) != key.name:
        raise Broken(f"{what} is of another ledger")
    matched(HEX_32, found, "leaf", what)
    for name in ("time", "what", "method", "verified", "clause", "policy", "holder"):
        text_of(found, name, what)
    items = found["items"]
    if isinstance(items, dict):
        for name in items:
            count_of(items, name, what)
    else:
        texts_of(found, "items", what)
    if ("keys" in found) == ("keys_sha256" in found):
        raise Broken(f"{what} names its keys either one by one or by a digest")
    destroyed = count_of(found, "keys_destroyed", what)
    if "keys" in found:
        keys = texts_of(found, "keys", what)
        if len(keys) != destroyed or keys != sorted(keys):
            raise Broken(f"{what} does not name as many keys as it counts")
    else:
        matched(HEX_64, found, "keys_sha256", what)
    return Certificate(number, found["leaf"], found, is_bound)


def content_digest(content: Document) -> str:
    """What the leaf of a certificate holds: of everything but the name of that leaf."""
    return hashlib.sha256(canonical({k: v for k, v in content.items() if k != "leaf"})).hexdigest()


def ensure_bound(found: Certificate, leaf: Document) -> None:
    """The leaf is the act of this very destruction, and says the same as the certificate."""
    content, detail = found.content, leaf["detail"]
    said = {
        "certificate": found.number, "what": content["what"], "method": content["method"],
        "keys": content["keys_destroyed"],
    }  # fmt: skip
    if found.is_bound:
        said["sha256"] = content_digest(content)
    if leaf["id"] != found.leaf or leaf["act"] != "destroy" or leaf["outcome"] != "done":
        raise Broken(f"{found.name} stands beside a leaf that is not its destruction")
    if canonical(detail) != canonical(said) or leaf["items"] != sorted_as(content["items"], leaf["items"]):
        raise Broken(f"{found.name} says something else than its leaf")
    if any(leaf[name] != content[name] for name in ("clause", "policy", "time")):
        raise Broken(f"{found.name} says something else than its leaf")


def sorted_as(items: object, listed: list[str]) -> list[str]:
    """The names of the items; of counted ones, whose order a canonical object does not keep, in the leaf's order."""
    if not isinstance(items, dict):
        return list(items) if isinstance(items, list) else []
    return list(listed) if set(listed) == set(items) and len(listed) == len(items) else []


def final_leaf(proofs: Proofs, number: str) -> Document | None:
    """The act that raised this certificate to its final grade, where it is among the proofs."""
    found = [leaf for leaf in proofs.of_act("finalise_certificate") if leaf["detail"].get("certificate") == number]
    if len(found) > 1:
        raise Broken(f"certificate {number} is raised to its final grade twice")
    if not found:
        return None
    if found[0]["detail"] != {"certificate": number, "grade": "final"} or found[0]["outcome"] != "done":
        raise Broken(f"certificate {number}: the leaf of its grade says something else")
    return found[0]


def verify_certificate(key: Key, proofs: Proofs, found: Document, *, is_new: bool) -> tuple[str, str]:
    """A certificate as a document shows it. Returns its number and its attested grade, empty where none is."""
    what = "a certificate"
    made = read_certificate(key, found["certificate"], found["signature"])
    ensure_not_older(is_new or not made.is_bound)
    if text_of(found, "leaf_id", what) != made.leaf:
        raise Broken(f"{made.name} names two leaves")
    ensure_bound(made, proofs.take(made.leaf, made.name))
    grade = text_of(found, "grade", what)
    raised = final_leaf(proofs, made.number)
    if raised is not None:
        proofs.used.add(raised["id"])
    if grade not in ("cryptographic", "final"):
        raise Broken(f"{made.name} has a grade that there is not")
    if is_new and (grade == "final") != (raised is not None):
        raise Broken(f"{made.name}: its grade is not the one in the ledger")
    return made.number, grade if is_new or raised is not None else ""


def ensure_not_older(holds: bool) -> None:
    """Documents of an earlier version hold what that version could write, so that no newer one passes as one."""
    if not holds:
        raise Broken("the document lacks its format, and holds what earlier versions did not write")


def shown_certificate(found: Document, grade: str) -> str:
    content = found["certificate"]
    return (
        f"certificate {content['certificate']}: {printable(content['what'])} destroyed, {content['keys_destroyed']} keys,"
        f" {content['time']}, clause {printable(content['clause'])}, grade {grade or '(not attested)'}"
    )


# ── documents ───────────────────────────────────────────────────────────────────────────────────────────────────────

CERTIFICATE_FIELDS = ("certificate", "signature", "grade", "leaf_id")
RECEIPT_FIELDS = (
    "receipt", "as_of", "withdrawn_at", "choice", "policy", "state", "lines", "certificates", "ledger", "signed",
)  # fmt: skip
# What a receipt says of today is the site's word; no entry of the ledger covers it.
UNATTESTED = ("as_of", "lines", "state")


def receipt_mark(number: str) -> str:
    """What the act of leaving says of its receipt: whoever holds the number can tell, nobody else."""
    return hashlib.sha256(b"imgnom receipt\n" + number.encode()).hexdigest()


class Answer(NamedTuple):
    """What holds, and a line for each thing that the ledger attests."""

    words: str
    attested: tuple[str, ...] = ()


def verify_signed(key: Key, document: Document) -> None:
    key.verify(
        document["signed"], canonical({k: v for k, v in document.items() if k != "signed"}), "the document"
    )  # fmt: skip


def verify_certificate_file(key: Key, document: Document, older: str | None) -> Answer:
    is_new = "format" in document
    fields(document, "the certificate", (*CERTIFICATE_FIELDS, "ledger", "signed", *(("format",) if is_new else ())))
    verify_signed(key, document)
    proofs = Proofs(key, list_of(document, "ledger", "the certificate"))
    _, grade = verify_certificate(key, proofs, document, is_new=is_new)
    proofs.ensure_all_used()
    ensure_no_fork(key, proofs, older)
    return Answer(
        f"1 certificates and {len(proofs.leaves)} ledger proofs hold", (shown_certificate(document, grade),)
    )  # fmt: skip


def verify_leaving(document: Document, proofs: Proofs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The act of leaving says what the receipt says. Returns what it attests, and what of the head it does not."""
    acts = proofs.of_act("withdraw")
    number = matched(NUMBER, document, "receipt", "the receipt")
    if len(acts) > 1:
        raise Broken("the receipt shows two acts of leaving")
    if not acts:
        return (), ("choice", "policy", "receipt", "withdrawn_at")
    leaf = proofs.take(acts[0]["id"], "the act of leaving")
    if leaf["outcome"] != "done" or leaf["detail"].get("choice") != document["choice"]:
        raise Broken("the receipt says another choice than the act of leaving")
    if leaf["policy"] != document["policy"]:
        raise Broken("the receipt names another policy than the act of leaving")
    attested = f"left {leaf['time']}, choice {printable(document['choice'])}, policy {printable(document['policy'])}"
    if "receipt" not in leaf["detail"]:
        return (attested,), ("receipt",)
    if leaf["detail"]["receipt"] != receipt_mark(number):
        raise Broken("the act of leaving is that of another receipt")
    return (f"receipt {number}: {attested}",), ()


def verify_receipt(key: Key, document: Document, older: str | None) -> Answer:
    is_new = "format" in document
    fields(document, "the receipt", (*RECEIPT_FIELDS, *(("format", "not_attested") if is_new else ())))
    verify_signed(key, document)
    for name in ("as_of", "withdrawn_at", "choice", "policy", "state"):
        text_of(document, name, "the receipt")
    if any(not isinstance(line, dict) for line in list_of(document, "lines", "the receipt")):
        raise Broken("a line of the receipt has another form")
    proofs = Proofs(key, list_of(document, "ledger", "the receipt"))
    attested, open_fields = verify_leaving(document, proofs)
    ensure_not_older(is_new or not any("receipt" in leaf["detail"] for leaf in proofs.of_act("withdraw")))
    if "withdrawn_at" not in open_fields:
        ensure_left_at(document, proofs.of_act("withdraw")[0]["time"], is_new=is_new)
    numbers = []
    for found in list_of(document, "certificates", "the receipt"):
        fields(found, "a certificate", CERTIFICATE_FIELDS)
        number, grade = verify_certificate(key, proofs, found, is_new=is_new)
        numbers.append(number)
        attested += (shown_certificate(found, grade),)
    if len(set(numbers)) != len(numbers):
        raise Broken("the receipt shows one certificate twice")
    proofs.ensure_all_used()
    unattested = sorted((*UNATTESTED, *open_fields))
    if is_new and document["not_attested"] != unattested:
        raise Broken("the receipt does not list what the ledger does not attest")
    ensure_no_fork(key, proofs, older)
    attested += (f"not attested by the ledger, only said by the site: {', '.join(unattested)}",)
    if numbers:
        attested += ("not attested by the ledger: that these certificates are of this leaving and of no other",)
    return Answer(f"{len(numbers)} certificates and {len(proofs.leaves)} ledger proofs hold", attested)


def ensure_left_at(document: Document, time: str, *, is_new: bool) -> None:
    """A receipt of an earlier version tells the instant more finely than its act of leaving."""
    said = document["withdrawn_at"]
    if said != time and (is_new or said[:19] != time[:19]):
        raise Broken("the receipt says another time than the act of leaving")


def verify_consistency(key: Key, proof: Document, older: str | None) -> Answer:
    """That the ledger of the proof's checkpoint begins with the one of the older checkpoint."""
    what = "the proof of consistency"
    fields(proof, what, ("from", "size", "hashes", "checkpoint"))
    hashes = hashes_of(proof, what)
    newer = key.checkpoint(proof["checkpoint"])
    if older is None:
        raise Broken("a proof of consistency needs the older checkpoint: --checkpoint FILE")
    old = key.checkpoint(older, cosigned=True)
    if old.size > newer.size:
        raise Broken(f"entries {newer.size} to {old.size - 1} were cut off: the older checkpoint covers {old.size}")
    if count_of(proof, "from", what) != old.size or count_of(proof, "size", what) != newer.size:
        raise Broken(f"this proof begins at {proof['from']}, the older checkpoint is of {old.size} entries")
    ensure_consistent(old.size, newer.size, old.root, newer.root, hashes)
    return Answer(f"{newer.size} entries go on from the {old.size} of the older checkpoint")


def ensure_no_fork(key: Key, proofs: Proofs, older: str | None) -> None:
    """A receipt shows its own acts only: of an older ledger it can say something where both are of one size."""
    if older is None:
        return
    old, shown = key.checkpoint(older, cosigned=True), proofs.checkpoint
    if old.size != shown.size:
        raise Broken(
            f"this file alone does not show that the ledger went on from {old.size} entries:"
            f" fetch /privacy/ledger/consistency/{old.size} from the site and verify that"
        )
    if shown.root != old.root:
        raise Broken(f"the ledger of {old.size} entries is another one than the older checkpoint saw")


def verify_document(key: Key, raw: bytes, older: str | None) -> Answer:
    """A receipt, a certificate or a proof of consistency, from the bytes of its file."""
    document = parse(raw, "the file")
    if not isinstance(document, dict):
        raise Broken("this is neither a receipt nor a certificate")
    if set(document) == {"from", "size", "hashes", "checkpoint"} and raw == as_handed_out_before(document):
        return verify_consistency(key, document, older)
    document = parse_canonical(raw, "the file")
    form = document.get("format")
    if form not in (None, RECEIPT, CERTIFICATE_FILE):
        raise Broken("the file is in a format that this program does not know")
    if form == RECEIPT or (form is None and "receipt" in document):
        return verify_receipt(key, document, older)
    if form == CERTIFICATE_FILE or (form is None and "certificate" in document):
        return verify_certificate_file(key, document, older)
    if "from" in document:
        return verify_consistency(key, document, older)
    raise Broken("this is neither a receipt nor a certificate")


def as_handed_out_before(proof: Document) -> bytes:
    """The bytes of a proof of consistency as earlier versions wrote them."""
    ordered = {name: proof[name] for name in ("from", "size", "hashes", "checkpoint")}
    try:
        return json.dumps(ordered, ensure_ascii=False).encode()
    except ValueError:  # half a character
        return b""


# ── exported ledgers ────────────────────────────────────────────────────────────────────────────────────────────────

LEAVES, NOTES, CERTIFICATES, KEY, LIST = (
    "leaves.jsonl",
    "checkpoints.txt",
    "certificates.jsonl",
    "key.txt",
    "export.json",
)


def lines_of(file: BinaryIO, name: str, digest: Any) -> Iterator[bytes]:
    """Each ends with a newline, the last one too; none is longer than a ledger's."""
    while line := file.readline(MOST_LINE_BYTES):
        if not line.endswith(b"\n"):
            raise Broken(f"a line of {name} is cut or too long")
        digest.update(line)
        yield line[:-1]


def split_notes(text: str) -> list[str]:
    """The checkpoints of a file, with one empty line between two of them."""
    parts = text.split("\n\n")
    if len(parts) % 2:
        raise Broken(f"{NOTES} is not a list of checkpoints")
    heads, tails = parts[::2], parts[1::2]
    last = len(tails) - 1
    # A note ends with a newline and the separator is another one: only the last keeps its own.
    return [f"{head}\n\n{tail}" + ("" if n == last else "\n") for n, (head, tail) in enumerate(zip(heads, tails))]


def read_notes(key: Key, raw: bytes) -> dict[int, Checkpoint]:
    """Size → checkpoint, in ascending order, one for a size."""
    if not raw:
        raise Broken("the export holds no checkpoint")
    found: dict[int, Checkpoint] = {}
    before = -1
    for note in split_notes(as_text(raw, NOTES)):
        made = key.checkpoint(note)
        if made.size <= before:
            raise Broken(f"{NOTES} holds two checkpoints of {made.size} entries, or is out of order")
        found[made.size] = made
        before = made.size
    return found


class Walk:
    """The entries of an export, one by one: the tree over them, and what its certificates must agree with."""

    def __init__(self, wanted: Iterable[int]) -> None:
        self.wanted = set(wanted)
        self.stack: list[tuple[int, bytes]] = []
        self.count = 0
        self.roots = {0: fold([])}
        self.seen: set[str] = set()
        self.destroyed: dict[str, Document] = {}
        self.raised: set[str] = set()
        self.is_new = False

    def add(self, line: bytes) -> None:
        what = f"entry {self.count}"
        leaf = ensure_leaf(parse_canonical(line, what), what)
        if leaf["id"] in self.seen:
            raise Broken(f"{what} stands in the ledger twice")
        self.seen.add(leaf["id"])
        self._note(leaf, what)
        digest, level = leaf_hash(line), 0
        while self.stack and self.stack[-1][0] == level:
            digest, level = node_hash(self.stack.pop()[1], digest), level + 1
        self.stack.append((level, digest))
        self.count += 1
        if self.count in self.wanted:
            self.roots[self.count] = fold(self.stack)

    def _note(self, leaf: Document, what: str) -> None:
        detail = leaf["detail"]
        self.is_new = self.is_new or "sha256" in detail or (leaf["act"] == "withdraw" and "receipt" in detail)
        if leaf["act"] not in ("destroy", "finalise_certificate"):
            return
        number = detail.get("certificate")
        if type(number) is not str:
            raise Broken(f"{what} names no certificate")
        if leaf["act"] == "finalise_certificate":
            if number not in self.destroyed or number in self.raised:
                raise Broken(f"{what} raises a certificate that is not there, or twice")
            self.raised.add(number)
        elif number in self.destroyed:
            raise Broken(f"certificate {printable(number)} stands in the ledger twice")
        else:
            self.destroyed[number] = leaf


def read_exported_certificate(key: Key, line: bytes, what: str) -> Certificate:
    found = fields(parse(line, what), what, ("certificate", "signature"))
    made = read_certificate(key, found["certificate"], found["signature"])
    if not made.is_bound and json.dumps(found, ensure_ascii=False).encode() == line:
        ordered = [name for name in found["certificate"] if name not in ("keys", "keys_sha256")]
        if list(found) == ["certificate", "signature"] and ordered == list(CONTENT):
            return made  # as earlier versions wrote it
    parse_canonical(line, what)
    return made


def ensure_walk_fits(walk: Walk, wanted: dict[int, bytes], last: int) -> None:
    for size, root in sorted(wanted.items()):
        if size > walk.count:
            raise Broken(f"entries {walk.count} to {size - 1} were cut off: a checkpoint covers {size}")
        if walk.roots[size] != root:
            raise Broken(f"the first {size} entries are not those that were signed")
    if walk.count != last:
        raise Broken(f"{walk.count - last} entries stand behind the last checkpoint, signed by nobody")


def ensure_listed(key: Key, folder: Path, digests: dict[str, str], *, is_new: bool) -> None:
    """The signed list of an export names its files and their digests, and nothing else lies there."""
    place = folder / LIST
    if not place.exists():
        if is_new:
            raise Broken(f"the export lacks {LIST}, the signed list of its files")
        return
    said = parse_canonical(read_file(place, MOST_SMALL_BYTES), LIST)
    fields(said, LIST, ("format", "origin", "files", "signed"))
    verify_signed(key, said)
    if said["format"] != EXPORT or said["origin"] != key.name:
        raise Broken(f"{LIST} is of another format or another ledger")
    files = fields(said["files"], LIST, digests)
    for name, digest in digests.items():
        if files[name] != digest:
            raise Broken(f"{name} is not the file that the export was made with")


def verify_export(key: Key, folder: Path, older: str | None) -> Answer:
    needed = (LEAVES, NOTES, CERTIFICATES, KEY)
    there = {place.name for place in folder.iterdir()}
    strange, missing = sorted(there - {*needed, LIST}), sorted(set(needed) - there)
    if strange:
        raise Broken(f"the export holds {printable(strange[0])}, which is no part of one")
    if missing:
        raise Broken(f"the export lacks {missing[0]}")
    own_key, notes = read_file(folder / KEY, MOST_SMALL_BYTES), read_file(folder / NOTES, MOST_DOCUMENT_BYTES * 16)
    if own_key != key.text.encode() + b"\n":
        raise Broken(f"{KEY} of the export is another key than the one you trust")
    checkpoints = read_notes(key, notes)
    wanted = {size: made.root for size, made in checkpoints.items()}
    if older is not None:
        old = key.checkpoint(older, cosigned=True)
        if wanted.setdefault(old.size, old.root) != old.root:
            raise Broken(f"the ledger of {old.size} entries is another one than the older checkpoint saw")
    digests = {LEAVES: hashlib.sha256(), CERTIFICATES: hashlib.sha256()}
    walk = Walk(wanted)
    with open_file(folder / LEAVES) as file:
        for line in lines_of(file, LEAVES, digests[LEAVES]):
            walk.add(line)
    ensure_walk_fits(walk, wanted, max(checkpoints))
    count, waiting = 0, dict(walk.destroyed)
    with open_file(folder / CERTIFICATES) as file:
        for line in lines_of(file, CERTIFICATES, digests[CERTIFICATES]):
            made = read_exported_certificate(key, line, f"line {count + 1} of {CERTIFICATES}")
            leaf = waiting.pop(made.number, None)
            if leaf is None:
                raise Broken(f"{made.name} has no entry of its own in the ledger")
            ensure_bound(made, leaf)
            walk.is_new = walk.is_new or made.is_bound
            count += 1
    if waiting:
        raise Broken(f"certificate {printable(min(waiting))} is in the ledger and not in the export")
    sums = {name: digest.hexdigest() for name, digest in digests.items()}
    sums[KEY], sums[NOTES] = hashlib.sha256(own_key).hexdigest(), hashlib.sha256(notes).hexdigest()
    ensure_listed(key, folder, sums, is_new=walk.is_new)
    return Answer(f"{walk.count} entries, {len(checkpoints)} checkpoints, {count} certificates hold")


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────


def open_file(place: Path) -> BinaryIO:
    """A pipe or device in its place would be read for ever."""
    if not place.is_file():
        raise Broken(f"{place.name} is not a file")
    return place.open("rb")


def read_file(place: Path, most: int) -> bytes:
    with open_file(place) as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise Broken(f"{place.name} is larger than {most} bytes")
    return raw


def as_text(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Broken(f"{name} is not UTF-8") from None


def verify_path(key_file: Path, older_file: Path | None, path: Path) -> Answer:
    key = Key(as_text(read_file(key_file, MOST_SMALL_BYTES), "the key file"))
    older = as_text(read_file(older_file, MOST_SMALL_BYTES), "the older checkpoint") if older_file else None
    if path.is_dir():
        return verify_export(key, path, older)
    return verify_document(key, read_file(path, MOST_DOCUMENT_BYTES), older)


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify an imgnom ledger export, receipt or certificate.")
    parser.add_argument("--key", required=True, type=Path, help="verifier key, as published at /privacy/ledger/key")
    parser.add_argument("--checkpoint", type=Path, help="an older checkpoint that the ledger must continue")
    parser.add_argument("path", type=Path)
    args = parser.parse_args()
    try:
        answer = verify_path(args.key, args.checkpoint, args.path)
    except Broken as broken:
        return refuse(str(broken))
    except Exception as error:  # noqa: BLE001 - whatever a hostile file provokes, it does not hold
        return refuse(f"it cannot be read ({type(error).__name__})")
    for line in (*answer.attested, f"holds: {answer.words}"):
        print(line.encode(sys.stdout.encoding or "utf-8", "replace").decode(sys.stdout.encoding or "utf-8"))
    return 0


def refuse(reason: str) -> int:
    line = " ".join(reason.split())
    print("does not hold: " + line.encode("ascii", "backslashreplace").decode(), file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
