"""The demo as a newcomer meets it: a gallery to look at, a letterbox, a clock to turn, and a receipt that keeps its word."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pyvips
from tests.live import ROOT, Site, environment, free_port, running

from imgnom.site.rehearsal.visitor import Visitor

pytestmark = pytest.mark.xdist_group("demo")
CLOCK = re.compile(r'class="now"><b>([\d-]+)</b> ([\d:]+)')
CODE = re.compile(r"\b(\d{6})\b")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("demo") / "home", "--demo", IMGNOM_MODE="demo") as one:
        yield one


def wait_for(fact: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def browser(site: Site, language: str = "ko") -> Visitor:
    return Visitor(site.port, agent="Mozilla/5.0 (X11; Linux x86_64) Newcomer/1", language=language)


def clock(site: Site) -> datetime:
    found = CLOCK.search(browser(site).get("/demo").text)
    assert found
    return datetime.fromisoformat(f"{found[1]} {found[2]}")


def turn(site: Site, step: str) -> None:
    assert browser(site).post("/demo/clock", {"step": step}, page="/demo").status == 303


def joined(site: Site, name: str) -> Visitor:
    visitor = browser(site)
    form = {
        "age_group": "14_or_older", "username": name, "password1": "purple-otter-lamp-93", "nickname": f"손님{name}",
        "email": f"{name}@mail.example", "agree_terms": "on", "agree_privacy": "on",
    }  # fmt: skip
    assert visitor.post("/signup", form).status == 303
    wait_for(lambda: f"{name}@mail.example" in visitor.get("/outbox").text)
    letters = re.findall(r'href="(/outbox/\d+)"', visitor.get("/outbox").text)
    body = next(text for text in (visitor.get(letter).text for letter in letters) if name in text)
    code = CODE.search(body)
    assert code
    assert visitor.post("/signup/confirm", {"code": code[1]}).status == 303
    return visitor


def test_the_gallery_is_full_in_every_format_and_size(site: Site) -> None:
    page = browser(site).get("/").text
    assert page.count('href="/i/') >= 20
    sizes = set()
    for name in sorted((site.home / "media").rglob("*")):
        if name.is_file() and name.parent.name != "originals" and "originals" not in name.parts:
            image = pyvips.Image.new_from_file(str(name))
            sizes.add((image.width, image.height))
    assert len(sizes) >= 20
    assert "GIF" in page


@pytest.mark.clause("A2.1")
def test_the_sample_photograph_carries_a_place_a_time_and_a_camera(site: Site) -> None:
    answer = browser(site).get("/demo/photograph.jpg")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    image = pyvips.Image.new_from_buffer(answer.content, "")
    told = set(image.get_fields())
    assert told >= {"exif-ifd3-GPSLatitude", "exif-ifd3-GPSLongitude", "exif-ifd0-Make", "exif-ifd2-DateTimeOriginal"}
    assert b"GPSLatitude" in bytes(image.get("xmp-data"))


def test_every_role_enters_with_one_press_and_lands_on_its_own_page(site: Site) -> None:
    cast = json.loads((site.home / "demo-cast.json").read_text(encoding="utf-8"))
    roles = {facts["role"] for facts in cast.values()}
    assert roles == {"member", "moderator", "officer", "administrator", "auditor"}
    for login, facts in cast.items():
        visitor = browser(site)
        answer = visitor.post("/demo/sign-in", {"login": login}, page="/demo")
        assert answer.status == 303
        landed = visitor.get(answer.location)
        if facts["role"] == "auditor":
            landed = visitor.get(landed.location)
        assert landed.status == 200, login
    assert browser(site).post("/demo/sign-in", {"login": "nobody"}, page="/demo").status == 404


def test_the_page_tells_its_story_in_both_languages(site: Site) -> None:
    korean, english = browser(site).get("/demo").text, browser(site, "en").get("/demo").text
    for word in (
        "회원이라면",
        "운영자라면",
        "보호책임자라면",
        "믿지 못한다면",
        "하루 넘기기",
        "석 달 넘기기",
        "5년 넘기기",
    ):
        assert word in korean
    for word in ("If you are a member", "If you run the site", "+1 day", "+3 months", "+5 years"):
        assert word in english
    assert "demo-officer" in korean


@pytest.mark.clause("A3.1", "A4.1①", "I6", "I9")
def test_a_whole_life_and_three_months_later_the_receipt_says_destroyed(site: Site, tmp_path: Path) -> None:
    visitor = joined(site, "newcomer")
    photograph = visitor.get("/demo/photograph.jpg").content
    listed = visitor.upload({"title": "여행", "visibility": "public"}, [("trip.jpg", photograph)]).json()["files"][0]
    assert listed["removed"]
    assert (
        visitor.post(f"/i/{listed['id']}/comments", {"body": "잘 왔습니다."}, page=f"/i/{listed['id']}").status == 303
    )
    left = visitor.post("/me/withdraw", {"content": "delete", "confirm": "yes"})
    assert left.status == 303
    number = left.location.rsplit("/", 1)[-1]
    wait_for(lambda: number in letters_of(site))

    def lines() -> dict[str, str]:
        rows = browser(site).get(f"/receipt/{number}.json").json()["lines"]
        return {row["record"]: row["state"] for row in rows}

    assert lines()["identity_after_leaving"] == "held"
    turn(site, "months")
    assert lines()["identity_after_leaving"] == "destroyed"
    assert browser(site).get(f"/i/{listed['id']}").status == 404
    key = tmp_path / "key.txt"
    key.write_bytes(browser(site).get("/privacy/ledger/key").content)
    receipt = browser(site).get(f"/receipt/{number}.json")
    files = [("receipt.json", receipt.content)]
    for made in receipt.json()["certificates"]:
        named = made["certificate"]["certificate"]
        files.append((f"{named}.json", browser(site).get(f"/receipt/{number}/certificate/{named}.json").content))
    assert len(files) >= 3
    for name, content in files:
        (tmp_path / name).write_bytes(content)
        command = [sys.executable, str(ROOT / "tools" / "verify_ledger.py"), "--key", str(key), str(tmp_path / name)]
        assert subprocess.run(command, check=False, capture_output=True).returncode == 0, name


def letters_of(site: Site) -> str:
    """The words of everything that was sent, through the letterbox in the browser."""
    visitor = browser(site)
    paths = re.findall(r'href="(/outbox/\d+)"', visitor.get("/outbox").text)
    return "\n".join(visitor.get(path).text for path in paths)


@pytest.mark.clause("A2.2a", "A2.2c", "I2")
def test_the_clock_goes_forward_only_and_sessions_and_proofs_go_with_it(site: Site) -> None:
    visitor = browser(site)
    visitor.post("/demo/sign-in", {"login": "eunsu"}, page="/demo")
    assert visitor.get("/me/consents").status == 200
    before = clock(site)
    turn(site, "day")
    assert clock(site).date() == before.date() + timedelta(days=1)
    assert "이 시각까지 없앨 것은 모두 없앴습니다" in visitor.get("/demo").text, "the answer came when all was done"
    assert visitor.get("/upload").status == 200, "a day does not end a session"
    assert visitor.get("/me/consents").location.startswith("/step-up"), "but it ends the proof of who sits there"
    turn(site, "months")
    assert visitor.get("/upload").location.startswith("/login"), "three months unused end it"
    again = browser(site)
    again.post("/demo/sign-in", {"login": "eunsu"}, page="/demo")
    turn(site, "day")
    assert again.get("/upload").status == 200, "a session begun in a moved time lives by that time"
    before = clock(site)
    turn(site, "years")
    assert clock(site).date() - before.date() in (timedelta(days=5 * 365 + 2), timedelta(days=5 * 365 + 3))
    stands = clock(site)
    for step in ("back", "-P1D", ""):
        assert browser(site).post("/demo/clock", {"step": step}, page="/demo").status == 404
    assert browser(site).get("/demo/clock").status == 405
    (site.home / "clock").write_text("2020-01-01T00:00:00+09:00")
    assert clock(site) == stands, "time does not go back, whatever the file says"
    turn(site, "day")
    assert clock(site) == stands + timedelta(days=1)


@pytest.mark.clause("A7.2b")
def test_who_of_the_cast_has_left_is_no_longer_offered(site: Site) -> None:
    visitor = browser(site)
    visitor.post("/demo/sign-in", {"login": "gamnamu"}, page="/demo")
    assert visitor.post("/me/withdraw", {"content": "keep", "confirm": "yes"}).status == 303
    page = browser(site).get("/demo").text
    assert 'value="gamnamu"' not in page
    assert 'value="eunsu"' in page
    assert browser(site).post("/demo/sign-in", {"login": "gamnamu"}, page="/demo").status == 404


@pytest.mark.clause("A4.0")
def test_commands_beside_the_demo_follow_its_clock(site: Site) -> None:
    due = json.loads(site.command("retention", "due", "--json").stdout)
    turn(site, "months")
    assert site.command("ledger", "verify").returncode == 0
    assert isinstance(due, dict)
    assert json.loads(site.command("check", "--json").stdout)["ok"]


def start(home: Path, log: Path, port: int) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "imgnom", "serve", "--demo", "--port", str(port)],
            cwd=ROOT,
            env=environment(home, IMGNOM_MODE="demo"),
            stdout=file,
            stderr=file,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


def test_a_first_start_that_was_killed_begins_anew_and_later_starts_keep_everything(tmp_path: Path) -> None:
    home, log, port = tmp_path / "home", tmp_path / "log", free_port()
    killed = start(home, log, port)
    wait_for(lambda: len(list((home / "media").rglob("*"))) > 5)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    second = start(home, log, port)
    wait_for(lambda: "rehearse" in log.read_text() or second.poll() is not None)
    site = Site(home, port, environment(home, IMGNOM_MODE="demo"))
    pictures = re.findall(r'href="(/i/[^"]+)"', browser(site).get("/").text)
    assert len(pictures) == len(set(pictures)) >= 20
    assert json.loads(site.command("check", "--json").stdout)["ok"]
    cast = (home / "demo-cast.json").read_bytes()
    visitor = joined(site, "stays")
    turn(site, "day")
    stands = clock(site)
    stop(second)
    third = start(home, log, port)
    wait_for(lambda: "rehearse" in log.read_text() or third.poll() is not None)
    assert "making the demo" not in log.read_text()
    assert (home / "demo-cast.json").read_bytes() == cast
    assert clock(site) == stands
    assert visitor.get("/upload").status == 200, "who was signed in still is"
    os.kill(third.pid, signal.SIGKILL)
    third.wait()
    fourth = start(home, log, port)
    wait_for(lambda: "rehearse" in log.read_text() or fourth.poll() is not None)
    assert visitor.get("/upload").status == 200, "a killed site is there again at once"
    stop(fourth)


def test_outside_the_demo_there_is_no_demo(tmp_path: Path) -> None:
    with running(tmp_path / "home", IMGNOM_MODE="rehearsal") as site:
        for path in ("/demo", "/demo/photograph.jpg", "/outbox", "/outbox/1"):
            assert browser(site).get(path).status == 404
        for path in ("/demo/sign-in", "/demo/clock"):
            assert browser(site).post(path, {"login": "haneul", "step": "day"}, page="/login").status == 404
