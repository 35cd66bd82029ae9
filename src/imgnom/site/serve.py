"""`imgnom serve`: migrate, check keys and policy, then one process tree of web server and worker.

The parent supervises: a child that dies is started again; SIGTERM ends both within a few seconds.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import FrameType

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from imgnom.custody.consent.public import adopt_policy
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeysError, ensure_keyring
from imgnom.custody.ledger.public import make_checkpoint
from imgnom.policy.public import PolicyError
from imgnom.site.clock import now
from imgnom.site.databases import close_stores
from imgnom.site.environment import mode_file

STOP_SECONDS = 12


def migrate_all() -> None:
    for alias in connections:
        call_command("migrate", database=alias, interactive=False, verbosity=0)


def prepare() -> None:
    """Everything that must be true before the doors open. Ends the process with one line otherwise."""
    try:
        policy = policy_in_force()
    except PolicyError as error:
        sys.exit(f"imgnom: {error}")
    if settings.IMGNOM.is_toy:
        mode_file(settings.IMGNOM.home).write_text(settings.IMGNOM.mode, encoding="ascii")
    try:
        if "keys_epoch" in connections["keys"].introspection.table_names():
            # Stores of another site, or of a real one under a toy's keyring, are left as they are.
            ensure_keyring(now=now())
        migrate_all()
        ensure_keyring(now=now())
    except KeysError as error:
        sys.exit(f"imgnom: {error}")
    adopt_policy(policy, now=now())
    # The first one names the ledger; from then on the name stands, whatever the address.
    make_checkpoint(now=now())


def _web(host: str, port: int, workers: int) -> list[str]:
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port),
        "--workers", str(workers), "--blocking-threads", "4", "--workers-kill-timeout", "3s",
        "--no-ws", "--log-level", "warning", "--no-access-log", "imgnom.site.wsgi:application",
    ]  # fmt: skip


def _clean_environment() -> dict[str, str]:
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "imgnom.site.settings",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }


class Tree:
    def __init__(self, commands: list[list[str]]) -> None:
        self._commands = commands
        self._children: list[subprocess.Popen[bytes]] = []
        self._stopping = False

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, env=_clean_environment())

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        self._stopping = True

    def run(self) -> int:
        self._children = [self._start(command) for command in self._commands]
        quick_deaths = 0
        while not self._stopping:
            time.sleep(0.3)
            for place, child in enumerate(self._children):
                if child.poll() is None or self._stopping:
                    continue
                quick_deaths += 1
                if quick_deaths > 5:
                    print("imgnom: a part of the site keeps stopping; giving up.", file=sys.stderr)
                    self._end()
                    return 1
                self._children[place] = self._start(self._commands[place])
        self._end()
        return 0

    def _end(self) -> None:
        for child in self._children:
            with suppress(ProcessLookupError):
                child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children:
            try:
                child.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()


def serve(*, host: str, port: int, workers: int, with_worker: bool = True) -> int:
    prepare()
    if settings.IMGNOM.mode == "demo":
        from imgnom.site.demo.prepare import prepare_demo

        prepare_demo()
    close_stores()
    commands = [_web(host, port, workers)]
    if with_worker:
        commands.append([sys.executable, "-m", "imgnom", "worker"])
    tree = Tree(commands)
    signal.signal(signal.SIGTERM, tree.stop)
    signal.signal(signal.SIGINT, tree.stop)
    base = settings.IMGNOM.base_url
    lines = [f"gallery     {base}/"]
    if settings.IMGNOM.mode == "demo":
        lines += [f"demo        {base}/demo"]
    lines += [f"promises    {base}/privacy/board"]
    if settings.IMGNOM.mode == "demo":
        lines += ["rehearse    ./run rehearse"]
    print("\n".join(lines), flush=True)
    return tree.run()
