"""What every scene of a rehearsal stands on: the visited site, its clock, the worker's rounds, the hunt, the board."""

import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email import policy as mail_policy
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from imgnom.policy.public import Policy
from imgnom.site.rehearsal.board import Board
from imgnom.site.rehearsal.canaries import Person, network_address
from imgnom.site.rehearsal.house import House
from imgnom.site.rehearsal.hunt import Canary, Find, Hunt
from imgnom.site.rehearsal.sabotage import hidden_from_the_worker
from imgnom.site.rehearsal.visitor import Visitor

SETTLE_SECONDS = 10.0
CODE = re.compile(r"\b(\d{6})\b")
VERIFIER = Path(__file__).resolve().parents[4] / "tools" / "verify_ledger.py"


# What scenes count, so that no statement is ever put together from what somebody typed. Each takes instants.
COUNTS = {
    "pending registrations": ("default", "members_pendingregistration"),
    "pending registrations of": (
        "default",
        "members_pendingregistration WHERE starts_at = %s AND state <> 'confirmed'",
    ),
    "pending registrations past their end": ("default", "members_pendingregistration WHERE ends_at <= %s"),
    "codes past their end": ("default", "members_coderequest WHERE ends_at <= %s"),
    "sessions past their end": ("default", "members_membersession WHERE ends_at <= %s"),
    "letters": ("default", "members_letter"),
    "letters of": ("default", "members_letter WHERE starts_at = %s"),
    "members' access records of": (
        "logs",
        "visits_accessrecord JOIN visits_recordday day ON day.id = record_day_id WHERE klass = 'member' AND at = %s",
    ),
    "visitors' access records of": (
        "logs",
        "visits_accessrecord JOIN visits_recordday day ON day.id = record_day_id WHERE klass = 'visitor' AND at = %s",
    ),
    "proofs of consent of": ("vault", "consent_consent WHERE starts_at = %s"),
    "handler records": ("default", "moderation_handlerrecord"),
    "handler records of": ("default", "moderation_handlerrecord WHERE at = %s"),
    "rights granted at": ("default", "moderation_rightgrant WHERE at = %s"),
}


class Progress(Protocol):
    def expect(self, steps: int) -> None: ...

    def say(self, words: str) -> None: ...


@dataclass
class Stage:
    """One rehearsal while it runs. `at` is where its clock stands; the site reads the same instant from the file."""

    policy: Policy
    house: House
    board: Board
    bar: Progress
    at: datetime
    sabotage: tuple[str, ...]
    people: dict[str, Person] = field(default_factory=dict)
    browsers: dict[str, Visitor] = field(default_factory=dict)
    # When something began whose end the calendar looks at.
    marks: dict[str, datetime] = field(default_factory=dict)
    # Browsers that signed in and wait for one look each.
    waiting: list[Visitor] = field(default_factory=list)
    # Sabotage: records that the worker does not get to see.
    forgotten: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        return self.house.home

    @property
    def old_copy(self) -> Path:
        return self.house.old_copy

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.policy.zone)

    @property
    def leavers(self) -> list[Person]:
        return [person for person in self.people.values() if person.choice]

    def visitor(self, agent: str, *, language: str = "ko", address: str = "") -> Visitor:
        """A browser, somewhere in the world: each has a network of its own."""
        return Visitor(self.house.port, agent=agent, language=language, address=address or network_address())

    def browser_of(self, person: Person) -> Visitor:
        """One more browser of this person, not signed in."""
        return self.visitor(person.agent, address=person.address)

    def say(self, words: str) -> None:
        self.bar.say(f"{self.at.astimezone(self.zone):%Y-%m-%d} {words}")

    def prove(self, clauses: str, ok: object, words: str, broken: str = "") -> None:
        """One look for each clause id in `clauses`; `broken` says what was found instead."""
        said = words if ok else broken or f"not so: {words}"
        self.board.prove(clauses, ok=bool(ok), words=said, at=self.at)

    # ── time and work ────────────────────────────────────────────────────────────────────────────────────────────────

    def move_to(self, instant: datetime) -> None:
        """Forward only, as the site's own clock goes, and not before the site has written what it saw until now."""
        if instant <= self.at:
            return
        self.let_visits_settle()
        self.at = instant.astimezone(UTC)
        partial = self.home / "clock.part"
        partial.write_text(self.at.isoformat(), encoding="ascii")
        partial.replace(self.home / "clock")

    def wait(self, **time_: float) -> None:
        self.move_to(self.at + timedelta(**time_))

    def let_visits_settle(self) -> None:
        """The site writes visits a moment after it answered; a clock that leaps years must not leap over that moment."""
        from imgnom.community.visits.public import visits_waiting

        deadline = time.monotonic() + SETTLE_SECONDS
        while visits_waiting(self.home / "cache") and time.monotonic() < deadline:
            time.sleep(0.01)

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

        with hidden_from_the_worker(self.forgotten):
            report = run_due(now=self.at)
        self.prove("A4.0", not report.errors, "the work that was due ran without an error", f"errors: {report.errors}")
        self.work()

    # ── letters ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def letters(self) -> list[EmailMessage]:
        """Everything that has been sent, oldest first, and taken out of the box, as people would."""
        self.work()
        found = []
        for file in sorted((self.home / "outbox").glob("*.eml")):
            found.append(message_from_bytes(file.read_bytes(), policy=mail_policy.default))
            file.unlink()
        return found

    def letters_to(self, address: str) -> list[str]:
        """The words of the letters to one address; the others are thrown away."""
        texts = []
        for letter in self.letters():
            body = letter.get_body(("plain",))
            if address in str(letter["To"]) and body is not None:
                texts.append(f"{letter['Subject']}\n{body.get_content()}")
        return texts

    def code_for(self, address: str) -> str:
        """The code in the newest letter to an address; empty without one."""
        codes = [found.group(1) for text in self.letters_to(address) if (found := CODE.search(text))]
        return codes[-1] if codes else ""

    # ── bytes and rows ───────────────────────────────────────────────────────────────────────────────────────────────

    def hunt(self, values: Mapping[str, Canary], *, under: Path | None = None) -> list[Find]:
        """Every find in a file under the home, or under another folder."""
        from django.db import connections

        # Reading a SQLite file and closing it drops this process's locks on it, and then another process believes itself
        # alone and takes the log away from under us: no connection may be open meanwhile.
        connections.close_all()
        return Hunt(values).files(under or self.home)

    def nothing_of(self, clauses: str, values: Mapping[str, Canary], words: str) -> None:
        found = self.hunt(values)
        shown = ", ".join(f"{find.canary} ({find.form}) in {find.file}" for find in found[:4])
        self.prove(clauses, not found, words, f"found {shown}")

    def count(self, what: str, *instants: datetime) -> int:
        """How many rows there are of one of COUNTS."""
        from django.db import connections

        alias, rows = COUNTS[what]
        adapt = connections[alias].ops.adapt_datetimefield_value
        with connections[alias].cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {rows}", [adapt(at) for at in instants])  # noqa: S608 - one of COUNTS
            return int(cursor.fetchone()[0])

    def archived(self) -> list[tuple[str, str, datetime | None]]:
        """(reference, item, end) of every value in the separate store."""
        from django.db import connections

        with connections["archive"].cursor() as cursor:
            cursor.execute("SELECT archive_ref, item, ends_at FROM archive_archivedvalue")
            return [
                (str(ref), str(item), end and datetime.fromisoformat(str(end)).replace(tzinfo=UTC))
                for ref, item, end in cursor.fetchall()
            ]

    def copy_stores(self) -> None:
        """An old copy of every store, made as a backup would be, beside a running site."""
        folder = self.old_copy / "db"
        folder.mkdir()
        for file in (self.home / "db").glob("*.sqlite3"):
            with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(folder / file.name)) as target:
                source.backup(target)
        shutil.copytree(self.home / "media", self.old_copy / "media")
        if "turn" in self.sabotage:
            (self.old_copy / "keks").mkdir()
            for file in (self.home / "keyring").glob("kek-*.key"):
                shutil.copy(file, self.old_copy / "keks")

    def certificates(self, *, before: datetime) -> list[str]:
        """The grades of the certificates that were issued before an instant."""
        from django.db import connections

        adapt = connections["ledger"].ops.adapt_datetimefield_value
        with connections["ledger"].cursor() as cursor:
            cursor.execute("SELECT grade FROM ledger_certificate WHERE made_at < %s", [adapt(before)])
            return [str(grade) for (grade,) in cursor.fetchall()]

    def outsider_accepts(self, key: Path, what: Path, older: Path | None = None) -> bool:
        """Whether the verifier that shares no code with the site takes an export, a receipt, a proof or a certificate."""
        command = [sys.executable, str(VERIFIER), "--key", str(key), str(what)]
        command += ["--checkpoint", str(older)] if older else []
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
