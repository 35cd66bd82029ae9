"""A web server in a process of its own, and the CPU time that it spends on requests over a socket."""

import http.client
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from imgnom.site.supervisor import web_command

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """The processes below it."""
    return _tree(pid)[1:]


def _tree(pid: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
        except OSError:
            continue
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += parents.get(found[-1], [])
    return found


def cpu_seconds_of(*pids: int) -> float:
    """User and system time of processes and of the children that they waited for (Linux)."""
    total = 0
    for one in pids:
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICKS


def _pss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


class Server:
    """One web process, as `imgnom serve` starts it."""

    def __init__(
        self, module: str, port: int, limits: Mapping[str, object] | None = None, proxies: Sequence[str] = ()
    ) -> None:
        self.port = port
        with closing(socket.create_server(("127.0.0.1", port), backlog=1024)) as listener:
            self.process = subprocess.Popen(
                web_command(listener, limits or {}, proxies, module=module),
                env=os.environ
                | {
                    "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
                    "IMGNOM_BASE_URL": f"http://127.0.0.1:{port}",
                },
                pass_fds=[listener.fileno()],
            )

    def wait(self, path: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                self.ask([path])
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise RuntimeError("the server did not start")

    def ask(self, paths: Sequence[str], *, cookie: str = "") -> None:
        """Each path once over one connection; anything but 200 ends the benchmark."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            for path in paths:
                headers = {
                    "Cookie": f"imgnom_cookies=none; {cookie}",
                    "Accept-Language": "ko",
                    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
                }
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status != http.HTTPStatus.OK:
                    raise RuntimeError(f"{path} answered {answer.status}")  # fmt: skip

    def memory_mib(self) -> float:
        """The proportional share (PSS) of the process that answers, in MiB (Linux)."""
        return max(_pss_mib(pid) for pid in _tree(self.process.pid))

    def cpu_ms_each(self, paths: Sequence[str], *, rounds: int, cookie: str = "") -> float:
        """The median round's CPU milliseconds of one request in the server, after one round that only warms up."""
        found = []
        for number in range(rounds + 1):
            before = cpu_seconds_of(*_tree(self.process.pid))
            self.ask(paths, cookie=cookie)
            time.sleep(0.3)  # the visits of the last requests are written
            if number:
                found.append(1000 * (cpu_seconds_of(*_tree(self.process.pid)) - before) / len(paths))
        return statistics.median(found)


@contextmanager
def serving(
    *,
    ready: str,
    limits: Mapping[str, object] | None = None,
    proxies: Sequence[str] = (),
    module: str = "imgnom.site.server.process",
) -> Iterator[Server]:
    server = Server(module, free_port(), limits, proxies)
    try:
        server.wait(ready)
        yield server
    finally:
        server.process.terminate()
        server.process.wait(timeout=20)
