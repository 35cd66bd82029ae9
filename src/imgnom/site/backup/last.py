"""When the last good backup was made: a backup that fails must be noticed within a day (F19)."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

LATE_AFTER = timedelta(hours=26)


@dataclass(frozen=True)
class LastBackup:
    folder: Path
    at: datetime


def _file() -> Path:
    return Path(settings.IMGNOM.home) / "last-backup.json"


def remember_backup(folder: Path, *, at: datetime) -> None:
    partial = _file().with_suffix(".part")
    partial.write_text(json.dumps({"folder": str(folder), "at": at.isoformat()}), encoding="utf-8")
    partial.replace(_file())


def last_backup() -> LastBackup | None:
    try:
        said = json.loads(_file().read_text(encoding="utf-8"))
        return LastBackup(Path(said["folder"]), datetime.fromisoformat(said["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def backup_trouble(*, now: datetime) -> str:
    """Empty while all is well or no backup was ever asked for; otherwise one line."""
    last = last_backup()
    if last is None:
        return ""
    if not last.folder.is_dir():
        return f"the last backup is not where it was made: {last.folder}"
    if now - last.at > LATE_AFTER:
        return f"the last good backup is of {last.at.isoformat()}: more than a day ago"
    return ""
