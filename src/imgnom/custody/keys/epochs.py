"""Epochs: first keys, the check at the start, and the turn.

Turn: write and sync the new KEK → say so in the store (fresh) → rewrap in chunks, each row carrying its epoch →
no row of the old epoch left → new epoch current, old retired → destroy the old KEK file. Each step can be killed and
repeated: while both files exist every row opens, and a file is destroyed only when no row needs it.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from imgnom.custody.keys import hazmat, keyring
from imgnom.custody.keys.errors import KeyringMissing, KeyringWrong
from imgnom.custody.keys.models import DataKey, Epoch, KeyringMark
from imgnom.custody.outbox.public import record_act
from imgnom.policy.public import SYSTEM

CHUNK = 500


@dataclass(frozen=True)
class TurnReport:
    epoch: int
    rewrapped: int


def _kek_name(number: int) -> str:
    return f"kek-{number}"


def kek_of(number: int) -> bytes:
    return keyring.read_key(_kek_name(number))


def current_epoch() -> int:
    row = Epoch.objects.filter(state="current").order_by("-number").first()
    if row is None:
        raise KeyringMissing("The key store knows no epoch yet. `imgnom keys init` makes the keyring of a new site.")
    return row.number


def ensure_keyring(*, now: datetime, new_site: bool = False) -> None:
    """Make the first keys of a new site; an old site's keyring is checked, never mended.

    Raises KeyringMissing where the mode forbids making keys, or where the key store already knows a keyring.
    """
    from django.conf import settings

    if Epoch.objects.exists():
        check_keyring()
        return
    if not (new_site or settings.IMGNOM.may_make_keys):
        raise KeyringMissing("This site has no keyring yet. `imgnom keys init` makes one.")
    for name in (*keyring.LASTING, _kek_name(1)):
        if not keyring.path_of(name).exists():
            keyring.write_key(name)
    with transaction.atomic(using="keys"):
        for name in keyring.LASTING:
            KeyringMark.objects.update_or_create(
                name=name, defaults={"fingerprint": hazmat.fingerprint(keyring.read_key(name))}
            )
        Epoch.objects.create(number=1, fingerprint=hazmat.fingerprint(kek_of(1)), state="current", begun_at=now)


def check_keyring() -> None:
    """Every file that is needed is there and is ours. Raises KeyringMissing, KeyringWrong."""
    for mark in KeyringMark.objects.all():
        if hazmat.fingerprint(keyring.read_key(mark.name)) != mark.fingerprint:
            raise KeyringWrong(f"{mark.name}.key of the keyring belongs to another site or was swapped.")
    needed = Epoch.objects.filter(state__in=("current", "fresh"))
    if not needed.exists():
        raise KeyringMissing("The key store knows no epoch yet.")
    for epoch in needed:
        if epoch.state == "fresh" and not keyring.path_of(_kek_name(epoch.number)).exists():
            continue
        if hazmat.fingerprint(kek_of(epoch.number)) != epoch.fingerprint:
            raise KeyringWrong(f"kek-{epoch.number}.key of the keyring belongs to another site or was swapped.")


def _begin(old: int, now: datetime) -> int:
    fresh = Epoch.objects.filter(state="fresh").order_by("-number").first()
    if fresh is not None:
        return fresh.number
    number = old + 1
    if keyring.path_of(_kek_name(number)).exists():
        keyring.destroy_key_file(
            _kek_name(number)
        )  # written by a turn that died before it told the store: wraps nothing
    raw = keyring.write_key(_kek_name(number))
    Epoch.objects.create(number=number, fingerprint=hazmat.fingerprint(raw), state="fresh", begun_at=now)
    return number


def _rewrap_chunk(old_epochs: list[int], number: int) -> int:
    with transaction.atomic(using="keys"):
        rows = list(DataKey.objects.select_for_update().filter(epoch__in=old_epochs)[:CHUNK])
        new = kek_of(number)
        for row in rows:
            row.wrapped = hazmat.wrap(new, hazmat.unwrap(kek_of(row.epoch), bytes(row.wrapped)))
            row.epoch = number
        DataKey.objects.bulk_update(rows, ["wrapped", "epoch"])
    return len(rows)


def turn_epoch(*, now: datetime) -> TurnReport:
    """Rewrap every live key under a new KEK and destroy the old one; reads go on meanwhile.

    The worker and a command may both ask: the second waits for the first and then turns once more.
    """
    with keyring.held_for_turn():
        return _turn(now)


def _turn(now: datetime) -> TurnReport:
    _sweep_retired()
    old = current_epoch()
    number = _begin(old, now)
    rewrapped = 0
    while count := _rewrap_chunk(list(Epoch.objects.exclude(number=number).values_list("number", flat=True)), number):
        rewrapped += count
    with transaction.atomic(using="keys"):
        # New keys may still have been wrapped under the old epoch while the last chunk ran.
        if DataKey.objects.exclude(epoch=number).exists():
            raise KeyringWrong("Keys of the old epoch appeared during the turn; it goes on with the next run.")
        Epoch.objects.filter(number=number).update(state="current", begun_at=now)
        Epoch.objects.filter(state="current").exclude(number=number).update(state="retired")
        record_act(
            store="keys",
            act="turn_epoch",
            clause="A4.2",
            by=SYSTEM,
            now=now,
            detail={"epoch": number, "keys": rewrapped},
        )
    _sweep_retired()
    return TurnReport(number, rewrapped)


def _sweep_retired() -> None:
    from imgnom.custody.keys.compact import compact

    retired = list(Epoch.objects.filter(state="retired"))
    if not retired:
        return
    compact("keys")
    for epoch in retired:
        if not DataKey.objects.filter(epoch=epoch.number).exists():
            keyring.destroy_key_file(_kek_name(epoch.number))
            epoch.delete()


def last_turn() -> datetime | None:
    row = Epoch.objects.filter(state="current", number__gt=1).first()
    return row.begun_at if row else None
