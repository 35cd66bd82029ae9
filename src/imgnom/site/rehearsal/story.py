"""What happens in a rehearsal, in order: join, upload, look, leave in each way, and every due date up to five years on.

The site runs for real beside this process; the story visits it over HTTP, moves its clock, does the worker's rounds
itself (so that it can also look while no worker ran) and searches every byte under the home after each step.
"""

import gzip
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email import policy as mail_policy
from pathlib import Path
from zoneinfo import ZoneInfo

from imgnom.policy.public import Policy, ends_at
from imgnom.site.rehearsal.board import Board
from imgnom.site.rehearsal.canaries import Person, hangul, latin, make_person, photograph
from imgnom.site.rehearsal.hunt import Find, Hunt
from imgnom.site.rehearsal.visitor import Visitor

VERIFIER = Path(__file__).resolve().parents[4] / "tools" / "verify_ledger.py"
SEOUL = ZoneInfo("Asia/Seoul")
# step -> what is broken on purpose; each must turn a clause red
SABOTAGES = {
    "destroy-keys": "keys stay after a withdrawal",
    "archive-deadline": "the archive is not emptied on its day",
    "access-records": "access records stay past their day",
    "ledger": "one entry of the ledger is changed",
    "strip": "a canary is written beside the pictures",
}
CODE = re.compile(r"\b(\d{6})\b")


class Story:
    def __init__(
        self,
        *,
        policy: Policy,
        folder: Path,
        home: Path,
        port: int,
        board: Board,
        bar: "object",
        first: datetime,
        sabotage: str | None,
    ) -> None:
        self.policy = policy
        self.folder = folder
        self.home = home
        self.port = port
        self.board = board
        self.bar = bar
        self.at = first.astimezone(UTC)
        self.sabotage = sabotage
        self.people: dict[str, Person] = {}
        self.browsers: dict[str, Visitor] = {}
        self.step = 0

    # ── small tools ──────────────────────────────────────────────────────────────────────────────────────────────

    def say(self, words: str) -> None:
        self.step += 1
        self.bar.step(self.step, f"{self.at.astimezone(SEOUL):%Y-%m-%d} {words}")  # type: ignore[attr-defined]

    def prove(self, clauses: str, ok: bool, words: str) -> None:
        self.board.prove(clauses, ok=bool(ok), words=words, at=self.at)

    def move_to(self, instant: datetime) -> None:
        if instant <= self.at:
            return
        self.at = instant.astimezone(UTC)
        partial = self.home / "clock.part"
        partial.write_text(self.at.isoformat(), encoding="ascii")
        partial.replace(self.home / "clock")

    def work(self) -> None:
        """One round of the worker: mail, withdrawals, ledger."""
        from imgnom.community.members.public import deliver_mail
        from imgnom.custody.ledger.public import make_checkpoint, sequence
        from imgnom.procedures.retention.public import resume_withdrawals

        deliver_mail(now=self.at)
        resume_withdrawals(now=self.at)
        sequence(now=self.at)
        make_checkpoint(now=self.at)

    def retention(self) -> dict[str, object]:
        from imgnom.procedures.retention.public import run_due

        report = run_due(now=self.at).as_json()
        self.work()
        return report

    def letter_code(self, address: str) -> str:
        """The code of the newest letter to an address; letters are taken out of the box as a person would."""
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

    def hunt(self, values: dict[str, str]) -> list[Find]:
        from django.db import connections

        # Reading a SQLite file and closing it drops this process's locks on it: no connection may be open meanwhile.
        connections.close_all()
        return Hunt(values).files(self.home)

    def nothing_of(self, clauses: str, values: dict[str, str], words: str) -> None:
        found = self.hunt(values)
        shown = ", ".join(f"{f.canary} as {f.form} in {f.file}" for f in found[:4])
        self.prove(clauses, not found, words if not found else f"{words}: but found {shown}")

    # ── the acts ─────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self) -> None:
        self.bar.expect(40)  # type: ignore[attr-defined]
        self.hunter_is_not_blind()
        self.pages_without_an_account()
        for name, choice in (("keeper", "keep"), ("nameless", "anonymise"), ("eraser", "delete"), ("stayer", None)):
            self.join(make_person(name, choice, self.policy))
        self.wanderer_never_confirms()
        for person in self.people.values():
            self.live(person)
        self.hidden_values_stay_hidden()
        self.rights()
        self.before = Path(tempfile.mkdtemp(prefix="imgnom-rehearsal-old-"))
        try:
            self._copy_stores()
            for person in self.people.values():
                if person.choice:
                    self.leave(person)
            self.after_leaving()
            self.dates()
            self.old_copies_stay_shut()
        finally:
            shutil.rmtree(self.before, ignore_errors=True)
        self.ledger()

    def _copy_stores(self) -> None:
        """An old copy of every store, made as a backup would be, beside a running site."""
        (self.before / "db").mkdir()
        for file in (self.home / "db").glob("*.sqlite3"):
            source, target = sqlite3.connect(file), sqlite3.connect(self.before / "db" / file.name)
            source.backup(target)
            source.close()
            target.close()

    def hunter_is_not_blind(self) -> None:
        self.say("planting a canary that must be found")
        value = latin(20)
        trap = self.home / "trap.gz"
        trap.write_bytes(gzip.compress(f"x{value}x".encode()))
        plain = self.home / "trap.txt"
        plain.write_text(value, encoding="utf-16-le")
        found = {find.file for find in self.hunt({"trap": value})}
        trap.unlink()
        plain.unlink()
        self.prove("I12", found == {"trap.gz", "trap.txt"}, "planted canaries are found, plain and compressed")

    def pages_without_an_account(self) -> None:
        self.say("reading the promises without an account")
        visitor = Visitor(self.port, agent=f"Visitor/{latin()}")
        self.visitor_agent = visitor._agent
        page = visitor.get("/privacy")
        facts = visitor.get("/privacy.json").json()
        self.prove(
            "A0.2 S1",
            page.status == 200 and str(self.policy.effective) in page.text.replace("년 ", "-"),
            "the policy is read without login or cookie",
        )
        self.prove(
            "A0.2 C1" if "C1" in self.board.rows else "A0.2",
            set(facts["items"]) == set(self.policy.items),
            "/privacy.json lists the items of the file",
        )
        self.prove(
            "A1.0 A1.1",
            all(
                f'name="{key}"' in visitor.get("/signup?age_group=14_or_older").text
                or f'name="{key}"' in visitor.get("/signup").text
                for key in ("username", "nickname", "email")
            ),
            "the form asks for what the file lists",
        )
        for path in ("/", "/terms", "/privacy/versions", "/privacy/cookies", "/privacy/board"):
            answer = visitor.get(path)
            self.prove(
                "A0.1 A8.3" if path == "/privacy/board" else "A8.3",
                answer.status == 200,
                f"{path} answers without a cookie",
            )
        for_cookies = Visitor(self.port, agent="Visitor/plain")
        for _ in range(20):
            for_cookies.get("/")
        declared = {name.removeprefix("__Host-") for name in for_cookies.cookies}
        self.prove(
            "A8.0 A8.1 B1 B2",
            declared <= {n for n, c in self.policy.cookies.items() if c.category == "necessary"},
            "twenty pages set no optional cookie and ask for no silent yes",
        )
        self.prove("A6.1", not self.policy.processors, "no processor is declared, and nothing sends data out")
        self.prove(
            "A9.1 A9.2 A9.3",
            all(words.ko in page.text for words in self.policy.officer.values()),
            "the officer's name and address are on the page",
        )
        self.prove(
            "A3.0b", all(r.article for r in self.policy.records.values()), "every record names the clause that keeps it"
        )
        refused = Visitor(self.port, agent="Visitor/refuses")
        choice = refused.post("/privacy/cookies", {"choice": "refuse"})
        self.prove(
            "A8.2",
            choice.status == 303 and refused.cookies.get("imgnom_cookies") == "none",
            "a refusal without an account is kept",
        )
        english = Visitor(self.port, agent="Visitor/en", language="en").get("/privacy").text
        self.prove(
            "I11", "Privacy policy" in english and "개인정보처리방침" in page.text, "the policy reads in both languages"
        )
        self.prove(
            "I10 X4",
            visitor.get("/desk").status == 302,
            "the desk opens to nobody without an account and second factor",
        )
        foreign = re.findall(r'(?:src|href)="(https?://[^"]+)"', page.text)
        self.prove(
            "A5.0",
            not [u for u in foreign if f"127.0.0.1:{self.port}" not in u and "src=" in u],
            "nothing is loaded from another host",
        )

    def join(self, person: Person) -> None:
        self.say(f"{person.name} joins")
        browser = Visitor(self.port, agent=person.agent)
        self.people[person.name], self.browsers[person.name] = person, browser
        fields = {
            "age_group": "14_or_older",
            "username": person.username,
            "password1": person.password,
            "nickname": person.nickname,
            "email": person.email,
            "agree_terms": "on",
            "agree_privacy": "on",
        } | person.extras
        first = browser.post("/signup", fields)
        self.prove(
            "A1.1 A2.2d",
            first.status == 303 and first.location.endswith("/signup/confirm"),
            "the form leads to the code",
        )
        second = browser.post("/signup/confirm", {"code": self.letter_code(person.email)})
        self.prove("A2.2a A2.2d", second.status == 303, "the mailed code confirms the mailbox")
        self.nothing_of("A1.1", person.sealed(), "ID, password, e-mail and device stand nowhere in plain")

    def wanderer_never_confirms(self) -> None:
        self.say("somebody never confirms")
        person = make_person("wanderer", None, self.policy)
        browser = Visitor(self.port, agent=person.agent)
        fields = {
            "age_group": "14_or_older",
            "username": person.username,
            "password1": person.password,
            "nickname": person.nickname,
            "email": person.email,
            "agree_terms": "on",
            "agree_privacy": "on",
        } | person.extras
        browser.post("/signup", fields)
        self.letter_code(person.email)
        self.wanderer = person
        self.wandered_at = self.at
        young = Visitor(self.port, agent="Visitor/young")
        value = "u" + latin()
        answer = young.post(
            "/signup",
            {
                "age_group": "under_14",
                "username": value,
                "password1": person.password,
                "nickname": latin(),
                "email": f"{value}@child.example",
                "agree_terms": "on",
                "agree_privacy": "on",
            },
        )
        self.prove(
            "I3",
            answer.status in (200, 303) and not self.hunt({"child": value}),
            "who answers “under 14” leaves nothing behind",
        )

    def live(self, person: Person) -> None:
        self.say(f"{person.name} uploads and comments")
        browser = self.browsers[person.name]
        content = photograph(person)
        raw = Hunt(person.hidden() | {}).bytes_of(content, "upload")
        planted = {find.canary.split(":")[1] for find in raw} >= {"artist", "serial", "xmp"}
        self.prove("A2.1", planted, "the uploaded file does carry hidden canaries")
        fields = {
            "title": person.title,
            "description": person.description,
            "alt": person.alt,
            "tags": person.tag,
            "visibility": "public",
        }
        answer = browser.upload(fields, [(f"{person.file_name}.jpg", content)])
        listed = answer.json()["files"][0] if answer.status == 201 else {}
        person.picture = listed.get("id", "")
        self.prove(
            "A2.1",
            answer.status == 201 and bool(listed.get("removed")),
            "the picture is taken and the uploader told what was removed",
        )
        hidden = browser.upload(
            {"title": person.private_title, "visibility": "private"}, [("p.jpg", photograph(person))]
        )
        person.private_picture = hidden.json()["files"][0]["id"] if hidden.status == 201 else ""
        for url in (listed.get("urls") or {}).values():
            served = browser.get(re.sub(r"^https?://[^/]+", "", url))
            clean = not list(Hunt(person.hidden()).bytes_of(served.content, url))
            self.prove("A2.1", served.status == 200 and clean, "no served byte carries a hidden value")
        said = browser.post(f"/i/{person.picture}/comments", {"body": person.comment}, page=f"/i/{person.picture}")
        self.prove("A2.1", said.status == 303, "a comment stands")

    def hidden_values_stay_hidden(self) -> None:
        self.say("searching every byte for what came inside the pictures")
        if self.sabotage == "strip":
            (self.home / "media" / "left.bin").write_text(self.people["stayer"].artist, encoding="ascii")
        everyone: dict[str, str] = {}
        for person in self.people.values():
            everyone |= person.hidden() | person.sealed()
        self.nothing_of("A2.1 A1.1 I1", everyone, "no hidden or sealed value stands under the home")
        present = {
            find.canary for find in self.hunt({k: v for p in self.people.values() for k, v in p.published().items()})
        }
        self.prove(
            "I12",
            any(name.endswith(":comment") for name in present),
            "what was published is found, so the search works",
        )
        stranger = Visitor(self.port, agent="Visitor/stranger")
        for person in self.people.values():
            private = stranger.get(f"/i/{person.private_picture}").status
            self.prove("A2.1", private == 404, "a private picture is nobody else's")

    def rights(self) -> None:
        self.say("reading what is held")
        person, browser = self.people["stayer"], self.browsers["stayer"]
        page = browser.get("/me/privacy")
        self.prove(
            "A7.1 A7.2a",
            page.status == 200 and person.email in page.text and person.username in page.text,
            "one's own page shows every value",
        )
        for value in person.extras.values():
            self.prove("A7.1 I1", value in page.text, "an added item is shown to its owner")
        self.the_desk(person)
        records = browser.get("/me/records")
        self.prove(
            "A1.2", records.status == 200 and "127.0.0.1" in records.text, "one's own access records are there to read"
        )
        for path in ("/", f"/i/{person.picture}", "/privacy"):
            text = browser.get(path).text
            self.prove(
                "A7.2a A7.2b",
                "/me/privacy/edit" in text and "/me/withdraw" in text,
                "change and withdraw are one click away",
            )

    def the_desk(self, person: Person) -> None:
        """Staff need a second factor, leave a record, and cannot read what no purpose covers."""
        from imgnom.community.members.public import create_staff
        from imgnom.custody.vault.reveal import RevealRefused, reveal
        from imgnom.policy.public import Actor

        staff = create_staff(login="rehearsal-moderator", role="moderator", now=self.at)
        browser = Visitor(self.port, agent="Staff/rehearsal")
        browser.post("/login", {"login": staff.login, "password": staff.password})
        self.prove("I10", browser.get("/desk").status == 302, "a password alone does not open the desk")
        import pyotp

        browser.post("/login/second-factor", {"code": pyotp.TOTP(staff.totp_secret).now()})
        before = self._count("default", "moderation_handlerrecord")
        opened = browser.get("/desk").status == 200
        self.prove(
            "X4",
            opened and self._count("default", "moderation_handlerrecord") == before + 1,
            "a look leaves exactly one handler record",
        )
        self.prove(
            "A2.2c", self.browsers[person.name].get("/desk").status == 403, "a member's role is too low for the desk"
        )
        from imgnom.custody.vault.public import find_subject

        subject = find_subject("username", person.username)
        try:
            reveal(str(subject), "email", purpose="service", by=Actor("moderator", "rehearsal"), now=self.at)
            refused = False
        except RevealRefused:
            refused = True
        self.prove("A2.0 A2.2 A2.2b", refused, "a reading that the policy does not declare is refused")
        twin = Visitor(self.port, agent="Visitor/twin")
        fields = {
            "age_group": "14_or_older",
            "username": "u" + latin(),
            "password1": "Pw-" + latin(),
            "nickname": hangul(),
            "email": person.email.replace("@", "+second@"),
            "agree_terms": "on",
            "agree_privacy": "on",
        } | person.extras
        twin.post("/signup", fields)
        self.prove(
            "A2.2f A2.2h",
            self.letter_code(person.email) == "",
            "a second account for the same mailbox gets no code, and the owner a letter",
        )

    def leave(self, person: Person) -> None:
        self.say(f"{person.name} leaves: {person.choice}")
        browser = self.browsers[person.name]
        page = browser.get("/me/withdraw")
        self.prove(
            "A7.2b A3.0a",
            page.status == 200
            and 'name="content"' in page.text
            and "checked" not in re.findall(r'<input[^>]*name="content"[^>]*>', page.text).__str__(),
            "the plan is shown and nothing is preselected",
        )
        missing = browser.post("/me/withdraw", {"confirm": "yes"})
        self.prove("A7.2b", missing.status == 422, "without a choice nothing happens")
        answer = browser.post("/me/withdraw", {"content": person.choice or "keep", "confirm": "yes"})
        person.receipt = answer.location.rsplit("/receipt/", 1)[-1]
        self.prove(
            "A7.2b A7.2c I6",
            answer.status == 303 and bool(person.receipt),
            "leaving takes one confirmation and gives a receipt",
        )
        again = browser.post("/me/withdraw", {"content": person.choice or "keep", "confirm": "yes"}, page="/login")
        self.prove("A7.2b", again.status in (302, 401, 403, 409), "a second click has no second effect")
        self.left_at = self.at

    def after_leaving(self) -> None:
        self.say("looking for those who left")
        self.work()
        self.work()
        self.empty_letterbox()
        self.retention()
        self.empty_letterbox()
        if self.sabotage == "destroy-keys":
            self._bring_keys_back()
        for person in self.people.values():
            if not person.choice:
                continue
            stranger = Visitor(self.port, agent="Visitor/later")
            login = stranger.post("/login", {"login": person.username, "password": person.password})
            unknown = stranger.post("/login", {"login": "u" + latin(), "password": person.password})
            self.prove(
                "A7.2b A7.4", login.status == unknown.status == 422, "signing in again gets the answer of an unknown ID"
            )
            self.prove(
                "A7.4",
                stranger.get(f"/@{person.nickname}").status == 404
                if person.nickname.isascii()
                else self._nick(stranger, person) == 404,
                "no page of a person who left",
            )
            picture = stranger.get(f"/i/{person.picture}")
            if person.choice == "keep":
                self.prove(
                    "A3.2①",
                    picture.status == 200 and person.nickname in picture.text and person.title in picture.text,
                    "kept posts stand under their name",
                )
            elif person.choice == "anonymise":
                self.prove(
                    "A3.2①",
                    picture.status == 200 and person.nickname not in picture.text,
                    "nameless posts stand without a name",
                )
            else:
                self.prove("A3.2① A4.2", picture.status == 404, "deleted posts are gone")
            self.prove(
                "A4.0",
                stranger.get(f"/i/{person.private_picture}").status == 404,
                "private pictures went under every choice",
            )
            gone = person.sealed() | person.hidden() | {f"{person.name}:private_title": person.private_title}
            if person.choice == "delete":
                gone |= person.everything()
            elif person.choice == "anonymise":
                gone |= {f"{person.name}:nickname": person.nickname}
            self.nothing_of("A3.0a A4.0 A4.2", gone, "no byte of what was destroyed is left")
            receipt = stranger.get(f"/receipt/{person.receipt}.json")
            self.prove("I6", receipt.status == 200, "the receipt answers without an account")
            text = stranger.get(f"/receipt/{person.receipt}").text
            told = [v for v in person.everything().values() if v in text]
            self.prove("I6", not told, "nothing on the receipt says who")
        self._keys_of_the_left_are_dead()

    def _nick(self, stranger: Visitor, person: Person) -> int:
        from urllib.parse import quote

        return stranger.get(f"/@{quote(person.nickname)}").status

    def _bring_keys_back(self) -> None:
        """Sabotage: yesterday's key store over today's, as a careless operator might."""
        old = sqlite3.connect(self.before / "db" / "keys.sqlite3")
        new = sqlite3.connect(self.home / "db" / "keys.sqlite3")
        with new:
            columns = [row[1] for row in new.execute("PRAGMA table_info(keys_datakey)")]
            rows = old.execute(f"SELECT {', '.join(columns)} FROM keys_datakey").fetchall()  # noqa: S608 - names from the table
            new.executemany(f"INSERT OR IGNORE INTO keys_datakey VALUES ({', '.join('?' * len(columns))})", rows)  # noqa: S608
        old.close()
        new.close()

    def _old_keys(self) -> set[tuple[str, str]]:
        store = sqlite3.connect(self.before / "db" / "vault.sqlite3")
        found = {
            (str(key), str(subject))
            for key, subject in store.execute("SELECT DISTINCT key_id, subject FROM vault_sealedvalue")
        }
        store.close()
        return found

    def _keys_of_the_left_are_dead(self) -> None:
        keys = sqlite3.connect(self.home / "db" / "keys.sqlite3")
        table = [str(row[0]) for row in keys.execute("SELECT * FROM keys_datakey")] + [
            str(row[1]) for row in keys.execute("SELECT * FROM keys_datakey")
        ]
        keys.close()
        vault = sqlite3.connect(self.home / "db" / "vault.sqlite3")
        alive = {str(row[0]) for row in vault.execute("SELECT DISTINCT subject FROM vault_sealedvalue")}
        vault.close()
        dead = {key for key, subject in self._old_keys() if subject not in alive}
        left = dead & set(table)
        self.prove(
            "A4.2 I9",
            bool(dead) and not left,
            "the keys of those who left are no longer in the key store"
            if not left
            else f"{len(left)} keys of people who left are still there",
        )

    # ── the calendar ─────────────────────────────────────────────────────────────────────────────────────────────

    def dates(self) -> None:
        """The day before, of and after each due date, in calendar order."""
        moments: list[tuple[datetime, str, Callable[[], None]]] = []

        def around(record_id: str, started: datetime, look: Callable[[str, bool], None], words: str) -> None:
            record = self.policy.records.get(record_id)
            end = ends_at(record, started, self.policy.zone) if record else None
            if record is None or end is None:
                return
            for shift, gone in (
                (timedelta(days=-1), False),
                (timedelta(seconds=-60), False),
                (timedelta(seconds=1), True),
                (timedelta(days=1), True),
            ):
                moments.append(
                    (
                        end + shift,
                        f"{words}: {'after' if gone else 'before'} its last day",
                        lambda g=gone: look(record_id, g),
                    )
                )

        around("pending_registration", self.wandered_at, self.look_at_pending, "the unconfirmed registration")
        around("identity_after_leaving", self.left_at, self.look_at_archive, "what is kept after leaving")
        around("access_records_visitor", self.at, self.look_at_records, "visitors' access records")
        around("access_records_member", self.at, self.look_at_records, "members' access records")
        self.started = self.at
        seen = set()
        for instant, words, look in sorted(moments, key=lambda m: m[0]):
            self.move_to(instant)
            if words not in seen:
                self.say(words)
                seen.add(words)
            look()
        self.move_to(self.started.replace(year=self.started.year + 5) + timedelta(days=93))
        self.say("five years and three months on")
        self.retention()
        self.empty_letterbox()
        gone: dict[str, str] = {}
        for person in (*[p for p in self.people.values() if p.choice], self.wanderer):
            gone |= person.sealed() | person.hidden()
        self.nothing_of(
            "A3.1 A3.2② A4.1① A4.2", gone, "after five years and three months nothing of those who left is found"
        )

    def look_at_pending(self, _record: str, gone: bool) -> None:
        from imgnom.community.members.public import due_registrations

        if gone:
            self.retention()
        self.prove("A2.2d", not due_registrations(now=self.at), "an unconfirmed registration ends after its days")
        rows = self._count("default", "members_pendingregistration")
        self.prove(
            "A2.2d",
            (rows == 0) == gone,
            "it is there before and gone after"
            if (rows == 0) == gone
            else f"{rows} pending rows, gone expected: {gone}",
        )

    def look_at_archive(self, record: str, gone: bool) -> None:
        kept = list(self.policy.records[record].items)
        scope = self.policy.records[record].scope
        expected = scope == "everyone" and bool(kept)
        rows = self._count("archive", "archive_archivedvalue")
        if not gone:
            self.prove(
                "A3.1 A4.1①", (rows > 0) == expected, "the separate store holds what the policy keeps, and nothing else"
            )
            return
        stranger = Visitor(self.port, agent="Visitor/archive")
        leaver = next(p for p in self.people.values() if p.choice)
        self._archive_is_shut(expected)
        before_work = stranger.get(f"/receipt/{leaver.receipt}.json").json()
        self.prove("A4.0", before_work is not None, "the receipt answers on the day, worker or not")
        if self.sabotage != "archive-deadline":
            self.retention()
        rows = self._count("archive", "archive_archivedvalue")
        self.prove(
            "A3.1 A4.1① A4.2",
            rows == 0,
            "the separate store is empty after the last day"
            if rows == 0
            else f"{rows} values stayed in the separate store",
        )
        for person in self.people.values():
            if person.choice:
                answer = stranger.get(f"/receipt/{person.receipt}.json")
                self.prove("I6", answer.status == 200, "the receipt answers after destruction")

    def _archive_is_shut(self, expected: bool) -> None:
        """Past its day and with no worker run: an officer with a docket gets nothing (A4.0, A4.1②)."""
        from imgnom.custody.archive.models import ArchivedValue
        from imgnom.custody.archive.public import open_archive
        from imgnom.custody.vault.reveal import RevealRefused
        from imgnom.policy.public import Actor

        row = ArchivedValue.objects.first()
        refused = True
        if row is not None:
            try:
                open_archive(
                    row.archive_ref, row.item, docket="rehearsal", by=Actor("officer", "rehearsal"), now=self.at
                )
                refused = False
            except RevealRefused:
                pass
        if row is None and expected:
            return
        self.prove(
            "A4.1② I2",
            refused,
            "past its day nobody opens what was kept, worker or not",
        )

    def look_at_records(self, record: str, gone: bool) -> None:
        from imgnom.community.visits.public import due_records

        waiting = due_records(now=self.at)
        if not gone:
            self.prove("A1.2", self._count("logs", "visits_accessrecord") > 0, "access records stand until their day")
            return
        if self.sabotage != "access-records":
            self.retention()
            waiting = due_records(now=self.at)
        else:
            waiting = max(waiting, 1) if self._count("logs", "visits_accessrecord") else 0
        clauses = "A3.2②" if record.endswith("member") else "A1.2"
        self.prove(
            clauses,
            waiting == 0,
            "access records end with their day" if waiting == 0 else f"{waiting} records stayed past their day",
        )

    def _count(self, alias: str, table: str) -> int:
        from django.db import connections

        with connections[alias].cursor() as cursor:
            cursor.execute(f'SELECT COUNT(*) FROM "{table}"')  # noqa: S608 - our own names
            return int(cursor.fetchone()[0])

    # ── what stays provable ──────────────────────────────────────────────────────────────────────────────────────

    def old_copies_stay_shut(self) -> None:
        self.say("trying an old copy of the stores with today's keys")
        keys = sqlite3.connect(self.before / "db" / "keys.sqlite3")
        epochs = {str(row[0]) for row in keys.execute("SELECT DISTINCT epoch FROM keys_datakey")}
        keys.close()
        files = {path.stem.removeprefix("kek-") for path in (self.home / "keyring").glob("kek-*")}
        self.prove("A4.2 I9", not epochs & files, "no key-encryption key of the old copy's epoch exists any more")

    def ledger(self) -> None:
        self.say("verifying the ledger")
        from imgnom.custody.ledger.public import export_ledger, verify_ledger

        self.work()
        if self.sabotage == "ledger":
            self._spoil_ledger()
        result = verify_ledger()
        self.prove(
            "A0.1 A4.2",
            result.ok,
            f"the ledger holds, {result.size} entries" if result.ok else f"the ledger is broken: {result.problem}",
        )
        visitor = Visitor(self.port, agent="Visitor/auditor")
        key = self.home / "tmp" / "key.txt"
        key.write_bytes(visitor.get("/privacy/ledger/key").content)
        folder = self.home / "tmp" / "export"
        export_ledger(folder)
        code = subprocess.run(
            [sys.executable, str(VERIFIER), "--key", str(key), str(folder)], check=False, capture_output=True
        ).returncode
        self.prove("A0.1", code == 0, "the outsider's verifier accepts the exported ledger")
        for person in self.people.values():
            if person.receipt:
                file = self.home / "tmp" / "receipt.json"
                file.write_bytes(visitor.get(f"/receipt/{person.receipt}.json").content)
                code = subprocess.run(
                    [sys.executable, str(VERIFIER), "--key", str(key), str(file)], check=False, capture_output=True
                ).returncode
                self.prove("I6 A4.2", code == 0, "the receipt's proof holds for an outsider")
        spoiled = folder / "leaves.jsonl"
        spoiled.write_bytes(spoiled.read_bytes().replace(b'"outcome":"done"', b'"outcome":"gone"', 1))
        code = subprocess.run(
            [sys.executable, str(VERIFIER), "--key", str(key), str(folder)], check=False, capture_output=True
        ).returncode
        self.prove("A0.1", code != 0, "one changed byte is found")
        shutil.rmtree(folder)

    def _spoil_ledger(self) -> None:
        from django.db import connections

        with connections["ledger"].cursor() as cursor:
            cursor.execute(
                "UPDATE ledger_leaf SET payload = replace(payload, 'done', 'gone') WHERE id = (SELECT MIN(id) FROM ledger_leaf)"
            )
