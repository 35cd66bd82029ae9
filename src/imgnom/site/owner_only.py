"""Files of a site belong to the account that runs it, and nobody else on the machine may look (V6).

Every process of ours takes the umask 077 before it writes anything. Homes of earlier versions are corrected at start:
permissions of group and others are removed from what lies under the home and the keyring. No symbolic link is followed,
nothing of another owner is touched, and nothing is ever widened.

Source: os.fwalk and O_PATH keep each step inside the folder that was opened, whatever is exchanged meanwhile.
"""

import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from imgnom.site.environment import Environment

UMASK = 0o077
WIDER = 0o077
# 102,658 entries took 4.7 s on a loaded machine, 1.3 s once all was narrow. A slow disk must not keep the site from
# starting: what is left is told by `check` and `doctor`.
CORRECT_SECONDS = 60.0
TOLD = 3


def keep_to_owner() -> None:
    """From here on this process and its children write files that only their owner can read."""
    os.umask(UMASK)


@dataclass(frozen=True)
class Entry:
    """A file or folder below a root, reached without following any link."""

    path: Path
    facts: os.stat_result
    folder: int  # open for as long as the caller looks at this entry

    @property
    def is_wide(self) -> bool:
        return not stat.S_ISLNK(self.facts.st_mode) and bool(self.facts.st_mode & WIDER)


def _entries(root: Path, *, unseen: list[OSError]) -> Iterator[Entry]:
    """The root itself, then everything below it. `unseen` gets an error for each folder that cannot be read."""
    for place, folders, files, handle in os.fwalk(root, onerror=unseen.append, follow_symlinks=False):
        yield Entry(Path(place), os.fstat(handle), handle)
        for name in files + [name for name in folders if _is_link(name, handle)]:
            with suppress(FileNotFoundError):  # a file that ended meanwhile
                yield Entry(Path(place, name), os.stat(name, dir_fd=handle, follow_symlinks=False), handle)


def _is_link(name: str, handle: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _narrow(entry: Entry, *, owner: int) -> bool:
    """Take away what group and others may do. False where the entry was exchanged or may not be changed."""
    is_folder = stat.S_ISDIR(entry.facts.st_mode)
    try:
        handle = os.dup(entry.folder) if is_folder else os.open(entry.path.name, _LOOK, dir_fd=entry.folder)
    except OSError:
        return False
    try:
        facts = os.fstat(handle)
        if stat.S_ISLNK(facts.st_mode) or facts.st_uid != owner:
            return False
        mode = stat.S_IMODE(facts.st_mode) & ~WIDER
        if is_folder or not hasattr(os, "O_PATH"):
            os.fchmod(handle, mode)
        else:
            os.chmod(f"/proc/self/fd/{handle}", mode)  # noqa: PTH101 - a handle, not a path
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


# O_PATH opens also what its owner may not read, and never waits for the other end of a pipe.
_LOOK = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_NOFOLLOW | os.O_CLOEXEC


def roots(environment: Environment) -> list[Path]:
    """The folders that are the site's alone, and no link among them."""
    return [
        folder
        for folder in (environment.keyring, environment.home)
        if folder.is_dir() and not folder.is_symlink()
        if folder == environment.home or not folder.is_relative_to(environment.home)
    ]


def correct_modes(environment: Environment) -> int:
    """Narrow all that is wider than its owner under the home and the keyring; returns how many entries were."""
    count, deadline = 0, time.monotonic() + CORRECT_SECONDS  # the keyring comes first
    for root in roots(environment):
        with suppress(OSError):  # what could not be looked at, `check` and `doctor` tell
            owner = root.stat().st_uid
            for entry in _entries(root, unseen=[]):
                if entry.is_wide and entry.facts.st_uid == owner:
                    count += _narrow(entry, owner=owner)
                if time.monotonic() > deadline:
                    break
    return count


# ── what check and doctor say ────────────────────────────────────────────────────────────────────────────────────────


def find_wide(environment: Environment) -> Iterator[str]:
    """One line for each thing that others could read or change, or that is not ours."""
    for root in roots(environment):
        yield from _faults_below(root, owner=environment.home.stat().st_uid)
        yield from _faults_above(root)
    for place in _elsewhere(environment):
        yield from _faults_below(place, owner=environment.home.stat().st_uid)


def _faults_below(root: Path, *, owner: int) -> Iterator[str]:
    unseen: list[OSError] = []
    for entry in _entries(root, unseen=unseen) if root.is_dir() else _single(root):
        if entry.facts.st_uid != owner:
            yield f"{entry.path} belongs to another user (uid {entry.facts.st_uid})"
        elif entry.is_wide:
            yield f"{entry.path} is open to others (mode {stat.S_IMODE(entry.facts.st_mode):04o})"
        elif stat.S_ISLNK(entry.facts.st_mode) and not _leads_inside(entry.path, root):
            yield f"{entry.path} is a link that leads out of {root}"
    yield from (
        f"{error.filename or root} cannot be looked at ({error.strerror})"
        for error in unseen
        if not isinstance(error, FileNotFoundError)  # it ended meanwhile
    )


def _single(file: Path) -> Iterator[Entry]:
    with suppress(FileNotFoundError):
        yield Entry(file, file.lstat(), -1)


def _leads_inside(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def _faults_above(root: Path) -> Iterator[str]:
    """Who may rename a folder above the site's could put another in its place."""
    for parent in root.resolve().parents:
        facts = parent.stat()
        if facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX:
            yield f"{parent}, above {root}, can be written by everybody"


def _elsewhere(environment: Environment) -> Iterator[Path]:
    """What the site writes outside its two folders because a variable says so. It is looked at, never changed."""
    places = [environment.media_root, environment.secret_key_file]
    if environment.mail_url.startswith("file:"):
        places.append(Path(unquote(urlsplit(environment.mail_url).path)))
    for url in environment.database_urls.values():
        if url.startswith("sqlite:"):
            file = Path("/" + unquote(urlsplit(url).path).lstrip("/"))
            places += [file.with_name(file.name + tail) for tail in ("", "-wal", "-shm", "-journal")]
    own = roots(environment)
    yield from (
        place
        for place in places
        if place.exists() and not any(place.resolve().is_relative_to(root.resolve()) for root in own)
    )


def wide_words(environment: Environment) -> str:
    """What `find_wide` found in one line; empty when nothing."""
    found = list(find_wide(environment))
    more = f", and {len(found) - TOLD} more" if len(found) > TOLD else ""
    return "; ".join(found[:TOLD]) + more


def secret_files_wide(environ: Mapping[str, str]) -> list[str]:
    """Files named by …_FILE variables that others can read: they may hold passwords of stores and mail servers."""
    found = []
    for name, value in sorted(environ.items()):
        if name.startswith("IMGNOM_") and name.endswith("_FILE") and name != "IMGNOM_CLOCK_FILE" and value:
            with suppress(OSError):
                facts = Path(value).stat()
                if facts.st_mode & WIDER:
                    found.append(
                        f"{name} names {value}, which others can read (mode {stat.S_IMODE(facts.st_mode):04o})"
                    )
    return found
