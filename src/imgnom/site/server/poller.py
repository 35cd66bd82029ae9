"""Which sockets are ready, asked by many threads at once: each event goes to one thread (epoll; kqueue elsewhere)."""

import select
import sys
from typing import Protocol


class Poller(Protocol):
    def fileno(self) -> int: ...
    def watch(self, fd: int, *, writes: bool = False, again: bool = True) -> None:
        """One event, then silence until it is watched again."""

    def watch_always(self, fd: int) -> None: ...
    def wait(self, seconds: float | None) -> int | None: ...
    def close(self) -> None: ...


if sys.platform == "linux":

    class _Epoll:
        def __init__(self) -> None:
            self._epoll = select.epoll()
            self.fileno, self.close = self._epoll.fileno, self._epoll.close

        def watch(self, fd: int, *, writes: bool = False, again: bool = True) -> None:
            event = (select.EPOLLOUT if writes else select.EPOLLIN) | select.EPOLLONESHOT
            (self._epoll.modify if again else self._epoll.register)(fd, event)

        def watch_always(self, fd: int) -> None:
            self._epoll.register(fd, select.EPOLLIN)

        def wait(self, seconds: float | None) -> int | None:
            ready = self._epoll.poll(seconds, 1)
            return ready[0][0] if ready else None

    def new_poller() -> Poller:
        return _Epoll()

else:

    class _Kqueue:
        def __init__(self) -> None:
            self._kqueue = select.kqueue()
            self.fileno, self.close = self._kqueue.fileno, self._kqueue.close

        def _add(self, fd: int, kind: int, flags: int) -> None:
            self._kqueue.control([select.kevent(fd, kind, select.KQ_EV_ADD | flags)], 0)

        def watch(self, fd: int, *, writes: bool = False, again: bool = True) -> None:
            self._add(fd, select.KQ_FILTER_WRITE if writes else select.KQ_FILTER_READ, select.KQ_EV_ONESHOT)

        def watch_always(self, fd: int) -> None:
            self._add(fd, select.KQ_FILTER_READ, 0)

        def wait(self, seconds: float | None) -> int | None:
            ready = self._kqueue.control(None, 1, seconds)
            return int(ready[0].ident) if ready else None

    def new_poller() -> Poller:
        return _Kqueue()
