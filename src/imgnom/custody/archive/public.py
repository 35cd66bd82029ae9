"""The door of the archive: move in, open through a docket, destroy on the day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from django.db import transaction

from imgnom.custody.archive.after_restore import archive_owners, drop_dead_entries
from imgnom.custody.archive.models import ArchivedValue
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import compact, context, destroy_keys, find_or_create_key, keys_of, open_key
from imgnom.custody.ledger.public import close_intent, intend_destruction, intended_keys, open_intents
from imgnom.custody.outbox.public import record_act
from imgnom.custody.transactions import ensure_outermost
from imgnom.custody.vault.reveal import Personal, RevealRefused
from imgnom.policy.public import Actor, Allow, Deny, Text, decide, ends_at

__all__ = [
    "KLASS",
    "DueArchive",
    "archive_owners",
    "archive_subject",
    "archived_facts",
    "close_archive",
    "destroy_archive",
    "drop_dead_entries",
    "due_archives",
    "open_archive",
    "recompute_archives",
]

KLASS = "archive"
# How entries of the archive stand on the destruction list.
LIST = "archive:"


@dataclass(frozen=True)
class DueArchive:
    archive_ref: str
    record: str


def _owner(ref: str, record: str) -> str:
    return f"{ref}:{record}"


def _day(instant: datetime, zone: str) -> datetime:
    return datetime.combine(instant.astimezone(ZoneInfo(zone)).date(), time(), ZoneInfo(zone)).astimezone(UTC)


def archive_subject(
    *,
    archive_ref: str,
    record: str,
    values: Mapping[str, str],
    starts_at: datetime,
    due_at: datetime | None,
    by: Actor,
    now: datetime,
) -> str:
    """The values stand sealed under a fresh key; repeating it after a kill changes nothing. Returns the key's id.

    Row, key and leaf say the day and no instant at which somebody left.
    """
    zone = policy_in_force().zone
    key_id = find_or_create_key(owner=_owner(archive_ref, record), klass=KLASS, now=_day(now, zone))
    key = open_key(key_id)
    fresh = []
    with transaction.atomic(using="archive"):
        for item, value in values.items():
            sealed = key.seal(value.encode(), bound_to=context("archive", archive_ref, record, item))
            _, made = ArchivedValue.objects.get_or_create(
                archive_ref=archive_ref, record=record, item=item,
                defaults={"sealed": sealed, "key_id": key_id, "starts_at": _day(starts_at, zone), "ends_at": due_at},
            )  # fmt: skip
            if made:
                fresh.append(item)
        if fresh:
            record_act(
                store="archive", act="archive", clause="A4.1①", by=by, now=now, subject=archive_ref, items=fresh, detail={"record": record},
                day_in=zone,
            )  # fmt: skip
    return key_id


def archived_facts(archive_ref: str) -> tuple[tuple[str, str, datetime | None], ...]:
    """(record, item, end) of what is kept; names and dates only."""
    rows = ArchivedValue.objects.filter(archive_ref=archive_ref).order_by("record", "item")
    return tuple((r.record, r.item, r.ends_at) for r in rows)


def due_archives(*, now: datetime) -> tuple[DueArchive, ...]:
    """What is past its end, and what a kill left between its keys and its certificate."""
    rows = ArchivedValue.objects.filter(ends_at__lte=now).values_list("archive_ref", "record").distinct()
    begun = [tuple(reference.removeprefix(LIST).split(":", 1)) for reference in open_intents(LIST)]
    return tuple(DueArchive(ref, record) for ref, record in sorted({*rows, *begun}))


def destroy_archive(
    archive_ref: str, record: str, *, now: datetime, by: Actor
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Intent, key, rows; returns the keys and the items. Repeating it after a kill finishes it with the same keys."""
    rows = ArchivedValue.objects.filter(archive_ref=archive_ref, record=record)
    items = tuple(rows.order_by("item").values_list("item", flat=True))
    key_ids = tuple(sorted({*rows.values_list("key_id", flat=True), *keys_of(_owner(archive_ref, record))}))
    reference = f"{LIST}{_owner(archive_ref, record)}"
    intend_destruction(what=record, key_ids=key_ids, clause="A4.1①", by=by, now=now, reference=reference)
    key_ids = tuple(sorted({*key_ids, *intended_keys(reference)}))
    destroy_keys(key_ids, now=now, by=by, clause="A4.1①")
    with transaction.atomic(using="archive"):
        if rows.delete()[0]:
            record_act(
                store="archive",
                act="destroy_archive",
                clause="A4.1①",
                by=by,
                now=now,
                subject=archive_ref,
                items=items,
                detail={"record": record},
            )
    compact("archive")
    return key_ids, items


def close_archive(archive_ref: str, record: str, *, now: datetime) -> None:
    """Its certificate stands and whoever asks is told: nothing of this end waits any more."""
    close_intent(f"{LIST}{_owner(archive_ref, record)}", now=now)


def open_archive(archive_ref: str, item: str, *, docket: str, by: Actor, now: datetime) -> Personal:
    """One of the four doors of A4.1②: an officer with a docket. Anything else is refused and leaves its leaf.

    Raises RevealRefused, KeyDestroyed, SealBroken, InsideTransaction.
    """
    ensure_outermost("a reading of the archive")
    row = ArchivedValue.objects.filter(archive_ref=archive_ref, item=item).first()
    decision = decide(
        policy_in_force(),
        item=item,
        purpose="investigation",
        role=by.role,
        archived=True,
        deadline=row.ends_at if row else None,
        now=now,
    )
    if not docket:
        decision = Deny(Text("문서 없이는 열지 않습니다.", "Nothing is opened without a docket."), "A4.1②")
    with transaction.atomic(using="archive", durable=True):
        record_act(
            store="archive", act="open_archive", clause=decision.clause, by=by, now=now, subject=archive_ref, items=[item], purpose="investigation",
            outcome="revealed" if isinstance(decision, Allow) else "refused",
        )  # fmt: skip
    if not isinstance(decision, Allow) or row is None:
        raise RevealRefused(
            decision if not isinstance(decision, Allow) else Deny(Text("없습니다.", "Nothing is held."), "A4.1②")
        )
    return Personal(
        open_key(row.key_id)
        .open(bytes(row.sealed), bound_to=context("archive", archive_ref, row.record, item))
        .decode()
    )


def recompute_archives(*, now: datetime, by: Actor) -> int:
    """After a change of the policy: every due date from its start, by the period now in force."""
    policy = policy_in_force()
    changed = 0
    with transaction.atomic(using="archive"):
        for row in ArchivedValue.objects.all():
            record = policy.records.get(row.record)
            end = ends_at(record, row.starts_at, policy.zone) if record else now
            if end != row.ends_at:
                row.ends_at = end
                row.save(update_fields=["ends_at"])
                changed += 1
        if changed:
            record_act(
                store="archive",
                act="recompute_due_dates",
                clause="I1",
                by=by,
                now=now,
                policy=policy.digest,
                detail={"rows": changed},
            )
    return changed
