"""The door of the outbox: `record_act` writes the leaf of an act into the store where the act happens."""

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from django.db import connections

from imgnom.policy.public import Actor

# Written out: acts stand in the path of readings and withdrawals, and the ORM takes longer to compose it than a store
# to carry it out.
_INSERT = "INSERT INTO outbox_outbox (leaf_id, payload, created_at) VALUES (%s, %s, %s)"


def for_one_act(by: Actor) -> Actor:
    """The same role under a token that stands in no other leaf: acts on one's own posts are not grouped by their leaves."""
    return Actor(by.role, secrets.token_hex(13)) if by.token else by


def record_act(
    *,
    store: str,
    act: str,
    clause: str,
    by: Actor,
    now: datetime,
    subject: str | None = None,
    items: Sequence[str] = (),
    purpose: str | None = None,
    outcome: str = "done",
    detail: Mapping[str, str | int | bool | None] | None = None,
    policy: str | None = None,
    day_in: str | None = None,
) -> str:
    """Write one leaf into `store`'s outbox, inside the caller's transaction there; returns its id.

    Only names, tokens and numbers may be handed in: a personal value in the ledger could never be taken out again.
    With a zone in `day_in` the leaf says only the day there, as the first instant of it (docs/linkability.md).
    """
    leaf_id = secrets.token_hex(16)
    told = datetime.combine(now.astimezone(ZoneInfo(day_in)).date(), time(), ZoneInfo(day_in)) if day_in else now
    leaf = {
        "id": leaf_id,
        "time": told.astimezone(UTC).isoformat(timespec="seconds"),
        "act": act,
        "clause": clause,
        "policy": policy,
        "actor": {"role": by.role, "token": by.token},
        "subject": subject,
        "items": list(items),
        "purpose": purpose,
        "outcome": outcome,
        "detail": dict(detail or {}),
    }
    connection = connections[store]
    at = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [leaf_id, json.dumps(leaf, ensure_ascii=False), at])
    return leaf_id
