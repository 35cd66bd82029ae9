"""What a set says of itself: signed, and naming every file with its digest. A set is taken whole or not at all."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import rfc8785
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from imgnom.custody.keys.public import keyring_fingerprints
from imgnom.custody.ledger.public import Standing, holds_bytes, sign_bytes
from imgnom.custody.store_copies import digest_of
from imgnom.site.backup.errors import RestoreRefused

FORMAT = "imgnom backup 2"
NAME = "manifest.json"
# In this order: what is destroyed meanwhile is dead in the keys, which come last, and known to the ledger.
DATA_STORES = ("default", "logs", "vault", "archive", "ledger")
PREFIX, PARTIAL = "imgnom-", ".part"
type Files = dict[str, tuple[str, int]]  # path in the set → SHA-256, bytes


@dataclass(frozen=True)
class Manifest:
    """`ledger` is where the ledger stood in the set; `ledger_from` where it stood before the first store was copied."""

    set_id: str
    made_at: datetime
    ledger: Standing
    ledger_from: int
    keys_serial: int
    keys_epoch: int
    policy: str
    schema: dict[str, list[str]]
    files: Files
    keyring: dict[str, str]


def schema_now(alias: str) -> list[str]:
    """The migrations of a store."""
    return sorted(f"{app}.{name}" for app, name in MigrationRecorder(connections[alias]).applied_migrations())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    facts = asdict(manifest) | {"format": FORMAT, "made_at": manifest.made_at.isoformat()}
    facts["files"] = {name: list(mark) for name, mark in manifest.files.items()}
    signed = facts | {"signature": sign_bytes(rfc8785.dumps(facts))}
    (folder / NAME).write_text(json.dumps(signed, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Signed by this site's key and in our format. The files are not looked at. Raises RestoreRefused."""
    try:
        said: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
        signature, form = said.pop("signature"), said["format"]
    except OSError:
        raise RestoreRefused(f"{folder} holds no {NAME}: it is no set of a backup, or a half-made one.") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise RestoreRefused(f"{folder}: {NAME} was cut or changed.") from None
    if form != FORMAT:
        raise RestoreRefused(f"{folder} is in another format ({str(form)[:40]}); this version reads {FORMAT!r}.")
    if said.get("keyring") != keyring_fingerprints():
        raise RestoreRefused(f"{folder} is a set of another site: its keyring is not the one at hand.")
    if not holds_bytes(rfc8785.dumps(said), str(signature)):
        raise RestoreRefused(f"{folder}: {NAME} was changed: its signature does not hold.")
    files = {str(name): (str(mark[0]), int(mark[1])) for name, mark in said["files"].items()}
    return Manifest(
        said["set_id"], datetime.fromisoformat(said["made_at"]), Standing(**said["ledger"]), said["ledger_from"], said["keys_serial"],
        said["keys_epoch"], said["policy"], said["schema"], files, said["keyring"],
    )  # fmt: skip


def files_in(folder: Path) -> Iterator[str]:
    """Every file of the set but the manifest, as the manifest names it."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name != NAME:
            yield name


def ensure_set_whole(folder: Path, manifest: Manifest) -> None:
    """Every file is there, as it was written, and no other. Raises RestoreRefused."""
    strange = sorted(set(files_in(folder)) - set(manifest.files))
    if strange:
        raise RestoreRefused(f"{folder} holds {strange[0]}, which is no file of this set.")
    for name, (sha256, size) in manifest.files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise RestoreRefused(f"{folder} lacks {name}.")
        if path.stat().st_size != size:
            raise RestoreRefused(f"{folder}: {name} was cut, or is a file of another set.")
        if digest_of(path)[0] != sha256:
            raise RestoreRefused(f"{folder}: {name} was changed, or is a file of another set.")


def sets_in(folder: Path) -> list[Path]:
    """Finished sets, the newest first by name."""
    found = [one for one in folder.glob(f"{PREFIX}*") if one.is_dir() and one.suffix != PARTIAL]
    return sorted(found, reverse=True)
