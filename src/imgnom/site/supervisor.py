"""The process tree of a site: starts its processes again when they die, replaces those that hang, ends them in order.

A child that dies is started again, after a pause that grows while it keeps dying; a web server that never comes up ends
the tree, because nobody would notice it otherwise. A child that is there but does not answer is killed and counts as
dead (see `pulse`). SIGTERM, SIGINT and SIGHUP end all within STOP_SECONDS; if the parent itself is killed the children
find out by their lines to it, and on Linux from the kernel.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

from imgnom.site.pulse import PROBE_SECONDS, PULSE_SECONDS, Question, probe, pulse

STOP_SECONDS = 12
LOOK_SECONDS = 0.2
PAUSES_SECONDS = (1, 2, 5, 10, 30)
# A child that lived this long was healthy: its next death is a first one.
HEALTHY_SECONDS = 60
WEB_TRIES = 4
START_SECONDS = 90


def web_command(
    listener: socket.socket,
    limits: Mapping[str, object],
    proxies: Sequence[str] = (),
    *,
    module: str = "imgnom.site.server.process",
) -> list[str]:
    """One web process on a listening socket, which it inherits."""
    return [
        sys.executable, "-m", module, "--listen", str(listener.fileno()), "--limits", json.dumps(limits), "--trusted-proxies", *proxies,
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
    inherits: tuple[int, ...] = ()  # descriptors
    probe_host: str | None = None  # a web process: its own name for the probe's request
    has_pulse: bool = False
    pulse_seconds: float = PULSE_SECONDS
    probe_seconds: float = PROBE_SECONDS
    process: subprocess.Popen[bytes] | None = None
    questions: list[Question] = field(default_factory=list)
    looked_at: float = 0.0
    group: int | None = None
    started_at: float = 0.0
    next_at: float = 0.0
    deaths: int = field(default=0)

    def start(self, at: float) -> None:
        self.signal_group(signal.SIGKILL)  # whoever outlived the last one would keep its port
        self._end_questions()
        theirs = self._begin_questions()
        # Its own process group: Ctrl-C reaches the parent alone, which then ends the children in order.
        self.process = subprocess.Popen(
            [*self.command, *(word for name, line in theirs for word in (f"--{name}", str(line.fileno())))],
            env=_child_environment(os.environ if self.environ is None else self.environ),
            process_group=0,
            pass_fds=[*self.inherits, *(line.fileno() for _, line in theirs)],
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - the parent has one thread
        )
        for _, line in theirs:
            line.close()
        self.group, self.started_at, self.looked_at = self.process.pid, at, at

    def _begin_questions(self) -> list[tuple[str, socket.socket]]:
        """The child's ends of the lines over which it is asked whether it lives."""
        theirs = []
        if self.has_pulse:
            ours, other = socket.socketpair()
            self.questions.append(pulse(ours, self.pulse_seconds))
            theirs.append(("pulse", other))
        if self.probe_host is not None:
            ours, other = socket.socketpair()
            self.questions.append(probe(ours, self.probe_host, self.probe_seconds))
            theirs.append(("probe", other))
        for question in self.questions:
            question.line.setblocking(False)
        return theirs

    def _end_questions(self) -> None:
        for question in self.questions:
            question.line.close()
        self.questions.clear()

    @property
    def has_answered(self) -> bool:
        return self.process is not None and all(question.answers for question in self.questions)

    def _ask(self, at: float) -> None:
        """Kills it where it has kept silent for too long: a hung process hears no other signal."""
        passed, self.looked_at = at - self.looked_at, at
        for question in self.questions:
            question.look(passed)
            if question.is_hung:
                print(
                    f"imgnom: the {self.name} does not answer ({question.name}); replacing it.",
                    file=sys.stderr,
                    flush=True,
                )
                self.signal_group(signal.SIGKILL)
                return

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
            self._ask(at)
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
