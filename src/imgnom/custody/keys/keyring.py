"""The keyring: a folder of small files. Written and synced once, read often, never made anew in silence (I9)."""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from imgnom.custody.keyring_file import KEY_BYTES, WrongKeyFile, parse, render
from imgnom.custody.keys.errors import KeyringMissing, KeyringWrong

# pepper: the guard's secret. index: blind indexes. ledger-signing: the ledger's Ed25519 seed.
LASTING = ("pepper-1", "index", "ledger-signing")
type Stamp = tuple[int, int, int, int]
_cache: dict[Path, tuple[Stamp, tuple[bytes, bool]]] = {}


def folder() -> Path:
    return Path(settings.IMGNOM.keyring)


def path_of(name: str) -> Path:
    return folder() / f"{name}.key"


def _stamp(file: Path) -> Stamp:
    """What changes when a file is replaced, even by one that was given the same date."""
    facts = file.stat()
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_size


def _forget_destroyed() -> None:
    """A KEK that another process destroyed does not live on in the memory of this one."""
    for file in [file for file in _cache if not file.exists()]:
        _cache.pop(file, None)


def read_key(name: str) -> bytes:
    """The 32 bytes of a file. Raises KeyringMissing, KeyringWrong."""
    return read_file(name)[0]


def read_file(name: str) -> tuple[bytes, bool]:
    """The 32 bytes of a file, and whether it says that they are for this name. Raises KeyringMissing, KeyringWrong."""
    file = path_of(name)
    try:
        stamp = _stamp(file)
        held = _cache.get(file)
        if held is not None and held[0] == stamp:
            return held[1]
        found = parse(name, file.read_text(encoding="ascii"))
    except FileNotFoundError:
        _cache.pop(file, None)
        raise KeyringMissing(
            f"{file.name} is missing from the keyring. Bring it back from its copy; it is never made anew."
        ) from None
    except WrongKeyFile as error:
        raise KeyringWrong(f"{file.name} of the keyring {error}.") from None
    except (OSError, ValueError):
        raise KeyringWrong(f"{file.name} of the keyring cannot be read or is no key.") from None
    _forget_destroyed()
    _cache[file] = (stamp, found)
    return found


def ensure_private() -> None:
    """Nobody else may change the keyring, and not everybody may read it. Raises KeyringWrong.

    A group may read: that is how mounted secrets reach a process.
    """
    for path in (folder(), *sorted(folder().glob("*.key"))):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            continue  # destroyed by a turn a moment ago, or the whole folder is missing: its files will be missed
        except OSError as error:
            raise KeyringWrong(f"{path.name} of the keyring cannot be read ({error.strerror}).") from None
        others = stat.S_IWGRP | stat.S_IRWXO if path.suffix == ".key" else stat.S_IWGRP | stat.S_IWOTH
        if mode & others:
            raise KeyringWrong(f"{path} may be read or changed by others; set its permissions to {_wanted(path)}.")


def _wanted(path: Path) -> str:
    return "0600" if path.suffix == ".key" else "0700"


@contextmanager
def held_for_turn() -> Iterator[None]:
    """One turn at a time, whichever process or thread asks; the lock falls with its holder (F9)."""
    handle = os.open(folder(), os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_key(name: str) -> bytes:
    """Make a new file, synced together with its folder. Raises FileExistsError rather than writing over one."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    raw = secrets.token_bytes(KEY_BYTES)
    handle = os.open(path_of(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(render(name, raw))
        file.flush()
        os.fsync(file.fileno())
    sync_folder()
    return raw


def name_key_file(name: str) -> bool:
    """A file of an earlier version says what it is for from now on; False where the keyring cannot be written.

    The same key in the same place: killed at any point, either the old or the new file is there.
    """
    raw, is_named = read_file(name)
    if is_named:
        return True
    partial = path_of(name).with_suffix(".new")
    try:
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, path_of(name).stat().st_mode & 0o777)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(render(name, raw))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path_of(name))
    except OSError:
        return False
    sync_folder()
    return True


def destroy_key_file(name: str) -> None:
    """Overwrite, sync, unlink, sync the folder. A file that is gone already is fine."""
    file = path_of(name)
    _cache.pop(file, None)
    try:
        with file.open("r+b") as handle:
            handle.write(b"0" * file.stat().st_size)
            handle.flush()
            os.fsync(handle.fileno())
        file.unlink()
    except FileNotFoundError:
        return
    sync_folder()


def sync_folder() -> None:
    handle = os.open(folder(), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
