"""Faults on purpose: a kill at the Nth change that a workflow makes, inside one process.

A change is a statement that writes to a store, a file opened for writing (before, and once more when it is there and
empty), a sync, a rename or an unlink. At the Nth the process is dead: that change and every later one does not happen,
and nothing that the code does on its way out happens either. Then the worker has its turn, the way it always has.
"""

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.db import connections

WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "COPY", "VACUUM", "PRAGMA wal_checkpoint")
AWAY = ("replace", "rename", "unlink", "remove", "fsync", "rmdir")


class Killed(BaseException):
    """What no `except Exception` catches, as a real kill."""


@dataclass
class Watch:
    """Counts changes; from the `at`-th on each raises what `fault` makes."""

    at: int
    fault: Callable[[], BaseException] = Killed
    only: tuple[str, ...] = ()
    seen: int = 0
    kinds: list[str] = field(default_factory=list)

    def change(self, kind: str) -> None:
        if self.only and not kind.startswith(self.only):
            return
        self.seen += 1
        self.kinds.append(kind)
        if self.seen >= self.at:
            raise self.fault()


def _is_ours(file: Any) -> bool:
    """A file of the site; not one that Python itself keeps, as of a compiled module."""
    try:
        return Path(os.fsdecode(file)).resolve().is_relative_to(Path(settings.IMGNOM.home).resolve())
    except TypeError:
        return False


@contextmanager
def faults(watch: Watch) -> Iterator[Watch]:
    """In this thread and process, until the block ends."""
    real_open, real_os_open = io.open, os.open

    def statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith(WRITES):
            watch.change(f"sql {sql.split(maxsplit=1)[0]}")
        return execute(sql, params, many, context)

    def opened(file: Any, mode: str = "r", *arguments: Any, **more: Any) -> Any:
        if set(mode) & set("wax+") and _is_ours(file):
            watch.change("file open")
            made = real_open(file, mode, *arguments, **more)
            try:
                watch.change("file write")
            except BaseException:
                made.close()
                raise
            return made
        return real_open(file, mode, *arguments, **more)

    def os_opened(file: Any, flags: int, *arguments: Any, **more: Any) -> Any:
        if flags & os.O_CREAT and _is_ours(file):
            watch.change("file create")
        return real_os_open(file, flags, *arguments, **more)

    def changing(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **more: Any) -> Any:
            if name == "fsync" or _is_ours(arguments[0]):
                watch.change(f"file {name}")
            return real(*arguments, **more)

        return call

    with ExitStack() as stack:
        for alias in connections:
            stack.enter_context(connections[alias].execute_wrapper(statement))
        stack.enter_context(patch.object(io, "open", opened))
        stack.enter_context(patch.object(builtins, "open", opened))
        stack.enter_context(patch.object(os, "open", os_opened))
        for name in AWAY:
            stack.enter_context(patch.object(os, name, changing(name)))
        yield watch


def count_changes(work: Callable[[], object]) -> int:
    with faults(Watch(10**9)) as watch:
        work()
    return watch.seen


def killed_at(number: int, work: Callable[[], object]) -> str | None:
    """The kind of change at which it died; None when the work was over before."""
    watch = Watch(number)
    try:
        with faults(watch):
            work()
    except Killed:
        return watch.kinds[-1]
    return watch.kinds[number - 1] if watch.seen >= number else None


def time_passes() -> None:
    """The leases of the dead run out, and what they left on the disk grows old."""
    from imgnom.community.members.models import Letter
    from imgnom.custody.ledger.public import free_leases
    from imgnom.procedures.retention.models import Withdrawal
    from imgnom.site.models import WorkLease

    Withdrawal.objects.update(leased_until=0)
    Letter.objects.update(leased_until=0)
    WorkLease.objects.update(held=False)
    free_leases()
    long_ago = 1_000_000_000
    for path in Path(settings.IMGNOM.media_root).rglob("*"):
        if path.is_file():
            os.utime(path, (long_ago, long_ago))


def worker_pass(now: datetime) -> None:
    """One round of the worker, as a started worker does its first; whatever it logs as failed is raised."""
    from imgnom.site.worker import Worker

    time_passes()
    failed: list[str] = []
    worker = Worker()
    with patch("imgnom.site.worker.log.error", lambda text, *facts: failed.append(text % facts)):
        if not worker.do_round():
            raise AssertionError("the worker did not get its turn")
    if failed:
        raise AssertionError("; ".join(failed))


def broken() -> list[str]:
    from imgnom.site.invariants import check_invariants

    return [f"{row['id']} {row['words']}" for row in check_invariants()["invariants"] if not row["ok"]]
