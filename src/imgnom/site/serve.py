"""`imgnom serve`: migrate, check keys and policy, then one process tree of web server and worker.

The parent supervises. A child that dies is started again, after a pause that grows while it keeps dying; a web server
that never comes up ends the tree, because nobody would notice it otherwise. SIGTERM, SIGINT and SIGHUP end all within
STOP_SECONDS; if the parent itself is killed the kernel tells the children (Linux).
"""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from types import FrameType
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from imgnom.community.images.public import WrongDecoder, check_decoder
from imgnom.community.visits.public import prepare_months
from imgnom.custody.consent.public import adopt_policy
from imgnom.custody.in_force import PolicyUnapproved, approved_policy, ensure_approved
from imgnom.custody.keys.public import KeysError, compact, ensure_keyring, upgrade_keyring
from imgnom.custody.ledger.public import make_checkpoint
from imgnom.policy.public import SYSTEM, PolicyError, load_policy
from imgnom.site.clock import ClockWrong, now
from imgnom.site.database_roles import RolesMissing, grant_web_rights, web_environment
from imgnom.site.databases import close_stores
from imgnom.site.environment import address_file, mode_file
from imgnom.site.owner_only import correct_modes
from imgnom.web.beat import read_beat, write_beat
from imgnom.web.room import keep_reserve

STOP_SECONDS = 12
LOOK_SECONDS = 0.2
PAUSES_SECONDS = (1, 2, 5, 10, 30)
# A child that lived this long was healthy: its next death is a first one.
HEALTHY_SECONDS = 60
WEB_TRIES = 4
START_SECONDS = 90


def migrate_all() -> None:
    """Every store has the tables of this version; stores that have them already are left alone."""
    for alias in connections:
        executor = MigrationExecutor(connections[alias])
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", database=alias, interactive=False, verbosity=0)
            if executor.loader.applied_migrations:
                compact(alias)  # what the migration replaced is in no log of the store


def correct_home() -> None:
    """What an earlier version or another hand left open to others is closed, and told."""
    if count := correct_modes(settings.IMGNOM):
        print(
            f"imgnom: {count} files and folders of this site were open to other users of the machine; they are not any "
            "more. If strangers have accounts here: imgnom keys turn.",
            file=sys.stderr,
            flush=True,
        )


def prepare() -> None:
    """Everything that must be true before the doors open. Ends the process with one line otherwise."""
    try:
        policy, at = load_policy(settings.IMGNOM.policy), now()
        if settings.IMGNOM.is_toy:
            mode_file(settings.IMGNOM.home).write_text(settings.IMGNOM.mode, encoding="ascii")
            address_file(settings.IMGNOM.home).write_text(settings.IMGNOM.base_url, encoding="ascii")
        if "keys_epoch" in connections["keys"].introspection.table_names():
            # Stores of another site, or of a real one under a toy's keyring, are left as they are.
            ensure_keyring(now=at)
        migrate_all()
        prepare_months(now=at)
        grant_web_rights()
        ensure_keyring(now=at)
        upgrade_keyring(now=at)
        ensure_approved(policy, approved=approved_policy())
    except (PolicyError, PolicyUnapproved, ClockWrong, KeysError, RolesMissing, OSError) as error:
        sys.exit(f"imgnom: {error}")
    adopt_policy(policy, now=at, by=SYSTEM)
    # The first one names the ledger; from then on the name stands, whatever the address.
    make_checkpoint(now=at)


def ensure_decoder() -> None:
    """Ends the process with one line where pictures would be opened by a libvips that is not ours."""
    try:
        check_decoder()
    except WrongDecoder as error:
        sys.exit(f"imgnom: {error}")


def hold_port(host: str, port: int) -> socket.socket:
    """Nobody else serves here, and nobody will while the socket lives. Ends the process with one line otherwise.

    Two web servers would share a port in silence, and making a demo's people takes a while: the port is held from the
    first moment by a socket that takes no connection and lets only the web server beside it.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family, kind)) as probe:
            # As the web server does; without it a port that was used a moment ago would look taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
        held = socket.socket(family, kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a port is a number from 1 to 65535"
        sys.exit(f"imgnom: {host}:{port} cannot be used ({reason}). Choose another with --host and --port.")
    return held


def _web(host: str, port: int, workers: int) -> list[str]:
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port),
        "--workers", str(workers), "--blocking-threads", "4", "--workers-kill-timeout", "3s", "--respawn-failed-workers",
        "--no-ws", "--log-level", "warning", "--no-access-log", "imgnom.site.wsgi:application",
    ]  # fmt: skip


def _child_environment(base: Mapping[str, str]) -> dict[str, str]:
    return dict(base) | {
        "DJANGO_SETTINGS_MODULE": "imgnom.site.settings",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }


def _die_with_parent() -> Callable[[], None] | None:
    """What the child does before it becomes itself: ask the kernel for SIGTERM when the parent is gone."""
    if sys.platform != "linux":
        return None
    libc, parent, set_death_signal = ctypes.CDLL(None), os.getpid(), 1

    def ask() -> None:
        libc.prctl(set_death_signal, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask


@dataclass
class Child:
    """A part of the tree: how to start it, how it fares. Seconds are monotonic."""

    name: str
    command: Sequence[str]
    max_tries: int | None
    environ: Mapping[str, str] | None = None  # its own, else the parent's
    process: subprocess.Popen[bytes] | None = None
    group: int | None = None
    started_at: float = 0.0
    next_at: float = 0.0
    deaths: int = field(default=0)

    def start(self, at: float) -> None:
        self.signal_group(signal.SIGKILL)  # whoever outlived the last one would keep its port
        # Its own process group: Ctrl-C reaches the parent alone, which then ends the children in order.
        self.process = subprocess.Popen(
            self.command,
            env=_child_environment(os.environ if self.environ is None else self.environ),
            process_group=0,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - the parent has one thread
        )
        self.group, self.started_at = self.process.pid, at

    def signal_group(self, number: signal.Signals) -> None:
        """To the child and to all that it started."""
        if self.group is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.group, number)

    def look(self, at: float) -> bool:
        """Start it when it is time; False once it has died too often."""
        if self.process is None:
            if at >= self.next_at:
                self.start(at)
            return True
        if self.process.poll() is None:
            return True
        self.deaths = 1 if at - self.started_at >= HEALTHY_SECONDS else self.deaths + 1
        self.next_at = at + PAUSES_SECONDS[min(self.deaths, len(PAUSES_SECONDS)) - 1]
        print(
            f"imgnom: the {self.name} stopped (status {self.process.returncode}); starting it again.",
            file=sys.stderr,
            flush=True,
        )
        self.process = None
        self.signal_group(signal.SIGTERM)
        return self.max_tries is None or self.deaths < self.max_tries

    def end(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.terminate()

    def wait(self, deadline: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.signal_group(signal.SIGKILL)
            self.process.wait(timeout=5)


class Tree:
    """Parent of web server and worker."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._stopping = False

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        self._stopping = True

    def run(self, *, when_started: Callable[[], bool]) -> int:
        """Until told to stop. `when_started` is asked until it says True."""
        started, status, begun = False, 0, time.monotonic()
        while not self._stopping:
            at = time.monotonic()
            looks = [child.look(at) for child in self._children]
            if not all(looks) or (not started and at - begun > START_SECONDS):
                print("imgnom: the site does not come up; giving up.", file=sys.stderr)
                status = 1
                break
            started = started or when_started()
            time.sleep(LOOK_SECONDS)
        self._end()
        return status

    def _end(self) -> None:
        for child in self._children:
            child.end()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children:
            child.wait(deadline)


def _answers(host: str, port: int) -> bool:
    """Whether a page comes back; an open port alone is only the server's parent process."""
    reach = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, nothing is bound
    with closing(http.client.HTTPConnection(reach, port, timeout=2)) as connection:
        try:
            connection.request("GET", "/healthz", headers={"Host": urlsplit(settings.IMGNOM.base_url).netloc})
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False


def welcome() -> str:
    """The lines for whoever just started the site."""
    base, demo = settings.IMGNOM.base_url, settings.IMGNOM.mode == "demo"
    lines = [f"gallery     {base}/"]
    if demo:
        lines.append(f"demo        {base}/demo")
    lines.append(f"promises    {base}/privacy/board")
    if demo:
        lines.append("rehearse    ./run rehearse")
    return "\n".join(lines)


def serve(*, host: str, port: int, workers: int, with_worker: bool = True) -> int:
    held = hold_port(host, port)
    ensure_decoder()
    correct_home()
    if settings.IMGNOM.mode == "demo":
        from imgnom.site.demo.prepare import clear_unfinished

        clear_unfinished()
    prepare()
    if settings.IMGNOM.mode == "demo":
        from imgnom.site.demo.prepare import prepare_demo

        prepare_demo()
    keep_reserve()
    if with_worker and read_beat() is None:
        write_beat(alive_at=now(), done_at=now())  # from here on the board counts the hours of a missing worker
    close_stores()
    children = [Child("web server", _web(host, port, workers), WEB_TRIES, web_environment(os.environ))]
    if with_worker:
        children.append(Child("worker", [sys.executable, "-m", "imgnom", "worker"], None))
    tree = Tree(children)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, tree.stop)

    def started() -> bool:
        if _answers(host, port):
            print(welcome(), flush=True)
            return True
        return False

    with closing(held):
        return tree.run(when_started=started)
