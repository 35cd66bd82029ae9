"""Epochs: first keys, the check at the start, and the turn.

Turn: write and sync the new KEK → say so in the store (fresh) → rewrap in chunks, each row carrying its epoch →
no row of the old epoch left → new epoch current, old retired → the store's own copy renewed → destroy the old KEK file.
Each step can be killed and repeated: while both files exist every row opens, and a file is destroyed only when neither
a row nor the copy needs it.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import connections, transaction
from django.db.models import Max

from imgnom.custody.keys import hazmat, keyring
from imgnom.custody.keys.errors import KeyringMissing, KeyringWrong
from imgnom.custody.keys.kept_copy import renew_copy
from imgnom.custody.keys.models import DataKey, Epoch, KeyringMark
from imgnom.custody.outbox.public import record_act
from imgnom.custody.prepared import Prepared
from imgnom.custody.transactions import ensure_outermost, hold_lock
from imgnom.policy.public import SYSTEM

CHUNK = 500
REWRAPPED_AT_ONCE = 2000
# Whoever makes a key shares this lock; the last step of a turn holds it alone.
TURN_LOCK = "turn of the epoch"


@dataclass(frozen=True)
class TurnReport:
    epoch: int
    rewrapped: int
    copy_problem: str = ""  # while it stands the old KEK does too


def _kek_name(number: int) -> str:
    return f"kek-{number}"


def kek_of(number: int) -> bytes:
    return keyring.read_key(_kek_name(number))


def wrap_for_row(key: bytes, *, key_id: str, owner: str, klass: str, epoch: int) -> bytes:
    """The key as its row holds it. Raises KeyringMissing, KeyringWrong."""
    return hazmat.wrap(kek_of(epoch), key, hazmat.use_of_key(key_id, owner, klass, epoch))


def unwrap_row(wrapped: bytes, *, key_id: str, owner: str, klass: str, epoch: int) -> bytes:
    """The key of exactly this row. Raises KeyRowChanged, KeyringMissing, KeyringWrong.

    A KEK of an earlier version may have wrapped rows that are bound to nothing. Its file shows which one it is: no KEK that
    was made since has ever wrapped such a row, so that none is accepted under it, whatever the row says.
    """
    kek, is_named = keyring.read_file(_kek_name(epoch))
    use = hazmat.use_of_key(key_id, owner, klass, epoch)
    return hazmat.unwrap(kek, wrapped, use, unbound=not is_named)


_CURRENT = Prepared(lambda: Epoch.objects.filter(state="current").order_by("-number").values_list("number")[:1])


def current_epoch() -> int:
    row = _CURRENT.first()
    if row is None:
        raise KeyringMissing("The key store knows no epoch yet. `imgnom keys init` makes the keyring of a new site.")
    return int(row[0])


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


def upgrade_keyring(*, now: datetime) -> None:
    """The keyring and the rows of an earlier version are bound to their use. Once; repeatable after a kill.

    Lasting files say from now on what they are for. A KEK of before is not named but replaced: the turn wraps every key
    anew, and what the old one wrapped opens nowhere once its file is gone.
    """
    for name in keyring.LASTING:
        keyring.name_key_file(name)
    if not keyring.read_file(_kek_name(current_epoch()))[1]:
        turn_epoch(now=now)


def unnamed_files() -> list[str]:
    """Files of the keyring that an earlier version wrote and that do not say what they are for."""
    names = [*keyring.LASTING, *(_kek_name(number) for number, _ in _known_epochs())]
    return [f"{name}.key" for name in names if not keyring.read_file(name)[1]]


def check_keyring() -> None:
    """Every file that is needed is there, is ours and is for our eyes only. Raises KeyringMissing, KeyringWrong."""
    keyring.ensure_private()
    marks = dict(KeyringMark.objects.values_list("name", "fingerprint"))
    for name, fingerprint in marks.items():
        if hazmat.fingerprint(keyring.read_key(name)) != fingerprint:
            raise KeyringWrong(f"{name}.key of the keyring belongs to another site or was swapped.")
    known = _known_epochs()
    if not known:
        raise KeyringMissing("The key store knows no epoch yet. `imgnom keys init` makes the keyring of a new site.")
    # Marks are written together with the first epoch: one that is gone was deleted, and its file could be any.
    for name in keyring.LASTING:
        if name not in marks:
            raise KeyringWrong(f"The key store lost the fingerprint of {name}.key: its row was deleted.")
    try:
        for number, fingerprint in known:
            _check_kek(number, fingerprint)
    except (KeyringMissing, KeyringWrong):
        # A turn may have ended between the look at the store and the look at the files.
        again = _known_epochs()
        if again == known:
            raise
        for number, fingerprint in again:
            _check_kek(number, fingerprint)


def _known_epochs() -> list[tuple[int, str]]:
    """(number, fingerprint) of each KEK that some key may hang on."""
    needed = Epoch.objects.filter(state__in=("current", "fresh")).order_by("number")
    return [(e.number, e.fingerprint) for e in needed if e.state == "current" or not _is_lost_and_idle(e.number)]


def _is_lost_and_idle(number: int) -> bool:
    """True for a KEK whose file is gone while nothing hangs on it: a turn that never got anywhere."""
    return not keyring.path_of(_kek_name(number)).exists() and not DataKey.objects.filter(epoch=number).exists()


def _check_kek(number: int, fingerprint: str) -> None:
    if hazmat.fingerprint(kek_of(number)) != fingerprint:
        raise KeyringWrong(f"kek-{number}.key of the keyring belongs to another site or was swapped.")


def _begin(now: datetime) -> int:
    """The new KEK is on disk and known to the store; a turn that died half-way is taken up again."""
    fresh = Epoch.objects.filter(state="fresh").order_by("-number").first()
    if fresh is not None:
        if not _is_lost_and_idle(fresh.number):
            return fresh.number
        fresh.delete()
    number = (Epoch.objects.aggregate(last=Max("number"))["last"] or 0) + 1
    # A file without a row was written by a turn that died before it told the store: nothing hangs on it.
    keyring.destroy_key_file(_kek_name(number))
    raw = keyring.write_key(_kek_name(number))
    Epoch.objects.create(number=number, fingerprint=hazmat.fingerprint(raw), state="fresh", begun_at=now)
    return number


def _rewrap_chunk(number: int) -> int:
    """Short, because a new key waits for it; one statement for all rows, because that is what takes the time."""
    with transaction.atomic(using="keys"):
        # Older epochs by range: a question for "every other epoch" reads all rows that are done already.
        old = DataKey.objects.select_for_update().filter(epoch__lt=number)
        rows = list(old.values_list("key_id", "owner", "klass", "epoch", "wrapped")[:REWRAPPED_AT_ONCE])
        new = kek_of(number)
        keks = {epoch: keyring.read_file(_kek_name(epoch)) for epoch in {row[3] for row in rows}}
        done = []
        for key_id, owner, klass, epoch, wrapped in rows:
            kek, is_named = keks[epoch]
            key = hazmat.unwrap(
                kek, bytes(wrapped), hazmat.use_of_key(key_id, owner, klass, epoch), unbound=not is_named
            )
            done.append((hazmat.wrap(new, key, hazmat.use_of_key(key_id, owner, klass, number)), number, key_id))
        with connections["keys"].cursor() as cursor:  # of nothing, psycopg and sqlite3 both do nothing
            cursor.executemany("UPDATE keys_datakey SET wrapped = %s, epoch = %s WHERE key_id = %s", done)
    return len(rows)


def _rewrap_all(number: int) -> int:
    rewrapped = 0
    while count := _rewrap_chunk(number):
        rewrapped += count
    return rewrapped


def turn_epoch(*, now: datetime) -> TurnReport:
    """Every live key is wrapped under a new KEK and the old one is destroyed; reads and new keys go on meanwhile.

    One turn at a time; a second one waits and then turns again. Raises InsideTransaction, KeyringMissing, KeyringWrong.
    """
    ensure_outermost("a turn of the epoch")
    with keyring.held_for_turn():
        _sweep_retired(now)
        current_epoch()
        number = _begin(now)
        rewrapped = _rewrap_all(number)
        with transaction.atomic(using="keys"):
            # Nobody makes a key now; those made while the last chunk ran are taken along.
            hold_lock("keys", TURN_LOCK)
            rewrapped += _rewrap_all(number)
            Epoch.objects.filter(state="current").exclude(number=number).update(state="retired")
            Epoch.objects.filter(number=number).update(state="current", begun_at=now)
            detail = {"epoch": number, "keys": rewrapped}
            record_act(store="keys", act="turn_epoch", clause="A4.2", by=SYSTEM, now=now, detail=detail)
        problem = _sweep_retired(now)
    return TurnReport(number, rewrapped, problem)


def _sweep_retired(now: datetime) -> str:
    """The KEKs that nothing needs any more are destroyed; or why they had to stay."""
    from imgnom.custody.keys.compact import compact

    retired = list(Epoch.objects.filter(state="retired"))
    if not retired:
        return ""
    compact("keys")
    problem = renew_copy(now=now)
    if problem:
        return problem
    for epoch in retired:
        if not DataKey.objects.filter(epoch=epoch.number).exists():
            keyring.destroy_key_file(_kek_name(epoch.number))
            epoch.delete()
    return ""


def last_turn() -> datetime | None:
    """Since when nothing that died can be opened: a KEK that had to stay still opens what died under it."""
    oldest = Epoch.objects.filter(state__in=("current", "retired")).order_by("number").first()
    return oldest.begun_at if oldest and oldest.number > 1 else None
