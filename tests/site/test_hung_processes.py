"""A web process that is there but does not answer is replaced; one that is only busy or whose application fails is not."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from imgnom.site import pulse
from imgnom.site.pulse import UPLOADS_HUNG, Question

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("serve")


def ask(port: int, path: str = "/", *, seconds: float = 10) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def pid_at(port: int) -> int:
    return int(ask(port).split()[0])


def wait_for(fact: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with suppress(OSError, http.client.HTTPException):
            if fact():
                return
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """Four supervised web processes, each on a port of its own."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64)) for _ in range(4)]
        tree = subprocess.Popen(
            [sys.executable, "-m", "tests.site.hanging_tree", *(str(one.fileno()) for one in listeners)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/src"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[one.fileno() for one in listeners],
        )
        try:
            assert tree.stdout is not None
            started = tree.stdout.readline()
            if started:
                yield [one.getsockname()[1] for one in listeners]
        finally:
            tree.send_signal(signal.SIGTERM)
            _, said = tree.communicate(timeout=30)
        assert started, said
        assert tree.returncode == 0, said


def test_supervisor_replaces_stopped_spinning_and_exhausted_processes_only(ports: list[int]) -> None:
    stopped, holding, exhausted, busy = ports
    before = {port: pid_at(port) for port in ports}
    os.kill(before[stopped], signal.SIGSTOP)
    with ExitStack() as stack:
        for port, path, count in ((holding, "/hold", 1), (exhausted, "/sleep", 4)):
            for _ in range(count):
                line = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                line.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        end = threading.Event()

        def press() -> None:
            while not end.is_set():
                ask(busy, "/slow", seconds=60)
                ask(busy, "/fail", seconds=60)

        pressing = [threading.Thread(target=press) for _ in range(12)]
        for thread in pressing:
            thread.start()
        for port in (stopped, holding, exhausted):
            wait_for(lambda port=port: pid_at(port) != before[port])
        end.set()
        for thread in pressing:
            thread.join()
    assert pid_at(busy) == before[busy], "plain overload and failing requests are no reason"


def question(seconds: float = 10) -> tuple[Question, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return pulse.probe(ours, "a", seconds), theirs


def test_supervisor_counts_no_time_in_which_it_did_not_run_itself() -> None:
    one, other = question()
    with closing(one.line), closing(other):
        one.look(0.2)
        other.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        one.look(0.2)
        assert one.answers == 1
        one.look(3600)
        one.look(2)
        for _ in range(5):
            one.look(3600)
        assert not one.is_hung
        for _ in range(6):
            one.look(1)
        assert one.is_hung


def test_any_answer_counts_except_that_upload_threads_hang() -> None:
    one, other = question(seconds=3)
    with closing(one.line), closing(other):
        for answer in (b"HTTP/1.1 500 x", b"HTTP/1.1 503 Service Unavailable", b"HTTP/1.1 200 OK"):
            while not one.is_open:
                one.look(1)
            other.sendall(answer)
            one.look(1)
            assert one.silent_for == 0
        for _ in range(8):
            one.look(1)
            if one.is_open:
                other.sendall(UPLOADS_HUNG + b"\r\n\r\n")
        assert one.is_hung
