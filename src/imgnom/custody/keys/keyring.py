"""The keyring: a folder of small files. Written and synced once, read often, never made anew in silence (F17)."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from imgnom.custody.keys.errors import KeyringMissing, KeyringWrong

# pepper: the guard's secret. index: blind indexes. ledger-signing: the ledger's Ed25519 seed.
LASTING = ("pepper-1", "index", "ledger-signing")
_cache: dict[Path, tuple[int, bytes]] = {}


def folder() -> Path:
    return Path(settings.IMGNOM.keyring)


def path_of(name: str) -> Path:
    return folder() / f"{name}.key"


def read_key(name: str) -> bytes:
    """The 32 bytes of a file. Raises KeyringMissing, KeyringWrong."""
    file = path_of(name)
    try:
        stamp = file.stat().st_mtime_ns
        held = _cache.get(file)
        if held is not None and held[0] == stamp:
            return held[1]
        raw = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise KeyringMissing(
            f"{file.name} is missing from the keyring. Bring it back from its copy; it is never made anew."
        ) from None
    except (OSError, ValueError):
        raise KeyringWrong(f"{file.name} of the keyring cannot be read or is no key.") from None
    if len(raw) != 32:
        raise KeyringWrong(f"{file.name} of the keyring was cut: it holds {len(raw)} bytes instead of 32.")
    _cache[file] = (stamp, raw)
    return raw


def write_key(name: str) -> bytes:
    """Make a new file, synced together with its folder. Raises FileExistsError rather than writing over one."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    raw = secrets.token_bytes(32)
    handle = os.open(path_of(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(raw.hex())
        file.flush()
        os.fsync(file.fileno())
    sync_folder()
    return raw


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


@contextmanager
def held_for_turn() -> Iterator[None]:
    """One turn at a time, whichever process asks; the lock falls with the process that held it (F9)."""
    handle = os.open(folder(), os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
