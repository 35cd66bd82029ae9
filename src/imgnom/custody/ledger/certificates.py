"""Intents and certificates of destruction (A4.2): what went, how, which keys, never whose.

Grade `cryptographic`: the keys are gone from the key store. Grade `final`: the epoch of the key-encryption key has
turned since and the backup horizon has passed, so that no copy that should exist could open it.

The leaf of a destruction holds the digest of its certificate, and raising the grade is an act of the ledger too: neither
stands beside a leaf that says something else. Rows are sealed (`sealed_rows.py`).

A destruction that is repeated after a kill hands in the same `reference` and gets the intent and the certificate that
stand already: however often it is begun, one certificate.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785
from django.db import transaction
from django.db.models import Q

from imgnom.custody.ledger.errors import LeafUnknown
from imgnom.custody.ledger.models import Certificate as Row
from imgnom.custody.ledger.models import Intent
from imgnom.custody.ledger.sealed_rows import insert_sealed, update_sealed
from imgnom.custody.ledger.signing import origin, sign_bytes
from imgnom.custody.outbox.public import record_act
from imgnom.custody.prepared import Prepared
from imgnom.custody.transactions import hold_lock
from imgnom.policy.public import SYSTEM, Actor

# In the signed content: a signature over it is one over nothing else that this key signs.
FORMAT = "imgnom certificate 2"
_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def make_number(prefix: str, groups: int = 4) -> str:
    """A number people can read aloud: `C-7KQ2-9D4M-…`, about 20 bits a group."""
    return "-".join([prefix, *("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(groups))])


# What a key-encryption key in a file can and cannot promise; docs/limits.md tells the whole of it.
KEK_HOLDER = (
    "the key-encryption key is a file of the site's keyring; a copy of the whole machine's disk, made before the "
    "destruction and kept outside the site's own backups, is beyond this certificate (docs/limits.md)"
)
# So many keys are named one by one; of more, their number and the digest of their sorted names.
NAMED_KEYS = 64
AT_ONCE = 500


@dataclass(frozen=True)
class Certificate:
    number: str
    grade: str
    leaf_id: str


_INTENT = Prepared(
    lambda reference: Intent.objects.filter(reference=reference).values_list("intent_id", "key_ids"), str
)


def intend_destruction(
    *, what: str, key_ids: Sequence[str], clause: str, by: Actor, now: datetime, reference: str | None = None
) -> str:
    """First step of every destruction: say what will be destroyed, in the list and in the ledger.

    With a `reference` it is said once, whoever repeats it; the keys of the first time count.
    """
    if reference is not None and (said := _INTENT.first(reference)) is not None:
        return str(said[0])
    with transaction.atomic(using="ledger"):
        if reference is not None:
            hold_lock("ledger", f"intent {reference}")
            if (said := _INTENT.first(reference)) is not None:
                return str(said[0])
        leaf = record_act(
            store="ledger",
            act="intend_destruction",
            clause=clause,
            by=by,
            now=now,
            outcome="intended",
            detail={"what": what, "keys": len(key_ids)},
        )
        insert_sealed(
            Intent(
                intent_id=leaf,
                reference=reference,
                what=what,
                key_ids=json.dumps(list(key_ids)),
                clause=clause,
                made_at=now,
            )
        )
    return leaf


def intended_keys(reference: str) -> tuple[str, ...]:
    """The keys that the intent of this destruction named, also when they are gone by now."""
    found = _INTENT.first(reference)
    return tuple(json.loads(found[1])) if found else ()


def open_intents(prefix: str) -> tuple[str, ...]:
    """References that begin so and whose destruction nobody has called done: what a kill left behind."""
    rows = Intent.objects.filter(reference__startswith=prefix, done_at__isnull=True).order_by("id")
    return tuple(str(reference) for reference in rows.values_list("reference", flat=True))


def close_intent(reference: str, *, now: datetime) -> None:
    with transaction.atomic(using="ledger"):
        for row in Intent.objects.select_for_update().filter(reference=reference, done_at__isnull=True):
            update_sealed(row, done_at=now)


def _named(key_ids: Sequence[str]) -> dict[str, Any]:
    if len(key_ids) <= NAMED_KEYS:
        return {"keys": sorted(key_ids)}
    return {"keys_sha256": hashlib.sha256("\n".join(sorted(key_ids)).encode()).hexdigest()}


def issue_certificate(
    *,
    items: Mapping[str, int] | Sequence[str],
    what: str,
    method: str,
    key_ids: Sequence[str],
    clause: str,
    policy_digest: str,
    by: Actor,
    now: datetime,
    reference: str | None = None,
) -> Certificate:
    """Sign what was destroyed, once for a `reference`. Call it only after a look has shown that the keys are gone."""
    number = make_number("C")
    listed = dict(items) if isinstance(items, Mapping) else list(items)
    with transaction.atomic(using="ledger"):
        if reference is not None:
            hold_lock("ledger", f"certificate {reference}")
            found = Row.objects.filter(reference=reference).first()
            if found is not None:
                return Certificate(found.number, found.grade, found.leaf_id)
        content: dict[str, Any] = {
            "format": FORMAT,
            "certificate": number,
            "origin": origin(),
            "time": now.astimezone(UTC).isoformat(timespec="seconds"),
            "what": what,
            "items": listed,
            "method": method,
            "keys_destroyed": len(key_ids),
            **_named(key_ids),
            "verified": "looked for afterwards in the key store: none of them is there",
            "clause": clause,
            "policy": policy_digest,
            "holder": KEK_HOLDER,
        }
        leaf = record_act(
            store="ledger", act="destroy", clause=clause, by=by, now=now, items=list(listed), policy=policy_digest,
            detail={"certificate": number, "what": what, "method": method, "keys": len(key_ids), "sha256": content_digest(content)},
        )  # fmt: skip
        content["leaf"] = leaf
        insert_sealed(
            Row(
                number=number, reference=reference, content=json.dumps(content, ensure_ascii=False), signature=sign_bytes(rfc8785.dumps(content)),
                grade="cryptographic", leaf_id=leaf, key_ids=json.dumps(list(key_ids)), made_at=now,
            )
        )  # fmt: skip
    return Certificate(number, "cryptographic", leaf)


def content_digest(content: Mapping[str, Any]) -> str:
    """What the leaf of a certificate holds: of everything but the name of that leaf."""
    return hashlib.sha256(rfc8785.dumps({k: v for k, v in content.items() if k != "leaf"})).hexdigest()


def certificate(number: str) -> dict[str, Any]:
    """Content, grade, signature, and the leaf of its final grade or nothing. Raises LeafUnknown."""
    row = Row.objects.filter(number=number).first()
    if row is None:
        raise LeafUnknown(number)
    return {
        "certificate": json.loads(row.content),
        "signature": row.signature,
        "grade": row.grade,
        "leaf_id": row.leaf_id,
        "final_leaf_id": row.final_leaf_id,
    }


def sign_document(document: Mapping[str, Any]) -> bytes:
    """The document in canonical JSON with our signature over all the rest of it, so that no byte of it can change."""
    return rfc8785.dumps({**document, "signed": sign_bytes(rfc8785.dumps(dict(document)))})


def finalise_certificates(*, now: datetime, horizon_days: int, turned_at: datetime | None) -> int:
    """Raise to `final` what was destroyed before the last turn of an epoch and before the backup horizon."""
    if turned_at is None:
        return 0
    before = min(turned_at, now - timedelta(days=horizon_days))
    # Those that an earlier version raised have no act of it yet.
    wanted = Row.objects.filter(Q(grade="cryptographic", made_at__lt=before) | Q(grade="final", final_leaf_id=""))
    numbers = list(wanted.order_by("pk").values_list("pk", flat=True))
    return sum(_finalise(numbers[place : place + AT_ONCE], now) for place in range(0, len(numbers), AT_ONCE))


def _finalise(numbers: Sequence[int], now: datetime) -> int:
    with transaction.atomic(using="ledger"):
        rows = list(Row.objects.select_for_update().filter(pk__in=numbers, final_leaf_id=""))
        for row in rows:
            detail = {"certificate": row.number, "grade": "final"}
            leaf = record_act(
                store="ledger", act="finalise_certificate", clause="A4.2", by=SYSTEM, now=now, detail=detail
            )
            update_sealed(row, grade="final", final_leaf_id=leaf)
    return len(rows)
