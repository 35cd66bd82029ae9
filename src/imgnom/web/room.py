"""Room on the disks of the site: a reserve that is given up when one is full, so that leaving always works (F6).

On each disk that holds files of ours lies a file `reserve` of zeros. When almost nothing is left the file goes, and what
it held is for those who leave, sign in, or have something destroyed. What makes the site grow (pictures, comments, new
members) is refused before that, and until an operator has made room; the worker then lays the reserve by anew.
"""

import errno
import logging
import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import DatabaseError, OperationalError
from django.http import HttpRequest, HttpResponse

log = logging.getLogger("imgnom.room")

MIB = 1024 * 1024
NAME = "reserve"
RESERVE_BYTES = 8 * MIB
# With less than this left the reserve is given up.
LAST_BYTES = 2 * MIB
# Free room and reserve together, below which nothing is taken that makes the site grow.
GROWTH_BYTES = RESERVE_BYTES + 2 * LAST_BYTES
# A reserve is laid by only where it leaves this much to others.
SPARE_BYTES = 3 * RESERVE_BYTES
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_PG_DISK_FULL, _PG_READ_ONLY = "53100", "25006"


class NoRoom(Exception):
    """Nothing was taken: the disk is nearly full."""


@dataclass(frozen=True)
class Room:
    folder: Path
    free_bytes: int
    reserve_bytes: int

    @property
    def is_short(self) -> bool:
        return self.free_bytes + self.reserve_bytes < GROWTH_BYTES


_KNOWN: dict[Path, tuple[Path, ...]] = {}


def _folders() -> tuple[Path, ...]:
    """One folder on each disk that holds files of ours; asked at every request, and found out once a home."""
    home = Path(settings.IMGNOM.home)
    if home not in _KNOWN:
        places = [Path(str(made["NAME"])).parent for made in settings.DATABASES.values() if _is_file(made)]
        places.append(Path(settings.IMGNOM.media_root))
        try:
            found = {place.stat().st_dev: place for place in (*places, home)}
        except OSError:
            return ()  # not there yet
        _KNOWN[home] = tuple(found.values())
    return _KNOWN[home]


def _is_file(made: Mapping[str, Any]) -> bool:
    return str(made["ENGINE"]).endswith("sqlite3")


def _free_bytes(folder: Path) -> int:
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize


def _reserve_bytes(folder: Path) -> int:
    try:
        return os.stat(folder / NAME).st_size  # noqa: PTH116 - asked at every request
    except OSError:
        return 0


def rooms() -> list[Room]:
    found = []
    for folder in _folders():
        with suppress(OSError):
            found.append(Room(folder, _free_bytes(folder), _reserve_bytes(folder)))
    return found


def give_reserve() -> None:
    """Every reserve goes; calling it again is harmless."""
    for folder in _folders():
        try:
            (folder / NAME).unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            log.error("the reserve stays: %s", error.strerror)  # noqa: TRY400 - one line
            continue
        log.error("the disk is full: the reserve is given up. Make room; until then nothing new is taken.")


def give_reserve_if_needed() -> None:
    if any(room.reserve_bytes and room.free_bytes < LAST_BYTES for room in rooms()):
        give_reserve()


def keep_reserve() -> None:
    """Lays by what is missing, where there is room for it."""
    for room in rooms():
        if room.reserve_bytes < RESERVE_BYTES and room.free_bytes >= SPARE_BYTES:
            with suppress(OSError):
                _lay_by(room.folder / NAME)


def _lay_by(file: Path) -> None:
    place = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(place, 0, RESERVE_BYTES)
    except OSError:
        file.unlink(missing_ok=True)  # half of one would promise what it cannot keep
        raise
    finally:
        os.close(place)


def ensure_room(incoming_bytes: int = 0) -> None:
    """Raises NoRoom where something that makes the site grow would not fit."""
    if any(room.free_bytes + room.reserve_bytes - incoming_bytes < GROWTH_BYTES for room in rooms()):
        raise NoRoom


def takes_room(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A form that makes the site grow: with a full disk its page opens, and what it sends is not taken."""

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST":
            sent = request.META.get("CONTENT_LENGTH") or "0"
            ensure_room(2 * int(sent) if sent.isdecimal() else 0)  # the original, and what is made of it
        return view(request, *args, **kwargs)

    return inner


def is_full(error: BaseException) -> bool:
    """Whether this came of a full disk, of ours or of the database's server."""
    if isinstance(error, NoRoom):
        return True
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    cause = error.__cause__
    if isinstance(error, DatabaseError) and cause is not None:
        if isinstance(cause, sqlite3.Error):
            return getattr(cause, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        return getattr(cause, "sqlstate", "") == _PG_DISK_FULL
    return False


_AWAY = (
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
)  # fmt: skip
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENFILE, errno.EIO)


def is_away(error: BaseException) -> bool:
    """Whether a store or a disk cannot be used at the moment: locked, read-only, refused, gone."""
    if isinstance(error, OSError) and error.errno in _READ_ONLY:
        return True
    if not isinstance(error, DatabaseError):
        return False
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _AWAY
    if isinstance(cause, psycopg.Error):
        return isinstance(error, OperationalError) or cause.sqlstate == _PG_READ_ONLY
    return isinstance(error, OperationalError) and "locked" in str(error)


class RoomForThoseWhoLeave:
    """Before each request: a full disk gives up its reserve, so that what must always work does."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        give_reserve_if_needed()
        return self.get_response(request)
