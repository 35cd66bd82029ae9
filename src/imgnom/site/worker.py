"""The worker: one supervised process that polls the due tables. Nothing depends on somebody opening a page.

Each round does every kind of work that waits; a kind that fails is logged by its name and tried again next round.
A round is done under a lease, so that of several workers, and of a command beside them, one works at a time; between
two steps the holder makes sure that nobody took over while it slept.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from types import FrameType

from django.db import close_old_connections

from imgnom.community.members.public import deliver_mail
from imgnom.custody.keys.public import clear_residue
from imgnom.custody.ledger.public import make_checkpoint, sequence, witness_trouble
from imgnom.procedures.proofs.public import check_promises
from imgnom.procedures.retention.public import RetentionReport, resume_withdrawals, run_due, take_policy
from imgnom.site.backup.last import backup_trouble
from imgnom.site.clock import now_or_highest
from imgnom.site.jump import jump_line, watch_for_jump
from imgnom.site.lease import Lease, LeaseLost
from imgnom.site.witness import show_ledger
from imgnom.web.beat import read_beat, write_beat
from imgnom.web.room import give_reserve_if_needed, keep_reserve
from imgnom.web.throttle import purge as purge_limits

log = logging.getLogger("imgnom.worker")

ROUND_SECONDS = 0.5
# So long a withdrawal with many files is carried on before other work has its turn.
WITHDRAWAL_SECONDS = 5.0
RETENTION_EVERY = timedelta(minutes=10)
# Old bytes of what was destroyed leave pages and logs within a day: the promise has four tries.
UPKEEP_EVERY = timedelta(hours=6)
CHECKS_EVERY = timedelta(hours=6)
# After a run with errors; real time, so that a clock file that stands still does not stop the next try.
RETENTION_RETRY_SECONDS = 30.0
LEASE = "worker"


class Worker:
    """The timetable. Intervals run on the site's clock, so that a moved clock brings its work at once."""

    def __init__(self, lease: Lease | None = None) -> None:
        self._lease = lease or Lease(LEASE)
        self._last_retention: datetime | None = None
        self._last_checks: datetime | None = None
        self._last_upkeep: datetime | None = None
        self._retry_at = 0.0
        self._stop = threading.Event()
        self._asked = False

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        self._stop.set()

    def do_round(self) -> bool:
        """One round under the lease; False where somebody else is at it."""
        give_reserve_if_needed()  # the lease itself takes a little room
        if not self._lease.try_take():
            return False
        with self._lease.kept():
            self._work(now_or_highest())
        return True

    def _work(self, at: datetime) -> None:
        self._try("reserve", keep_reserve)
        self._try("policy", lambda: self._take_policy(at))
        self._try("mail", lambda: deliver_mail(now=at))
        self._try("withdrawals", lambda: resume_withdrawals(now=at, seconds=WITHDRAWAL_SECONDS))
        if not self._clock_jumped() and self._retention_waits(at):
            self._try("retention", lambda: self._destroy_due(at))
            self._try("limits", purge_limits)
        self._try("ledger", lambda: self._seal(at))
        self._try("witness", lambda: show_ledger(now=at))
        if self._last_upkeep is None or at - self._last_upkeep >= UPKEEP_EVERY:
            self._try("upkeep", lambda: self._clear(at))
        if self._last_checks is None or at - self._last_checks >= CHECKS_EVERY:
            self._try("checks", lambda: self._check(at))
        beat = read_beat()
        write_beat(alive_at=at, done_at=self._last_retention or (beat.done_at if beat else at))

    def _clock_jumped(self) -> bool:
        waits = watch_for_jump()
        if waits and not self._asked:
            log.error("%s", jump_line())
        self._asked = waits
        return waits

    def _retention_waits(self, at: datetime) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        return self._last_retention is None or at - self._last_retention >= RETENTION_EVERY

    def _destroy_due(self, at: datetime) -> RetentionReport:
        report = run_due(now=at, on_progress=lambda _step: self._lease.beat())
        if report.errors:
            self._retry_at = time.monotonic() + RETENTION_RETRY_SECONDS
            log.error("retention is tried again: %s", ", ".join(f"{k} {v}" for k, v in report.errors.items()))
        else:
            self._last_retention = at
        if report.copy_problem:
            log.error("%s; the key-encryption key before this turn had to stay", report.copy_problem)
        return report

    def _take_policy(self, at: datetime) -> None:
        """Evidence of another policy is none of this one: what was just taken is looked at in this very round."""
        if take_policy(now=at):
            self._last_checks = None

    def _clear(self, at: datetime) -> None:
        """Also what a killed worker left: the first round of each worker does it."""
        left = clear_residue().left
        self._last_upkeep = at
        if left:
            log.warning("old bytes may be left: %s", "; ".join(f"{place}: {why}" for place, why in left.items()))

    def _check(self, at: datetime) -> None:
        failed = check_promises(now=at)
        self._last_checks = at
        if trouble := backup_trouble(now=at):
            log.error("%s", trouble)
        if trouble := witness_trouble(now=at):
            log.error("%s", trouble)
        if failed:
            log.error("the board turned red: %s", ", ".join(failed))

    def _seal(self, at: datetime) -> None:
        if sequence(now=at):
            make_checkpoint(now=at)

    def _try(self, kind: str, work: Callable[[], object]) -> None:
        self._lease.beat()
        try:
            work()
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - one kind of work must not stop the others
            log.error("worker %s failed: %s", kind, type(error).__name__)  # noqa: TRY400 - a traceback may carry values
        finally:
            close_old_connections()

    def run(self) -> int:
        while not self._stop.is_set():
            try:
                self.do_round()
            except LeaseLost:
                log.warning("another worker took over; this one waits its turn")
            except Exception as error:  # noqa: BLE001 - a store that is away comes back
                log.error("worker round failed: %s", type(error).__name__)  # noqa: TRY400 - no values
            finally:
                close_old_connections()
            self._stop.wait(ROUND_SECONDS)
        return 0


def run_worker() -> int:
    worker = Worker()
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, worker.stop)
    return worker.run()
