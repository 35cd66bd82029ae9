"""What came back with a copy although its key is gone (A4.2): removed before anybody asks."""

from datetime import datetime

from django.db import transaction
from django.db.models import Model

from imgnom.custody.keys.public import alive_ids, alive_owners
from imgnom.custody.vault.models import BlindIndex, Correction, HeldName, LastUse, Restriction, SealedValue
from imgnom.custody.vault.values import SUBJECT


def hold_indexed_name(subject: str, item: str, *, starts_at: datetime, until: datetime | None) -> None:
    """A name whose plain form nobody can read any more is held by its digest, which is the same for both."""
    row = BlindIndex.objects.filter(subject=subject, item=item).first()
    if row is not None:
        HeldName.objects.get_or_create(
            item=item, digest=row.digest, defaults={"starts_at": starts_at, "ends_at": until}
        )


def hold_digest(item: str, digest: str, *, starts_at: datetime, until: datetime | None) -> None:
    """The same for a name of which a copy kept the digest beside it."""
    HeldName.objects.get_or_create(item=item, digest=digest, defaults={"starts_at": starts_at, "ends_at": until})


def drop_dead_values() -> int:
    """Values whose key is gone, and whatever else is kept of subjects without a key; how many rows."""
    keys, subjects = alive_ids(), alive_owners(SUBJECT)
    gone = 0
    with transaction.atomic(using="vault"):
        dead = [pk for pk, key in SealedValue.objects.values_list("pk", "key_id") if key not in keys]
        gone += _delete(SealedValue, dead)
        for model in (BlindIndex, Restriction, LastUse, Correction):
            gone += _delete(
                model, [pk for pk, subject in model.objects.values_list("pk", "subject") if subject not in subjects]
            )
    return gone


def _delete(model: type[Model], rows: list[int]) -> int:
    for start in range(0, len(rows), 500):
        model._default_manager.filter(pk__in=rows[start : start + 500]).delete()
    return len(rows)


def known_subjects() -> set[str]:
    """Everybody of whom some value is held."""
    return set(SealedValue.objects.values_list("subject", flat=True).distinct())
