"""The worker: one supervised process that polls the due tables. Nothing depends on somebody opening a page.

Each round does every kind of work that waits; a kind that fails is logged by its name and tried again next round.
Leases and fencing live with each kind of work, so two workers, or a command beside the worker, do no harm.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.db import close_old_connections

from imgnom.community.members.public import deliver_mail
from imgnom.custody.ledger.public import make_checkpoint, sequence
from imgnom.procedures.proofs.public import check_promises
from imgnom.procedures.retention.public import resume_withdrawals, run_due
from imgnom.site.clock import now
from imgnom.site.jump import watch_for_jump
from imgnom.web.throttle import purge as purge_limits

log = logging.getLogger("imgnom.worker")

ROUND_SECONDS = 0.5
RETENTION_EVERY = timedelta(minutes=10)
CHECKS_EVERY = timedelta(hours=6)
BEAT_FILE = "worker-beat"


class Worker:
    """The timetable. Intervals run on the site's clock, so that a moved clock brings its work at once."""

    def __init__(self) -> None:
        self._last_retention: datetime | None = None
        self._last_checks: datetime | None = None
        self._stop = threading.Event()

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        self._stop.set()

    def do_round(self) -> None:
        at = now()
        self._try("mail", lambda: deliver_mail(now=at))
        self._try("withdrawals", lambda: resume_withdrawals(now=at))
        if not watch_for_jump() and self._retention_waits(at):
            self._try("retention", lambda: run_due(now=at))
            self._try("limits", purge_limits)
            self._last_retention = at
        self._try("ledger", lambda: self._seal(at))
        if self._last_checks is None or at - self._last_checks >= CHECKS_EVERY:
            self._try("checks", lambda: self._check(at))
        Path(settings.IMGNOM.home, BEAT_FILE).write_text(f"{time.time():.0f} {at.isoformat()}", encoding="ascii")

    def _retention_waits(self, at: datetime) -> bool:
        return self._last_retention is None or at - self._last_retention >= RETENTION_EVERY

    def _check(self, at: datetime) -> None:
        failed = check_promises(now=at)
        self._last_checks = at
        if failed:
            log.error("the board turned red: %s", ", ".join(failed))

    def _seal(self, at: datetime) -> None:
        if sequence(now=at):
            make_checkpoint(now=at)

    def _try(self, kind: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - one kind of work must not stop the others
            log.error("worker %s failed: %s", kind, type(error).__name__)  # noqa: TRY400 - a traceback may carry values
        finally:
            close_old_connections()

    def run(self) -> int:
        while not self._stop.is_set():
            self._try("round", self.do_round)
            self._stop.wait(ROUND_SECONDS)
        return 0


def run_worker() -> int:
    worker = Worker()
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, worker.stop)
    return worker.run()
