"""The attendant of a rehearsal: starts the site, and when the rehearsal is over, or dead, ends it and clears the home.

It reads its standard input until that closes, which the kernel does for whoever is killed; so neither Ctrl-C nor a
crash nor `kill -9` leaves a server or a home behind. "keep" on its input spares the home. It knows nothing of Django
and is run by its path, with the folders to clear and then the command:

    python attendant.py FOLDER FOLDER … -- COMMAND …
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

STOP_SECONDS = 20
LOG = Path("logs") / "server.log"


def _die_with_me() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc, parent, set_death_signal = ctypes.CDLL(None), os.getpid(), 1

    def ask() -> None:
        libc.prctl(set_death_signal, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _start(command: list[str], home: Path) -> subprocess.Popen[bytes]:
    log = home / LOG
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            preexec_fn=_die_with_me(),  # noqa: PLW1509 - no thread has been started yet
        )


def _tell_end(server: subprocess.Popen[bytes]) -> None:
    """One line for the rehearsal when the site ends by itself."""
    status = server.wait()
    with contextlib.suppress(OSError):
        os.write(1, f"ended {status}\n".encode())


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def attend(folders: list[Path], command: list[str]) -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the closed input is the only word that counts
    try:
        server = _start(command, folders[0])
        threading.Thread(target=_tell_end, args=(server,), daemon=True).start()
        words = sys.stdin.buffer.read()
        _stop(server)
    except OSError:
        words = b""
    for folder in folders[1:] if words.strip() == b"keep" else folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    cut = sys.argv.index("--")
    attend([Path(name) for name in sys.argv[1:cut]], sys.argv[cut + 1 :])
