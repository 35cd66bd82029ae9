"""At most so many records of visitors from one network and hour; what comes beyond is counted, not written one by one.

One stranger could otherwise fill the store of access records and the queue before it. The record that stands for many
(kind `repeated`) says how many requests it counts; one is written at each doubling, and the rest when the hour is over or
the process ends, so that every request is in the records either by itself or in a number. A crash loses at most the part
of that number since the last doubling. Records of members are never counted together (A1.2).

Counters live in the memory of one web process, in monotonic time, for the networks that were seen last.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from imgnom.community.visits.record import Visit
from imgnom.web.address import limit_networks

LIMIT, WINDOW_SECONDS = 600, 3600
MOST_NETWORKS = 20_000
REPEATED = "repeated"


@dataclass(slots=True)
class _Counter:
    began: float
    seen_at: float
    seen: int = 0
    beyond: int = 0  # of the window
    unwritten: int = 0  # of those, what no record counts yet
    last: Visit | None = None

    def take(self) -> list[Visit]:
        """The record of what was not written yet."""
        if self.last is None or not self.unwritten:
            return []
        made = replace(self.last, kind=REPEATED, route="", status=0, count=self.unwritten)
        self.unwritten, self.last = 0, None
        return [made]


class VisitorLimit:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counters: OrderedDict[str, _Counter] = OrderedDict()  # the one seen longest ago first

    def admit(self, visit: Visit) -> list[Visit]:
        """What is to be written now: the visit itself, or a record that counts it, or nothing yet."""
        if visit.klass == "member":
            return [visit]
        with self._lock:
            at = self._clock()
            written = self._forget(at)
            for network, times in limit_networks(visit.address):
                counter = self._counter(network, at, written)
                if counter.seen > LIMIT * times:  # and so it does not count in the wider networks
                    counter.beyond, counter.unwritten, counter.last = counter.beyond + 1, counter.unwritten + 1, visit
                    is_doubled = counter.beyond & (counter.beyond - 1) == 0
                    return [*written, *(counter.take() if is_doubled else ())]
            return [*written, visit]

    def _counter(self, network: str, at: float, written: list[Visit]) -> _Counter:
        counter = self._counters.pop(network, None)
        if counter is None or at - counter.began >= WINDOW_SECONDS:
            written += counter.take() if counter else []
            counter = _Counter(at, at)
        counter.seen, counter.seen_at = counter.seen + 1, at
        self._counters[network] = counter
        return counter

    def _forget(self, at: float) -> list[Visit]:
        """Counters that are over or too many go; what they had not told is told."""
        written: list[Visit] = []
        while self._counters:
            oldest = next(iter(self._counters.values()))
            if at - oldest.seen_at < WINDOW_SECONDS and len(self._counters) < MOST_NETWORKS:
                break
            written += self._counters.popitem(last=False)[1].take()
        return written

    def rest(self) -> list[Visit]:
        """What no record counts yet; called when the process ends."""
        with self._lock:
            return [visit for counter in self._counters.values() for visit in counter.take()]
