"""The one clock. Everything else is handed `now`.

With a clock file (demo and rehearsal only) time stands still at the instant in it, an ISO 8601 text with an offset;
the file is read anew at each call. Going backwards is refused: the highest instant seen is kept beside the file.
"""

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from imgnom.web.requests import Request


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
    return instant.astimezone(UTC)


def _highest_seen(file: Path) -> Path:
    return file.with_name(file.name + ".highest")


def read_clock_file(file: Path) -> datetime:
    instant = parse_instant(file.read_text(encoding="utf-8"))
    mark = _highest_seen(file)
    highest = parse_instant(mark.read_text(encoding="utf-8")) if mark.exists() else None
    if highest is not None and instant < highest:
        raise ClockWrong(f"The clock file went back from {highest.isoformat()} to {instant.isoformat()}: refused.")
    if highest != instant:
        partial = mark.with_name(f"{mark.name}.{os.getpid()}.{threading.get_ident()}")
        partial.write_text(instant.isoformat(), encoding="utf-8")
        partial.replace(mark)
    return instant


def now() -> datetime:
    """The present instant, in UTC."""
    file = settings.IMGNOM.clock_file
    if file is not None and file.exists():
        return read_clock_file(file)
    return datetime.now(UTC)  # noqa: TID251 - this is the clock


def set_clock(instant: datetime) -> None:
    """Write the clock file in one step. Raises ClockWrong if it would go back."""
    file: Path | None = settings.IMGNOM.clock_file
    if file is None:
        raise ClockWrong("This site has no clock file.")
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and instant < now():
        raise ClockWrong("Time goes forward only.")
    partial = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
    partial.write_text(instant.astimezone(UTC).isoformat(), encoding="utf-8")
    partial.replace(file)


class StampNow:
    """Middleware: every request carries one `request.now`, so that all of it happens at the same instant."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        request.now = now()
        return self.get_response(request)
