"""A copy is made while some have left and others have not; it is brought back elsewhere, later (A4.2, I9, F18).

The programs are the operator's own: `imgnom backup` beside the running site, `imgnom restore` into a second home that
has the keyring, the newest copy of the keys and the current ledger. Then the second site is visited: who was destroyed
since is not there, who stays is, and nobody is signed in.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from imgnom.site.rehearsal.canaries import Person
from imgnom.site.rehearsal.house import second
from imgnom.site.rehearsal.hunt import Canary
from imgnom.site.rehearsal.sabotage import bring_back
from imgnom.site.rehearsal.stage import Stage
from imgnom.site.rehearsal.visitor import Visitor

SESSIONS = ("members_membersession", "django_session")


@dataclass(frozen=True)
class Places:
    """Everything of the scene lies under `root`, outside the home."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "sets"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def home(self) -> Path:
        return self.root / "second"

    def store(self, alias: str) -> Path:
        return self.home / "db" / f"{alias}.sqlite3"

    @property
    def newest(self) -> Path:
        return max(self.data.glob("imgnom-*"))


def _places(stage: Stage) -> Places:
    return Places(stage.old_copy / "backups")


def _imgnom(*words: str, home: Path | None = None) -> tuple[int, Any]:
    """Exit status and what a program reads."""
    environ = dict(os.environ) | (_surroundings(home) if home else {})
    done = subprocess.run(
        [sys.executable, "-m", "imgnom", *words, "--json"], env=environ, check=False, capture_output=True
    )
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        return done.returncode, {"problem": done.stderr.decode(errors="replace").strip()[-300:]}


def _surroundings(home: Path) -> dict[str, str]:
    """The second machine's. Its witness is a copy: two sites that go on from one ledger would be a fork to it."""
    return {
        "IMGNOM_HOME": str(home),
        "IMGNOM_CLOCK_FILE": str(home / "clock"),
        "IMGNOM_WITNESS": str(home.with_name("witness-there")),
        "TMPDIR": str(home / "tmp"),
    }


def backs_up(stage: Stage) -> None:
    stage.say("a backup beside the running site")
    places = _places(stage)
    places.root.mkdir()
    status, said = _imgnom("backup", str(places.data), "--keys", str(places.keys))
    stage.prove(
        "I9", status == 0 and said.get("ok"), "a backup beside the running site reads back sound", f"it said {said}"
    )
    ring = {file.name: file.read_bytes().strip() for file in sorted((stage.home / "keyring").glob("*.key"))}
    secrets: dict[str, Canary] = {name: max(content.split(), key=len) for name, content in ring.items() if content}
    sealed: dict[str, Canary] = {}
    for person in stage.people.values():
        sealed |= person.sealed() | person.hidden() | person.private()
        if not person.receipt:  # what somebody left behind for everybody is nobody's any more
            sealed |= person.published()
    found = stage.hunt(secrets | sealed, under=places.root)
    stage.prove(
        "I9 A1.1",
        ring and not found,
        "a backup holds no key of the keyring, no value and no word of anybody in plain",
        f"found {found[:3]}",
    )


def comes_back_elsewhere(stage: Stage) -> None:
    """After the last of them was destroyed: the set of before is brought back on another machine."""
    stage.say("restoring the backup into a second home")
    places = _places(stage)
    _carry(stage, places)
    status, said = _imgnom("restore", str(places.data), "--keys", str(places.root / "keys-there"), home=places.home)
    went_on = status == 0 and said.get("ledger") == "kept" and said["since"].get("withdraw", 0) > 0
    stage.prove("A4.2", went_on, "a restore replays what ended since and proves it", f"it said {said}")
    if not went_on:
        return
    _spoil(stage, places)
    _nobody_is_back(stage, places)
    _ledger_went_on(stage, places)
    with second(stage.house, places.home, environ=dict(os.environ) | _surroundings(places.home)) as other:
        _visit(stage, other.port)


def _carry(stage: Stage, places: Places) -> None:
    """What an operator has at hand: the set, the keyring, the newest copy of the keys, the ledger, the witness."""
    for name in ("tmp", "db"):
        (places.home / name).mkdir(parents=True)
    (places.home / "clock").write_text(stage.at.isoformat(), encoding="ascii")
    shutil.copytree(stage.home / "keyring", places.home / "keyring")
    shutil.copytree(places.keys, places.root / "keys-there")
    shutil.copytree(stage.house.witness, places.root / "witness-there")
    with (
        closing(sqlite3.connect(stage.home / "db" / "ledger.sqlite3")) as old,
        closing(sqlite3.connect(places.store("ledger"))) as new,
    ):
        old.backup(new)


def _rows(file: Path, question: str) -> set[str]:
    with closing(sqlite3.connect(file)) as store:
        return {str(row[0]) for row in store.execute(question)}


def _nobody_is_back(stage: Stage, places: Places) -> None:
    """By subject, by key, by index and by byte. The set did hold some of them, so that the look is no empty one."""
    subjects = "SELECT DISTINCT subject FROM vault_sealedvalue"
    held, now = _rows(places.newest / "vault.sqlite3", subjects), _rows(stage.home / "db" / "vault.sqlite3", subjects)
    gone, there = held - now, _rows(places.store("vault"), subjects)
    stage.prove(
        "A4.2",
        gone and not gone & there and there & now,
        "nobody who was destroyed has a value in the restored vault",
        f"{len(gone & there)} of {len(gone)} people who were destroyed have values in the restored vault",
    )
    owners = gone & _rows(places.store("keys"), "SELECT owner FROM keys_datakey")
    found = gone & _rows(places.store("vault"), "SELECT subject FROM vault_blindindex")
    stage.prove(
        "A4.2",
        not owners and not found,
        "no key and no index of theirs is in the restored stores",
        f"{len(owners)} of those who were destroyed have keys in the restored stores, {len(found)} are found by index",
    )
    values: dict[str, Canary] = {}
    for person in stage.leavers:
        values |= person.sealed() | person.hidden() | person.private()
        if person.choice == "delete":
            values |= person.everything()
    hits = stage.hunt(values, under=places.home)
    stage.prove("A4.2", not hits, "no byte of theirs is in the restored home", f"the restored home shows {hits[:3]}")


def _ledger_went_on(stage: Stage, places: Places) -> None:
    """The restored ledger is longer than the first site's was, and its beginning is the same."""
    note = max(stage.house.witness.glob("checkpoint-*.txt")).read_text(encoding="utf-8")
    seen = int(note.split("\n")[1])
    notes = _rows(places.store("ledger"), "SELECT note FROM ledger_checkpoint")
    size = len(_rows(places.store("ledger"), "SELECT leaf_id FROM ledger_leaf"))
    stage.prove(
        "A4.2 I6",
        note in notes and size > seen,
        "the restored ledger goes on from where it was seen last",
        f"the restored ledger of {size} entries does not go on from the {seen} that were seen",
    )


# ── the restored site is visited ─────────────────────────────────────────────────────────────────────────────────────


def _visit(stage: Stage, port: int) -> None:
    stage.say("visiting the restored site")

    def visitor(person: Person) -> Visitor:
        return Visitor(port, agent=person.agent, address=person.address)

    stayer = stage.people["stayer"]
    browser = stage.browsers["stayer"]
    if browser.get("/upload").status != HTTPStatus.OK:  # a policy of short sessions has ended this one meanwhile
        browser.post("/login", {"login": stayer.username, "password": stayer.password})
    inside = browser.get("/upload").status
    old = visitor(stayer)
    old.cookies.update(browser.cookies)
    outside = old.get("/upload").status
    stage.prove(
        "A2.2c A4.2",
        (inside, outside) == (200, 302),
        "nobody is signed in on a restored site",
        f"a browser of before got {outside} on a restored site, {inside} on the site of before",
    )
    fresh = visitor(stayer)
    signed = fresh.post("/login", {"login": stayer.username, "password": stayer.password}).status
    page = fresh.get("/me/privacy").text
    here = signed == 303 and stayer.email in page
    stage.prove(
        "I9", here, "who stays signs in on a restored site and finds their values", f"signing in answered {signed}"
    )
    for person in stage.leavers:
        answer = visitor(person).post("/login", {"login": person.username, "password": person.password}).status
        stage.prove(
            "A4.2 A7.4", answer == 422, "who left cannot sign in on a restored site", f"{person.name} got {answer}"
        )
        seen = visitor(stayer).get(f"/i/{person.picture}")
        named = person.nickname in seen.text
        right = {"keep": (200, True), "anonymise": (200, False), "delete": (404, False)}[str(person.choice)]
        stage.prove(
            "A3.2①",
            (seen.status, named) == right,
            "posts stand on a restored site as their owner chose at leaving",
            f"{person.choice} on a restored site: {seen.status}, named: {named}",
        )
        told = visitor(person).get(f"/receipt/{person.receipt}").status
        stage.prove("I6", told == 200, "the receipt answers on a restored site", f"answered {told}")


# ── sabotage ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _spoil(stage: Stage, places: Places) -> None:
    """What a hand that does not use the program would do to the restored stores."""
    if "restore-replay" in stage.sabotage:
        bring_back(places.newest / "vault.sqlite3", places.store("vault"), "vault_sealedvalue")
    if "restore-sessions" in stage.sabotage:
        for table in SESSIONS:
            bring_back(stage.home / "db" / "default.sqlite3", places.store("default"), table)
    if "restore-ledger" in stage.sabotage:
        last = max(map(int, _rows(places.newest / "ledger.sqlite3", "SELECT size FROM ledger_checkpoint")))
        with closing(sqlite3.connect(places.store("ledger"))) as store, store:
            store.execute("DELETE FROM ledger_checkpoint WHERE size > ?", (last,))
            store.execute('DELETE FROM ledger_leaf WHERE "index" >= ?', (last,))
