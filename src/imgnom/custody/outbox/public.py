"""The door of the outbox: `record_act` writes the leaf of an act into the store where the act happens."""

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from imgnom.custody.outbox.models import Outbox
from imgnom.policy.public import Actor


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
) -> str:
    """Write one leaf into `store`'s outbox, inside the caller's transaction there; returns its id.

    Only names, tokens and numbers may be handed in: a personal value in the ledger could never be taken out again.
    """
    leaf_id = secrets.token_hex(16)
    leaf = {
        "id": leaf_id,
        "time": now.astimezone(UTC).isoformat(timespec="seconds"),
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
    Outbox.objects.using(store).create(leaf_id=leaf_id, payload=json.dumps(leaf, ensure_ascii=False), created_at=now)
    return leaf_id
