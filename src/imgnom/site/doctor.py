"""`imgnom doctor`: what this installation has and lacks. It looks and changes nothing.

Each line is ok, a warning or a failure. A failure is something that is broken or breaks a promise: exit status 1. A
warning is something that an operator must know of and may have chosen: exit status 0, but the report is not ok. What
cannot be looked at is a failure, never ok.

To add a check, write a function without arguments that yields lines and add it to CHECKS:

    def _clock() -> Iterator[Line]:
        yield failure("clock", jump_line()) if jumped() else ok("clock", "has not jumped")

`what` is a short name that programs may search for; `words` is one sentence that says what to do, without personal
values. The JSON is {"state", "ok", "findings": [{"what", "state", "ok", "words"}]}; `ok` is true only for the state ok.
"""

import os
import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError, connections

from imgnom.community.images.public import WrongDecoder, check_decoder
from imgnom.community.members.public import mail_server_trouble
from imgnom.custody.in_force import policy_in_force, trouble
from imgnom.custody.keys.public import KeysError, check_keyring, copy_status, ensure_all_open, unnamed_files
from imgnom.custody.ledger.public import has_seen, witness_trouble
from imgnom.policy.public import example_contacts, is_example_host
from imgnom.policy.text import MAX_MARKS, growth_of_normalization
from imgnom.site.backup.last import LATE_AFTER, backup_trouble, last_backup
from imgnom.site.clock import now
from imgnom.site.database_roles import role_faults, roles_are_asked_for
from imgnom.site.home import made_at
from imgnom.site.jump import jump_line, jumped
from imgnom.site.owner_only import secret_files_wide, wide_words
from imgnom.site.server.limits import SPARE_FILES
from imgnom.web.beat import LATE_AFTER as WORK_LATE_AFTER
from imgnom.web.beat import read_beat
from imgnom.web.mail_server import parse_mail_server
from imgnom.web.room import MIB, Room, rooms

State = Literal["ok", "warning", "failure"]
STATES: tuple[State, ...] = ("ok", "warning", "failure")
# How many times longer four times the marks take: 4 is linear, 16 quadratic.
QUADRATIC_FROM = 8.0
# The worker shows itself twice a second; a round that destroys much may take minutes.
WORKER_QUIET_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class Line:
    what: str
    state: State
    words: str


def ok(what: str, words: str) -> Line:
    return Line(what, "ok", words)


def warning(what: str, words: str) -> Line:
    return Line(what, "warning", words)


def failure(what: str, words: str) -> Line:
    return Line(what, "failure", words)


def _judged(what: str, problem: str, words: str) -> Line:
    return failure(what, problem) if problem else ok(what, words)


# ── what it runs on ──────────────────────────────────────────────────────────────────────────────────────


def _python() -> Iterator[Line]:
    yield Line("Python", "ok" if sys.version_info >= (3, 12) else "failure", sys.version.split()[0])
    yield Line("SQLite", "ok" if sqlite3.sqlite_version_info >= (3, 37) else "failure", sqlite3.sqlite_version)


def _normalization() -> Iterator[Line]:
    """Whether requests could hold this Python's lock with combining marks, were their runs not bounded."""
    growth = growth_of_normalization(clock=time.thread_time)
    if growth < QUADRATIC_FROM:
        yield ok("Unicode normalisation", "takes linear time in this Python")
    else:
        words = f"takes quadratic time in this Python for combining marks in a row; more than {MAX_MARKS} are refused"
        yield ok("Unicode normalisation", words)


def decoder_lines() -> Iterator[Line]:
    """libvips, and the walls around the process that opens pictures."""
    try:
        facts = check_decoder()
    except WrongDecoder as error:
        yield failure("libvips", str(error))
        return
    yield ok("libvips", ".".join(map(str, facts["version"])))
    if missing := facts["walls_missing"]:
        yield warning("picture sandbox", f"this kernel lacks {', '.join(missing)}: see docs/limits.md, The decoder")
    else:
        yield ok("picture sandbox", "seccomp and Landlock refuse files, sockets, signals, processes and programs")


def _disks() -> Iterator[Line]:
    found = rooms()
    if not found:
        yield failure("disk", "the folders of this site cannot be looked at")
    yield from map(_room, found)


def _room(room: Room) -> Line:
    """Whether the disk can still take what comes (F6)."""
    words = f"{room.free_bytes // MIB} MiB free, {room.reserve_bytes // MIB} MiB in reserve"
    if room.is_short:
        words += "; nothing new is taken until there is room again, reading and leaving go on"
    return failure(f"disk of {room.folder}", words) if room.is_short else ok(f"disk of {room.folder}", words)


# ── what it says and promises ────────────────────────────────────────────────────────────────────────────


def _policy() -> Iterator[Line]:
    policy = policy_in_force()
    yield _judged("policy", trouble(), f"{policy.id} {policy.digest[:12]}")
    yield ok("mode", settings.IMGNOM.mode)


def _addresses() -> Iterator[Line]:
    """Who runs the site and where people are told to write: an example reaches nobody, and keeps a real site from starting."""
    policy = policy_in_force()
    examples = example_contacts(policy)
    judge = warning if settings.IMGNOM.mode != "production" else failure
    yield from (
        judge("addresses", f"{key} is {value!r}, an example: nobody gets what people write there")
        for key, value in examples
    )
    if not examples:
        reached = dict.fromkeys(str(one) for one in (policy.operator["contact"].en, policy.officer["email"].en))
        yield ok("addresses", ", ".join(reached))


def _base_url() -> Iterator[Line]:
    environment = settings.IMGNOM
    url = environment.base_url
    if not environment.is_https and environment.is_loopback:
        yield warning("base URL", f"{url} is reached from this machine alone, and without TLS")
    elif not environment.is_https:
        yield failure("base URL", f"{url} is not https: passwords and cookies go in clear")
    elif is_example_host(environment.host):
        yield warning("base URL", f"{url} is an example that nobody can reach")
    else:
        yield ok("base URL", url)


# ── keys, copies, evidence ───────────────────────────────────────────────────────────────────────────────


def _keyring() -> Iterator[Line]:
    try:
        check_keyring()
    except KeysError as error:
        yield failure("keyring", str(error))
        return
    except DatabaseError:
        yield failure("keyring", "there is no site here yet; imgnom serve makes one")
        return
    if unnamed := unnamed_files():
        yield warning("keyring", f"of an earlier version until the next start: {', '.join(unnamed)}")
    else:
        yield ok("keyring", "complete and ours")
    yield _keys()
    environment = settings.IMGNOM
    if environment.keyring.is_relative_to(environment.home):
        yield warning(
            "place of the keys", "inside the home, as in every demo: a copy of the data carries the keys along"
        )
    elif environment.keyring.stat().st_dev == environment.home.stat().st_dev:
        yield warning("place of the keys", "on the same disk as the data: whoever gets the disk has both")
    else:
        yield ok("place of the keys", "on another disk than the data")


def _permissions() -> Iterator[Line]:
    """Whether other users of this machine can read or exchange what the site keeps."""
    yield _judged("permissions", wide_words(settings.IMGNOM), "the home and the keyring are open to their owner only")
    for words in secret_files_wide(os.environ):
        yield warning("secret file", f"{words}: chmod go=")


def _keys() -> Line:
    try:
        return ok("keys", f"{ensure_all_open()}, each opens where it stands")
    except KeysError as error:
        return failure("keys", str(error))


def _backup() -> Iterator[Line]:
    """A backup that was made once must go on, and the copy of the keys with it (F19)."""
    try:
        copy = copy_status()
    except DatabaseError:  # no site yet
        return
    last, problem = last_backup(), backup_trouble(now=now())
    if last is None and not problem:
        yield _never_backed_up()
    else:
        yield _judged("backup", problem, f"{last.folder.name}, made at {last.at.isoformat()}" if last else "")
    if copy["folder"]:
        yield _judged("copy of the keys", str(copy["problem"]), str(copy["folder"]))


def _never_backed_up() -> Line:
    """A site of today may wait for its first backup; one that is older and real is in danger."""
    words = "none was ever made here: imgnom backup DIR --keys DIR2"
    began = made_at(settings.IMGNOM.home)
    is_old = began is None or now() - began > LATE_AFTER
    return failure("backup", words) if is_old and not settings.IMGNOM.is_toy else warning("backup", words)


def _witness() -> Iterator[Line]:
    problem = witness_trouble(now=now())
    if not settings.IMGNOM.witness:
        yield warning("witness", "none: nobody outside would see that the ledger was cut. Set IMGNOM_WITNESS")
    elif not problem and not has_seen():
        yield warning("witness", "has not been shown the ledger yet: imgnom ledger checkpoint")
    else:
        yield _judged("witness", problem, "sees the ledger")


def _mail() -> Iterator[Line]:
    """Whether mail can be handed over as IMGNOM_MAIL_URL says; the server is greeted, and nothing is sent."""
    if urlsplit(settings.IMGNOM.mail_url).scheme == "file":
        judge = failure if settings.IMGNOM.mode == "production" and not settings.IMGNOM.mail_is_named else warning
        yield judge("mail", "is written to files and reaches nobody: set IMGNOM_MAIL_URL=smtp://…")
        return
    server, problem = parse_mail_server(settings.IMGNOM.mail_url), mail_server_trouble()
    if server.may_be_clear and not problem:
        yield warning("mail server", f"{server.shown}: mail may go in clear (tls=optional)")
    else:
        yield _judged(
            "mail server", problem and f"{server.shown}: {problem}", f"{server.shown}: encrypted, certificate verified"
        )


# ── what works for it ────────────────────────────────────────────────────────────────────────────────────


def _worker() -> Iterator[Line]:
    beat, at = read_beat(), now()
    if beat is None:
        yield warning("worker", "none has run here yet: nothing is sent, destroyed or checked")
    elif at - beat.done_at > WORK_LATE_AFTER:
        yield failure("worker", f"what was due has not been finished since {beat.done_at.isoformat()}")
    elif at - beat.alive_at > WORKER_QUIET_AFTER:
        yield warning("worker", f"last seen at {beat.alive_at.isoformat()}: is the site being served?")
    else:
        yield ok("worker", f"seen at {beat.alive_at.isoformat()}")


def _clock() -> Iterator[Line]:
    yield failure("clock", jump_line()) if jumped() else ok("clock", "has not jumped")


def _roles() -> Iterator[Line]:
    """Whether each store on PostgreSQL is reached with no more rights than needed; a toy is warned only."""
    faults = role_faults()
    judge = failure if roles_are_asked_for() else warning
    yield from (judge(f"roles, {fault.store}", fault.words) for fault in faults)
    if not faults and any(connections[alias].vendor == "postgresql" for alias in connections):
        yield ok("roles", "each store has its own, and the web server lesser ones")


def _server() -> Iterator[Line]:
    """Whether a web process may open as many connections as it is told to."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    asked = settings.IMGNOM
    if hard != resource.RLIM_INFINITY and asked.max_connections + SPARE_FILES > hard:
        words = f"this system allows {hard} open files: a process takes {max(16, hard - SPARE_FILES)} connections"
        yield warning("server", f"{words}, not {asked.max_connections}")
    elif sys.platform != "linux":
        yield warning("server", "is tested on Linux only; what a reader leaves unread at the end is not seen here")
    else:
        words = f"up to {asked.max_connections} connections a process, at least {asked.min_rate} bytes a second each"
        yield ok("server", words)


CHECKS: tuple[Callable[[], Iterable[Line]], ...] = (
    _python,
    _normalization,
    decoder_lines,
    _policy,
    _addresses,
    _base_url,
    _keyring,
    _permissions,
    _disks,
    _backup,
    _witness,
    _mail,
    _worker,
    _clock,
    _roles,
    _server,
)


def _carried_out(check: Callable[[], Iterable[Line]]) -> list[Line]:
    try:
        return list(check())
    except Exception as error:  # noqa: BLE001 - one check that breaks hides no other, and is not ok
        return [failure(check.__name__.strip("_"), f"cannot be looked at ({type(error).__name__})")]


def examine() -> dict[str, Any]:
    lines = [line for check in CHECKS for line in _carried_out(check)]
    worst = max((line.state for line in lines), key=STATES.index)
    findings = [
        {"what": line.what, "state": line.state, "ok": line.state == "ok", "words": line.words} for line in lines
    ]
    return {"state": worst, "ok": worst == "ok", "findings": findings}


def report_words(report: dict[str, Any]) -> str:
    """One line each, and how many there are of each state."""
    states = [row["state"] for row in report["findings"]]
    lines = [f"{row['state']:<8}{row['what']}: {row['words']}" for row in report["findings"]]
    told = ", ".join(f"{states.count(state)} {state}" for state in STATES if state in states)
    return "\n".join([*lines, f"in all: {told}"])
