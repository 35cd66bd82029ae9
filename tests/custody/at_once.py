"""Several threads that begin at the same moment, each with connections of its own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import connections


def at_once[T](*works: Callable[[], T]) -> list[T]:
    """The results in order; the first error is raised after all have ended."""
    start = threading.Barrier(len(works))

    def one(work: Callable[[], T]) -> T:
        try:
            start.wait(timeout=20)
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(one, work) for work in works]]


def times[T](number: int, work: Callable[[], T]) -> Sequence[Callable[[], T]]:
    return [work] * number
