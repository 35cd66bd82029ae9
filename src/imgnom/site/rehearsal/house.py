"""The throw-away home of a rehearsal and the real site in it.

Nothing of the surroundings reaches it: every IMGNOM_* variable is left out before ours are set, so that a rehearsal on
a production machine opens none of its stores, keys, mailboxes or witnesses. Temporary files of the site lie under the
home as well, where the hunt finds them.
"""

import secrets
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from imgnom.site.rehearsal import attendant
from imgnom.site.rehearsal.visitor import Visitor

START_SECONDS = 120
CLEAR_SECONDS = 40
TRIES = 3
# What our programs listen to. Granian reads its own flags from the environment too.
OURS = ("IMGNOM_", "GRANIAN_")


class HouseError(Exception):
    """The site could not be started; the text is the line for people."""


class PortTaken(HouseError):
    """Somebody else was faster."""


@dataclass(frozen=True)
class House:
    """`old_copy` is all that lies outside the home: copies, the witness, what an auditor keeps."""

    home: Path
    old_copy: Path
    port: int

    @property
    def witness(self) -> Path:
        return self.old_copy / "witness"


def _free_port() -> int:
    """Free just now, and outside the range from which the system hands out ports to whoever connects."""
    for _ in range(200):
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise HouseError("no port is free on 127.0.0.1")


def environment_of(house: House, policy: Path, outside: Mapping[str, str]) -> dict[str, str]:
    """The surroundings without anything that speaks of a site, and what this site needs."""
    kept = {name: value for name, value in outside.items() if not name.startswith(OURS)}
    return kept | {
        "IMGNOM_MODE": "rehearsal",
        "IMGNOM_HOME": str(house.home),
        "IMGNOM_POLICY": str(policy),
        "IMGNOM_CLOCK_FILE": str(house.home / "clock"),
        "IMGNOM_WITNESS": str(house.witness),
        "IMGNOM_BASE_URL": f"http://127.0.0.1:{house.port}",
        # The visitors of a rehearsal come through a proxy that says where each of them is.
        "IMGNOM_TRUSTED_PROXIES": "127.0.0.1/32",
        "DJANGO_SETTINGS_MODULE": "imgnom.site.settings",
        "TMPDIR": str(house.home / "tmp"),
    }


def _folders() -> tuple[Path, Path]:
    try:
        return Path(tempfile.mkdtemp(prefix="imgnom-rehearsal-")), Path(
            tempfile.mkdtemp(prefix="imgnom-rehearsal-old-")
        )
    except OSError as error:
        raise HouseError(f"no temporary folder can be made ({error.strerror}); TMPDIR may name another") from None


def _log_of(house: House) -> str:
    try:
        return (house.home / attendant.LOG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _ensure_ready(house: House, helper: subprocess.Popen[bytes]) -> None:
    """Returns when our own site answers. Raises HouseError, PortTaken."""
    deadline = time.monotonic() + START_SECONDS
    with selectors.DefaultSelector() as ends:
        if helper.stdout is not None:
            ends.register(helper.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if ends.select(timeout=0.1):
                log = _log_of(house).strip()
                last = log.splitlines()[-1].removeprefix("imgnom: ") if log else "it said nothing"
                raise (PortTaken if "cannot be used" in last else HouseError)(f"the site did not start: {last}")
            # The site says this of itself only after its port was its own and a page came back.
            if "promises" in _log_of(house):
                with suppress(OSError):
                    if Visitor(house.port, agent="Visitor/first").get("/readyz").status == 200:
                        return
    raise HouseError("the site did not become ready")


def _open(policy: Path, at: datetime, outside: Mapping[str, str]) -> tuple[House, subprocess.Popen[bytes]]:
    home, old_copy = _folders()
    try:
        house = House(home, old_copy, _free_port())
        (home / "tmp").mkdir()
        (home / "clock").write_text(at.isoformat(), encoding="ascii")
        house.witness.mkdir()
        helper = _start(house, (home, old_copy), environment_of(house, policy, outside))
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(old_copy, ignore_errors=True)
        raise
    return house, helper


def _start(house: House, folders: tuple[Path, ...], environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """The site in the first of the folders, with an attendant that clears all of them away."""
    serve = [sys.executable, "-m", "imgnom", "serve", "--no-worker", "--port", str(house.port)]
    return subprocess.Popen(
        [sys.executable, attendant.__file__, *map(str, folders), "--", *serve],
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def _close(house: House, helper: subprocess.Popen[bytes], *, keep: bool = False) -> None:
    """The site is ended and both folders are gone, unless the home is kept."""
    with suppress(OSError):
        helper.communicate(b"keep" if keep else b"", timeout=CLEAR_SECONDS)
    if helper.poll() is None or helper.returncode:
        helper.kill()
        for folder in (house.old_copy,) if keep else (house.home, house.old_copy):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def opened(policy: Path, *, at: datetime, outside: Mapping[str, str], keep: bool) -> Iterator[House]:
    """A house whose site answers, with its clock at `at`; gone afterwards, however the block ends. Raises HouseError."""
    for attempt in range(TRIES):
        house, helper = _open(policy, at, outside)
        try:
            _ensure_ready(house, helper)
        except PortTaken:
            _close(house, helper)
            if attempt == TRIES - 1:
                raise
        except BaseException:
            _close(house, helper)
            raise
        else:
            break
    try:
        yield house
    finally:
        _close(house, helper, keep=keep)


@contextmanager
def second(house: House, home: Path, *, environ: Mapping[str, str]) -> Iterator[House]:
    """The site of another home, beside the first one; that home is gone afterwards. Raises HouseError."""
    other = House(home, house.old_copy, _free_port())
    helper = _start(other, (home,), environ)
    try:
        _ensure_ready(other, helper)
        yield other
    finally:
        with suppress(OSError):
            helper.communicate(b"", timeout=CLEAR_SECONDS)
        if helper.poll() is None:
            helper.kill()
