"""How a visit gets from a request into the store.

DirectWriter writes at once: commands and tests. QueueWriter, which the web process installs, keeps visits in a bounded
queue and lets one thread write batches, so that no request waits for a commit. Its promises:

- A clean stop writes everything that waits; a crash loses at most LINGER_SECONDS and the batch under way, and how many
  these were is counted in a file beside the caches and told at the next start.
- Nothing is dropped in silence. When the store cannot be written the queue fills, `has_room` turns false, and requests
  are answered with 503 before they do anything; the batch is tried again until it stands.
- Visitors of one network get so many records an hour, then records that count (`limits`); the last quarter of the queue
  is kept for members.
- No plain address or device leaves the process's memory: batches are sealed before they are written.
"""

import atexit
import contextlib
import logging
import mmap
import os
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from django.db import DatabaseError, close_old_connections, connections

from imgnom.community.visits.limits import VisitorLimit
from imgnom.community.visits.record import Visit, write_visits

log = logging.getLogger("imgnom.visits")

CAPACITY = 20_000
BATCH = 1_000
LINGER_SECONDS = 0.2
RETRY_SECONDS = 1.0
CLOSE_SECONDS = (
    2.5  # the parent kills a web process that is not gone within twelve seconds, six of which are for answers
)

type Write = Callable[[Sequence[Visit]], int]


class Writer(Protocol):
    def has_room(self, *, wait_seconds: float, for_member: bool = False) -> bool: ...
    def admitted(self, visit: Visit) -> list[Visit]: ...
    def put(self, visit: Visit) -> None: ...
    def flush(self, *, within_seconds: float) -> bool: ...


class DirectWriter:
    """Each visit is written where it is put."""

    def has_room(self, *, wait_seconds: float, for_member: bool = False) -> bool:
        return True

    def admitted(self, visit: Visit) -> list[Visit]:
        return [visit]

    def put(self, visit: Visit) -> None:
        write_visits([visit])

    def flush(self, *, within_seconds: float) -> bool:
        return True


class Tally:
    """Two counters in a small file, taken and written: what a crash lost can be counted afterwards."""

    FORM = struct.Struct("<QQ")

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"visits-{os.getpid()}-{time.monotonic_ns()}.tally"
        self._path.write_bytes(bytes(self.FORM.size))
        with self._path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), self.FORM.size)

    def tell(self, taken: int, written: int) -> None:
        self.FORM.pack_into(self._map, 0, taken, written)

    def end(self) -> None:
        self._map.close()
        self._path.unlink(missing_ok=True)

    @classmethod
    def count_waiting(cls, folder: Path) -> int:
        """What the processes that have a file here have taken and not yet written; for whoever must wait for them."""
        waiting = 0
        for path in folder.glob("visits-*.tally"):
            with contextlib.suppress(OSError, struct.error):
                taken, written = cls.FORM.unpack(path.read_bytes())
                waiting += max(0, taken - written)
        return waiting

    @classmethod
    def count_lost(cls, folder: Path) -> int:
        """What processes that are no more had taken and not written; their files are cleared away."""
        lost = 0
        for path in folder.glob("visits-*.tally"):
            pid = int(path.name.split("-")[1])
            if pid != os.getpid() and Path(f"/proc/{pid}").exists():
                continue
            with contextlib.suppress(OSError, struct.error):
                taken, written = cls.FORM.unpack(path.read_bytes())
                lost += max(0, taken - written)
            path.unlink(missing_ok=True)
        return lost


class QueueWriter:
    """A bounded queue and one thread that empties it."""

    def __init__(
        self,
        *,
        write: Write = write_visits,
        capacity: int = CAPACITY,
        linger_seconds: float = LINGER_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        tally: Tally | None = None,
    ) -> None:
        self._write, self._capacity = write, capacity
        self._linger_seconds, self._retry_seconds = linger_seconds, retry_seconds
        self._tally = tally
        self._limit = VisitorLimit()
        self._state = threading.Condition()
        self._waiting: deque[Visit] = deque()
        self._taken = self._done = self._refused = 0
        self._hurry = self._closing = False
        self._give_up_at: float | None = None
        self._thread: threading.Thread | None = None

    @property
    def refused(self) -> int:
        """Visits that the store would not take even alone, each told in the log."""
        return self._refused

    def has_room(self, *, wait_seconds: float, for_member: bool = False) -> bool:
        """Whether one more visit can be kept; waits a little for the thread to catch up."""
        capacity = self._capacity if for_member else max(1, self._capacity * 3 // 4)
        with self._state:
            return self._state.wait_for(lambda: len(self._waiting) < capacity, timeout=wait_seconds)

    def admitted(self, visit: Visit) -> list[Visit]:
        """What is to be written for this visit, by the limit of its network."""
        return self._limit.admit(visit)

    def put(self, visit: Visit) -> None:
        """Taken: from here on it is written, or told as lost. Never blocks; `has_room` did."""
        with self._state:
            self._waiting.append(visit)
            self._taken += 1
            self._told()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="visits", daemon=True)
                self._thread.start()
            if len(self._waiting) == 1 or len(self._waiting) >= BATCH:
                self._state.notify_all()

    def flush(self, *, within_seconds: float) -> bool:
        """Everything taken before this call is written; False if that took longer."""
        with self._state:
            goal = self._taken
            self._hurry = True
            self._state.notify_all()
            done = self._state.wait_for(lambda: self._done >= goal, timeout=within_seconds)
            self._hurry = False
            return done

    def close(self, *, within_seconds: float = CLOSE_SECONDS) -> bool:
        """Write what waits and end the thread. What cannot be written in time is told as lost."""
        for visit in self._limit.rest():
            self.put(visit)
        with self._state:
            self._closing = True
            self._give_up_at = time.monotonic() + within_seconds
            self._state.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=within_seconds + 0.5)
        lost = self._taken - self._done
        if lost:
            log.error("%d visits could not be written before the end", lost)
        elif self._tally is not None:
            self._tally.end()
            self._tally = None
        return not lost

    def _told(self) -> None:
        if self._tally is not None:
            self._tally.tell(self._taken, self._done)

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                if not self._write_until_done(batch):
                    return
                close_old_connections()
        finally:
            connections.close_all()

    def _next_batch(self) -> list[Visit]:
        with self._state:
            self._state.wait_for(lambda: bool(self._waiting) or self._closing)
            self._state.wait_for(
                lambda: len(self._waiting) >= BATCH or self._hurry or self._closing, timeout=self._linger_seconds
            )
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _write_until_done(self, batch: list[Visit]) -> bool:
        """False only when the process ends before the store takes them."""
        told = False
        while True:
            try:
                self._write(batch)
            except DatabaseError as error:
                if not told:
                    log.error("%d visits wait: %s", len(batch), type(error).__name__)  # noqa: TRY400 - no values
                told = True
                connections.close_all()
                if not self._may_try_again():
                    return False
            except Exception:  # noqa: BLE001 - one visit that cannot be sealed must not hold up the others
                self._write_singly(batch)
                break
            else:
                break
        with self._state:
            self._done += len(batch)
            self._told()
            self._state.notify_all()
        return True

    def _may_try_again(self) -> bool:
        with self._state:
            if self._give_up_at is not None and time.monotonic() >= self._give_up_at:
                return False
            self._state.wait_for(lambda: self._closing, timeout=self._retry_seconds)
            if self._closing:
                self._state.wait_for(lambda: False, timeout=0.1)
            return True

    def _write_singly(self, batch: list[Visit]) -> None:
        for visit in batch:
            try:
                self._write([visit])
            except Exception as error:  # noqa: BLE001 - counted and told, by its type only
                self._refused += 1
                log.error("a visit cannot be recorded: %s", type(error).__name__)  # noqa: TRY400


_installed: list[Writer] = [DirectWriter()]


def writer() -> Writer:
    """The writer of this process."""
    return _installed[-1]


def install_queue_writer(folder: Path) -> QueueWriter:
    """Visits of this process go through a queue from now on, which is emptied when the process ends."""
    lost = Tally.count_lost(folder)
    if lost:
        log.error("%d visits of the last moments before a crash were not recorded", lost)
    made = QueueWriter(tally=Tally(folder))
    _installed[-1] = made
    atexit.register(made.close)
    return made


def visits_waiting(folder: Path) -> int:
    """How many visits the site's processes hold in memory just now."""
    return Tally.count_waiting(folder)
