"""`imgnom restore`: the site comes back from a set, and what was destroyed since does not (A4.2, I9, design §5).

First everything is looked at and nothing is changed; each reason to refuse is one line. Then `restore.json` in the home
says how far it is, and while it is there nothing is served: copies are laid ready, what the home itself knew to be
destroyed is written down, media and stores take their places, and the replay runs. Each step may be killed and
repeated; the same command goes on, and another set may be tried instead.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connections
from django.db.migrations.loader import MigrationLoader

from imgnom.custody.keys.public import (
    CopyFacts,
    CopyUnusable,
    destroyed_ids,
    ensure_copy_usable,
    move_copy,
    read_copy,
    store_facts,
)
from imgnom.custody.ledger.public import (
    LedgerError,
    Standing,
    acts_from,
    has_been,
    keys_said_destroyed,
    make_checkpoint,
    sequence,
    standing,
    verify_ledger,
    witnessed_roots,
)
from imgnom.custody.store_copies import CopyBroken, copy_name, digest_of, erase, install_store, sync_file, sync_folder
from imgnom.site.backup import words
from imgnom.site.backup.errors import RestoreRefused
from imgnom.site.backup.manifest import DATA_STORES, Manifest, ensure_set_whole, read_manifest, schema_now, sets_in
from imgnom.site.backup.replay import Replayed, replay
from imgnom.site.occupied import alone, half_restored
from imgnom.site.serve import migrate_all

type Tell = Callable[[str], None]
OWN, COPY = "own", "copy"
KEPT, FROM_SET = "kept", "set"
NO_WITNESS = (
    "neither the site's current ledger nor a witness is at hand: acts after this set, destructions among them, may be"
    " forgotten, and nobody could tell. If there is nothing newer, say --without-witness."
)


@dataclass(frozen=True)
class Plan:
    """What a restore will take, decided before anything is changed."""

    folder: str
    set_id: str
    keys: str  # own, or copy
    keys_file: str
    ledger: str  # kept, or set
    risk: str


@dataclass(frozen=True)
class Restored:
    """`since` counts the acts after the set by what they were: people must know what they may have to do again."""

    plan: Plan
    made_at: datetime
    since: dict[str, int]
    replayed: Replayed


def _home() -> Path:
    return Path(settings.IMGNOM.home)


def _ready() -> Path:
    return _home() / "restoring"


def restore_site(
    *, folder: Path, keys_folder: Path | None, without_witness: bool, now: datetime, tell: Tell
) -> Restored:
    """The site of that set stands here, replayed to now and proven. Raises RestoreRefused, HomeTaken."""
    with alone():
        _make_tables()
        one, manifest = _choose(folder, tell)
        plan = _plan(one, manifest, keys_folder, without_witness)
        _say(plan, "install")
        _write_down_destroyed(plan)
        _lay_ready(one, manifest, plan, tell)
        _install(manifest, plan, one, tell)
        if plan.keys == COPY:
            move_copy(Path(plan.keys_file).parent)
        _say(plan, "replay")
        since = Counter(leaf["act"] for leaf in acts_from(manifest.ledger.size, acts=None))
        replayed = replay(manifest, _known_destroyed(), _ready() / words.FILE, now=now, tell=tell)
        _clear_away()
        half_restored(_home()).unlink()
        sync_folder(_home())
    return Restored(plan, manifest.made_at, dict(since), replayed)


def _say(plan: Plan, step: str) -> None:
    """How far it is, for whoever finds the home half-way."""
    place = half_restored(_home())
    partial = place.with_suffix(".part")
    partial.write_text(json.dumps(asdict(plan) | {"step": step}, indent=1), encoding="utf-8")
    sync_file(partial)
    partial.replace(place)
    sync_folder(_home())


def _before() -> dict[str, Any]:
    """What a restore that was cut off had decided; empty when there was none."""
    try:
        return dict(json.loads(half_restored(_home()).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _clear_away() -> None:
    """What lay ready is overwritten: it is a copy of the site."""
    for file in _ready().iterdir():
        erase(file)
    _ready().rmdir()


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────


def _choose(folder: Path, tell: Tell) -> tuple[Path, Manifest]:
    """The set that is meant: this folder, or the newest good one in it."""
    folder = folder.resolve()
    if not folder.is_dir():
        raise RestoreRefused(f"{folder} is no folder.")
    found = sets_in(folder)
    if not found or (folder / "manifest.json").exists():
        return folder, _whole(folder, tell)
    refused: RestoreRefused | None = None
    for one in found:
        try:
            return one, _whole(one, tell)
        except RestoreRefused as error:
            tell(f"passed over: {error}")
            refused = refused or error
    raise RestoreRefused(str(refused))


def _whole(one: Path, tell: Tell) -> Manifest:
    manifest = read_manifest(one)
    tell(f"reading {len(manifest.files)} files of {one.name}")
    ensure_set_whole(one, manifest)
    if words.FILE not in manifest.files:
        raise RestoreRefused(f"{one} holds no {words.FILE}.")
    for alias in DATA_STORES:
        if copy_name(alias) not in manifest.files:
            raise RestoreRefused(
                f"{one} was made on another kind of database: the store {alias} has no {copy_name(alias)}."
            )
    return manifest


def _make_tables() -> None:
    """On PostgreSQL rows are put into tables that stand already; a SQLite store comes back with its own."""
    for alias in connections:
        if connections[alias].vendor == "postgresql":
            call_command("migrate", database=alias, interactive=False, verbosity=0)


def _ensure_schema(manifest: Manifest) -> None:
    """The set's tables are known to this version. Raises RestoreRefused."""
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    newer = sorted({name for names in manifest.schema.values() for name in names} - known)
    if newer:
        raise RestoreRefused(f"the set was made by a newer version ({newer[0]}): restore it with that one.")
    for alias, names in manifest.schema.items():
        if connections[alias].vendor == "postgresql" and names != schema_now(alias):
            raise RestoreRefused("the set was made by another version: restore it with that one, then go on to this.")


def _plan(one: Path, manifest: Manifest, keys_folder: Path | None, without_witness: bool) -> Plan:
    before = _before()
    _ensure_schema(manifest)
    keys, keys_file = _choose_keys(manifest, keys_folder, before)
    ledger, risk = _choose_ledger(manifest, without_witness, before)
    _ensure_room(manifest)
    return Plan(str(one), manifest.set_id, keys, keys_file, ledger, risk)


def _choose_keys(manifest: Manifest, keys_folder: Path | None, before: dict[str, Any]) -> tuple[str, str]:
    if keys_folder is not None:
        try:
            facts = read_copy(keys_folder.resolve())
            _ensure_not_older(facts, manifest)
            return COPY, str(ensure_copy_usable(facts))
        except CopyUnusable as error:
            raise RestoreRefused(str(error)) from None
    if before.get("keys") == COPY:
        raise RestoreRefused("the restore that was cut off took the keys from their copy: name it again with --keys.")
    own = store_facts()
    if own is None:
        raise RestoreRefused("this home holds no keys that the keyring opens: name their copy with --keys.")
    if own[0] < manifest.keys_epoch or own[1] < manifest.keys_serial:
        raise RestoreRefused("the keys of this home are older than the set: name their copy with --keys.")
    return OWN, ""


def _ensure_not_older(facts: CopyFacts, manifest: Manifest) -> None:
    wrong_file = Path(facts.file).suffix != Path(copy_name("keys")).suffix
    if facts.serial < manifest.keys_serial or facts.epoch < manifest.keys_epoch:
        raise RestoreRefused(f"the copy of the keys in {facts.folder} is older than the set: bring the newest one.")
    if wrong_file:
        raise RestoreRefused(f"the copy of the keys in {facts.folder} was made on another kind of database.")


def _own_ledger(wanted: Standing) -> str:
    """Empty when the ledger of this home holds together and goes on from where the set's stood; otherwise why not."""
    try:
        if not standing().size:
            return "this home holds no ledger"
        result = verify_ledger()
        if not result.ok:
            return f"the ledger of this home does not hold ({result.problem})"
        return "" if has_been(wanted) else "the ledger of this home did not go on from the set's"
    except (DatabaseError, LedgerError):
        return "this home holds no ledger"


def _choose_ledger(manifest: Manifest, without_witness: bool, before: dict[str, Any]) -> tuple[str, str]:
    """Which ledger, and what it risks. Raises RestoreRefused rather than forgetting what was destroyed (F18)."""
    if before.get("ledger") == FROM_SET and before.get("set_id") == manifest.set_id:
        return FROM_SET, str(before.get("risk", ""))
    fault = _own_ledger(manifest.ledger)
    if not fault:
        return KEPT, ""
    at = manifest.ledger
    try:
        seen = witnessed_roots(at.origin)
    except LedgerError as error:
        raise RestoreRefused(str(error)) from None
    furthest = max(seen, default=0)
    if furthest > at.size:
        raise RestoreRefused(
            f"{fault}, and the witness has seen {furthest} acts while the set's ledger ends at {at.size}: destructions"
            " would be forgotten. Bring the current ledger store back into this home first."
        )
    if seen.get(at.size, at.root) != at.root:
        raise RestoreRefused(f"the witness saw another ledger of {at.size} acts than this set holds.")
    if seen:
        return FROM_SET, ""
    if not without_witness:
        raise RestoreRefused(f"{fault}; {NO_WITNESS}")
    return FROM_SET, NO_WITNESS.partition(" If there")[0]


def _ensure_room(manifest: Manifest) -> None:
    stores = sum(size for name, (_, size) in manifest.files.items() if not name.startswith("media/"))
    media = sum(size for name, (_, size) in manifest.files.items() if name.startswith("media/"))
    free = shutil.disk_usage(_home()).free
    if free < 2 * stores + media:
        raise RestoreRefused(
            f"the disk of this home has no room: {2 * stores + media} bytes are needed, {free} are free."
        )


# ── taking its place ─────────────────────────────────────────────────────────────────────────────────────


def _destroyed_list() -> Path:
    return _ready() / "destroyed.json"


def _write_down_destroyed(plan: Plan) -> None:
    """What this home knows to be destroyed, before its stores are replaced; a second run adds to it."""
    _ready().mkdir(exist_ok=True, mode=0o700)
    known = _known_destroyed()
    for ask in (destroyed_ids, keys_said_destroyed):
        try:
            known |= set(ask())
        except DatabaseError:  # broken or not there: that is why we are here
            continue
    if plan.ledger == KEPT:
        _drain_outboxes()
    partial = _destroyed_list().with_suffix(".part")
    partial.write_text(json.dumps(sorted(known)), encoding="ascii")
    sync_file(partial)
    partial.replace(_destroyed_list())
    sync_folder(_ready())


def _known_destroyed() -> set[str]:
    try:
        return set(json.loads(_destroyed_list().read_text(encoding="ascii")))
    except (OSError, ValueError):
        return set()


def _drain_outboxes() -> None:
    """Acts that wait in the stores that are about to be replaced enter the ledger that stays."""
    from imgnom.site.clock import now

    try:
        sequence(now=now())
        make_checkpoint(now=now())
    except DatabaseError:
        return


def _wanted_stores(plan: Plan) -> list[str]:
    return [alias for alias in DATA_STORES if alias != "ledger" or plan.ledger == FROM_SET]


def _lay_ready(one: Path, manifest: Manifest, plan: Plan, tell: Tell) -> None:
    """Copies of the stores lie in the home, sound: from here on the set may be unplugged."""
    tell("laying the stores ready")
    for name in (*map(copy_name, _wanted_stores(plan)), words.FILE):
        _bring(one / name, _ready() / name, manifest.files[name])
    if plan.keys == COPY:
        source = Path(plan.keys_file)
        _bring(source, _ready() / copy_name("keys"), digest_of(source))


def _bring(source: Path, target: Path, mark: tuple[str, int]) -> None:
    partial = target.with_name(target.name + ".part")
    try:
        shutil.copyfile(source, partial)
        sync_file(partial)
        if digest_of(partial) != mark:
            raise RestoreRefused(f"{source} changed while it was read.")
        partial.replace(target)
    except OSError as error:
        raise RestoreRefused(f"{source.name} could not be brought here ({error.strerror}).") from None


def _install(manifest: Manifest, plan: Plan, one: Path, tell: Tell) -> None:
    _bring_originals(one, manifest, tell)
    if plan.ledger == FROM_SET:
        _set_ledger_aside()
    try:
        for alias in [*_wanted_stores(plan), *(["keys"] if plan.keys == COPY else [])]:
            tell(f"putting the store {alias} in its place")
            install_store(alias, _ready() / copy_name(alias))
    except CopyBroken as error:
        raise RestoreRefused(str(error)) from None
    migrate_all()


def _bring_originals(one: Path, manifest: Manifest, tell: Tell) -> None:
    root = Path(settings.IMGNOM.media_root)
    names = [name for name in manifest.files if name.startswith("media/")]
    for number, name in enumerate(names, 1):
        if number % 500 == 0 or number == len(names):
            tell(f"bringing sealed pictures: {number} of {len(names)}")
        target = root / name.removeprefix("media/")
        if target.exists() and digest_of(target) == manifest.files[name]:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        _bring(one / name, target, manifest.files[name])


def _set_ledger_aside() -> None:
    """A ledger that is given up stays as a file: it may be evidence, and it holds no personal value."""
    connection = connections["ledger"]
    if connection.vendor != "sqlite" or not _holds_anything():
        return
    connection.close()
    place, aside = Path(connection.settings_dict["NAME"]), _home() / "ledger-set-aside.sqlite3"
    if not aside.exists():
        shutil.copyfile(place, aside)


def _holds_anything() -> bool:
    try:
        return bool(connections["ledger"].introspection.table_names())
    except DatabaseError:
        return True
