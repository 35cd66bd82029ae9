"""Whether somebody lives in this home: a restore waits for nobody, and nobody walks in while one is under way.

Every command that works on a site's stores shares one lock until it ends; a restore holds it alone. A restore that was
cut off leaves its mark, and until the same command has ended it nothing is served. Machines that share stores over
a network do not see each other's locks: see docs/backup.md.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings

_held: list[int] = []


class HomeTaken(Exception):
    """Somebody else is at work here. The text is the one line an operator reads."""


def half_restored(home: Path) -> Path:
    """Where a restore says how far it is."""
    return home / "restore.json"


def _open() -> int:
    return os.open(Path(settings.IMGNOM.home) / "in-use", os.O_RDWR | os.O_CREAT, 0o600)


def occupy() -> None:
    """Until it ends, this process uses the stores. Raises HomeTaken while a restore is under way or was cut off."""
    handle = _open()
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise HomeTaken("a restore into this home is under way; nothing is served until it has ended.") from None
    _held.append(handle)
    if half_restored(Path(settings.IMGNOM.home)).exists():
        raise HomeTaken(
            "a restore into this home was cut off; nothing is served until the same `imgnom restore` ended."
        )


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else uses the stores from this home. Raises HomeTaken."""
    handle = _open()
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise HomeTaken("a site is served or a command runs from this home; stop it before a restore.") from None
    try:
        yield
    finally:
        with suppress(OSError):
            os.close(handle)
