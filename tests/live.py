"""A real site for black-box tests: its own home, port and process tree, asked over HTTP only."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Site:
    home: Path
    port: int
    environ: dict[str, str] = field(repr=False)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str, seconds: int = 120) -> subprocess.CompletedProcess[str]:
        """`imgnom …` beside the running site, with the same environment."""
        return subprocess.run(
            [sys.executable, "-m", "imgnom", *arguments],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            umask=0,  # what a careless shell hands down; see `wide`
        )


def wide(*places: Path) -> list[str]:
    """What other users of the machine could read or change, in and below these places."""
    found = []
    for each in (each for place in places for each in (place, *place.rglob("*"))):
        with suppress(FileNotFoundError):  # a running site's files come and go
            mode = each.lstat().st_mode
            if mode & 0o077 and not stat.S_ISLNK(mode):
                found.append(f"{each} {mode & 0o777:o}")
    return found


def environment(home: Path, **variables: str) -> dict[str, str]:
    """This process's environment without any IMGNOM_ variable but the given ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IMGNOM_")}
    kept.pop("DJANGO_SETTINGS_MODULE", None)
    return kept | {"PYTHONPATH": str(ROOT / "src"), "IMGNOM_HOME": str(home)} | variables


@contextmanager
def running(home: Path, *flags: str, **variables: str) -> Iterator[Site]:
    """`imgnom serve` until the block ends; fails if it does not become ready or does not stop when told to."""
    port = free_port()
    site = Site(home, port, environment(home, **variables))
    log = (home.parent / f"{home.name}.log").open("wb+")
    server = subprocess.Popen(
        [sys.executable, "-m", "imgnom", "serve", "--port", str(port), *flags],
        cwd=ROOT,
        env=site.environ,
        stdout=log,
        stderr=log,
        umask=0,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{site.address}/readyz", timeout=2).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise AssertionError(f"the site did not start: {log.read()[-2000:]!r}") from None
                time.sleep(0.1)
        yield site
        assert wide(home) == []
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=25)
        except subprocess.TimeoutExpired:
            server.kill()
            raise
        finally:
            log.close()
