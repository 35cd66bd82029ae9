"""The site's side of the sandbox: hands an uploaded file in, takes the clean copy and its sizes out, within limits.

Containers are rewritten and pixels decoded in one child of the fork server (`jail.py`). One fork server a process, made
anew when it or one of its children dies; a child that hangs or dies fails its own job only (F14). A child that dies at
once may have been killed by a machine without memory, so its job is tried once more. What comes out of a child is not
trusted: it is read up to a limit, and its lengths, numbers and first bytes are checked. Nothing here walks through a file.
"""

import atexit
import errno
import fcntl
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgnom.community.images.errors import Busy, NoDecoder, NotAPicture
from imgnom.community.images.jail import FORMATS, MIN_VERSION, SEALS, SIZES
from imgnom.community.images.limits import MAX_CLEAN_BYTES, MAX_FRAMES, MAX_SIDE_PX
from imgnom.community.images.strip import sniff

JAIL = Path(__file__).with_name("jail.py")
PACKAGE_FOLDER = str(Path(__file__).parents[3])
# It has at most nine seconds of work; the rest is for a machine whose pages, which come first, leave it little.
WALL_SECONDS = 45.0
# A photograph is open after half a second of work. What costs more goes on behind everybody else.
CHEAP_SECONDS, LOOK_SECONDS, LAST_PLACE = 0.5, 0.25, 19
START_SECONDS, ANSWER_SECONDS = 15.0, 5.0
# Whoever died sooner than this may be tried again: it has cost little, and may have been a good picture.
SOON_SECONDS = 2.0
MAX_ANSWER_BYTES = 160 * 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024
# The first box of an AVIF, which says its kind, is no longer.
_SNIFFED_BYTES = 4096
_PIECE = 1024 * 1024
# Each thread would take 64 MB of addresses for itself: on a machine of many cores no room is left to start them all.
# Each child touches some 60 MB for the first and last time: in large pages, where the system has them, and in one heap that
# gives nothing back and so uses again what it has, that is a tenth of the page faults.
_HEAP = ("hugetlb=1", "top_pad=33554432", "trim_threshold=1000000000", "mmap_threshold=33554432")
_ENVIRONMENT = {
    "PATH": "", "HOME": "/nonexistent", "MALLOC_ARENA_MAX": "1", "GLIBC_TUNABLES": ":".join(f"glibc.malloc.{said}" for said in _HEAP),
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A file as it is kept and shown.

    `original` is the clean copy, or drawn anew from the pixels where something was hidden between them; `removed` are
    the kinds of things that went. `files` are named by size and format; `lookalike` are 64 bits by which a copy is found again.
    """

    width: int
    height: int
    frames: int
    placeholder: str
    lookalike: str
    sizes: dict[str, tuple[int, int]]
    files: dict[tuple[str, str], bytes]
    original: bytes | memoryview
    removed: tuple[str, ...]
    is_redrawn: bool


class WrongDecoder(Exception):
    """The installed libvips is too old or opens what it must not."""


class _NurseryGone(Exception):
    pass


class _Died(Exception):
    """A child ended without a whole answer."""


@dataclass(frozen=True)
class _Child:
    """`target` is read from, and `copy` is the clean file; no other child has either. No `copy` where it comes with the answer."""

    process: int
    target: int
    copy: int | None


class _Nursery:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._door: socket.socket | None = None

    def _start(self) -> socket.socket:
        self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(JAIL), "nursery", str(theirs.fileno()), PACKAGE_FOLDER],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=_ENVIRONMENT, cwd="/",
            )  # fmt: skip
        ours.settimeout(START_SECONDS)
        self._door = ours
        return ours

    def child(self, job: str, content: int) -> _Child:
        """A new child that works on `job` and the file `content`. Raises _NurseryGone."""
        with self._lock:
            for _ in range(2):
                door = self._door if self._process and self._process.poll() is None else None
                with suppress(OSError):
                    return self._ask(door or self._start(), job, content)
                self.close()
        raise _NurseryGone

    def _ask(self, door: socket.socket, job: str, content: int) -> _Child:
        """A pipe and a copy of its own at every attempt: a nursery too slow to answer may still have made a child. Raises OSError."""
        target, theirs = _wide_pipe()
        copy = None
        try:
            copy = _empty_file_in_memory()
            socket.send_fds(door, [job.encode()], [content, theirs, *([] if copy is None else [copy])])
            answer = door.recv(4)
            if len(answer) < 4:
                raise ConnectionError
        except OSError:
            os.close(target)
            if copy is not None:
                os.close(copy)
            raise
        finally:
            os.close(theirs)
        door.settimeout(ANSWER_SECONDS)  # it has started; from now on a fork is all it takes
        return _Child(struct.unpack(">I", answer)[0], target, copy)

    def close(self) -> None:
        if self._door:
            self._door.close()
        if self._process:
            with suppress(OSError):
                self._process.kill()
            self._process.wait()
        self._door = self._process = None

    def renew(self) -> None:
        """A child died: the next one shall not be born from the same memory."""
        with self._lock:
            self.close()

    def process_id(self) -> int | None:
        return self._process.pid if self._process else None

    def leave_to_parent(self) -> None:
        """In a process that was forked: the nursery is its parent's, to be asked and ended by that one alone."""
        if self._door:
            self._door.close()
        self._lock = threading.Lock()
        self._door = self._process = None


def _wide_pipe() -> tuple[int, int]:
    """A pipe that holds a megabyte where the system gives as much: both sides are woken a sixteenth as often."""
    out, into = os.pipe()
    with suppress(OSError, AttributeError):
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, _PIECE)
    return out, into


NURSERY = _Nursery()
atexit.register(NURSERY.close)
os.register_at_fork(after_in_child=NURSERY.leave_to_parent)


@contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """A file without a name that lies in memory alone: a child maps it. Raises Busy."""
    file = os.memfd_create("picture")
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
        yield file
    except OSError as error:
        if error.errno in (errno.ENOMEM, errno.ENOSPC):
            raise Busy from None
        raise
    finally:
        os.close(file)


def _empty_file_in_memory() -> int | None:
    """To be filled and sealed by a child; None where the system has no such files."""
    if not hasattr(os, "memfd_create"):
        return None
    return os.memfd_create("clean", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


@contextmanager
def _in_a_pipe(content: bytes) -> Iterator[int]:
    """Where the system has no such files."""
    file, into = os.pipe()

    def give() -> None:
        with suppress(BrokenPipeError), os.fdopen(into, "wb") as target:
            target.write(content)

    giver = threading.Thread(target=give, daemon=True)
    giver.start()
    try:
        yield file
    finally:
        os.close(file)  # a child that ended early leaves it waiting
        giver.join()


def _answer(child: _Child, *, seconds: float) -> bytes:
    """What the child says; it is killed when its time or its room is over. Raises NotAPicture."""
    deadline = time.monotonic() + seconds
    parts: list[bytes] = []
    size, look_in = 0, CHEAP_SECONDS
    looked = time.monotonic()
    watch = select.poll()
    watch.register(child.target, select.POLLIN)
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or size > MAX_ANSWER_BYTES:
                raise NotAPicture("too-slow")
            ready = watch.poll(1000 * min(left, look_in))
            if time.monotonic() - looked >= look_in:
                looked = time.monotonic()
                look_in = seconds if _comes_last(child) else LOOK_SECONDS
            if ready:
                part = os.read(child.target, _PIECE)
                if not part:
                    return b"".join(parts)
                parts.append(part)
                size += len(part)
    except NotAPicture:
        with suppress(ProcessLookupError):
            os.kill(child.process, signal.SIGKILL)
        raise
    finally:
        os.close(child.target)


def _comes_last(child: _Child) -> bool:
    """Whether it is a dear one, whose threads all stand behind those of others from now on."""
    if _spent_by(child.process) <= CHEAP_SECONDS:
        return False
    with suppress(OSError):  # it has just ended
        os.setpriority(os.PRIO_PGRP, child.process, LAST_PLACE)
    return True


def _spent_by(process: int) -> float:
    """CPU seconds; 0 where the system does not tell."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    user, system = told.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _answer_of(out: bytes, kind: str, copy: int | None) -> Made:
    """Raises _Died, Busy, and NotAPicture: the child's reason, or `undecodable` for what does not hold together."""
    if len(out) < 4 or len(out) < 4 + (head_bytes := struct.unpack_from(">I", out)[0]):
        raise _Died
    try:
        if head_bytes > MAX_HEAD_BYTES:
            raise ValueError
        facts = json.loads(out[4 : 4 + head_bytes])
        if facts.get("refused") == "busy":
            raise Busy
        if "refused" in facts:
            raise NotAPicture(str(facts["refused"])[:40])
        parts = _Parts(out, 4 + head_bytes)
        files = {
            (_known(name, SIZES), _known(form, FORMATS)): parts.take(length) for name, form, length in facts["files"]
        }
        redrawn, plain = parts.take(facts["redrawn"]), parts.take(facts["clean"])
        if not parts.is_used_up or {name for name, _ in files} != set(SIZES) or not all(files.values()):
            raise ValueError
        original: bytes | memoryview = redrawn or (plain if copy is None else _sealed(copy))
        if sniff(bytes(original[:_SNIFFED_BYTES])) != kind:
            raise ValueError
        removed = {_short(name) for name in facts["removed"]} | ({"other"} if redrawn else set())
        return Made(
            _number(facts["width"], MAX_SIDE_PX), _number(facts["height"], MAX_SIDE_PX), _number(facts["frames"], MAX_FRAMES),
            str(facts["placeholder"])[:64], f"{int(facts["lookalike"], 16):016x}"[:16],
            {name: (_number(facts["sizes"][name][0], MAX_SIDE_PX), _number(facts["sizes"][name][1], MAX_SIDE_PX)) for name in SIZES},
            files, original, tuple(sorted(removed)), bool(redrawn),
        )  # fmt: skip
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        raise NotAPicture("undecodable") from None


class _Parts:
    """What follows the head of an answer, part by part. Raises _Died where it ends too early."""

    def __init__(self, out: bytes, start: int) -> None:
        self._out, self._at = out, start

    def take(self, length: int) -> bytes:
        if not 0 <= _whole(length) <= MAX_ANSWER_BYTES:
            raise ValueError
        self._at += length
        if self._at > len(self._out):
            raise _Died
        return self._out[self._at - length : self._at]

    @property
    def is_used_up(self) -> bool:
        return self._at == len(self._out)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _number(value: Any, most: int) -> int:
    if not 1 <= _whole(value) <= most:
        raise ValueError
    return int(value)


def _known(name: str, allowed: Collection[str]) -> str:
    if name not in allowed:
        raise ValueError
    return name


def _short(name: str) -> str:
    if not (isinstance(name, str) and name.isascii() and name.isalpha() and len(name) <= 20):
        raise ValueError
    return name


def _sealed(copy: int) -> memoryview:
    """What the child wrote. It cannot change any more: the child sealed it, and without the seals it is not taken."""
    size = os.fstat(copy).st_size
    if not 1 <= size <= MAX_CLEAN_BYTES or fcntl.fcntl(copy, fcntl.F_GET_SEALS) & SEALS != SEALS:
        raise ValueError
    return memoryview(mmap.mmap(copy, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))


def _read_from(child: _Child, kind: str, *, seconds: float) -> Made:
    """Raises NotAPicture, Busy, _Died."""
    try:
        return _answer_of(_answer(child, seconds=seconds), kind, child.copy)
    finally:
        if child.copy is not None:
            os.close(child.copy)


def decode(content: bytes, kind: str, *, formats: tuple[str, ...] = FORMATS, seconds: float = WALL_SECONDS) -> Made:
    """A file without what travelled along, and its display sizes; animations have them as WebP alone.

    Whoever calls it holds a turn (`line`). Raises NotAPicture, NoDecoder, Busy.
    """
    given, job = _in_memory if hasattr(os, "memfd_create") else _in_a_pipe, " ".join([kind, *formats])
    for _ in range(2):
        began = time.monotonic()
        try:
            with given(content) as file:
                return _read_from(NURSERY.child(job, file), kind, seconds=seconds)
        except _NurseryGone:
            raise NoDecoder from None
        except _Died:
            NURSERY.renew()
            if time.monotonic() - began > SOON_SECONDS:
                raise NotAPicture("too-slow") from None
    raise NotAPicture("undecodable")


def check_decoder() -> dict[str, Any]:
    """Version and walls of the jail, asked of a jail of its own. Raises WrongDecoder with a line that says what to do."""
    done = subprocess.run(
        [sys.executable, "-I", str(JAIL), "check", PACKAGE_FOLDER], capture_output=True, env=_ENVIRONMENT, timeout=START_SECONDS, check=False
    )  # fmt: skip
    if done.returncode:
        raise WrongDecoder("libvips cannot be loaded. Install the packages of requirements.lock again.")
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    version = tuple(facts["version"])
    named = ".".join(map(str, version))
    if version < MIN_VERSION:
        least = ".".join(map(str, MIN_VERSION))
        raise WrongDecoder(f"libvips {named} is too old, {least} is needed. Install pyvips-binary again, as the last.")
    if facts["foreign"]:
        raise WrongDecoder(
            f"libvips {named} is the system's ({facts['foreign']}), not the one of the packages. Install pyvips-binary again, as the last."
        )
    if facts["missing"]:
        lacking = ", ".join(facts["missing"])
        raise WrongDecoder(f"libvips {named} cannot open {lacking}. Install pyvips-binary again, as the last.")
    if facts["opened"]:
        raise WrongDecoder(f"libvips {named} opens files that are no pictures of ours. Install pyvips-binary again.")
    return facts
