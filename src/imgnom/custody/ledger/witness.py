"""The witness outside the home: a folder, a second host by HTTP, or a mailbox. It makes a rewritten past visible (P6).

A folder gets each checkpoint as a file of its own, at once. A second host and a mailbox are told by the worker, never
by a request: `PUT URL` (or POST, where PUT is not allowed) with the newest checkpoint as text; a letter once a day.
What the second host answers to `GET URL`, one checkpoint or many, is compared like the files of a folder; and a host
that has seen more than this ledger, or another one, is not written over: it may be all that is left of the truth.
A witness that cannot be reached stops nothing. After a day it is told to the operator.
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from django.conf import settings

TIMEOUT_SECONDS = 5
MOST_BYTES = 4 * 1024 * 1024
LATE_AFTER = timedelta(days=1)
LETTER_EVERY = timedelta(days=1)
# Real time between two tries, so that a clock that stands still neither floods a host nor waits for ever.
TRY_AGAIN_SECONDS = 60.0
SEPARATOR = "\n\n— "


class WitnessAway(Exception):
    """It could not be asked or told; the text says why, without the address."""


@dataclass(frozen=True)
class Told:
    """What the witness was shown last, and since when it could not be."""

    size: int = 0
    at: str = ""
    failing_since: str = ""
    problem: str = ""


def kind() -> str:
    """`folder`, `http`, `mail`, or empty without a witness."""
    name = settings.IMGNOM.witness
    if not name:
        return ""
    if name.startswith(("http://", "https://")):
        return "http"
    return "mail" if name.startswith("mailto:") else "folder"


def mailbox() -> str:
    return str(settings.IMGNOM.witness).removeprefix("mailto:")


# ── what it holds ────────────────────────────────────────────────────────────────────────────────────────────────────


def witness_notes() -> Iterator[tuple[str, str]]:
    """(name, note) of what the witness holds; what cannot be read is empty and therefore unsigned.

    A second host that is away holds nothing for now: the ledger is not broken by that.
    """
    if kind() == "folder":
        yield from _notes_in_folder(Path(settings.IMGNOM.witness))
    elif kind() == "http":
        try:
            answer = _ask("GET")
        except WitnessAway:
            return
        for number, note in enumerate(split_notes(answer), 1):
            yield f"checkpoint {number} of the second host", note


def _notes_in_folder(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.glob("checkpoint-*.txt")) if folder.is_dir() else []:
        try:
            yield file.name, file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            yield file.name, ""


def split_notes(text: str) -> list[str]:
    """Notes that stand one after another, with or without an empty line between them."""
    found: list[str] = []
    lines = text.splitlines()
    begin = 0
    for place, line in enumerate(lines):
        is_last = place + 1 == len(lines) or not lines[place + 1].startswith("— ")
        if line.startswith("— ") and is_last:
            found.append("\n".join(lines[begin : place + 1]).lstrip("\n") + "\n")
            begin = place + 1
    rest = "\n".join(lines[begin:]).strip()
    return [*found, rest] if rest else found


# ── telling it ───────────────────────────────────────────────────────────────────────────────────────────────────────


def write_to_folder(size: int, note: str) -> None:
    """The witness folder has this checkpoint; one that it has already is never touched."""
    if kind() != "folder":
        return
    folder = Path(settings.IMGNOM.witness)
    file = folder / f"checkpoint-{size:012d}.txt"
    if folder.is_dir() and not file.exists():
        partial = file.with_suffix(".part")
        partial.write_text(note, encoding="utf-8")
        partial.replace(file)


def tell_witness(
    size: int,
    note: str,
    *,
    fits: Callable[[str], str],
    send: Callable[[str, str], None],
    now: datetime,
    at_once: bool = False,
) -> Told:
    """The second host or the mailbox has this checkpoint, or the failure is written down. Nothing is raised.

    `fits` says what is wrong with a note of the witness, by this ledger; `send` mails (address, words). With `at_once`
    nothing is waited for that only spares the witness.
    """
    before = told()
    if kind() not in ("http", "mail") or not (at_once or _is_time(before, size, now)):
        return before
    try:
        if kind() == "http":
            _put(note, fits)
        else:
            send(mailbox(), note)
    except WitnessAway as error:
        after = replace(before, failing_since=before.failing_since or now.isoformat(), problem=str(error))
    else:
        after = Told(size, now.isoformat())
    _remember(after)
    return after


def _put(note: str, fits: Callable[[str], str]) -> None:
    """Raises WitnessAway; also when the host holds what this ledger does not go on from."""
    for seen in split_notes(_ask("GET", missing_is_empty=True)):
        if problem := fits(seen):
            raise WitnessAway(f"it was not written over: {problem}")
    try:
        _ask("PUT", note)
    except _NotAllowed:
        _ask("POST", note)


class _NotAllowed(WitnessAway):
    """The host knows the address and not the method."""


def _ask(method: str, note: str = "", *, missing_is_empty: bool = False) -> str:
    """What the second host says. Raises WitnessAway, _NotAllowed. No proxy of the surroundings is asked."""
    request = urllib.request.Request(settings.IMGNOM.witness, method=method)  # noqa: S310 - http(s), by the environment
    if method != "GET":
        request.data = note.encode()
        request.add_header("Content-Type", "text/plain; charset=utf-8")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return _read(answer)
    except urllib.error.HTTPError as error:
        error.close()
        not_allowed = error.code in (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
        # A host that takes checkpoints and shows none is a witness too; its operator compares.
        if missing_is_empty and (not_allowed or error.code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)):
            return ""
        raise (_NotAllowed if not_allowed else WitnessAway)(f"the second host answers {error.code}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise WitnessAway(f"the second host cannot be reached ({type(reason).__name__})") from None


def _read(answer: http.client.HTTPResponse) -> str:
    """Raises WitnessAway for a host that says too much, or says it byte by byte."""
    content, gives_up = b"", time.monotonic() + 2 * TIMEOUT_SECONDS
    while part := answer.read1(65_536):
        content += part
        if len(content) > MOST_BYTES or time.monotonic() > gives_up:
            raise WitnessAway("the second host does not come to an end")
    return content.decode("utf-8", "replace")


# ── what is remembered ───────────────────────────────────────────────────────────────────────────────────────────────

_next_try = [0.0]


def _is_time(before: Told, size: int, now: datetime) -> bool:
    if size <= before.size and not before.failing_since:
        return False
    if kind() == "mail" and before.at and not before.failing_since:
        return now - datetime.fromisoformat(before.at) >= LETTER_EVERY
    if time.monotonic() < _next_try[0]:
        return False
    _next_try[0] = time.monotonic() + TRY_AGAIN_SECONDS
    return True


def _file() -> Path:
    return Path(settings.IMGNOM.home) / "witness.json"


def told() -> Told:
    """What this home remembers of the witness that is set now."""
    try:
        said = json.loads(_file().read_text(encoding="utf-8"))
        if said.pop("witness") == settings.IMGNOM.witness:
            return Told(int(said["size"]), str(said["at"]), str(said["failing_since"]), str(said["problem"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return Told()


def _remember(now_told: Told) -> None:
    partial = _file().with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(asdict(now_told) | {"witness": settings.IMGNOM.witness}), encoding="utf-8")
    partial.replace(_file())


def has_seen() -> bool:
    """Whether the witness that is set now was shown a checkpoint from this home at least once."""
    if kind() == "folder":
        folder = Path(settings.IMGNOM.witness)
        return folder.is_dir() and any(folder.iterdir())
    return bool(told().at)


def witness_trouble(*, now: datetime) -> str:
    """Empty while the witness is told, or could not be for less than a day; otherwise one line."""
    if kind() == "folder" and not Path(settings.IMGNOM.witness).is_dir():
        return "the witness's folder is not there"
    since = told().failing_since if kind() in ("http", "mail") else ""
    if not since or now - datetime.fromisoformat(since) < LATE_AFTER:
        return ""
    return f"the witness has not seen the ledger since {since}: {told().problem}"
