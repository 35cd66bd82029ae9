"""The one clock. Everything else is handed `now`.

With a clock file (demo and rehearsal only) time stands still at the instant in it, an ISO 8601 text with an offset;
the file is read anew at each call. Going backwards is refused: the highest instant that this site saw is kept in its
home, so that another site may live by the same file from an earlier day.
Commands refuse a file that holds no instant or an earlier one. Pages and the worker go on at the highest instant
seen and say so in the log, because a file that is just being written must not stop a site.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from imgnom.web.requests import Request

log = logging.getLogger("imgnom.clock")


class ClockWrong(Exception):
    """The clock file holds no instant with an offset, or an earlier one than before."""


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant with an offset. Raises ClockWrong."""
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ClockWrong("The clock file must hold one ISO 8601 instant, as 2026-11-22T09:00:00+09:00.") from None
    if instant.tzinfo is None:
        raise ClockWrong("The instant in the clock file has no offset; write it as 2026-11-22T09:00:00+09:00.")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ClockWrong("The instant in the clock file lies outside the calendar.") from None


def _mark() -> Path:
    home: Path = settings.IMGNOM.home
    return home / "clock.highest"


def highest_seen() -> datetime | None:
    """The latest instant that any process of this site has read from its clock file."""
    try:
        with _mark().open(encoding="utf-8") as mark:
            fcntl.flock(mark, fcntl.LOCK_SH)
            return parse_instant(mark.read())
    except (FileNotFoundError, ClockWrong):  # a mark cut by a kill counts as none
        return None


def _move_mark(instant: datetime) -> datetime | None:
    """Raise the mark to `instant`; returns what it was, unchanged where that is later."""
    with _mark().open("a+", encoding="utf-8") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        mark.seek(0)
        try:
            before = parse_instant(mark.read())
        except ClockWrong:
            before = None
        if before is None or before < instant:
            mark.truncate(0)
            mark.write(instant.isoformat())
        return before


def _ensure_not_back(instant: datetime, highest: datetime | None) -> None:
    if highest is not None and instant < highest:
        raise ClockWrong(f"The clock went back from {highest.isoformat()} to {instant.isoformat()}: refused.")


def read_clock_file(file: Path) -> datetime:
    """Raises ClockWrong for anything but one instant that is not before the highest seen."""
    try:
        instant = parse_instant(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ClockWrong("The clock file cannot be read.") from None
    highest = highest_seen()
    _ensure_not_back(instant, highest)
    if highest != instant:
        _ensure_not_back(instant, _move_mark(instant))
    return instant


def now() -> datetime:
    """The present instant, in UTC. Raises ClockWrong."""
    file: Path | None = settings.IMGNOM.clock_file
    if file is None:
        return datetime.now(UTC)  # noqa: TID251 - this is the clock
    if file.exists():
        return read_clock_file(file)
    real = datetime.now(UTC)  # noqa: TID251 - this is the clock
    _ensure_not_back(real, highest_seen())
    return real


_told: set[str] = set()


def now_or_highest() -> datetime:
    """The present instant; while the clock file is wrong, the highest seen. Raises ClockWrong where there is none."""
    try:
        return now()
    except ClockWrong as error:
        highest = highest_seen() if settings.IMGNOM.clock_file is not None else None
        if highest is None:
            raise
        if str(error) not in _told:
            _told.add(str(error))
            log.error("%s Time stands still at %s.", error, highest.isoformat())  # noqa: TRY400 - the line is the fact
        return highest


def set_clock(instant: datetime) -> None:
    """Write the clock file in one step. Raises ClockWrong if it would go back."""
    file: Path | None = settings.IMGNOM.clock_file
    if file is None:
        raise ClockWrong("This site has no clock file: IMGNOM_CLOCK_FILE is not set.")
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and instant < now_or_highest():
        raise ClockWrong("Time goes forward only.")
    partial = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
    partial.write_text(instant.astimezone(UTC).isoformat(), encoding="utf-8")
    partial.replace(file)
    _stamp.at = None  # what this request does from here on happens then


_stamp = threading.local()


def stamped() -> datetime:
    """The instant of the request that this thread answers; outside of one the present instant. Raises ClockWrong."""
    at: datetime | None = getattr(_stamp, "at", None)
    return now_or_highest() if at is None else at


class StampNow:
    """Middleware: every request carries one `request.now`, so that all of it happens at the same instant."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        try:
            request.now = _stamp.at = now_or_highest()
        except ClockWrong as error:
            return HttpResponse(f"imgnom: {error}\n", status=503, content_type="text/plain; charset=utf-8")
        try:
            return self.get_response(request)
        finally:
            _stamp.at = None
