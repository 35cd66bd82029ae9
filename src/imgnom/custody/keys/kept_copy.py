"""The one copy of the key store, apart from every copy of the data and never older than the last turn (A4.2, I9).

A folder holds one copy and `keys.json`, signed, which names it. A new copy is written beside the older one, read back,
and takes its place in one step; then the older one is overwritten and gone. A turn of the epoch waits for it: while
the copy cannot be renewed the old KEK stays, so that at any moment the copy opens with the keyring as it is.
The KEK, the pepper and the signing key are never copied here.
"""

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rfc8785
from django.db import DatabaseError

from imgnom.custody.keys import hazmat, keyring
from imgnom.custody.keys.errors import CopyUnusable, KeyringMissing, KeyringWrong
from imgnom.custody.keys.models import DestroyedKey, Epoch, KeysCopy
from imgnom.custody.ledger.public import holds_bytes, sign_bytes
from imgnom.custody.store_copies import CopyBroken, copy_name, copy_store, digest_of, erase, sync_folder

FORMAT = "imgnom keys 1"
LIST = "keys.json"
OURS = re.compile(r"keys-\d{9}\.(sqlite3|pgcopy)(\.part.*)?$")


@dataclass(frozen=True)
class CopyFacts:
    """What `keys.json` says. `opens_with` are the fingerprints of the KEKs that its keys hang on, by epoch."""

    folder: Path
    file: str
    bytes: int
    sha256: str
    serial: int
    epoch: int
    opens_with: dict[int, str]
    site: dict[str, str]
    made_at: datetime


def keyring_fingerprints() -> dict[str, str]:
    """Name → fingerprint of the lasting files of the keyring. Raises KeyringMissing, KeyringWrong."""
    return {name: hazmat.fingerprint(keyring.read_key(name)) for name in keyring.LASTING}


def _remembered() -> KeysCopy | None:
    return KeysCopy.objects.first()


def _write_list(folder: Path, facts: dict[str, Any]) -> None:
    text = json.dumps(facts | {"signature": sign_bytes(rfc8785.dumps(facts))}, ensure_ascii=False, indent=1)
    partial = folder / f"{LIST}.part"
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / LIST)
    sync_folder(folder)


def _sweep(folder: Path, *, kept: str) -> None:
    """Older and half-made copies are overwritten, with the journal of one that was killed; other people's files stay."""
    for file in folder.glob("keys-*"):
        if OURS.match(file.name) and file.name != kept:
            erase(file)
    sync_folder(folder)


def _write(folder: Path, *, serial: int, now: datetime) -> CopyFacts:
    name = f"keys-{serial:09d}{Path(copy_name('keys')).suffix}"
    partial = folder / f"{name}.part{Path(name).suffix}"
    for file in folder.glob(f"{name}.part*"):  # a journal of a killed one would be rolled back into ours
        erase(file)
    copy_store("keys", partial)
    sha256, size = digest_of(partial)
    partial.replace(folder / name)
    needed = Epoch.objects.filter(state__in=("current", "fresh")).order_by("number")
    current = max((e.number for e in needed if e.state == "current"), default=0)
    facts: dict[str, Any] = {
        "format": FORMAT,
        "file": name,
        "bytes": size,
        "sha256": sha256,
        "serial": serial,
        "epoch": current,
        "opens_with": {str(e.number): e.fingerprint for e in needed},
        "site": keyring_fingerprints(),
        "made_at": now.astimezone(UTC).isoformat(),
    }
    _write_list(folder, facts)
    if digest_of(folder / name) != (sha256, size):
        raise CopyBroken(f"{name} reads back otherwise than it was written")
    _sweep(folder, kept=name)
    return read_copy(folder)


def read_copy(folder: Path) -> CopyFacts:
    """What the folder's list says, signed by this site. Raises CopyUnusable, KeyringMissing, KeyringWrong.

    The file itself is not looked at: see `ensure_copy_usable`.
    """
    try:
        said = json.loads((folder / LIST).read_text(encoding="utf-8"))
        signature = said.pop("signature")
        if said["format"] != FORMAT:
            raise CopyUnusable(f"{folder} holds a copy of the keys in another format.")
        facts = CopyFacts(
            folder, str(said["file"]), int(said["bytes"]), str(said["sha256"]), int(said["serial"]), int(said["epoch"]),
            {int(number): str(mark) for number, mark in said["opens_with"].items()}, dict(said["site"]),
            datetime.fromisoformat(said["made_at"]),
        )  # fmt: skip
    except OSError:
        raise CopyUnusable(f"{folder} holds no copy of the keys ({LIST} cannot be read).") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CopyUnusable(f"{folder}: {LIST} was cut or changed.") from None
    if facts.site != keyring_fingerprints():
        raise CopyUnusable(f"{folder} holds the keys of another site.")
    if not holds_bytes(rfc8785.dumps(said), str(signature)):
        raise CopyUnusable(f"{folder}: {LIST} was changed: its signature does not hold.")
    return facts


def ensure_copy_usable(facts: CopyFacts) -> Path:
    """The file is the one that was written, and the keyring opens it. Raises CopyUnusable."""
    file = facts.folder / Path(facts.file).name
    try:
        found = digest_of(file)
    except OSError:
        raise CopyUnusable(f"{facts.folder} lacks {facts.file}.") from None
    if found != (facts.sha256, facts.bytes):
        raise CopyUnusable(f"{file} was cut or changed.")
    for number, mark in facts.opens_with.items():
        try:
            fits = hazmat.fingerprint(keyring.read_key(f"kek-{number}")) == mark
        except (KeyringMissing, KeyringWrong):
            fits = False
        if not fits and number == facts.epoch:
            raise CopyUnusable(
                f"{facts.folder}: the keyring no longer opens these keys: they hang on epoch {number}, which is gone or another."
            )
    return file


def copy_keys(folder: Path, *, now: datetime) -> CopyFacts:
    """The folder holds the newest copy and is remembered; a copy that lay elsewhere is overwritten where it can be.

    Waits for a turn that is under way. Raises CopyUnusable.
    """
    with keyring.held_for_turn():
        before = _remembered()
        serial = (before.serial if before else 0) + 1
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remember(folder, serial=serial, made_at=now, problem="")
        try:
            facts = _write(folder, serial=serial, now=now)
        except (OSError, CopyBroken) as error:
            if before is not None:
                _remember(Path(before.folder), serial=serial, made_at=before.made_at, problem=before.problem)
            raise CopyUnusable(f"the copy of the keys could not be written to {folder} ({_reason(error)})") from None
        if before is not None and Path(before.folder) != folder:
            _leave(Path(before.folder))
    return facts


def _remember(folder: Path, *, serial: int, made_at: datetime, problem: str) -> None:
    KeysCopy.objects.update_or_create(
        pk=1, defaults={"folder": str(folder), "serial": serial, "made_at": made_at, "problem": problem}
    )


def _leave(folder: Path) -> None:
    """Only one copy exists: the one in a folder that was given up goes."""
    try:
        read_copy(folder)
        _sweep(folder, kept="")
        (folder / LIST).unlink()
    except (CopyUnusable, KeyringMissing, KeyringWrong, OSError):
        return


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__


def renew_copy(*, now: datetime) -> str:
    """The remembered copy is the store as it is now: empty. Otherwise why not, in words; nothing is remembered: empty.

    Called by a turn, which holds the keyring. A folder without our list is one that is not mounted: nothing is
    written to it.
    """
    row = _remembered()
    if row is None:
        return ""
    folder, serial = Path(row.folder), row.serial + 1
    try:
        read_copy(folder)
        _remember(folder, serial=serial, made_at=now, problem="")
        _write(folder, serial=serial, now=now)
    except (CopyUnusable, CopyBroken, OSError) as error:
        problem = f"the copy of the keys cannot be renewed: {_reason(error)}"[:400]
        _remember(folder, serial=serial, made_at=row.made_at, problem=problem)
        return problem
    return ""


def move_copy(folder: Path) -> None:
    """From now on the copy in this folder is the one that is renewed."""
    row = _remembered()
    if row is not None and Path(row.folder) != folder:
        _remember(folder, serial=row.serial, made_at=row.made_at, problem=row.problem)


def copy_status() -> dict[str, object]:
    """For `keys status` and `doctor`."""
    row = _remembered()
    waiting = Epoch.objects.filter(state="retired").count()
    if row is None:
        return {"folder": None, "made_at": None, "problem": "", "old_keks_kept": waiting}
    return {
        "folder": row.folder, "made_at": row.made_at.isoformat(), "problem": row.problem, "old_keks_kept": waiting,
    }  # fmt: skip


def store_facts() -> tuple[int, int] | None:
    """(epoch, serial of the last copy) of the store in use, when it is there, ours and opens; None otherwise."""
    from imgnom.custody.keys.epochs import check_keyring

    try:
        if not Epoch.objects.exists():
            return None
        check_keyring()
        row = _remembered()
        current = Epoch.objects.filter(state="current").order_by("-number").first()
    except (KeyringMissing, KeyringWrong, DatabaseError):
        return None
    return (current.number, row.serial if row else 0) if current else None


def destroyed_ids() -> list[str]:
    return list(DestroyedKey.objects.values_list("key_id", flat=True))
