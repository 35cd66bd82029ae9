"""Backup and restore with real files and real commands: what ended since a copy was made does not come back with it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.backup_life import CHOICES, JOINS_AFTER, LEFT_BEFORE, PASSWORD, STAYS
from tests.live import ROOT, Site, environment, free_port, running

from imgnom.site.rehearsal.visitor import Visitor

pytestmark = pytest.mark.xdist_group("backup")
BEGIN = datetime.fromisoformat("2028-03-05T12:00:00+09:00")
STORES = ("default", "logs", "vault", "archive", "ledger")


@dataclass(frozen=True)
class Place:
    """A site and everything around it, in one folder that a test may copy."""

    root: Path

    @property
    def site(self) -> Site:
        variables = {
            "IMGNOM_MODE": "rehearsal",
            "IMGNOM_CLOCK_FILE": str(self.root / "clock"),
            "IMGNOM_KEYRING": str(self.keyring),
        }
        if (self.root / "witness").is_dir():
            variables["IMGNOM_WITNESS"] = str(self.root / "witness")
        return Site(self.home, 0, environment(self.home, **variables))

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def keyring(self) -> Path:
        return self.root / "keyring"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def sets(self) -> list[Path]:
        return sorted(path for path in self.data.iterdir() if path.suffix != ".part")

    def set_clock(self, instant: datetime) -> None:
        (self.root / "clock").write_text(instant.isoformat())

    def run(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        done = self.site.command(*arguments, "--json", seconds=300)
        assert done.returncode == status, done.stderr[-3000:]
        assert "Traceback" not in done.stderr
        return dict(json.loads(done.stdout))

    def refused(self, *arguments: str) -> str:
        """The one line."""
        done = self.site.command(*arguments, seconds=300)
        assert done.returncode == 1, done.stdout
        line = done.stderr.splitlines()[-1]
        assert line.startswith("imgnom: "), done.stderr
        assert "Traceback" not in done.stderr
        return line

    def live(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "tests.backup_life", *arguments], cwd=ROOT, env=self.site.environ | {"PYTHONPATH": f"{ROOT}/src:{ROOT}"},
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(json.loads(done.stdout))

    def backup(self) -> dict[str, Any]:
        return self.run("backup", str(self.data), "--keys", str(self.keys))

    def lose(self, *stores: str) -> None:
        for store in stores:
            for file in (self.home / "db").glob(f"{store}.sqlite3*"):
                file.unlink()

    def kill_at(self, line: int, *arguments: str) -> bool:
        """Start a command and kill it, without a word, once it has told that many lines; False when it ended before."""
        process = subprocess.Popen(
            [sys.executable, "-m", "imgnom", *arguments], cwd=ROOT, env=self.site.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        with process.stderr:
            for _ in range(line):
                if not process.stderr.readline():
                    break
            process.send_signal(signal.SIGKILL)
        return process.wait(timeout=60) == -signal.SIGKILL


def bytes_under(folder: Path, *words: str) -> list[tuple[str, str]]:
    """(word, file) wherever the word stands in plain bytes."""
    return [
        (word, path.name)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for word in words
        if word.encode() in path.read_bytes()
    ]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, dict[str, Any]]]:
    """A site with a backup of its first day, and all that happened in the three months after it."""
    place = Place(tmp_path_factory.mktemp("backup") / "end")
    (place.root / "witness").mkdir(parents=True)
    place.set_clock(BEGIN)
    with running(
        place.home, **{k: v for k, v in place.site.environ.items() if k.startswith("IMGNOM_") and k != "IMGNOM_HOME"}
    ):
        pass
    facts = place.live("begin")
    place.run("retention", "run")
    facts["backup"] = place.backup()
    facts["at backup"] = place.live("look")
    place.set_clock(BEGIN + timedelta(days=1))
    facts |= place.live("go-on")
    place.run("retention", "run")
    place.set_clock(BEGIN + timedelta(days=95))
    place.run("retention", "run")
    facts["end"] = place.live("look")
    shutil.copytree(place.root, _kept(place))
    yield place, facts
    shutil.rmtree(place.root.parent)


def _kept(place: Place) -> Path:
    return place.root.with_name("kept")


@pytest.fixture
def place(story: tuple[Place, dict[str, Any]]) -> Place:
    """The story's end, to be changed; always in the same folder, whose name the key store knows."""
    shutil.rmtree(story[0].root)
    shutil.copytree(_kept(story[0]), story[0].root)
    return story[0]


def ensure_nothing_came_back(place: Place, facts: dict[str, Any], *, knows_choices: bool = True) -> dict[str, Any]:
    """Presence was seen when the copy was made; now absence, in rows and in raw bytes."""
    assert {f"{name}닉네임" for name in CHOICES} <= set(facts["at backup"]["members"])
    assert set(facts["subjects"].values()) <= set(facts["at backup"]["vault subjects"])
    now = place.live("look")
    assert now["members"] == [f"{STAYS}닉네임"]
    gone = {*facts["subjects"].values(), facts["joined"]}
    for where in ("subjects", "vault subjects", "indexed", "key owners"):
        assert not gone & set(now[where]), where
    assert now["archived"] == 0
    assert now["sessions"] == 0
    assert now["pictures"]["벽돌담"] == {"author": f"{STAYS}닉네임", "owned": True, "removed": "", "seen by": "public"}
    assert "지울사진" not in now["pictures"]
    assert not [title for title in now["pictures"] if "비공개" in title or JOINS_AFTER in title]
    comments = {body: [author, removed] for body, author, removed in now["comments"].values()}
    assert "남을댓글" in comments
    assert "restore" in now["acts"]
    assert place.run("check")["ok"] is True
    assert place.run("ledger", "verify")["ok"] is True
    assert not (place.home / "restore.json").exists()
    assert not (place.home / "restoring").exists()
    for receipt in (facts["left before"], *(facts["receipts"].values() if knows_choices else ())):
        assert now["receipts"][receipt] == "done"
    if knows_choices:
        assert now["pictures"]["내릴사진"]["removed"]
        assert now["pictures"]["숨길사진"]["seen by"] == "private"
        assert now["consents"] == []
        assert now["pictures"]["anja제목"] == {
            "author": "anja닉네임",
            "owned": False,
            "removed": "",
            "seen by": "public",
        }
        assert now["pictures"]["bora제목"] == {"author": "", "owned": False, "removed": "", "seen by": "public"}
        assert "chan제목" not in now["pictures"]
        assert comments["anja댓글"] == ["anja닉네임", False]
        assert comments["bora댓글"] == ["", False]
        assert not {"chan댓글", "지울댓글", "내릴댓글"} & set(comments)
        words = (
            "bora닉네임",
            "chan닉네임",
            "chan제목",
            "chan댓글",
            "지울댓글",
            "내릴댓글",
            "지울사진",
            "bora비공개",
            f"{JOINS_AFTER}닉네임",
        )
        staying = ("남을댓글", "벽돌담", f"{STAYS}닉네임")
        assert bytes_under(place.home, *staying), "the look is not blind"
        assert bytes_under(place.data, *words, *staying) == []  # nor is it anybody's whose set lies about
        assert bytes_under(place.home, *words) == []
    assert bytes_under(place.home, *(f"{name}@canary.example" for name in (*CHOICES, STAYS, LEFT_BEFORE))) == []
    return now


@pytest.mark.clause("A4.2", "A7.2b", "I6", "I9")
def test_a_restored_site_serves_who_stayed_and_nothing_that_ended_since(
    place: Place, story: tuple[Place, dict[str, Any]]
) -> None:
    facts = story[1]
    shutil.rmtree(place.home / "media" / "derived")
    told = place.run("restore", str(place.data))
    assert (told["keys"], told["ledger"], told["risk"]) == ("own", "kept", "")
    assert told["replayed"]["members"] == len(CHOICES)
    assert told["since"]["withdraw"] == len(CHOICES)
    assert told["since"]["join"] == 1
    now = ensure_nothing_came_back(place, facts)
    assert now["entries"] > facts["end"]["entries"]
    assert now["epoch"] > facts["end"]["epoch"]
    variables = {k: v for k, v in place.site.environ.items() if k.startswith("IMGNOM_") and k != "IMGNOM_HOME"}
    with running(place.home, **variables) as site:
        browser = Visitor(site.port, agent="Mozilla/5.0 restored")
        assert browser.post("/login", {"login": f"{STAYS}.login", "password": PASSWORD}).status == 303
        assert f"{STAYS}@canary.example" in browser.get("/me/privacy").text
        for size in ("thumbnail", "preview", "original"):
            answer = browser.get(f"/media/{facts['pictures']['wall']}/{size}")
            assert answer.status == 200, size
            assert len(answer.content) > 100
        assert browser.get(f"/media/{facts['pictures']['chan']}/original").status == 404
        stranger = Visitor(site.port, agent="Mozilla/5.0 stranger")
        for name, number in facts["receipts"].items():
            answer = stranger.get(f"/receipt/{number}.json")
            assert answer.status == 200
            assert answer.json()["choice"] == CHOICES[name]
            assert answer.json()["certificates"]
            assert not [line for line in answer.json()["lines"] if line["state"] == "going"]
            assert stranger.post("/login", {"login": f"{name}.login", "password": PASSWORD}).status == 422
        assert stranger.get(f"/@{quote('anja닉네임')}").status == 404
        freed = {
            "age_group": "14_or_older", "username": "someone.new", "password1": PASSWORD, "nickname": "anja닉네임",
            "email": "new@example.org", "agree_terms": "on", "agree_privacy": "on",
        }  # fmt: skip
        assert stranger.post("/signup", freed).status == 422  # the name under the kept posts is nobody else's


@pytest.mark.clause("A4.2", "I9")
def test_all_stores_but_the_ledger_lost_the_keys_come_from_their_copy(
    place: Place, story: tuple[Place, dict[str, Any]]
) -> None:
    place.lose("default", "logs", "vault", "archive", "keys")
    shutil.rmtree(place.home / "media")
    assert "--keys" in place.refused("restore", str(place.data))
    told = place.run("restore", str(place.data), "--keys", str(place.keys))
    assert (told["keys"], told["ledger"]) == ("copy", "kept")
    ensure_nothing_came_back(place, story[1])


@pytest.mark.clause("A4.2")
def test_without_the_current_ledger_a_witness_decides_and_without_one_the_operator_must_say_so(
    place: Place, story: tuple[Place, dict[str, Any]]
) -> None:
    shutil.rmtree(place.home)
    line = place.refused("restore", str(place.data), "--keys", str(place.keys), "--without-witness")
    assert "the witness has seen" in line  # newer acts are known to exist: no word helps
    (place.root / "witness").rename(place.root / "witness-away")
    line = place.refused("restore", str(place.data), "--keys", str(place.keys))
    assert "--without-witness" in line
    assert not (place.home / "restore.json").exists()
    told = place.run("restore", str(place.data), "--keys", str(place.keys), "--without-witness")
    assert told["ledger"] == "set"
    assert "nobody could tell" in told["risk"]
    # The ledger that knew the choices is lost; the keys know who is gone, and the policy says what stands then.
    ensure_nothing_came_back(place, story[1], knows_choices=False)


@pytest.mark.clause("A4.2")
def test_a_witness_that_has_seen_no_more_than_the_set_is_enough(
    place: Place, story: tuple[Place, dict[str, Any]]
) -> None:
    size = json.loads((place.sets[0] / "manifest.json").read_text())["ledger"]["size"]
    for note in (place.root / "witness").iterdir():
        if int(note.stem.rpartition("-")[2]) > size:
            note.unlink()
    shutil.rmtree(place.home)
    assert place.run("restore", str(place.data), "--keys", str(place.keys))["risk"] == ""
    shutil.rmtree(place.home)
    for note in (place.root / "witness").iterdir():
        note.write_text(note.read_text().replace("\n", "\nx", 1))
    assert "signature does not hold" in place.refused("restore", str(place.data), "--keys", str(place.keys))


def _rewrite(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _flip(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)


FAULTS: tuple[tuple[str, Callable[[Path, Place], object]], ...] = (
    ("holds no manifest.json", lambda one, _: (one / "manifest.json").unlink()),
    ("cut or changed", lambda one, _: os.truncate(one / "manifest.json", 900)),
    ("signature does not hold", lambda one, _: _rewrite(one / "manifest.json", keys_serial=0)),
    ("another format", lambda one, _: _rewrite(one / "manifest.json", format="imgnom backup 99")),
    ("default.sqlite3 was cut", lambda one, _: os.truncate(one / "default.sqlite3", 8192)),
    ("vault.sqlite3 was changed", lambda one, _: _flip(one / "vault.sqlite3")),
    ("was changed, or is a file of another set", lambda one, _: _flip(next((one / "media").rglob("*.sealed")))),
    ("lacks media/originals", lambda one, _: next((one / "media").rglob("*.sealed")).unlink()),
    (
        "of another set",
        lambda one, place: shutil.copyfile(place.root / "old" / "default.sqlite3", one / "default.sqlite3"),
    ),
    ("kek-1.key, which is no file of this set", lambda one, _: (one / "kek-1.key").write_text("00" * 32)),
    ("another site", lambda _, place: (place.keyring / "pepper-1.key").write_text("11" * 32)),
)


@pytest.mark.clause("A4.2", "I9")
def test_a_set_that_is_not_whole_ours_and_one_is_refused_in_one_line(place: Place) -> None:
    shutil.copytree(place.sets[0], place.root / "old")
    whole = Path(place.backup()["set"])
    before = {path.name: path.read_bytes() for path in (place.home / "db").glob("*.sqlite3")}
    for number, (words, spoil) in enumerate(FAULTS):
        one = Path(shutil.copytree(whole, place.root / f"spoilt-{number}"))
        spoil(one, place)
        assert words in place.refused("restore", str(one))
    assert {path.name: path.read_bytes() for path in (place.home / "db").glob("*.sqlite3")} == before
    assert not (place.home / "restore.json").exists()


@pytest.mark.clause("A4.2")
def test_of_a_folder_of_sets_the_newest_good_one_is_taken(place: Place) -> None:
    good = place.backup()["set"]
    spoilt = Path(place.backup()["set"])
    (spoilt / "default.sqlite3").write_bytes(b"")
    half = Path(shutil.copytree(good, place.data / "imgnom-99990101T000000Z-00000000.part"))
    assert place.run("restore", str(place.data))["set"] == good
    assert half.exists()
    for one in (spoilt, Path(good)):
        (one / "manifest.json").unlink()
    assert "holds no manifest.json" in place.refused("restore", str(place.data))


@pytest.mark.clause("A4.2", "I9")
def test_keys_that_are_older_foreign_or_cannot_be_opened_are_refused(place: Place) -> None:
    old, first = place.root / "keys-old", str(place.root / "first")
    shutil.copytree(place.keys, old)
    shutil.copytree(place.sets[0], first)
    place.run("retention", "run")
    place.run("retention", "run")
    assert "older than the set" in place.refused("restore", place.backup()["set"], "--keys", str(old))
    place.lose("keys")
    assert "no longer opens" in place.refused("restore", first, "--keys", str(old))
    file = next(place.keys.glob("keys-*.sqlite3"))
    raw = file.read_bytes()
    file.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert "cut or changed" in place.refused("restore", first, "--keys", str(place.keys))
    file.write_bytes(raw)
    assert "holds no copy of the keys" in place.refused("restore", first, "--keys", str(place.root / "nowhere"))
    said = json.loads((place.keys / "keys.json").read_text())
    (place.keys / "keys.json").write_text(json.dumps(said | {"epoch": 1}))
    assert "signature does not hold" in place.refused("restore", first, "--keys", str(place.keys))
    (place.keys / "keys.json").write_text(json.dumps(said | {"site": {}}))
    assert "another site" in place.refused("restore", first, "--keys", str(place.keys))
    (place.keys / "keys.json").write_text(json.dumps(said))
    assert place.run("restore", first, "--keys", str(place.keys))["keys"] == "copy"


@pytest.mark.clause("I9")
def test_a_home_that_is_served_is_not_restored_and_one_half_restored_is_not_served(place: Place) -> None:
    variables = {k: v for k, v in place.site.environ.items() if k.startswith("IMGNOM_") and k != "IMGNOM_HOME"}
    with running(place.home, **variables):
        assert "stop it before a restore" in place.refused("restore", str(place.data))
    (place.home / "restore.json").write_text("{}")
    for arguments in (
        ("serve", "--port", str(free_port())),
        ("worker",),
        ("retention", "run"),
        ("backup", str(place.data), "--keys", str(place.keys)),
    ):
        assert "a restore into this home was cut off" in place.refused(*arguments)
    assert place.run("restore", str(place.data))["ok"] is True


@pytest.mark.clause("A4.2")
@pytest.mark.parametrize("way", ["beside the current stores", "into an empty home"])
def test_a_restore_may_be_killed_anywhere_and_the_same_command_ends_it(
    place: Place, story: tuple[Place, dict[str, Any]], way: str
) -> None:
    arguments = ["restore", str(place.data)]
    if way == "into an empty home":
        shutil.rmtree(place.root / "witness")
        shutil.rmtree(place.home)
        arguments += ["--keys", str(place.keys), "--without-witness"]
    killed, line = 0, 1
    while place.kill_at(line, *arguments):
        killed += 1
        if line > 2:
            assert "was cut off" in place.refused("retention", "due")
        line += 2
    assert killed >= 4
    ensure_nothing_came_back(place, story[1], knows_choices=way != "into an empty home")


@pytest.mark.clause("A4.2")
def test_a_backup_that_is_killed_never_counts_and_leaves_nothing(place: Place) -> None:
    before, line, killed = place.sets, 1, 0
    while place.kill_at(line, "backup", str(place.data), "--keys", str(place.keys)):
        assert [one for one in place.sets if one not in before and not (one / "manifest.json").exists()] == []
        line, killed = line + 1, killed + 1
    assert killed >= 6
    (place.keys / "keys-000000004.sqlite3.part.sqlite3-journal").write_bytes(b"of one that was killed while it copied")
    (place.keys / "keys-of-the-house.txt").write_text("not ours")
    place.backup()
    assert [path.name for path in place.data.iterdir() if path.suffix == ".part"] == []
    assert [path.suffix for path in sorted(place.keys.glob("keys-*"))] == [".sqlite3", ".txt"]
    assert place.run("restore", str(place.data))["ok"] is True


@pytest.mark.clause("A4.2")
def test_a_backup_under_load_is_one_site_when_it_comes_back(place: Place) -> None:
    busy = subprocess.Popen(
        [sys.executable, "-m", "tests.backup_life", "bustle", "12"], cwd=ROOT, env=place.site.environ | {"PYTHONPATH": f"{ROOT}/src:{ROOT}"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(3)
    made = place.backup()
    out, err = busy.communicate(timeout=120)
    assert busy.returncode == 0, err
    seen = json.loads(out)
    assert seen["faults"] == []
    assert seen["left"]
    assert place.run("restore", made["set"])["ledger"] == "kept"
    members = place.live("look")["members"]
    assert f"{STAYS}닉네임" in members
    assert not {f"{name}닉네임" for name in seen["left"]} & set(members)
    assert place.run("check")["ok"] is True
    # And once more as if all but the set and the keys' copy were lost.
    shutil.rmtree(place.root / "witness")
    shutil.rmtree(place.home)
    place.run("restore", made["set"], "--keys", str(place.keys), "--without-witness")
    assert place.run("check")["ok"] is True
    assert not {f"{name}닉네임" for name in seen["left"]} & set(place.live("look")["members"])


@pytest.mark.clause("A4.2")
def test_certificates_turn_final_when_the_horizon_has_passed_and_old_sets_go(place: Place) -> None:
    first = place.sets[0].name
    told = place.backup()
    assert told["removed"] == [first]  # 95 days old, and the policy gives it 30
    assert told["linked"] > 0
    place.set_clock(BEGIN + timedelta(days=96))
    place.run("retention", "run")
    early = place.live("look")["grades"]
    assert "cryptographic" in early
    place.set_clock(BEGIN + timedelta(days=130))
    place.backup()
    place.run("retention", "run")
    assert place.live("look")["grades"].count("cryptographic") < early.count("cryptographic")
    assert place.live("look")["grades"].count("final") > early.count("final")
    assert len(place.sets) == 1


@pytest.mark.clause("A4.2", "I9")
def test_the_old_kek_waits_for_the_copy_of_the_keys(place: Place) -> None:
    place.backup()
    keks = sorted(place.keyring.glob("kek-*.key"))
    assert len(keks) == 1
    place.keys.rename(place.root / "unmounted")
    place.keys.mkdir()  # an empty mount point is no place for keys
    told = place.run("retention", "run")
    assert "cannot be renewed" in told["copy_problem"]
    assert told["errors"] == {}
    assert len(list(place.keyring.glob("kek-*.key"))) == 2
    assert list(place.keys.iterdir()) == []
    assert "cannot be renewed" in place.run("keys", "status")["copy"]["problem"]
    assert place.run("doctor", status=1)["state"] == "failure"
    assert "had to stay" in place.site.command("retention", "run").stdout
    grades = place.live("look")["grades"].count("final")
    place.keys.rmdir()
    (place.root / "unmounted").rename(place.keys)
    told = place.run("retention", "run")
    assert told["copy_problem"] == ""
    left = list(place.keyring.glob("kek-*.key"))
    assert len(left) == 1
    assert left[0] not in keks
    assert place.run("keys", "status")["copy"]["problem"] == ""
    assert place.live("look")["grades"].count("final") >= grades
    assert place.run("doctor")["state"] != "failure"


@pytest.mark.clause("I9")
def test_the_copy_of_the_keys_is_one_and_the_older_bytes_are_gone(place: Place) -> None:
    place.backup()
    first = next(place.keys.glob("keys-*.sqlite3")).read_bytes()
    place.run("keys", "turn")
    files = list(place.keys.iterdir())
    assert sorted(path.suffix for path in files) == [".json", ".sqlite3"]
    assert next(place.keys.glob("keys-*.sqlite3")).read_bytes() != first
    other = place.root / "keys-elsewhere"
    place.run("backup", str(place.data), "--keys", str(other))
    assert list(place.keys.iterdir()) == []
    assert len(list(other.glob("keys-*.sqlite3"))) == 1
    for file in place.keyring.glob("*.key"):
        secret = file.read_text().strip()
        assert bytes_under(place.data, secret) == []
        assert bytes_under(other, secret) == []
        if len(secret) == 64:
            raw = bytes.fromhex(secret)
            assert not [
                path
                for path in (*place.data.rglob("*"), *other.rglob("*"))
                if path.is_file() and raw in path.read_bytes()
            ]


@pytest.mark.clause("I9")
def test_data_and_keys_lie_apart_from_each_other_and_from_the_site(place: Place, tmp_path: Path) -> None:
    free = tmp_path / "free"
    held = tmp_path / "held"
    held.mkdir()
    shutil.copy(next(place.keyring.glob("kek-*.key")), held)
    for data, keys, words in (
        (free, free, "inside each other"),
        (free, free / "keys", "inside each other"),
        (free / "data", free, "inside each other"),
        (place.home / "media" / "x", free, "inside each other"),
        (free, place.home / "db", "inside each other"),
        (place.home, free, "inside each other"),
        (place.keyring / "x", free, "inside each other"),
        (free, place.keyring, "inside each other"),
        (place.root, tmp_path / "elsewhere", "inside each other"),
        (held, free, "is a file of a keyring"),
        (free, held, "is a file of a keyring"),
    ):
        assert words in place.refused("backup", str(data), "--keys", str(keys))
    assert not free.exists()
    assert place.site.command("backup", str(free)).returncode == 2


@pytest.mark.clause("A4.2")
def test_a_broken_store_is_no_backup(place: Place) -> None:
    before = place.sets
    store = place.home / "db" / "archive.sqlite3"
    raw = store.read_bytes()
    store.write_bytes(raw[:4096] + b"x" * (len(raw) - 4096))
    assert "malformed" in place.refused("backup", str(place.data), "--keys", str(place.keys))
    assert place.sets == before
    assert place.run("restore", str(place.data))["ledger"] == "kept"  # and that is what a backup is for
    assert place.run("check")["ok"] is True


@pytest.mark.clause("A4.2")
def test_the_doctor_tells_of_a_backup_that_is_a_day_late(place: Place) -> None:
    def told() -> str:
        rows = json.loads(place.site.command("doctor", "--json").stdout)["findings"]
        return next(row["state"] for row in rows if row["what"] == "backup")

    place.backup()
    assert told() == "ok"
    place.set_clock(BEGIN + timedelta(days=97))
    assert told() == "failure"
    place.backup()
    assert told() == "ok"


def test_another_backup_at_the_same_time_is_refused(place: Place) -> None:
    import fcntl

    handle = os.open(place.data, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert "another backup" in place.refused("backup", str(place.data), "--keys", str(place.keys))
    finally:
        os.close(handle)
