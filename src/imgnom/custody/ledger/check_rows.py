"""Checks every row of the ledger store against its seal and against the entry of the ledger that it belongs to (A4.2).

Both ways: each certificate, intent and receipt says what its leaf says, and each leaf that names one finds it. Work and
memory are linear; rows are read in chunks. It runs beside a live site: what is missing at the first look is looked for
again, because an act may enter the ledger between two questions.

Not covered by a seal: `Lease`, and the outbox, whose rows wait for a moment before they are leaves (docs/limits.md).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import rfc8785
from django.db import models

from imgnom.custody.ledger.append import waiting_in_ledger, waiting_payloads
from imgnom.custody.ledger.certificates import FORMAT, NAMED_KEYS, content_digest
from imgnom.custody.ledger.errors import LedgerBroken
from imgnom.custody.ledger.models import Certificate, Checkpoint, Intent, Leaf, Receipt, Tally
from imgnom.custody.ledger.sealed_rows import is_sealed
from imgnom.custody.ledger.signing import holds_bytes

AT_ONCE = 500
COUNTED: tuple[type[models.Model], ...] = (Checkpoint, Receipt)
TRIES = 3

type Act = dict[str, Any]


def _table(model: type[models.Model]) -> str:
    return model._meta.db_table


def _broken(row: models.Model, name: object, what: str) -> LedgerBroken:
    return LedgerBroken(f"{_table(type(row))}, row {name}: {what}")


def _ensure_sealed(row: models.Model, name: object) -> None:
    if not is_sealed(row):
        raise _broken(row, name, "it was changed, or put there without the site's key")


def _chunks(query: "models.QuerySet[Any]") -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for row in query.order_by("pk").iterator(chunk_size=AT_ONCE):
        chunk.append(row)
        if len(chunk) == AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _acts(leaf_ids: Sequence[str]) -> dict[str, Act]:
    """The acts of these ids, in the tree or on the way to it."""
    found: dict[str, Act] = {}
    for look in (_in_tree, _waiting, _in_tree):
        missing = [leaf_id for leaf_id in leaf_ids if leaf_id not in found]
        if missing:
            found |= look(missing)
    return found


def _in_tree(leaf_ids: Sequence[str]) -> dict[str, Act]:
    return _read(Leaf.objects.filter(leaf_id__in=leaf_ids).values_list("leaf_id", "payload"))


def _waiting(leaf_ids: Sequence[str]) -> dict[str, Act]:
    return _read(waiting_payloads(leaf_ids))


def _read(rows: Iterable[tuple[str, str]]) -> dict[str, Act]:
    found = {}
    for leaf_id, payload in rows:
        try:
            act = json.loads(payload)
        except ValueError:
            continue
        if isinstance(act, dict) and act.get("id") == leaf_id:
            found[leaf_id] = act
    return found


def _seconds(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _says(act: Mapping[str, Any] | None, name: str, **said: object) -> bool:
    """Whether the act is of this name and its fields and details are these."""
    if act is None or act.get("act") != name:
        return False
    detail = act.get("detail") or {}
    return all((detail if key in detail else act).get(key) == value for key, value in said.items())


# ── certificates ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _certificates() -> None:
    for rows in _chunks(Certificate.objects.all()):
        acts = _acts([leaf for row in rows for leaf in (row.leaf_id, row.final_leaf_id) if leaf])
        for row in rows:
            _ensure_sealed(row, row.number)
            _ensure_certificate(row, acts.get(row.leaf_id))
            is_final = row.grade == "final"
            if row.final_leaf_id and not (
                is_final and _says(acts.get(row.final_leaf_id), "finalise_certificate", certificate=row.number)
            ):
                raise _broken(row, row.number, "its grade is not the one in the ledger")


def _ensure_certificate(row: Certificate, act: Act | None) -> None:
    try:
        content, keys = json.loads(row.content), json.loads(row.key_ids)
        named = {"keys": sorted(keys)} if len(keys) <= NAMED_KEYS else {"keys_sha256": _digest_of_names(keys)}
        is_said = (
            content["certificate"] == row.number
            and content["leaf"] == row.leaf_id
            and content["time"] == _seconds(row.made_at)
            and content["keys_destroyed"] == len(keys)
            and all(content.get(name) == value for name, value in named.items())
            and holds_bytes(rfc8785.dumps(content), row.signature)
        )
        bound = {"sha256": content_digest(content)} if content.get("format") == FORMAT else {}
        is_bound = (
            is_said
            and act is not None
            and _says(
                act, "destroy", certificate=row.number, what=content["what"], method=content["method"], keys=len(keys),
                clause=content["clause"], policy=content["policy"], time=content["time"], **bound,
            )
            and sorted(act["items"]) == sorted(content["items"])
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError):
        is_bound = False
    if not is_bound:
        raise _broken(row, row.number, "it does not say what its signature and its entry in the ledger say")


def _digest_of_names(keys: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


# ── the destruction list ─────────────────────────────────────────────────────────────────────────────────────────────


def _intents() -> None:
    for rows in _chunks(Intent.objects.all()):
        acts = _acts([row.intent_id for row in rows])
        for row in rows:
            _ensure_sealed(row, row.intent_id)
            try:
                keys = len(json.loads(row.key_ids))
            except (ValueError, TypeError):
                keys = -1
            if not _says(
                acts.get(row.intent_id), "intend_destruction", what=row.what, keys=keys, clause=row.clause, time=_seconds(row.made_at)
            ):  # fmt: skip
                raise _broken(row, row.intent_id, "it does not say what its entry in the ledger says")
    # SQLite keeps any text in a column of times: it reads as none, and yet the row is looked over as one that is done.
    done = Intent.objects.filter(done_at__isnull=False).order_by("pk").values_list("intent_id", "done_at")
    for intent_id, done_at in done.iterator(chunk_size=AT_ONCE):
        if done_at is None:
            raise LedgerBroken(f"{_table(Intent)}, row {intent_id}: done_at holds no time")


# ── receipts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _receipts() -> None:
    for rows in _chunks(Receipt.objects.all()):
        acts = _acts([row.leaves[0] for row in rows if row.leaves])
        known = set(
            Certificate.objects.filter(number__in=[number for row in rows for number in row.certificates]).values_list(
                "number", flat=True
            )
        )
        for row in rows:
            _ensure_sealed(row, row.number)
            if lost := [number for number in row.certificates if number not in known]:
                raise _broken(row, row.number, f"its certificate {lost[0]} is missing")
            act = acts.get(row.leaves[0]) if row.leaves else None
            if act and act["act"] == "withdraw" and not _says(act, "withdraw", choice=row.choice):
                raise _broken(row, row.number, "it does not say what its entry in the ledger says")


# ── rows that are gone ───────────────────────────────────────────────────────────────────────────────────────────────


def ensure_named_rows(acts: Iterable[tuple[int, Act]]) -> None:
    """Every row that one of these entries names is there. Raises LedgerBroken; rows were written before their entries."""
    destroyed: dict[str, int] = {}
    intents: dict[str, int] = {}
    for index, act in acts:
        detail = act.get("detail")
        if act.get("act") == "intend_destruction":
            intents[str(act["id"])] = index
        elif act.get("act") == "destroy" and isinstance(detail, dict) and "certificate" in detail:
            destroyed[str(act["id"])] = index
    for model, column, named in ((Certificate, "leaf_id", destroyed), (Intent, "intent_id", intents)):
        if not named:
            continue
        there = set(model._default_manager.filter(**{f"{column}__in": list(named)}).values_list(column, flat=True))
        if lost := sorted(index for leaf, index in named.items() if leaf not in there):
            raise LedgerBroken(f"{_table(model)}: the row of entry {lost[0]} is missing")


def _ensure_each_once() -> None:
    """One certificate for an entry; the database sees to it that an intent has its own."""
    twice = (
        Certificate.objects.values("leaf_id")
        .annotate(count=models.Count("pk"))
        .filter(count__gt=1)
        .order_by("leaf_id")
        .first()
    )
    if twice:
        raise LedgerBroken(f"{_table(Certificate)}: two rows are of one entry, {twice['leaf_id']}")


def _tallies() -> None:
    for model in COUNTED:
        if not any(_is_tallied(model) for _ in range(TRIES)):
            raise LedgerBroken(f"{_table(model)}: a row is missing, or {_table(Tally)} was changed")
    for tally in Tally.objects.order_by("pk"):
        _ensure_sealed(tally, tally.table)
        if tally.table not in [_table(model) for model in COUNTED]:
            raise _broken(tally, tally.table, "there is no such table")


def _is_tallied(model: type[models.Model]) -> bool:
    tally = Tally.objects.filter(table=_table(model)).first()
    return (tally.rows if tally else 0) == model._default_manager.count()


def _waiting_rows() -> None:
    for row in waiting_in_ledger():
        if not _read([row]):
            raise LedgerBroken(f"outbox_outbox, row {row[0]}: it is no act")


def ensure_rows() -> None:
    """Every row is as it was written, none is missing, none was added. Raises LedgerBroken, SigningKeyMissing."""
    for checkpoint in Checkpoint.objects.order_by("size").iterator(chunk_size=AT_ONCE):
        _ensure_sealed(checkpoint, checkpoint.size)
    _certificates()
    _ensure_each_once()
    _intents()
    _receipts()
    _tallies()
    _waiting_rows()
