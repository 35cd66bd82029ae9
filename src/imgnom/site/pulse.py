"""The parent's look at its children: is the process there at all, and does a web process still answer pages?

Two questions, each over a private pair of sockets that nobody else can reach. A *pulse* is a byte that a thread of the
child sends back: a stopped process, or one whose interpreter is held, does not. A *probe* is a request for /healthz
that goes through the threads that serve pages, ahead of waiting visitors: a process whose threads are all stuck does
not answer. Only silence counts: any answer shows that the process lives, also one that says that a store is away.

The deadlines are longer than anything the site waits for (a locked store: 20 seconds, a few times in one request), and
time in which the parent itself did not run is not counted.
"""

import os
import signal
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field

PULSE_SECONDS = 20.0
PROBE_SECONDS = 75.0
EVERY_SECONDS = 2.0
# A machine that is asleep or far too busy does not look at its children either.
MOST_COUNTED = 1.0
# Before its first answer a process may still be starting.
FIRST_SECONDS = 90.0
# The one answer that counts as silence: the server's own, about threads that no page needs.
UPLOADS_HUNG = b"HTTP/1.1 503 Upload threads hung"


def answer_pulses(fd: int) -> None:
    """In a child: sends each byte back. When the parent is gone the child ends as if it had been told to."""
    line = socket.socket(fileno=fd)

    def answer() -> None:
        with suppress(OSError):
            while data := line.recv(64):
                line.sendall(data)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=answer, name="pulse", daemon=True).start()


@dataclass
class Question:
    """One kind of question to one process. `silent_for`: seconds since it was asked and not answered well."""

    name: str
    text: bytes
    seconds: float
    line: socket.socket
    silent_for: float = 0.0
    is_open: bool = False
    answers: int = 0
    _until_next: float = field(default=0.0)

    def look(self, passed: float) -> None:
        """`passed`: seconds since the last look."""
        counted = min(passed, MOST_COUNTED)
        self._until_next -= counted
        if self.is_open or self.silent_for:
            self.silent_for += counted
        if self.is_open:
            self._hear()
        if not self.is_open and self._until_next <= 0:
            self._ask()

    def _hear(self) -> None:
        with suppress(OSError):
            if data := self.line.recv(65536):
                self.is_open, self._until_next = False, EVERY_SECONDS
                if not data.startswith(UPLOADS_HUNG):
                    self.silent_for = 0.0
                    self.answers += 1

    def _ask(self) -> None:
        with suppress(OSError):
            while self.line.recv(65536):
                pass  # the rest of the last answer
        with suppress(OSError):
            self.line.send(self.text)
        self.is_open = True

    @property
    def is_hung(self) -> bool:
        return self.silent_for > (self.seconds if self.answers else max(self.seconds, FIRST_SECONDS))


def pulse(line: socket.socket, seconds: float = PULSE_SECONDS) -> Question:
    return Question("pulse", b".", seconds, line)


def probe(line: socket.socket, host: str, seconds: float = PROBE_SECONDS) -> Question:
    return Question("probe", f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), seconds, line)
