"""Writing, finding and destroying sealed values."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from imgnom.custody.keys.public import (
    KeyUnknown,
    compact,
    context,
    create_key,
    derive,
    destroy_keys,
    find_key,
    find_or_create_key,
    keyed_digest,
    keys_of,
    open_key,
    read_key,
)
from imgnom.custody.ledger.public import intend_destruction, intended_keys
from imgnom.custody.outbox.public import record_act
from imgnom.custody.prepared import Prepared
from imgnom.custody.transactions import hold_lock
from imgnom.custody.vault.errors import SubjectFenced, ValueTaken
from imgnom.custody.vault.models import BlindIndex, Correction, Fence, HeldName, LastUse, Restriction, SealedValue
from imgnom.policy.public import Actor, SubjectId

SUBJECT = "subject"


@dataclass(frozen=True)
class DestroyedSubject:
    key_ids: tuple[str, ...]
    items: tuple[str, ...]


def bound_to(subject: str, item: str, row: str) -> bytes:
    return context("vault", subject, item, row)


def new_subject_token() -> SubjectId:
    """A random token of nobody yet. Who must find every subject again notes it down before `ensure_subject`."""
    return SubjectId(base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower())


def new_subject(*, now: datetime) -> SubjectId:
    """A new random token with a data key of its own."""
    subject = new_subject_token()
    create_key(owner=subject, klass=SUBJECT, now=now)
    return subject


def ensure_subject(subject: str, *, now: datetime) -> None:
    """The token, which the caller noted before, has its data key; repeating it makes no second one.

    Raises SubjectFenced once it was destroyed.
    """
    if is_fenced(subject):
        raise SubjectFenced(subject)
    find_or_create_key(owner=subject, klass=SUBJECT, now=now)


def note_correction(subject: str, item: str, before: str, *, now: datetime) -> None:
    """Of the value before a correction a keyed digest is left and nothing else (A7.2a)."""
    digest = keyed_digest(derive(read_key("index"), f"before a correction of {item}"), before.encode()).hex()
    with transaction.atomic(using="vault"):
        ensure_not_fenced(subject)
        Correction.objects.create(subject=subject, item=item, digest=digest, at=now)


def ensure_not_fenced(subject: str) -> None:
    """Inside the caller's transaction of the vault, and true until its end. Raises SubjectFenced."""
    hold_lock("vault", f"fence of {subject}", shared=True)
    if is_fenced(subject):
        raise SubjectFenced(subject)


def seal_value(subject: str, item: str, value: str, *, row: str = "", now: datetime) -> None:
    """The value stands sealed under the subject's key, bound to subject, item and row.

    Raises SubjectFenced, KeyDestroyed, and KeyUnknown for a token that never was a subject.
    """
    key_id = find_key(subject, SUBJECT)
    if key_id is None:
        if is_fenced(subject):
            raise SubjectFenced(subject)
        raise KeyUnknown(subject)
    sealed = open_key(key_id).seal(value.encode(), bound_to=bound_to(subject, item, row))
    with transaction.atomic(using="vault"):
        ensure_not_fenced(subject)
        SealedValue.objects.update_or_create(
            subject=subject, item=item, row=row, defaults={"sealed": sealed, "key_id": key_id, "sealed_at": now}
        )


def forget_value(subject: str, item: str, *, row: str = "") -> None:
    SealedValue.objects.filter(subject=subject, item=item, row=row).delete()


def blind_digest(item: str, canonical: str) -> str:
    return keyed_digest(derive(read_key("index"), f"blind index {item}"), canonical.encode()).hex()


def ledger_name(kind: str, key: str | int) -> str:
    """How leaves name a picture, a comment or a withdrawal: who has no keyring cannot tell which one it is."""
    return blind_digest(f"ledger {kind}", str(key))[:32]


def index_value(subject: str, item: str, canonical: str) -> None:
    """The confirmed value is found from now on. Raises ValueTaken."""
    digest = blind_digest(item, canonical)
    try:
        with transaction.atomic(using="vault"):
            ensure_not_fenced(subject)
            BlindIndex.objects.filter(subject=subject, item=item).exclude(digest=digest).delete()
            row, _ = BlindIndex.objects.get_or_create(item=item, digest=digest, defaults={"subject": subject})
    except IntegrityError:
        raise ValueTaken(item) from None
    if row.subject != subject:
        raise ValueTaken(item)


def replace_indexed_value(subject: str, item: str, value: str, *, canonical: str, from_row: str, now: datetime) -> None:
    """The value that waited in `from_row` is the one held and found from now on: all of it in one step, or nothing.

    Raises ValueTaken, SubjectFenced, KeyDestroyed, KeyUnknown.
    """
    with transaction.atomic(using="vault"):
        index_value(subject, item, canonical)
        seal_value(subject, item, value, now=now)
        forget_value(subject, item, row=from_row)


def unindex(subject: str, item: str) -> None:
    BlindIndex.objects.filter(subject=subject, item=item).delete()


def find_subject(item: str, canonical: str) -> SubjectId | None:
    row = BlindIndex.objects.filter(item=item, digest=blind_digest(item, canonical)).first()
    return SubjectId(row.subject) if row else None


def decoy_subject(item: str, canonical: str, *, now: datetime) -> SubjectId:
    """What an unknown value maps to for an hour: the same shape, of nobody, so that limits cannot tell."""
    window = int(now.timestamp()) // 3600
    digest = keyed_digest(derive(read_key("index"), f"decoy {item} {window}"), canonical.encode())
    return SubjectId(base64.b32encode(digest[:16]).decode().rstrip("=").lower())


def hold_name(item: str, canonical: str, *, starts_at: datetime, until: datetime | None) -> None:
    HeldName.objects.bulk_create(
        [HeldName(item=item, digest=blind_digest(item, canonical), starts_at=starts_at, ends_at=until)],
        update_conflicts=True,
        unique_fields=["item", "digest"],
        update_fields=["starts_at", "ends_at"],
    )


def is_name_held(item: str, canonical: str, *, now: datetime) -> bool:
    row = HeldName.objects.filter(item=item, digest=blind_digest(item, canonical)).first()
    return row is not None and (row.ends_at is None or row.ends_at > now)


def recompute_names(end_of: Callable[[datetime], datetime | None]) -> int:
    """After a change of the policy: new ends from each start. What nobody else ever gets stays without an end."""
    changed = 0
    with transaction.atomic(using="vault"):
        for row in HeldName.objects.filter(ends_at__isnull=False):
            end = end_of(row.starts_at)
            if end != row.ends_at:
                HeldName.objects.filter(pk=row.pk).update(ends_at=end)
                changed += 1
    return changed


def due_names(*, now: datetime) -> int:
    return HeldName.objects.filter(ends_at__lte=now).count()


def destroy_due_names(*, now: datetime) -> int:
    return HeldName.objects.filter(ends_at__lte=now).delete()[0]


def held_items(subject: str) -> tuple[str, ...]:
    """The items of which the subject has a value in force; what stands in a row of its own (waiting, beside) is none."""
    return tuple(SealedValue.objects.filter(subject=subject, row="").order_by("item").values_list("item", flat=True))


def has_row(subject: str, item: str, *, row: str) -> bool:
    return SealedValue.objects.filter(subject=subject, item=item, row=row).exists()


def sealed_at(subject: str, item: str) -> datetime | None:
    row = SealedValue.objects.filter(subject=subject, item=item, row="").first()
    return row.sealed_at if row else None


def is_restricted(subject: str, item: str) -> bool:
    return Restriction.objects.filter(subject=subject, item=item).exists()


def restrict(subject: str, item: str) -> None:
    Restriction.objects.get_or_create(subject=subject, item=item)


def lift_restriction(subject: str, item: str) -> None:
    Restriction.objects.filter(subject=subject, item=item).delete()


def fence_subject(subject: str, *, now: datetime) -> None:
    """From now on nothing is written for this subject; whoever is writing just now is waited for."""
    if is_fenced(subject):  # who saw it come down waited already
        return
    with transaction.atomic(using="vault"):
        hold_lock("vault", f"fence of {subject}")
        Fence.objects.get_or_create(subject=subject, defaults={"fenced_at": now})


def begin_destruction(subject: str, *, now: datetime, by: Actor, clause: str) -> tuple[str, ...]:
    """The intent is on the list and the fence stands; returns the keys that it names, also when they are gone by now."""
    reference = f"subject:{subject}"
    alive = sorted(keys_of(subject))
    intend_destruction(what="subject", key_ids=alive, clause=clause, by=by, now=now, reference=reference)
    fence_subject(subject, now=now)
    return tuple(sorted({*intended_keys(reference), *alive}))


_FENCE = Prepared(lambda subject: Fence.objects.filter(subject=subject).values_list("pk"), str)


def is_fenced(subject: str) -> bool:
    return bool(_FENCE(subject))


def destroy_subject(subject: str, *, now: datetime, by: Actor, clause: str, compacts: bool = True) -> DestroyedSubject:
    """Intent, fence, keys and indexes, rows, in this order; repeating it finishes what a kill left (A4.2).

    The keys are those of the intent, so that a repetition still names what the first time destroyed. Who says that
    nothing is to be compacted does it a moment later.
    """
    key_ids = begin_destruction(subject, now=now, by=by, clause=clause)
    items = tuple(
        SealedValue.objects.filter(subject=subject).order_by("item").values_list("item", flat=True).distinct()
    )
    destroy_keys(key_ids, now=now, by=by, clause=clause)
    with transaction.atomic(using="vault"):
        BlindIndex.objects.filter(subject=subject).delete()
        SealedValue.objects.filter(subject=subject).delete()
        Restriction.objects.filter(subject=subject).delete()
        LastUse.objects.filter(subject=subject).delete()
        Correction.objects.filter(subject=subject).delete()
        record_act(store="vault", act="destroy_subject", clause=clause, by=by, now=now, subject=subject, items=items)
    for alias in ("keys", "vault") if compacts else ():
        compact(alias)
    return DestroyedSubject(key_ids, items)
