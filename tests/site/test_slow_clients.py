"""Clients that send or read slowly, many at once: others are served meanwhile, and each slow one is closed.

The limits are small here; those of a site stand in docs/operating.md. `./run bench slow` measures what others notice.
"""

import os
import select
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from tests.live import Site, running

from imgnom.site.server.body import Body, Budget
from imgnom.site.supervisor import web_command

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("slow-clients")
LIMITS = {"IMGNOM_CLIENT_SECONDS": "2", "IMGNOM_MIN_RATE": "2000", "IMGNOM_MAX_CONNECTIONS_PER_ADDRESS": "60"}
# After two windows, and a second for the look; the rest is for a machine that has much else to do.
SECONDS = 30


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("slow") / "home", IMGNOM_MODE="rehearsal", **LIMITS) as one:
        yield one


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(address, 0))


def ask(port: int, request: bytes, *, address: str = "127.0.0.1") -> bytes:
    """Everything that comes until the server closes."""
    with connect(port, address) as line:
        line.sendall(request)
        answer = b""
        try:
            while part := line.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
    return answer


def page(port: int, path: str = "/healthz", *lines: str) -> bytes:
    head = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", *lines]
    return ask(port, "\r\n".join(head).encode() + b"\r\n\r\n")


def is_closed(line: socket.socket) -> bool:
    """Whether the server gave it up; what comes before is read and dropped."""
    try:
        while select.select([line], [], [], 0)[0]:
            if not line.recv(65536):
                return True
    except OSError:
        return True
    return False


def is_reset(line: socket.socket) -> bool:
    """The same without reading."""
    waiting = select.poll()
    waiting.register(line, 0)
    return bool(waiting.poll(0))


def test_site_answers_while_many_clients_send_and_read_slowly(site: Site) -> None:
    host = f"Host: 127.0.0.1:{site.port}\r\n".encode()
    with ExitStack() as stack:
        senders, readers = [], []
        for number in range(8):
            address = f"127.0.7.{number + 1}" if number % 2 else "127.0.0.1"
            senders.append(stack.enter_context(connect(site.port, address)))
            senders[-1].sendall(b"POST /login HTTP/1.1\r\n" + host + b"Content-Length: 100000\r\n\r\na")
            readers.append(stack.enter_context(connect(site.port, address)))
            readers[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            readers[-1].sendall((b"GET /privacy HTTP/1.1\r\n" + host + b"\r\n") * 300)
        trickling = [stack.enter_context(connect(site.port)) for _ in range(4)]
        silent = [stack.enter_context(connect(site.port)) for _ in range(4)]
        for line in trickling:
            line.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        for _ in range(3):
            assert b" 200 " in page(site.port, "/")[:20]
        left, deadline = {*senders, *trickling, *silent}, time.monotonic() + SECONDS
        unread = set(readers)
        while left or unread:
            assert time.monotonic() < deadline, "a slow client was not closed"
            for line in left & {*senders, *trickling}:
                with suppress(OSError):
                    line.send(b"b")
            left = {line for line in left if not is_closed(line)}
            unread = {line for line in unread if not is_reset(line)}
            time.sleep(0.2)
    assert b" 200 " in page(site.port)[:20]


def test_a_stranger_upload_is_refused_before_its_body_is_sent(site: Site) -> None:
    head = (
        f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nContent-Type: multipart/form-data; boundary=line\r\n"
    )
    for rest in (
        "Content-Length: 20000000\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Content-Length: 20000000\r\nExpect: 100-continue\r\n\r\n",
    ):
        assert b" 302 " in ask(site.port, (head + rest).encode())[:20]
        assert b" 401 " in ask(site.port, (head + "Accept: application/json\r\n" + rest).encode())[:20]
    large = head.replace("/upload", "/login") + "Content-Length: 20000000\r\n\r\n"
    assert b" 413 " in ask(site.port, large.encode())[:20]


def test_http2_in_clear_text_is_not_spoken(site: Site) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
    answer = ask(site.port, preface)
    assert answer.startswith(b"HTTP/1.1 505 ")
    upgrade = ("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings")
    answer = page(site.port, "/healthz", *upgrade)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 101" not in answer


def test_header_blocks_above_32_kilobytes_are_refused(site: Site) -> None:
    assert page(site.port, "/healthz", "X-A: " + "a" * 30_000).startswith(b"HTTP/1.1 200 ")
    for lines in (
        ["X-A: " + "a" * 33_000],
        [f"X-{n}: {'a' * 100}" for n in range(400)],
        ["Cookie: " + "a=b; " * 8_000],
    ):
        assert page(site.port, "/healthz", *lines).startswith(b"HTTP/1.1 431 ")
    assert page(site.port, "/" + "a" * 33_000).startswith(b"HTTP/1.1 431 ")
    endless = b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000
    assert ask(site.port, endless).startswith(b"HTTP/1.1 431 ")


# ---- the server alone, with an application of the test ----


@contextmanager
def serving(**limits: object) -> Iterator[tuple[int, int]]:
    """Port and process id."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            web_command(listener, limits, module="tests.site.hanging_app"),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/src"},
            pass_fds=[listener.fileno()],
        )
    try:
        assert b" 200 " in page(port)[:20]
        yield port, process.pid
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


@pytest.fixture(scope="module")
def alone() -> Iterator[tuple[int, int]]:
    with serving(upload_paths=["/upload"], client_seconds=1, min_rate=2000, max_connections_per_address=40) as one:
        yield one


def memory_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_readers_that_take_nothing_hold_no_memory_and_are_closed(alone: tuple[int, int]) -> None:
    port, pid = alone
    before = memory_kib(pid)
    with ExitStack() as stack:
        lines = [stack.enter_context(connect(port, f"127.0.8.{n + 1}")) for n in range(16)]
        for line in lines:
            line.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        assert page(port).endswith(b" 0")
        assert memory_kib(pid) - before < 64 * 1024, "sixteen times 21 MB are not held"
        deadline = time.monotonic() + SECONDS
        while not all(map(is_reset, lines)):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    answer = ask(port, b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert len(answer.partition(b"\r\n\r\n")[2]) == 21 * 1024 * 1024


def test_a_steady_client_above_the_rate_is_left_alone(alone: tuple[int, int]) -> None:
    port, _ = alone
    with connect(port) as line:
        line.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\nConnection: close\r\n\r\n")
        for _ in range(6):
            line.sendall(b"a" * 10000)
            time.sleep(0.5)
        assert line.recv(65536).endswith(b"POST / 60000")


CASES = (
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", b"POST / 3"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n", b"POST / 5"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"GET /2 0"),
    (b"GET /1 HTTP/1.0\r\n\r\n", b"GET /1 0"),
    (b"GET http://A/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"GET /x 0"),
    (b"POST /upload HTTP/1.1\r\nHost: a\r\nX-Member: m\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", b"POST /upload 3"),
    (b"GET /x HTTP/1.1\r\nHost: a \t\r\nContent-Length:  3 \r\nConnection: close \r\n\r\nabc", b"GET /x 3"),
)  # fmt: skip
REFUSED = (
    b"GET / RTSP/1.0\r\nHost: a\r\n\r\n", b"SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"6\r\nabcdef\r\n" * 20_000 + b"0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4_0\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n",
    b"GET /\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 70_000,
    b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc",
)  # fmt: skip


@pytest.mark.parametrize(("request_bytes", "end"), CASES)
def test_requests_of_every_framing_are_answered(alone: tuple[int, int], request_bytes: bytes, end: bytes) -> None:
    assert ask(alone[0], request_bytes).endswith(end)
    with connect(alone[0]) as line:  # a byte at a time it is the same request
        for place in range(len(request_bytes)):
            line.sendall(request_bytes[place : place + 1])
        answer = b""
        while not answer.endswith(end):
            part = line.recv(65536)
            assert part, answer
            answer += part


@pytest.mark.parametrize("request_bytes", REFUSED)
def test_ambiguous_requests_get_one_refusal_and_no_second_answer(alone: tuple[int, int], request_bytes: bytes) -> None:
    answer = ask(alone[0], request_bytes + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer[9:10] in b"45", answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_requests_sent_ahead_are_all_answered_after_a_half_close(alone: tuple[int, int]) -> None:
    port, _ = alone
    with connect(port) as line:
        line.sendall(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" * 400)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while part := line.recv(65536):
            answer += part
    assert answer.count(b"GET /1 0") == 400


def test_a_client_that_sends_requests_ahead_is_not_read_ahead(alone: tuple[int, int]) -> None:
    port, pid = alone
    before, ahead, sent = memory_kib(pid), b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" * 2000, 0
    until = time.monotonic() + 2
    with connect(port) as line:
        line.setblocking(False)
        while time.monotonic() < until:
            readable, writable, _ = select.select([line], [line], [], 0.1)
            if readable:
                line.recv(1024 * 1024)
            if writable:
                sent += line.send(ahead[sent % len(ahead) :])
        assert memory_kib(pid) - before < 8 * 1024


def test_a_client_that_sends_ahead_and_reads_nothing_is_closed(alone: tuple[int, int]) -> None:
    port, _ = alone
    with ExitStack() as stack:
        lines = []
        for count in range(9, 17):  # about as much as is handed to the system before it says that it is enough
            line = stack.enter_context(socket.socket())
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.connect(("127.0.0.1", port))
            line.sendall(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n" * count)
            lines.append(line)
        deadline = time.monotonic() + SECONDS
        while not all(map(is_reset, lines)):
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_an_application_that_exits_takes_no_thread_with_it(alone: tuple[int, int]) -> None:
    port, _ = alone
    for _ in range(6):  # there are four threads
        assert page(port, "/exit").startswith(b"HTTP/1.1 500 ")
    assert page(port).endswith(b" 0")


def test_an_answer_without_content_names_no_length(alone: tuple[int, int]) -> None:
    port, _ = alone
    assert b"content-length" not in page(port, "/none").lower()


def test_small_pieces_of_a_body_are_kept_together() -> None:
    body = Body(1_000_000, budget=Budget(2_000_000, each=2_000_000), key="a", most=2_000_000)
    tracemalloc.start()
    try:
        for _ in range(250_000):
            body.receive(bytes(4))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2_000_000
    assert body.is_complete
    assert body.stream().read() == bytes(1_000_000)


def test_headers_that_two_readers_would_name_alike_are_dropped(alone: tuple[int, int]) -> None:
    from imgnom.site.server.head import read_head

    raw = b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1.2.3.4\r\nProxy: x\r\nX-Forwarded-For: 5.6.7.8\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"
    environ = read_head(raw).environ
    assert (environ["HTTP_X_FORWARDED_FOR"], environ["HTTP_COOKIE"]) == ("5.6.7.8", "a=1; b=2")
    assert "HTTP_PROXY" not in environ


def test_one_address_holds_no_more_connections_than_allowed(alone: tuple[int, int]) -> None:
    port, _ = alone
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(connect(port, "127.0.9.1"))
        assert b" 503 " in ask(port, b"", address="127.0.9.1")[:20]
        assert b" 200 " in page(port)[:20]


def test_bodies_in_memory_are_bounded_for_one_member_and_for_all() -> None:
    with (
        serving(upload_paths=["/upload"], upload_bytes=3_000_000, max_upload_bytes=2_000_000) as (port, _),
        ExitStack() as stack,
    ):

        def begin(member: str, size: int) -> socket.socket:
            line = stack.enter_context(connect(port))
            line.sendall(
                f"POST /upload HTTP/1.1\r\nHost: a\r\nX-Member: {member}\r\nContent-Length: {size}\r\n\r\n".encode()
                + b"x" * 1_500_000
            )
            return line

        begin("one", 1_900_000)
        time.sleep(0.5)
        second = begin("one", 1_900_000)
        assert b" 503 " in second.recv(100), "one member's bodies count together"
        begin("other", 1_900_000)
        third = begin("third", 1_900_000)
        assert b" 503 " in third.recv(100), "and so do everybody's"
        assert b" 200 " in page(port)[:20]


def test_a_stopped_server_finishes_what_it_began(alone: tuple[int, int]) -> None:
    with serving() as (port, pid), connect(port) as line, connect(port) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(1000)
        line.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        os.kill(pid, 15)
        assert b"Connection: close" in line.recv(1000)
        assert idle.recv(1000) == b""
