"""Where copies may lie: data and keys apart from each other, from the keyring and from what they are copies of (I9)."""

import os
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connections

from imgnom.site.backup.errors import BackupRefused

# What a site writes itself; a copy inside would be copied, swept or served with it.
OWN_FOLDERS = ("db", "media", "keyring", "tmp", "static", "outbox", "cache", "restoring")
KEY_FILES = ("kek-*.key", "pepper-*.key", "index.key", "ledger-signing.key", "secret.key")


def _inside(one: Path, other: Path) -> bool:
    return one == other or one.is_relative_to(other)


def _own_places() -> Iterator[Path]:
    home = Path(settings.IMGNOM.home)
    yield from (home / name for name in OWN_FOLDERS)
    yield Path(settings.IMGNOM.keyring)
    yield Path(settings.IMGNOM.media_root)


def _store_files() -> Iterator[Path]:
    for alias in connections:
        if connections[alias].vendor == "sqlite":
            yield Path(connections[alias].settings_dict["NAME"])


def _key_file_under(folder: Path) -> Path | None:
    """A file of a keyring in there; the sealed pictures, of which there may be many, are passed over."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("originals", "derived")]
        for name in files:
            if any(Path(name).match(pattern) for pattern in KEY_FILES):
                return Path(place) / name
    return None


def ensure_apart(data: Path, keys: Path) -> None:
    """Raises BackupRefused, and nothing has been written then."""
    if _inside(data, keys) or _inside(keys, data):
        raise BackupRefused("the folders of data and of keys lie inside each other: whoever takes one would hold both.")
    home = Path(settings.IMGNOM.home)
    for folder, what in ((data, "data"), (keys, "keys")):
        for own in _own_places():
            if _inside(folder, own) or _inside(own, folder):
                raise BackupRefused(
                    f"the folder for the {what} and {own} lie inside each other: give one outside the site."
                )
        if _inside(home, folder) or any(_inside(file, folder) for file in _store_files()):
            raise BackupRefused(f"the folder for the {what} holds the site itself: give one outside it.")
        if folder.exists() and not folder.is_dir():
            raise BackupRefused(f"{folder} is no folder.")
        found = _key_file_under(folder)
        if found is not None:
            raise BackupRefused(f"{found} is a file of a keyring: the keyring is kept apart from every copy.")


def on_one_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev
