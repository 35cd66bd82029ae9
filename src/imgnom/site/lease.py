"""One at a time: the lease for timed work, with a fencing token (threats F12, F13).

No clock of another machine is believed. The holder raises a counter while it works; whoever waits watches that counter
by its own monotonic time and takes over only when it stood still for PATIENCE_SECONDS. A holder that slept past that
finds its token old at its next step and stops.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connections
from django.db.models import F

from imgnom.site.models import WorkLease

PATIENCE_SECONDS = 15.0
BEAT_SECONDS = 3.0


class LeaseLost(Exception):
    """Somebody else took the work over."""


class Lease:
    """The right to do the work of one name. Not shared between threads."""

    def __init__(
        self,
        name: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._patience_seconds, self._monotonic = name, patience_seconds, monotonic
        self._watched: tuple[int, int] | None = None
        self._since = 0.0
        self.token = 0

    def try_take(self) -> bool:
        """Whether it is ours now. Asked again and again, it also finds out that the holder is dead."""
        row, _ = WorkLease.objects.get_or_create(name=self._name)
        if row.held and not self._stands_still(row):
            return False
        taken = WorkLease.objects.filter(name=self._name, token=row.token, beat=row.beat, held=row.held).update(
            token=row.token + 1, beat=0, held=True
        )
        if taken:
            self.token, self._watched = row.token + 1, None
        return bool(taken)

    def _stands_still(self, row: WorkLease) -> bool:
        seen = (row.token, row.beat)
        if seen != self._watched:
            self._watched, self._since = seen, self._monotonic()
            return False
        return self._monotonic() - self._since >= self._patience_seconds

    def beat(self) -> None:
        """A sign of life. Raises LeaseLost."""
        if not WorkLease.objects.filter(name=self._name, token=self.token, held=True).update(beat=F("beat") + 1):
            raise LeaseLost(self._name)

    def give_back(self) -> None:
        WorkLease.objects.filter(name=self._name, token=self.token).update(held=False)
        self.token = 0

    @contextmanager
    def kept(self, *, every_seconds: float = BEAT_SECONDS) -> Iterator[None]:
        """While the block runs a thread gives signs of life; afterwards the lease is free."""
        done = threading.Event()

        def beat_on() -> None:
            try:
                while not done.wait(every_seconds):
                    self.beat()
            except LeaseLost:
                return  # the work itself finds out at its next step
            finally:
                connections.close_all()

        thread = threading.Thread(target=beat_on, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(timeout=10)
            self.give_back()
