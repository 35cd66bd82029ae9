"""One client: what it sent, what it is owed, and since when it keeps the site waiting.

A connection is in one phase at a time. In `head`, `idle`, `body`, `write` and `linger` the client has to act, and the
connection lies in the poller; in `work` and `queued` it is a thread's turn, and no clock runs against the client.
"""

import enum
import fcntl
import socket
import struct
import sys
import termios
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from imgnom.site.server.answer import Answer, plain
from imgnom.site.server.body import Body
from imgnom.site.server.head import Head, Refused
from imgnom.site.server.limits import MAX_HEAD_BYTES, Limits


class Phase(enum.Enum):
    HEAD = "head"
    IDLE = "idle"
    BODY = "body"
    QUEUED = "queued"
    WORK = "work"
    WRITE = "write"
    LINGER = "linger"
    CLOSED = "closed"


WAITING = frozenset({Phase.HEAD, Phase.IDLE, Phase.BODY, Phase.WRITE, Phase.LINGER})
_NO_LINGER = struct.pack("ii", 1, 0)
# A client reads and sends up to so much in one turn; then others have theirs.
TURN_BYTES = 1024 * 1024


@dataclass(slots=True)
class Window:
    """What moved since when, for the minimum rate."""

    at: float
    moved: int


class Connection:
    __slots__ = (
        "_line", "address_key", "answer", "body", "buffer", "fd", "head", "is_expired", "is_probe", "out", "peer", "phase", "received", "refuses_body",
        "sent", "since", "waits_to_write", "window",
    )  # fmt: skip

    def __init__(
        self, line: socket.socket, peer: tuple[str, int], *, address_key: str | None, is_probe: bool = False
    ) -> None:
        self._line, self.peer, self.address_key, self.is_probe = line, peer, address_key, is_probe
        self.fd = line.fileno()
        self.buffer, self.out = bytearray(), deque[memoryview]()
        self.head: Head | None = None
        self.body: Body | None = None
        self.answer: Answer | None = None
        self.refuses_body = self.is_expired = self.waits_to_write = False
        self.sent = self.received = 0
        self.enter(Phase.HEAD)

    def enter(self, phase: Phase) -> None:
        self.phase, self.since = phase, time.monotonic()
        self.window: Window | None = None

    # ---- bytes ----

    def read(self, most: int) -> bytes | None:
        """None when nothing is there yet; empty when the client is gone. Raises OSError."""
        try:
            data = self._line.recv(most)
        except BlockingIOError:
            return None
        self.received += len(data)
        return data

    def queue(self, data: bytes) -> None:
        if data:
            self.out.append(memoryview(data))

    def flush(self) -> bool:
        """Sends what the client takes now. True when nothing is left. Raises OSError."""
        turn = self.sent + TURN_BYTES
        while True:
            if not self.out:
                chunk = self.answer.take() if self.answer is not None else None
                if chunk is None:
                    return True
                self.queue(chunk)
                continue
            try:
                count = self._line.sendmsg(list(self.out)) if len(self.out) > 1 else self._line.send(self.out[0])
            except BlockingIOError:
                return False
            self.sent += count
            while count:
                first = self.out.popleft()
                if count < len(first):
                    self.out.appendleft(first[count:])
                    break
                count -= len(first)
            if self.sent >= turn:
                return False

    def send_last_word(self, status: int) -> None:
        """As far as the client takes it at once."""
        with suppress(OSError):
            self._line.send(plain(status))

    def stop_sending(self) -> None:
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)

    # ---- time ----

    def _bytes_waiting(self, kind: int) -> int:
        try:
            return int.from_bytes(fcntl.ioctl(self._line, kind, b"\0\0\0\0"), sys.byteorder)
        except (OSError, ValueError):
            return 0

    def unread(self) -> int:
        """Bytes that were sent and that the client's machine has not taken yet."""
        if sys.platform != "linux" or self.is_probe:
            return 0
        return self._bytes_waiting(termios.TIOCOUTQ)

    def waits_for_us(self) -> bool:
        """The client did its part, and no thread has had time for it yet: busy threads are not the client's fault."""
        if self.phase is Phase.WRITE:
            return sys.platform == "linux" and not self.unread()
        return self.phase is not Phase.LINGER and self._bytes_waiting(termios.FIONREAD) > 0

    def _moved(self) -> int:
        return self.received + self.sent - self.unread()

    def is_too_slow(self, at: float, limits: Limits) -> bool:
        """Asked about once a second."""
        return self._is_late(at, limits) and not self.waits_for_us()

    def _is_late(self, at: float, limits: Limits) -> bool:
        waited = at - self.since
        match self.phase:
            case Phase.HEAD:
                return waited > limits.client_seconds
            case Phase.LINGER if not self.unread():
                return waited > limits.linger_seconds
            case Phase.IDLE if not self.unread():
                return waited > limits.client_seconds
            case Phase.IDLE | Phase.LINGER | Phase.BODY | Phase.WRITE:
                return self._is_below_rate(at, limits)
            case _:
                return False

    def _is_below_rate(self, at: float, limits: Limits) -> bool:
        if self.window is None:
            self.window = Window(at, self._moved())
        seconds = at - self.window.at
        if seconds < limits.client_seconds:
            return False
        moved = self._moved()
        is_below = moved - self.window.moved < limits.min_rate * seconds
        self.window = Window(at, moved)
        return is_below

    def expire(self) -> None:
        """The poller hands it to a thread, which closes it. One that is still sending may be told why.

        Where the poller waits until the client reads, only the end of both directions is an event.
        """
        self.is_expired = True
        with suppress(OSError):
            is_sending = self.phase in (Phase.HEAD, Phase.BODY) and not self.waits_to_write
            self._line.shutdown(socket.SHUT_RD if is_sending else socket.SHUT_RDWR)

    def close(self, *, drop: bool) -> None:
        """With `drop` what the client did not read is thrown away, else the system still delivers it."""
        self.phase = Phase.CLOSED
        if self.answer is not None:
            with suppress(Exception):
                self.answer.finish()
        if self.body is not None:
            self.body.let_go()
        with suppress(OSError):
            if drop and not self.is_probe:
                self._line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._line.close()

    def head_end(self) -> int:
        """Where the header block ends; -1 while it is not complete. Raises Refused."""
        end = self.buffer.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0 and len(self.buffer) >= MAX_HEAD_BYTES:
            raise Refused(431)
        return end
