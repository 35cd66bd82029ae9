"""`imgnom backup`: a set of the stores and the sealed originals, and apart from it the one copy of the keys (A4.2, Q15).

The stores share no transaction. They are copied one after another, the ledger late and the keys last, so that whatever
was destroyed meanwhile is dead in the keys and known to the ledger; a restore needs no more. The set is written under
a name that nobody takes for a finished one, read back against its digests, and only then renamed.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings

from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import CopyFacts, CopyUnusable, copy_keys, destroyed_ids, keyring_fingerprints
from imgnom.custody.ledger.public import Standing, held_still, make_checkpoint, sequence, standing
from imgnom.custody.store_copies import CopyBroken, copy_name, copy_store, digest_of, erase, sync_file, sync_folder
from imgnom.site.backup import words
from imgnom.site.backup.errors import BackupRefused, RestoreRefused
from imgnom.site.backup.manifest import (
    DATA_STORES,
    NAME,
    PARTIAL,
    PREFIX,
    Files,
    Manifest,
    ensure_set_whole,
    read_manifest,
    schema_now,
    sets_in,
    write_manifest,
)
from imgnom.site.backup.places import ensure_apart, on_one_disk

type Tell = Callable[[str], None]
# How often the ledger is copied anew because something was destroyed between it and the keys.
LEDGER_TRIES = 5


@dataclass(frozen=True)
class Taken:
    folder: Path
    set_id: str
    made_at: datetime
    files: int
    bytes: int
    linked: int
    removed: tuple[str, ...]
    keys_folder: Path
    same_disk: bool


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BackupRefused(f"another backup is writing to {folder} just now.") from None
    finally:
        os.close(handle)


def take_backup(*, folder: Path, keys_folder: Path, now: datetime, tell: Tell) -> Taken:
    """A verified set stands in `folder`. Raises BackupRefused; what was half made is swept by the next run."""
    folder, keys_folder = folder.resolve(), keys_folder.resolve()
    ensure_apart(folder, keys_folder)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _one_at_a_time(folder):
            _sweep(folder)
            return _take(folder, keys_folder, now, tell)
    except CopyUnusable as error:
        raise BackupRefused(str(error)) from None
    except (OSError, CopyBroken) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BackupRefused(f"the backup in {folder} could not be finished ({reason}). It does not count.") from None


def _take(folder: Path, keys_folder: Path, now: datetime, tell: Tell) -> Taken:
    set_id = secrets.token_hex(4)
    name = f"{PREFIX}{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{set_id}"
    partial = folder / (name + PARTIAL)
    partial.mkdir(mode=0o700)
    files: Files = {}
    sequence(now=now)
    ledger_from, schema = standing().size, {alias: schema_now(alias) for alias in DATA_STORES}

    _copy_words(partial, files, now, tell)
    linked = _copy_originals(folder, partial, files, tell)
    for alias in ("logs", "vault", "archive"):
        _copy(partial, alias, files, tell)
    ledger, keys = _copy_ledger_and_keys(partial, keys_folder, files, now, tell)
    made = Manifest(
        set_id, now, ledger, ledger_from, keys.serial, keys.epoch, policy_in_force().digest, schema, files, keyring_fingerprints()
    )  # fmt: skip
    write_manifest(partial, made)
    _sync(partial)
    tell("reading everything back")
    try:
        ensure_set_whole(partial, read_manifest(partial))
    except RestoreRefused as error:
        raise BackupRefused(f"the set does not read back as it was written: {error}") from None
    partial.rename(folder / name)
    sync_folder(folder)
    removed = _remove_old(folder, kept=name, now=now)
    size = sum(size for _, size in files.values())
    return Taken(
        folder / name, set_id, now, len(files), size, linked, removed, keys_folder, on_one_disk(folder, keys_folder)
    )


def _copy_words(partial: Path, files: Files, now: datetime, tell: Tell) -> None:
    tell(f"copying the store {words.STORE}, its words sealed")
    name = copy_name(words.STORE)
    words.copy_without_words(partial, name, now=now)
    for made in (name, words.FILE):
        files[made] = digest_of(partial / made)


def _copy(partial: Path, alias: str, files: Files, tell: Tell) -> None:
    tell(f"copying the store {alias}")
    target = partial / copy_name(alias)
    target.unlink(missing_ok=True)
    copy_store(alias, target)
    files[target.name] = digest_of(target)


def _copy_ledger_and_keys(
    partial: Path, keys_folder: Path, files: Files, now: datetime, tell: Tell
) -> tuple[Standing, CopyFacts]:
    """Every destruction that the copied keys know is known to the copied ledger too.

    What is destroyed between the two copies would be dead without its reason; then the ledger is copied once more.
    """
    before, at = _copy_ledger(partial, files, now, tell)
    tell("copying the keys, apart")
    keys = copy_keys(keys_folder, now=now)
    for _ in range(LEDGER_TRIES):
        if set(destroyed_ids()) == before:
            break
        before, at = _copy_ledger(partial, files, now, tell)
    return at, keys


def _copy_ledger(partial: Path, files: Files, now: datetime, tell: Tell) -> tuple[set[str], Standing]:
    """Keys destroyed before it, and where the copied ledger stands: signed, with every act up to now in it."""
    destroyed = set(destroyed_ids())
    with held_still(now=now):
        make_checkpoint(now=now)
        at = standing()
        _copy(partial, "ledger", files, tell)
    return destroyed, at


def _copy_originals(folder: Path, partial: Path, files: Files, tell: Tell) -> int:
    """The sealed originals. One that an older set holds already is linked, once its bytes have proven sound."""
    root = Path(settings.IMGNOM.media_root)
    older = _newest_good(folder)
    paths = sorted((root / "originals").rglob("*.sealed"))
    linked = 0
    for number, path in enumerate(paths, 1):
        if number % 500 == 0 or number == len(paths):
            tell(f"copying sealed pictures: {number} of {len(paths)}")
        name = f"media/{path.relative_to(root).as_posix()}"
        target = partial / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # destroyed while we were at it
            if older and _link(older, name, path, target, files):
                linked += 1
                continue
            shutil.copyfile(path, target)
            sync_file(target)
            files[name] = digest_of(target)
    return linked


def _link(older: tuple[Path, Manifest], name: str, path: Path, target: Path, files: Files) -> bool:
    """A sealed file never changes: the same name and length is the same file, if the older copy is still sound."""
    place, manifest = older
    mark = manifest.files.get(name)
    if mark is None or path.stat().st_size != mark[1]:
        return False
    try:
        if digest_of(place / name) != mark:
            return False
        os.link(place / name, target)
    except OSError:
        return False
    files[name] = mark
    return True


def _newest_good(folder: Path) -> tuple[Path, Manifest] | None:
    for one in sets_in(folder):
        try:
            return one, read_manifest(one)
        except RestoreRefused:
            continue
    return None


def _sync(partial: Path) -> None:
    for path in partial.rglob("*"):
        if path.is_dir():
            sync_folder(path)
    sync_file(partial / NAME)
    sync_folder(partial)


def _remove(one: Path) -> None:
    """Stores are overwritten; sealed pictures may be shared with other sets, and are worthless without their keys."""
    for file in one.glob("*.*"):
        if file.is_file():
            erase(file)
    shutil.rmtree(one)


def _sweep(folder: Path) -> None:
    for one in folder.glob(f"{PREFIX}*{PARTIAL}"):
        if one.is_dir():
            _remove(one)


def _remove_old(folder: Path, *, kept: str, now: datetime) -> tuple[str, ...]:
    """Sets of this site beyond the horizon are gone; other people's and the new one are left alone (Q15)."""
    before = now - timedelta(days=int(policy_in_force().setting("backup_days")))
    gone = []
    for one in sets_in(folder):
        try:
            is_old = one.name != kept and read_manifest(one).made_at < before
        except RestoreRefused:
            continue
        if is_old:
            doomed = one.with_name(one.name + PARTIAL)
            one.rename(doomed)
            _remove(doomed)
            gone.append(one.name)
    sync_folder(folder)
    return tuple(gone)
