"""Making, opening and destroying data keys."""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NewType

from django.db import connections, transaction

from imgnom.custody.keys import hazmat
from imgnom.custody.keys.epochs import CHUNK, TURN_LOCK, current_epoch, unwrap_row, wrap_for_row
from imgnom.custody.keys.errors import KeyDestroyed, KeyringMissing, KeyringWrong, KeyRowChanged, KeyUnknown
from imgnom.custody.keys.kept_copy import copy_status
from imgnom.custody.keys.models import DataKey, DestroyedKey, Epoch
from imgnom.custody.outbox.public import record_act
from imgnom.custody.prepared import Prepared
from imgnom.custody.transactions import hold_lock
from imgnom.policy.public import Actor

# A question may not carry more values than the smallest store takes.
ASKED_AT_ONCE = 1000
# Behind the class of a key that was set free.
LEFT = "-left"
KeyId = NewType("KeyId", str)


# Written out, as is the question below: the ORM takes longer to compose it than a store to do it.
_KEEP = "INSERT INTO keys_datakey (key_id, owner, klass, wrapped, epoch, made_at) VALUES (%s, %s, %s, %s, %s, %s)"
# SQLite numbers rows in the order they come, beside their key: a random number hides which files came one after another.
_KEEP_UNORDERED = "INSERT INTO keys_datakey (key_id, owner, klass, wrapped, epoch, made_at, rowid) VALUES (%s, %s, %s, %s, %s, %s, %s)"


def create_key(*, owner: str, klass: str, now: datetime) -> KeyId:
    """A new random key, wrapped under the current epoch."""
    return _keep(hazmat.new_key(), owner=owner, klass=klass, now=now)


def create_open_key(*, owner: str, klass: str, now: datetime) -> hazmat.DataKey:
    """A new random key, kept and open; for an owner that has none."""
    key = hazmat.new_key()
    _keep(key, owner=owner, klass=klass, now=now)
    return hazmat.DataKey(key)


def _keep(key: bytes, *, owner: str, klass: str, now: datetime) -> KeyId:
    key_id = secrets.token_hex(16)
    with transaction.atomic(using="keys"):
        hold_lock("keys", TURN_LOCK, shared=True)
        epoch = current_epoch()
        wrapped = wrap_for_row(key, key_id=key_id, owner=owner, klass=klass, epoch=epoch)
        with connections["keys"].cursor() as cursor:
            made_at = connections["keys"].ops.adapt_datetimefield_value(now)
            row: list[str | bytes | int | datetime | None] = [key_id, owner, klass, wrapped, epoch, made_at]
            if connections["keys"].vendor == "sqlite":
                cursor.execute(_KEEP_UNORDERED, [*row, 1 + secrets.randbelow(2**62)])
            else:
                cursor.execute(_KEEP, row)
    return KeyId(key_id)


def create_keys(owners: Iterable[str], *, klass: str, now: datetime) -> list[str]:
    """A new key for each; the owners."""
    made = list(owners)
    with transaction.atomic(using="keys"):
        hold_lock("keys", TURN_LOCK, shared=True)
        epoch = current_epoch()
        DataKey.objects.bulk_create(_new_row(owner, klass, epoch, now) for owner in made)
    return made


def _new_row(owner: str, klass: str, epoch: int, now: datetime) -> DataKey:
    key_id = secrets.token_hex(16)
    wrapped = wrap_for_row(hazmat.new_key(), key_id=key_id, owner=owner, klass=klass, epoch=epoch)
    return DataKey(key_id=key_id, owner=owner, klass=klass, wrapped=wrapped, epoch=epoch, made_at=now)


def opened_keys(owners: Sequence[str], klass: str) -> dict[str, tuple[str, hazmat.DataKey]]:
    """Owner → (name, opened key), of those who have one of this class. Raises KeyringMissing, KeyringWrong."""
    rows = DataKey.objects.filter(owner__in=owners, klass=klass).order_by("-made_at", "-pk")
    return {owner: (key_id, open_key(key_id)) for key_id, owner in rows.values_list("key_id", "owner")}


def set_keys_free(owner: str, klass: str) -> None:
    """The keys of this class open what they opened, and belong to nobody from now on."""
    with transaction.atomic(using="keys"):
        hold_lock("keys", TURN_LOCK, shared=True)
        for row in DataKey.objects.select_for_update().filter(owner=owner, klass=klass):
            key = unwrap_row(bytes(row.wrapped), key_id=row.key_id, owner=owner, klass=klass, epoch=row.epoch)
            row.owner, row.klass, row.epoch = secrets.token_hex(13), f"{klass}{LEFT}", current_epoch()
            row.wrapped = wrap_for_row(key, key_id=row.key_id, owner=row.owner, klass=row.klass, epoch=row.epoch)
            row.save(update_fields=["owner", "klass", "epoch", "wrapped"])


# Written out: the ORM takes longer to compose it than a store to answer it, and every reading asks it.
_WRAPPED = "SELECT owner, klass, epoch, wrapped FROM keys_datakey WHERE key_id = %s"
type _Row = tuple[str, str, int, bytes]


def _wrapped(key_id: str) -> _Row | None:
    """Asked anew at each opening and kept nowhere: a key that any process destroyed opens nothing from then on."""
    with connections["keys"].cursor() as cursor:
        cursor.execute(_WRAPPED, [key_id])
        row = cursor.fetchone()
    return None if row is None else (row[0], row[1], row[2], bytes(row[3]))


def _opened(key_id: str, row: _Row) -> bytes:
    owner, klass, epoch, wrapped = row
    return unwrap_row(wrapped, key_id=key_id, owner=owner, klass=klass, epoch=epoch)


def open_key(key_id: str) -> hazmat.DataKey:
    """The opened key. Raises KeyDestroyed, KeyUnknown, KeyringMissing, KeyringWrong, KeyRowChanged."""
    found = _wrapped(key_id)
    if found is None:
        if DestroyedKey.objects.filter(key_id=key_id).exists():
            raise KeyDestroyed(key_id)
        raise KeyUnknown(key_id)
    try:
        return hazmat.DataKey(_opened(key_id, found))
    except Exception:
        # A turn may have rewrapped the row between our read of it and of the KEK file: look once more.
        again = _wrapped(key_id)
        if again is None or again == found:
            raise
        return hazmat.DataKey(_opened(key_id, again))


def rows_that_do_not_open() -> Iterator[str]:
    """The names of keys whose rows were changed, copied or moved, or whose KEK is not at hand. Linear; beside a live site."""
    rows = DataKey.objects.order_by("pk").values_list("key_id", "owner", "klass", "epoch", "wrapped")
    for key_id, owner, klass, epoch, wrapped in rows.iterator(chunk_size=2000):
        try:
            _opened(key_id, (owner, klass, epoch, bytes(wrapped)))
        except (KeyringMissing, KeyringWrong):
            try:
                open_key(key_id)
            except (KeyDestroyed, KeyUnknown):
                continue
            except (KeyringMissing, KeyringWrong):
                yield key_id


_OF_OWNER = Prepared(
    lambda owner, klass: DataKey.objects.filter(owner=owner, klass=klass).order_by("made_at", "pk").values_list("pk")[:1],
    str, str,
)  # fmt: skip


def find_key(owner: str, klass: str) -> KeyId | None:
    row = _OF_OWNER.first(owner, klass)
    return KeyId(row[0]) if row else None


def find_or_create_key(*, owner: str, klass: str, now: datetime) -> KeyId:
    """The one key of this owner and class, however many ask for it at the same moment."""
    found = find_key(owner, klass)
    if found is not None:
        return found
    with transaction.atomic(using="keys"):
        hold_lock("keys", f"key of {owner} {klass}")
        return find_key(owner, klass) or create_key(owner=owner, klass=klass, now=now)


def keys_of(owner: str) -> list[str]:
    return list(DataKey.objects.filter(owner=owner).values_list("key_id", flat=True))


def keys_of_many(owners: Iterable[str]) -> list[str]:
    """The keys of all of them, owner by owner."""
    wanted = list(dict.fromkeys(owners))
    found: dict[str, list[str]] = {}
    for place in range(0, len(wanted), ASKED_AT_ONCE):
        rows = DataKey.objects.filter(owner__in=wanted[place : place + ASKED_AT_ONCE])
        for owner, key_id in rows.values_list("owner", "key_id"):
            found.setdefault(owner, []).append(key_id)
    return [key_id for owner in wanted for key_id in found.get(owner, ())]


def destroy_keys(key_ids: Iterable[str], *, now: datetime, by: Actor, clause: str) -> int:
    """The rows are gone, tombstones stand in their place; how many still existed."""
    wanted = list(key_ids)
    with transaction.atomic(using="keys"):
        alive: list[str] = []
        for start in range(0, len(wanted), CHUNK):
            chunk = DataKey.objects.filter(key_id__in=wanted[start : start + CHUNK])
            dying = list(chunk.values_list("key_id", flat=True))
            DestroyedKey.objects.bulk_create(
                [DestroyedKey(key_id=k, destroyed_at=now) for k in dying], ignore_conflicts=True
            )
            chunk.delete()
            alive += dying
        if alive:
            record_act(store="keys", act="destroy_keys", clause=clause, by=by, now=now, detail={"keys": len(alive)})
    return len(alive)


def coarsen_file_keys(days: Mapping[str, datetime]) -> None:
    """The keys of these owners were made on their day; repeating it is harmless."""
    by_day: dict[datetime, list[str]] = {}
    for owner, day in days.items():
        by_day.setdefault(day, []).append(owner)
    with transaction.atomic(using="keys"):
        for day, owners in by_day.items():
            for place in range(0, len(owners), ASKED_AT_ONCE):
                finer = DataKey.objects.filter(owner__in=owners[place : place + ASKED_AT_ONCE]).exclude(made_at=day)
                finer.update(made_at=day)


def any_alive(key_ids: Iterable[str]) -> bool:
    wanted = list(key_ids)
    return any(
        DataKey.objects.filter(key_id__in=wanted[place : place + ASKED_AT_ONCE]).exists()
        for place in range(0, len(wanted), ASKED_AT_ONCE)
    )


def alive_owners(klass: str) -> set[str]:
    """Whose keys of this class are in the store."""
    return set(DataKey.objects.filter(klass=klass).values_list("owner", flat=True))


def alive_ids() -> set[str]:
    return set(DataKey.objects.values_list("key_id", flat=True))


def keys_by_owner(klass: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for owner, key_id in DataKey.objects.filter(klass=klass).values_list("owner", "key_id"):
        found.setdefault(owner, []).append(key_id)
    return found


def count_revived() -> int:
    """How many keys are in the store although their destruction was recorded."""
    return DataKey.objects.filter(key_id__in=DestroyedKey.objects.values("key_id")).count()


def ensure_all_open() -> int:
    """Every wrapped key opens where it stands; returns how many. Raises KeyRowChanged."""
    broken = next(rows_that_do_not_open(), None)
    if broken is not None:
        raise KeyRowChanged(
            f"Key {broken} does not open where it stands: its row was changed, copied or moved, or its KEK is another."
        )
    return DataKey.objects.count()


def keys_status() -> dict[str, object]:
    """Figures for `imgnom keys status`."""
    epoch = Epoch.objects.filter(state="current").order_by("-number").first()
    kinds: dict[str, int] = {}
    for klass in DataKey.objects.values_list("klass", flat=True).distinct():
        kinds[klass] = DataKey.objects.filter(klass=klass).count()
    return {
        "epoch": epoch.number if epoch else None,
        "begun_at": epoch.begun_at.isoformat() if epoch else None,
        "keys": sum(kinds.values()),
        "kinds": kinds,
        "destroyed": DestroyedKey.objects.count(),
        "waiting_for_a_turn": DataKey.objects.exclude(epoch=epoch.number).count() if epoch else 0,
        "not_opening": sum(1 for _ in rows_that_do_not_open()),
        "copy": copy_status(),
    }
