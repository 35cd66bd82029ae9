"""What every scene of a rehearsal stands on: the visited site, its clock, the worker's rounds, the hunt, the board."""

import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email import policy as mail_policy
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from imgnom.policy.public import Policy
from imgnom.site.rehearsal.board import Board
from imgnom.site.rehearsal.canaries import Person
from imgnom.site.rehearsal.hunt import Find, Hunt
from imgnom.site.rehearsal.visitor import Visitor

SEOUL = ZoneInfo("Asia/Seoul")
SETTLE_SECONDS = 10.0
CODE = re.compile(r"\b(\d{6})\b")
VERIFIER = Path(__file__).resolve().parents[4] / "tools" / "verify_ledger.py"
# Tables that a scene counts; the names are ours, so none is ever put together from what somebody typed.
COUNTED = {
    "pending registrations": ("default", "members_pendingregistration"),
    "handler records": ("default", "moderation_handlerrecord"),
    "archived values": ("archive", "archive_archivedvalue"),
    "access records": ("logs", "visits_accessrecord"),
    "destructions": ("ledger", "ledger_destruction"),
}


class Progress(Protocol):
    def expect(self, steps: int) -> None: ...

    def step(self, number: int, words: str) -> None: ...


@dataclass
class Stage:
    """One rehearsal while it runs. `at` is where its clock stands; the site reads the same instant from the file."""

    policy: Policy
    home: Path
    port: int
    board: Board
    bar: Progress
    at: datetime
    sabotage: str | None
    old_copy: Path
    people: dict[str, Person] = field(default_factory=dict)
    browsers: dict[str, Visitor] = field(default_factory=dict)
    marks: dict[str, datetime] = field(default_factory=dict)
    steps: int = 0

    @property
    def leavers(self) -> list[Person]:
        return [person for person in self.people.values() if person.choice]

    def visitor(self, agent: str, *, language: str = "ko") -> Visitor:
        return Visitor(self.port, agent=agent, language=language)

    def say(self, words: str) -> None:
        self.steps += 1
        self.bar.step(self.steps, f"{self.at.astimezone(SEOUL):%Y-%m-%d} {words}")

    def prove(self, clauses: str, ok: object, words: str, broken: str = "") -> None:
        """One look for each clause id in `clauses`; `broken` says what was found instead."""
        self.board.prove(clauses, ok=bool(ok), words=words if ok or not broken else broken, at=self.at)

    # ── time and work ────────────────────────────────────────────────────────────────────────────────────────────

    def move_to(self, instant: datetime) -> None:
        """Forward only, as the site's own clock goes, and not before the site has written what it saw until now."""
        if instant <= self.at:
            return
        self.let_visits_settle()
        self.at = instant.astimezone(UTC)
        partial = self.home / "clock.part"
        partial.write_text(self.at.isoformat(), encoding="ascii")
        partial.replace(self.home / "clock")

    def let_visits_settle(self) -> None:
        """The site writes visits a moment after it answered; a clock that leaps years must not leap over that moment."""
        from imgnom.community.visits.public import visits_waiting

        deadline = time.monotonic() + SETTLE_SECONDS
        while visits_waiting(self.home / "cache") and time.monotonic() < deadline:
            time.sleep(0.02)

    def work(self) -> None:
        """One round of the worker without its destructions: mail, withdrawals, ledger."""
        from imgnom.community.members.public import deliver_mail
        from imgnom.custody.ledger.public import make_checkpoint, sequence
        from imgnom.procedures.retention.public import resume_withdrawals

        deliver_mail(now=self.at)
        resume_withdrawals(now=self.at)
        sequence(now=self.at)
        make_checkpoint(now=self.at)

    def retention(self) -> None:
        """Destroy what is due, as `imgnom retention run` does."""
        self.let_visits_settle()
        from imgnom.procedures.retention.public import run_due

        report = run_due(now=self.at)
        self.prove("A4.0", not report.errors, "the work that was due ran without an error", f"errors: {report.errors}")
        self.work()

    # ── letters ──────────────────────────────────────────────────────────────────────────────────────────────────

    def code_for(self, address: str) -> str:
        """The code in the newest letter to an address; all letters are taken out of the box, as a person would."""
        self.work()
        code = ""
        for file in sorted((self.home / "outbox").glob("*.eml")):
            letter = message_from_bytes(file.read_bytes(), policy=mail_policy.default)
            body = letter.get_body(("plain",))
            found = CODE.search(body.get_content()) if body else None
            if address in str(letter["To"]) and found:
                code = found.group(1)
            file.unlink()
        return code

    def empty_letterbox(self) -> None:
        for file in (self.home / "outbox").glob("*.eml"):
            file.unlink()

    # ── bytes and rows ───────────────────────────────────────────────────────────────────────────────────────────

    def hunt(self, values: Mapping[str, str]) -> list[Find]:
        from django.db import connections

        # Reading a SQLite file and closing it drops this process's locks on it: no connection may be open meanwhile.
        connections.close_all()
        return Hunt(values).files(self.home)

    def nothing_of(self, clauses: str, values: Mapping[str, str], words: str) -> None:
        found = self.hunt(values)
        shown = ", ".join(f"{find.canary} as {find.form} in {find.file}" for find in found[:4])
        self.prove(clauses, not found, words, f"{words}: but found {shown}")

    def count(self, what: str) -> int:
        from django.db import connections

        alias, table = COUNTED[what]
        with connections[alias].cursor() as cursor:
            cursor.execute(f'SELECT COUNT(*) FROM "{table}"')  # noqa: S608 - one of COUNTED
            return int(cursor.fetchone()[0])

    def archived(self) -> list[tuple[str, str]]:
        """(reference, item) of every value in the separate store."""
        from django.db import connections

        with connections["archive"].cursor() as cursor:
            cursor.execute("SELECT archive_ref, item FROM archive_archivedvalue")
            return [(str(ref), str(item)) for ref, item in cursor.fetchall()]

    def copy_stores(self) -> None:
        """An old copy of every store, made as a backup would be, beside a running site."""
        folder = self.old_copy / "db"
        folder.mkdir()
        for file in (self.home / "db").glob("*.sqlite3"):
            source, target = sqlite3.connect(file), sqlite3.connect(folder / file.name)
            source.backup(target)
            source.close()
            target.close()
        shutil.copytree(self.home / "media", self.old_copy / "media")

    def outsider_accepts(self, key: Path, what: Path) -> bool:
        """Whether the verifier that shares no code with the site takes an export, a receipt or a certificate."""
        command = [sys.executable, str(VERIFIER), "--key", str(key), str(what)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
