"""Intents and certificates of destruction (A4.2): what went, how, which keys, never whose.

Grade `cryptographic`: the keys are gone from the key store. Grade `final`: the epoch of the key-encryption key has
turned since and the backup horizon has passed, so that no copy that should exist could open it.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785
from django.db import transaction

from imgnom.custody.ledger.errors import LeafUnknown
from imgnom.custody.ledger.models import Certificate as Row
from imgnom.custody.ledger.models import Intent
from imgnom.custody.ledger.signing import origin, sign_bytes
from imgnom.custody.outbox.public import record_act
from imgnom.policy.public import Actor

_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def make_number(prefix: str, groups: int = 4) -> str:
    """A number people can read aloud: `C-7KQ2-9D4M-…`, about 20 bits a group."""
    return "-".join([prefix, *("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(groups))])


@dataclass(frozen=True)
class Certificate:
    number: str
    grade: str
    leaf_id: str


def intend_destruction(*, what: str, key_ids: Sequence[str], clause: str, by: Actor, now: datetime) -> str:
    """First step of every destruction: say what will be destroyed, in the list and in the ledger."""
    with transaction.atomic(using="ledger"):
        leaf = record_act(
            store="ledger",
            act="intend_destruction",
            clause=clause,
            by=by,
            now=now,
            outcome="intended",
            detail={"what": what, "keys": len(key_ids)},
        )
        Intent.objects.create(intent_id=leaf, what=what, key_ids=json.dumps(list(key_ids)), clause=clause, made_at=now)
    return leaf


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
) -> Certificate:
    """Sign what was destroyed. Call it only after a look has shown that the keys are gone."""
    number = make_number("C")
    listed = dict(items) if isinstance(items, Mapping) else list(items)
    with transaction.atomic(using="ledger"):
        content: dict[str, Any] = {
            "certificate": number,
            "origin": origin(),
            "time": now.astimezone(UTC).isoformat(timespec="seconds"),
            "what": what,
            "items": listed,
            "method": method,
            "keys_destroyed": len(key_ids),
            "clause": clause,
            "policy": policy_digest,
            "holder": "whoever holds the receipt; what a copied disk of the running machine may still hold stands in docs/limits.md",
        }
        leaf = record_act(
            store="ledger", act="destroy", clause=clause, by=by, now=now, items=list(listed), policy=policy_digest,
            detail={"certificate": number, "what": what, "method": method, "keys": len(key_ids)},
        )  # fmt: skip
        content["leaf"] = leaf
        Row.objects.create(
            number=number, content=json.dumps(content, ensure_ascii=False), signature=sign_bytes(rfc8785.dumps(content)), grade="cryptographic",
            leaf_id=leaf, key_ids=json.dumps(list(key_ids)), made_at=now,
        )  # fmt: skip
    return Certificate(number, "cryptographic", leaf)


def certificate(number: str) -> dict[str, Any]:
    """Content, grade, signature. Raises LeafUnknown."""
    row = Row.objects.filter(number=number).first()
    if row is None:
        raise LeafUnknown(number)
    return {
        "certificate": json.loads(row.content),
        "signature": row.signature,
        "grade": row.grade,
        "leaf_id": row.leaf_id,
    }


def finalise_certificates(*, now: datetime, horizon_days: int, turned_at: datetime | None) -> int:
    """Raise to `final` what was destroyed before the last turn of an epoch and before the backup horizon."""
    if turned_at is None:
        return 0
    before = min(turned_at, now - timedelta(days=horizon_days))
    return Row.objects.filter(grade="cryptographic", made_at__lt=before).update(grade="final")
