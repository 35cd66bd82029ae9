"""Threads, one poller and the clock that runs against slow clients.

A thread takes whichever connection is ready, does what can be done without waiting, and gives it back to the poller.
Requests with files are handed to threads of their own, a few of each member at a time, so that opening pictures leaves
the others to pages. Once a second a watcher looks for clients below the minimum rate.
"""

import errno
import io
import logging
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from imgnom.site.pulse import UPLOADS_HUNG
from imgnom.site.server.answer import Answer, Application, plain
from imgnom.site.server.body import Body, Budget
from imgnom.site.server.connection import TURN_BYTES, WAITING, Connection, Phase
from imgnom.site.server.head import Environ, Head, Refused, read_head
from imgnom.site.server.limits import MAX_FORM_BYTES, MAX_HEAD_BYTES, Limits
from imgnom.site.server.poller import new_poller

log = logging.getLogger("imgnom.server")

READ_BYTES = 64 * 1024
WATCH_SECONDS = 1.0
ACCEPTS_A_TURN = 32
# Requests that a client sent ahead and that are answered before others have their turn.
PIPELINED_A_TURN = 8
# The system hands the rest of a response over in small steps, so that what a client has not read can be seen here.
UNSENT_BYTES = 128 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(slots=True)
class Admission:
    """Asked of the application before a large body or one with files is read: `environ["imgnom.admission"]`.

    The application accepts it for somebody, or answers, and then the body is never held.
    """

    length: int | None
    budget: Budget
    key: str | None = None

    def has_room_for(self, key: str) -> bool:
        return self.budget.has_room(key, self.length or 0)

    def accept(self, key: str) -> None:
        self.key = key


def _say_that_uploads_hang(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    start_response(UPLOADS_HUNG.removeprefix(b"HTTP/1.1 ").decode(), [("Content-Length", "0")])
    return []


class _Uploads:
    """Complete requests with files, and the threads that work on them: at most so many of one member at once."""

    def __init__(self, run: Callable[[Connection], None], *, threads: int, each: int) -> None:
        self._run, self._each = run, each
        self._changed = threading.Condition()
        self._waiting = deque[tuple[str, Connection]]()
        self._working = Counter[str]()
        self._since = dict[int, float]()
        self._threads = [
            threading.Thread(target=self._work, args=(n,), name=f"upload-{n}", daemon=True) for n in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def put(self, key: str, connection: Connection) -> None:
        with self._changed:
            self._waiting.append((key, connection))
            self._changed.notify()

    def longest_work(self, at: float) -> float:
        """Seconds that the request has taken which all threads have taken at least; 0 while one is free."""
        since = list(self._since.values())
        return min((at - began for began in since), default=0.0) if len(since) == len(self._threads) else 0.0

    def _next(self) -> tuple[str, Connection] | None:
        for place, (key, connection) in enumerate(self._waiting):
            if self._working[key] < self._each:
                del self._waiting[place]
                return key, connection
        return None

    def _work(self, number: int) -> None:
        while True:
            with self._changed:
                while (job := self._next()) is None:
                    self._changed.wait()
                key, connection = job
                self._working[key] += 1
                self._since[number] = time.monotonic()
            try:
                self._run(connection)
            finally:
                with self._changed:
                    del self._since[number]
                    self._working[key] -= 1
                    if not self._working[key]:
                        del self._working[key]
                    self._changed.notify_all()


class Engine:
    """`address_key` names who is counted together; None is a proxy of ours, which counts for nobody."""

    def __init__(
        self,
        application: Application,
        listener: socket.socket,
        *,
        limits: Limits,
        address_key: Callable[[str], str | None],
        probe: socket.socket | None = None,
    ) -> None:
        self._application, self._listener, self._limits, self._address_key = application, listener, limits, address_key
        self._poller, self._urgent = new_poller(), new_poller()
        self._connections = dict[int, Connection]()
        self._by_address, self._lock = Counter[str](), threading.Lock()
        self._has_clients, self._stopping = threading.Event(), False
        self._forms = Budget(limits.form_bytes, each=max(MAX_FORM_BYTES, limits.form_bytes // 4))
        self._files = Budget(limits.upload_bytes, each=limits.max_upload_bytes)
        self._uploads = _Uploads(self._turn_of_upload, threads=limits.upload_threads, each=limits.uploads_per_key)
        self._probe = None if probe is None else Connection(probe, ("127.0.0.1", 0), address_key=None, is_probe=True)
        self._base = {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            host, port = listener.getsockname()[:2]
            self._base = {"SERVER_NAME": host, "SERVER_PORT": str(port)}

    # ---- life ----

    def start(self) -> None:
        self._listener.setblocking(False)
        with suppress(OSError, AttributeError):  # accepted connections inherit both
            self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self._poller.watch(self._listener.fileno(), again=False)
        self._poller.watch_always(self._urgent.fileno())
        if self._probe is not None:
            self._urgent.watch(self._probe.fd, again=False)
        self._uploads.start()
        for number in range(self._limits.page_threads):
            threading.Thread(target=self._serve, name=f"page-{number}", daemon=True).start()
        threading.Thread(target=self._watch, name="watcher", daemon=True).start()

    def stop(self) -> None:
        """Takes nobody new, lets answers go out for a while, and returns."""
        self._stopping = True
        deadline = time.monotonic() + self._limits.stop_seconds
        while time.monotonic() < deadline:
            waiting = list(self._connections.values())
            for connection in waiting:
                if connection.phase is Phase.IDLE or (connection.phase is Phase.HEAD and not connection.buffer):
                    connection.expire()
            if not waiting:
                return
            time.sleep(0.05)

    def _watch(self) -> None:
        while True:
            self._has_clients.wait()
            time.sleep(WATCH_SECONDS)
            at = time.monotonic()
            for connection in list(self._connections.values()):
                try:
                    self._look_at(connection, at)
                except Exception as error:  # noqa: BLE001 - without a watcher slow clients would stay for ever
                    log.error("a connection was not looked at: %s", type(error).__name__)  # noqa: TRY400 - as below
            with self._lock:
                if not self._connections:
                    self._has_clients.clear()

    def _look_at(self, connection: Connection, at: float) -> None:
        if connection.phase in WAITING and not connection.is_expired and connection.is_too_slow(at, self._limits):
            connection.expire()

    def _serve(self) -> None:
        listener, urgent = self._listener.fileno(), self._urgent.fileno()
        while True:
            fd = self._urgent.wait(0)
            if fd is None:
                fd = self._poller.wait(None)
            if fd is None or fd == urgent:
                continue
            if fd == listener:
                try:
                    self._accept()
                except Exception as error:  # noqa: BLE001 - as below
                    log.error("a connection was not taken: %s", type(error).__name__)  # noqa: TRY400 - as below
            elif self._probe is not None and fd == self._probe.fd:
                self._turn(self._probe)
            elif (connection := self._connections.get(fd)) is not None:
                self._turn(connection)

    # ---- who may come ----

    def _accept(self) -> None:
        if self._stopping:
            return
        try:
            self._accept_some()
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                log.warning("no more connections can be taken: %s", errno.errorcode[error.errno])
                self._make_way()
                time.sleep(0.1)
        finally:
            self._poller.watch(self._listener.fileno())

    def _accept_some(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            line, peer = self._listener.accept()
            line.setblocking(False)
            self._take(line, peer)

    def _take(self, line: socket.socket, peer: tuple[str, int]) -> None:
        key = self._address_key(peer[0])
        is_full = len(self._connections) >= self._limits.max_connections
        if (key is not None and self._by_address[key] >= self._limits.max_connections_per_address) or (
            is_full and not self._make_way()
        ):
            with suppress(OSError):
                line.send(plain(503))
            line.close()
            return
        connection = Connection(line, peer, address_key=key)
        with self._lock:
            if key is not None:
                self._by_address[key] += 1
            self._connections[connection.fd] = connection
        self._has_clients.set()
        try:
            self._poller.watch(connection.fd, again=False)
        except OSError:
            self._close(connection, drop=True)
            raise

    def _make_way(self) -> bool:
        """The one that has kept quiet the longest goes; nobody who sends or receives does."""
        quiet = [
            one
            for one in list(self._connections.values())
            if one.phase in (Phase.HEAD, Phase.IDLE, Phase.LINGER) and not one.is_expired and not one.waits_for_us()
        ]
        if not quiet:
            return False
        min(quiet, key=lambda one: one.since).expire()
        return True

    def _close(self, connection: Connection, *, drop: bool) -> None:
        if connection.phase is Phase.CLOSED:
            return
        with self._lock:
            self._connections.pop(connection.fd, None)
            key = connection.address_key
            if key is not None:
                self._by_address[key] -= 1
                if not self._by_address[key]:
                    del self._by_address[key]
        connection.close(drop=drop)

    # ---- a turn ----

    def _wait_for(self, connection: Connection, *, writes: bool = False) -> None:
        connection.waits_to_write = writes
        (self._urgent if connection.is_probe else self._poller).watch(connection.fd, writes=writes)

    def _turn(self, connection: Connection) -> None:
        try:
            self._advance(connection)
        except OSError:  # the client is gone
            self._close(connection, drop=True)
        except BaseException as error:  # noqa: BLE001 - one client must not end a thread, nor may an application that exits
            log.error("a connection failed: %s", type(error).__name__)  # noqa: TRY400 - a traceback may carry values
            self._close(connection, drop=True)

    def _advance(self, connection: Connection) -> None:
        if connection.is_expired:
            if connection.phase in (Phase.HEAD, Phase.BODY) and (connection.buffer or connection.body):
                connection.send_last_word(408)
            self._close(connection, drop=True)
            return
        match connection.phase:
            case Phase.HEAD | Phase.IDLE:
                self._read_head(connection)
            case Phase.BODY:
                self._read_body(connection)
            case Phase.WRITE:
                self._send(connection)
                self._go_on(connection)
            case Phase.LINGER:
                self._drain(connection)
            case _:
                return

    def _read_head(self, connection: Connection) -> None:
        # A client that sends many requests ahead is read no further than they are answered.
        data = connection.read(READ_BYTES) if len(connection.buffer) < MAX_HEAD_BYTES else None
        if data == b"" and b"\r\n\r\n" not in connection.buffer:
            self._close(connection, drop=False)
            return
        if data:
            if connection.phase is Phase.IDLE:
                connection.enter(Phase.HEAD)
            connection.buffer += data
        self._begin(connection)
        self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        """With what a client sent ahead of the answers."""
        for _ in range(PIPELINED_A_TURN):
            if connection.phase is not Phase.IDLE:
                return
            if not connection.buffer:
                self._wait_for(connection)
                return
            connection.enter(Phase.HEAD)
            self._begin(connection)
        if connection.phase is Phase.IDLE:
            connection.enter(Phase.HEAD)
            self._wait_for(connection, writes=True)  # ready at once, but behind the others

    def _begin(self, connection: Connection) -> None:
        """The next request, if its head is whole."""
        while connection.buffer.startswith(b"\r\n"):
            del connection.buffer[:2]
        try:
            end = connection.head_end()
            if end < 0:
                self._wait_for(connection)
                return
            raw = bytes(connection.buffer[: end + 4])
            del connection.buffer[: end + 4]
            head = read_head(raw)
        except Refused as refused:
            self._refuse(connection, refused.status)
            return
        connection.head = head
        head.environ.update(self._base, REMOTE_ADDR=connection.peer[0], REMOTE_PORT=str(connection.peer[1]))
        if head.length == 0:
            self._run(connection, head)
        else:
            self._begin_body(connection, head)

    # ---- bodies ----

    def _begin_body(self, connection: Connection, head: Head) -> None:
        takes_files = head.environ["PATH_INFO"] in self._limits.upload_paths
        if takes_files or (head.length or 0) > MAX_FORM_BYTES:
            key = self._admit(connection, head)
            if key is None:
                return
            connection.body = Body(head.length, budget=self._files, key=key, most=self._limits.max_upload_bytes)
        else:
            key = connection.address_key or f"#{connection.fd}"
            connection.body = Body(head.length, budget=self._forms, key=key, most=MAX_FORM_BYTES)
        connection.enter(Phase.BODY)
        early = bytes(connection.buffer)
        connection.buffer.clear()
        if head.expects_continue and not early:
            connection.queue(CONTINUE)
            if not connection.flush():
                raise BrokenPipeError
        if not self._receive(connection, connection.body, early):
            self._wait_for(connection)

    def _admit(self, connection: Connection, head: Head) -> str | None:
        """Whose body it is; None where the application answered instead."""
        admission = Admission(head.length, self._files)
        asked = head.environ | {"imgnom.admission": admission, "wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0"}
        answer = self._answer(connection, Head(asked, version=head.version, keeps_alive=False))
        if answer is None:
            return None
        if admission.key is not None:
            answer.finish()
            return admission.key
        connection.refuses_body = True
        self._begin_answer(connection, answer)
        return None

    def _read_body(self, connection: Connection) -> None:
        body, turn = connection.body, connection.received + TURN_BYTES
        if body is None:
            raise RuntimeError
        while connection.received < turn:
            data = connection.read(body.wants())
            if data is None:
                break
            if not data:
                self._close(connection, drop=True)
                return
            if self._receive(connection, body, data):
                self._go_on(connection)
                return
        self._wait_for(connection)

    def _receive(self, connection: Connection, body: Body, data: bytes) -> bool:
        """Whether the connection went on to something else than waiting for its body."""
        try:
            connection.buffer += body.receive(data)
        except Refused as refused:
            self._refuse(connection, refused.status)
            return True
        if not body.is_complete:
            return False
        head = connection.head
        if head is None:
            raise RuntimeError
        head.environ["CONTENT_LENGTH"] = str(body.held)
        if head.environ["PATH_INFO"] in self._limits.upload_paths:
            connection.enter(Phase.QUEUED)
            self._uploads.put(body.key, connection)
        else:
            self._run(connection, head)
        return True

    def _turn_of_upload(self, connection: Connection) -> None:
        try:
            if connection.head is not None:
                self._run(connection, connection.head)
                self._go_on(connection)
        except OSError:
            self._close(connection, drop=True)
        except BaseException as error:  # noqa: BLE001 - as above
            log.error("a connection failed: %s", type(error).__name__)  # noqa: TRY400 - a traceback may carry values
            self._close(connection, drop=True)

    # ---- answers ----

    def _run(self, connection: Connection, head: Head) -> None:
        connection.enter(Phase.WORK)
        body = connection.body
        head.environ["wsgi.input"] = io.BytesIO() if body is None else body.stream()
        answer = self._answer(connection, head, may_keep_alive=body is None or not body.is_chunked)
        if body is not None:
            body.let_go()
            connection.body = None
        if answer is not None:
            self._begin_answer(connection, answer)

    def _answer(self, connection: Connection, head: Head, *, may_keep_alive: bool = True) -> Answer | None:
        application = self._application
        if connection.is_probe and self._uploads.longest_work(time.monotonic()) > self._limits.upload_seconds:
            application = _say_that_uploads_hang
        try:
            return Answer(application, head, may_keep_alive=lambda: may_keep_alive and not self._stopping)
        except BaseException as error:  # noqa: BLE001 - the application answers its own errors; this one came from around it
            log.error("a request failed: %s", type(error).__name__)  # noqa: TRY400 - a traceback may carry values
            self._refuse(connection, 500)
            return None

    def _begin_answer(self, connection: Connection, answer: Answer) -> None:
        connection.answer = answer
        connection.queue(answer.start)
        connection.queue(answer.take() or b"")
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        """Leaves the connection in `idle` when the next request may begin."""
        if not connection.flush():
            if connection.phase is not Phase.WRITE:
                connection.enter(Phase.WRITE)
            self._wait_for(connection, writes=True)
            return
        keeps_alive = connection.answer is not None and connection.answer.keeps_alive and not connection.refuses_body
        connection.head = connection.body = connection.answer = None
        if keeps_alive and not self._stopping:
            connection.enter(Phase.IDLE)
        elif connection.refuses_body or connection.unread():
            connection.stop_sending()
            connection.enter(Phase.LINGER)
            self._wait_for(connection)
        else:
            self._close(connection, drop=False)

    def _refuse(self, connection: Connection, status: int) -> None:
        """Of the server's own accord. What the client still sends is read for a moment, or it would not see the answer."""
        if connection.body is not None:
            connection.body.let_go()
        if connection.answer is not None:
            connection.answer.finish()
        connection.answer, connection.refuses_body = None, True
        connection.buffer.clear()
        connection.queue(plain(status))
        self._send(connection)

    def _drain(self, connection: Connection) -> None:
        turn = connection.received + TURN_BYTES
        while connection.received < turn:
            data = connection.read(READ_BYTES)
            if data is None:
                break
            if not data:
                self._close(connection, drop=False)
                return
        self._wait_for(connection)
