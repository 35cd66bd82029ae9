"""`imgnom check`: what must be true of the stores at any moment, whatever was killed, full or away before (threats, section 5).

It counts and compares names; it opens no personal value. `deep` also opens every sealed picture, to find bits that
turned over on the disk: that takes as long as reading all of them.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connections, models
from django.db.models import Count, OuterRef, Q

from imgnom.community.images.models import Image, Tag
from imgnom.community.images.take_in import media_path
from imgnom.community.members.models import CodeRequest, Letter, Member, PendingRegistration
from imgnom.community.visits.models import RecordDay
from imgnom.custody.archive.models import ArchivedValue
from imgnom.custody.consent.models import Consent, PolicyVersion
from imgnom.custody.keys.keyring import folder as keyring_folder
from imgnom.custody.keys.models import DataKey, DestroyedKey, Epoch
from imgnom.custody.keys.public import (
    KeysError,
    SealBroken,
    alive_ids,
    alive_owners,
    check_keyring,
    ensure_all_open,
    sealed_size,
)
from imgnom.custody.ledger.models import Certificate, Checkpoint, Intent, Leaf, Receipt
from imgnom.custody.ledger.public import LedgerError, verify_ledger
from imgnom.custody.outbox.models import Outbox
from imgnom.custody.vault.models import BlindIndex, Correction, Fence, LastUse, Restriction, SealedValue
from imgnom.custody.vault.public import FILE, SUBJECT, open_file
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.public import list_due
from imgnom.site.clock import now_or_highest
from imgnom.site.owner_only import wide_words

STALE_SECONDS = 3600
# The worker sweeps what is older than an hour every ten minutes.
SWEPT_SECONDS = 2 * STALE_SECONDS
# So long a withdrawal may be under way before somebody should look: most take a second.
WITHDRAWAL_BOUND = timedelta(hours=1)
LATE_AFTER = timedelta(days=1)
RESUME = "the worker carries it on; if none runs: imgnom retention run"


@dataclass(frozen=True)
class Fault:
    """What is not as it must be, and what to do about it."""

    words: str
    do: str


@dataclass(frozen=True)
class Look:
    """What one run of the check hands to each invariant."""

    now: datetime
    deep: bool = False


# ── I1 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

MEND_STORE = "stop the site and bring the newest backup back: imgnom restore DIR --keys DIR2"


def _integrity(_look: Look) -> Fault | None:
    for alias in connections:
        if words := _store_fault(alias):
            return Fault(f"{alias}: {words}", MEND_STORE)
    return None


def _store_fault(alias: str) -> str:
    connection = connections[alias]
    try:
        there = set(connection.introspection.table_names())
    except (DatabaseError, OSError) as error:
        return f"the store does not answer ({type(error).__name__})"
    wanted = [model for model in apps.get_models() if _lives_in(model, alias)]
    missing = sorted(model._meta.db_table for model in wanted if model._meta.db_table not in there)
    if missing:
        return f"the table {missing[0]} is missing"
    return _sqlite_fault(alias) if connection.vendor == "sqlite" else _postgresql_fault(alias, wanted)


def _lives_in(model: type[models.Model], alias: str) -> bool:
    from django.db import router

    return not model._meta.proxy and router.allow_migrate_model(alias, model)


def _sqlite_fault(alias: str) -> str:
    with connections[alias].cursor() as cursor:
        try:
            cursor.execute("PRAGMA integrity_check(1)")
            answer = cursor.fetchone()[0]
        except DatabaseError as error:
            return str(error)
        if answer != "ok":
            return " ".join(str(answer).split())
        cursor.execute("PRAGMA foreign_key_check")
        row = cursor.fetchone()
    return f"a reference of {row[0]} leads nowhere" if row else ""


def _postgresql_fault(alias: str, wanted: list[type[models.Model]]) -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE NOT (i.indisvalid AND i.indisready) AND c.relnamespace = current_schema()::regnamespace"
        )
        if row := cursor.fetchone():
            return f"the index {row[0]} is not valid"
    for model in wanted:
        for field in model._meta.concrete_fields:
            if field.remote_field is None:
                continue
            target = field.remote_field.model._default_manager.using(alias).filter(pk=OuterRef(field.attname))
            lost = model._default_manager.using(alias).filter(**{f"{field.attname}__isnull": False})
            if lost.filter(~models.Exists(target)).exists():
                return f"a reference of {model._meta.db_table} leads nowhere"
    return ""


# ── I2 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _files(look: Look) -> Fault | None:
    """Display sizes are made again at need; the sealed original and its key are what must be there."""
    lost = "bring its file back from a backup, or remove the picture on the desk"
    alive, known = alive_owners(FILE), set()
    rows = Image.objects.order_by("pk").values_list("media_token", "public_id", "bytes", "removed_reason")
    for token, public_id, size, removed in rows.iterator():
        if removed:
            continue
        known.add(token)
        path = media_path("originals", token)
        if token not in alive:
            return Fault(f"picture {public_id} has no key, so nobody can open its file", lost)
        try:
            found = path.stat().st_size
        except FileNotFoundError:
            return Fault(f"picture {public_id} lacks its file", lost)
        if found != sealed_size(size):
            return Fault(f"the file of picture {public_id} was cut or changed", lost)
        if look.deep and not _opens(token, path):
            return Fault(f"the file of picture {public_id} does not open: its bytes were changed", lost)
    return _strangers(known)


def _opens(token: str, path: Path) -> bool:
    try:
        for _ in open_file(token, path):
            pass
    except (SealBroken, OSError):
        return False
    return True


def _strangers(known: set[str]) -> Fault | None:
    """A file without a row is swept after an hour; one that lay longer was forgotten."""
    count, late = 0, time.time() - SWEPT_SECONDS
    for path in _files_under(Path(settings.IMGNOM.media_root)):
        if path.name.split(".")[0].split("-")[0] not in known and path.stat().st_mtime < late:
            count += 1
    return Fault(f"{count} files belong to no picture", "imgnom retention run sweeps them away") if count else None


def _files_under(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else ()


# ── I3 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _done_is_done(look: Look) -> Fault | None:
    alive = alive_ids()
    again = "imgnom retention run destroys it; if it stands afterwards, tell the makers of imgnom: no certificate may say this"
    for number, keys in Certificate.objects.values_list("number", "key_ids").iterator():
        if not alive.isdisjoint(json.loads(keys)):
            return Fault(f"certificate {number} names a key that is still there", again)
    for number, lines, certificates in (
        Withdrawal.objects.filter(state="done").values_list("number", "lines", "certificates").iterator()
    ):
        if not certificates or any(line["state"] == "going" for line in lines):
            return Fault(f"receipt {number} says done, and part of it is not", again)
    copies = set(Receipt.objects.values_list("number", flat=True))
    bare = [n for n in Withdrawal.objects.filter(state="done").values_list("number", flat=True) if n not in copies]
    if bare:
        return Fault(f"receipt {bare[0]} has no copy beside the ledger", RESUME)
    kept = ArchivedValue.objects.filter(Q(ends_at__gt=look.now) | Q(ends_at=None)).exclude(
        archive_ref__in=[reference.split(":")[1] for reference in _begun("archive:")]
    )
    return _sealed_for_nobody("archive", kept.values_list("key_id", flat=True), alive) or _sealed_for_nobody(
        "vault",
        SealedValue.objects.exclude(subject__in=Fence.objects.values("subject")).values_list("key_id", flat=True),
        alive,
    )


def _begun(prefix: str) -> list[str]:
    found = Intent.objects.filter(reference__startswith=prefix, done_at=None).values_list("reference", flat=True)
    return [str(reference) for reference in found]


def _sealed_for_nobody(store: str, key_ids: "models.QuerySet[Any]", alive: set[str]) -> Fault | None:
    lost = sum(1 for key_id in key_ids.distinct().iterator() if key_id not in alive)
    if not lost:
        return None
    return Fault(f"{store}: values of {lost} keys that are gone can never be read", MEND_STORE)


# ── I4 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

KEYLESS = ("keyless", "emptied", "gone", "certified")


def _withdrawals(look: Look) -> Fault | None:
    waiting = list(Withdrawal.objects.exclude(state="done").values_list("number", "state", "subject", "starts_at"))
    owners = alive_owners(SUBJECT)
    late = [number for number, _, _, since in waiting if look.now - since > WITHDRAWAL_BOUND]
    if late:
        return Fault(f"{len(late)} withdrawals are under way for more than an hour, the first is {late[0]}", RESUME)
    if bad := [number for number, state, subject, _ in waiting if state in KEYLESS and subject in owners]:
        return Fault(f"withdrawal {bad[0]} is past its key, and the key is there", RESUME)
    mine = {subject for _, _, subject, _ in waiting}
    members = Member.objects.values_list("subject", "state").iterator()
    for subject, state in members:
        if subject in mine:
            continue
        if state == "withdrawn":
            return Fault("a member is marked as withdrawn, and no withdrawal carries it out", MEND_STORE)
        if subject not in owners:
            return Fault("a member is active without a key", MEND_STORE)
    return None


# ── I5 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _keys(_look: Look) -> Fault | None:
    back = DataKey.objects.filter(key_id__in=DestroyedKey.objects.values("key_id")).count()
    if back:
        return Fault(
            f"{back} destroyed keys are back in the key store",
            "stop the site; bring a backup back with `imgnom restore`, which destroys them again before the doors open",
        )
    numbers = dict(Epoch.objects.values_list("number", "state"))
    current = max((number for number, state in numbers.items() if state == "current"), default=0)
    for path in keyring_folder().glob("kek-*.key"):
        text = path.stem.removeprefix("kek-")
        if text.isdecimal() and int(text) < current and int(text) not in numbers:
            return Fault(
                f"{path.name} of the keyring was destroyed and is back",
                "remove it with `shred -u`: what it opens ended; then imgnom keys turn",
            )
    try:
        check_keyring()
    except KeysError as error:
        return Fault(str(error), "bring the keyring back from its own copy; the site makes no key anew")
    try:
        ensure_all_open()
    except KeysError as error:
        return Fault(str(error), MEND_STORE)
    return None


# ── I6 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _ledger(look: Look) -> Fault | None:
    broken = "compare with the witness: imgnom ledger verify; bring back a backup whose ledger holds"
    result = verify_ledger()
    if not result.ok:
        return Fault(result.problem, broken)
    for alias in connections:
        late = Outbox.objects.using(alias).filter(created_at__lt=look.now - LATE_AFTER).count()
        if late:
            return Fault(f"{alias}: {late} acts wait for the ledger for more than a day", RESUME)
    return None


# ── I7 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _counters(_look: Look) -> Fault | None:
    current = Epoch.objects.filter(state="current").count()
    if current != 1:
        return Fault(f"{current} epochs of the keys are current instead of one", MEND_STORE)
    lost = DataKey.objects.exclude(epoch__in=Epoch.objects.values("number")).count()
    if lost:
        return Fault(f"{lost} keys hang on an epoch that is not there", MEND_STORE)
    empty = Tag.objects.filter(imagetag=None).count()
    if empty:
        return Fault(
            f"{empty} tags are listed and no picture carries them", "save any picture's words again, or delete one"
        )
    leaves = Leaf.objects.aggregate(count=Count("pk"), last=models.Max("index"))
    signed = Checkpoint.objects.aggregate(last=models.Max("size"))["last"] or 0
    if leaves["count"] != (leaves["last"] if leaves["last"] is not None else -1) + 1 or signed > leaves["count"]:
        return Fault("the ledger counts other than its entries do", "imgnom ledger verify")
    versions = list(PolicyVersion.objects.order_by("number").values_list("number", flat=True))
    if versions != list(range(1, len(versions) + 1)):
        return Fault("the versions of the policy are not numbered one by one", MEND_STORE)
    return None


# ── I8 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _temporary(_look: Look) -> Fault | None:
    home = Path(settings.IMGNOM.home)
    old, limit = 0, time.time() - STALE_SECONDS
    places = [path for path in _files_under(home / "tmp") if path.stat().st_mtime < limit]
    old = len(places)
    for folder in (home / "outbox", Path(settings.IMGNOM.media_root)):
        late = time.time() - SWEPT_SECONDS
        old += sum(1 for path in _files_under(folder) if path.suffix == ".part" and path.stat().st_mtime < late)
    return (
        Fault(f"{old} temporary files are older than an hour", "imgnom retention run sweeps them away") if old else None
    )


# ── I9 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _once(_look: Look) -> Fault | None:
    twice = "nothing is lost; tell the makers of imgnom which one it is"
    seen: dict[str, str] = {}
    for number, keys in Certificate.objects.order_by("pk").values_list("number", "key_ids").iterator():
        for key_id in json.loads(keys):
            if seen.setdefault(key_id, number) != number:
                return Fault(f"certificates {seen[key_id]} and {number} are of the same key", twice)
    parting = Letter.objects.filter(own=True).values("subject", "template_id").annotate(count=Count("pk"))
    if parting.filter(count__gt=1).exists():
        return Fault("the same letter waits twice", twice)
    entries = Withdrawal.objects.values("archive_ref").annotate(count=Count("pk")).filter(count__gt=1).count()
    return Fault(f"{entries} withdrawals were carried out twice", twice) if entries else None


# ── I10 ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _held_of_nobody() -> int:
    """Owners are looked at before and after the values: a site that is being used makes and ends both meanwhile."""

    def owners() -> set[str]:
        found = {token for kind in (Member, PendingRegistration) for token in _subjects(kind)}
        found |= set(Letter.objects.filter(own=True).values_list("subject", flat=True))
        waiting = Withdrawal.objects.exclude(state="done").values_list("subject", "letter")
        return found | {token for tokens in waiting for token in tokens if token}

    before, held = owners(), set(_subjects(SealedValue)) | set(_subjects(Consent, starts_at=None))
    return len(held - before - owners())


def _subjects(kind: type[models.Model], **only: Any) -> Iterator[str]:
    return kind._default_manager.filter(**only).values_list("subject", flat=True).distinct().iterator()


def _erased(look: Look) -> Fault | None:
    """Whoever was destroyed is fenced off: apart from what is under way no row of theirs is anywhere."""
    under_way = {
        value for row in Withdrawal.objects.exclude(state="done").values_list("subject", "letter") for value in row
    }
    under_way |= set(Letter.objects.filter(own=True).values_list("subject", flat=True))
    under_way |= set(PendingRegistration.objects.filter(state="ending").values_list("subject", flat=True))
    fenced = Fence.objects.exclude(subject__in=[value for value in under_way if value])
    for model in (SealedValue, BlindIndex, LastUse, Correction, Restriction, Consent):
        count = model._default_manager.filter(subject__in=fenced.values("subject")).count()
        if count:
            return Fault(f"{count} rows of {model._meta.db_table} are of people who were erased", MEND_STORE)
    gone = set(fenced.values_list("subject", flat=True))
    named: tuple[type[models.Model], ...] = (Member, CodeRequest, Letter, PendingRegistration)
    for kind in named:
        subjects = kind._default_manager.values_list("subject", flat=True)
        count = sum(1 for subject in subjects.iterator() if subject in gone)
        if count:
            return Fault(f"{count} rows of {kind._meta.db_table} are of people who were erased", MEND_STORE)
    if strangers := _held_of_nobody():
        return Fault(f"values of {strangers} people or letters are held of whom nothing else is here", MEND_STORE)
    late = {
        record: count
        for record, count in list_due(now=look.now - LATE_AFTER).items()
        if count and record != "withdrawals"
    }
    if late:
        words = ", ".join(f"{record} {count}" for record, count in late.items())
        return Fault(f"past their end for more than a day: {words}", "start the worker, or: imgnom retention run")
    if days := RecordDay.objects.filter(ends_at__lte=look.now - LATE_AFTER).count():
        return Fault(f"{days} days of access records are past their end for more than a day", "imgnom retention run")
    return None


# ── I11 ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _owner_only(_look: Look) -> Fault | None:
    if words := wide_words(settings.IMGNOM):
        return Fault(words, "the next start closes what lies in the home and the keyring; chmod go= or chown the rest")
    return None


INVARIANTS: tuple[tuple[str, str, Callable[[Look], Fault | None]], ...] = (
    ("I1", "every store is whole", _integrity),
    ("I2", "every picture has its file and its key, and every file its picture", _files),
    ("I3", "what was answered as done is done, and what is kept can be opened", _done_is_done),
    ("I4", "nobody is partly withdrawn", _withdrawals),
    ("I5", "destroyed keys stay destroyed, and the keyring is whole", _keys),
    ("I6", "the ledger verifies, without a gap", _ledger),
    ("I7", "what is counted equals a recount", _counters),
    ("I8", "no old temporary files", _temporary),
    ("I9", "nothing took effect twice", _once),
    ("I10", "nothing is left of who was erased, and nothing is overdue", _erased),
    ("I11", "only the site's own account can read its files", _owner_only),
)


def _answer(look: Look, see: Callable[[Look], Fault | None]) -> Fault | None:
    try:
        return see(look)
    except (DatabaseError, KeysError, LedgerError, OSError) as error:
        return Fault(
            f"it cannot be looked at ({type(error).__name__})", "mend what I1 and I5 name first: imgnom doctor"
        )


def check_invariants(*, deep: bool = False) -> dict[str, Any]:
    """Every invariant with what was found and, where one is broken, what to do."""
    look = Look(now_or_highest(), deep)
    rows = []
    for name, words, see in INVARIANTS:
        fault = _answer(look, see)
        rows.append(
            {"id": name, "ok": fault is None, "words": fault.words if fault else words, "do": fault.do if fault else ""}
        )
    waiting = Withdrawal.objects.exclude(state="done").count() if rows[0]["ok"] else 0
    return {"ok": all(row["ok"] for row in rows), "invariants": rows, "withdrawals_under_way": waiting}


def check_words(report: dict[str, Any]) -> str:
    """The report for people: a line each, and under a broken one what to do."""
    lines = []
    for row in report["invariants"]:
        lines.append(f"{'ok ' if row['ok'] else 'BAD'} {row['id']:<3} {row['words']}")
        if row["do"]:
            lines.append(f"        → {row['do']}")
    if report["withdrawals_under_way"]:
        lines.append(f"        {report['withdrawals_under_way']} withdrawals are under way")
    return "\n".join(lines)
