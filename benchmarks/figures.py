"""A measured figure, the machine's class, and how CPU time is taken."""

import os
import platform
import resource
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from benchmarks.server import cpu_seconds_of, descendants


@dataclass(frozen=True)
class Figure:
    """One line of the report. `ratio` is ours divided by what it is held against, both of this run."""

    what: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Section:
    """What one benchmark found."""

    name: str
    title: str
    how: str
    figures: tuple[Figure, ...]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Size:
    """How much is measured: the whole, or a quick look."""

    pictures: int
    comments: int
    members: int
    popular_comments: int
    requests: int
    rounds: int
    photos: int
    withdrawals: tuple[int, ...]
    turns: tuple[int, ...]
    crowd: int
    month: int


WHOLE = Size(20_000, 200_000, 5_000, 20_000, 200, 3, 8, (10, 1_000, 10_000), (10_000, 100_000), 15_000, 1_000_000)
QUICK = Size(1_000, 10_000, 200, 2_000, 60, 2, 2, (10, 200), (2_000,), 500, 10_000)


def cpu_seconds() -> float:
    """User and system time of this process, of the children it waited for, and of those that live (the decoder's)."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    living = cpu_seconds_of(*descendants(os.getpid()))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime + living


@dataclass
class Spent:
    """Seconds of a timed block."""

    cpu: float = 0.0
    wall: float = 0.0


@contextmanager
def timed() -> Iterator[Spent]:
    spent = Spent()
    cpu, wall = cpu_seconds(), time.perf_counter()
    try:
        yield spent
    finally:
        spent.cpu, spent.wall = cpu_seconds() - cpu, time.perf_counter() - wall


def cpu_ms_each(calls: Sequence[Callable[[], object]], *, rounds: int) -> float:
    """The median round's CPU milliseconds of one call, after one round that only warms up."""
    found = []
    for number in range(rounds + 1):
        with timed() as spent:
            for call in calls:
                call()
        if number:
            found.append(1000 * spent.cpu / len(calls))
    return statistics.median(found)


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def machine() -> dict[str, object]:
    """The class of the machine; nothing that names it."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load": round(os.getloadavg()[0], 1),
    }
