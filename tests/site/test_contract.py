"""The contract as an outside program sees it: statuses, fields, headers, JSON shapes, over HTTP against the demo site."""

import json
import re
import urllib.parse
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes
from email import policy as mail_policy

import pyotp
import pytest
import pyvips
from tests.live import Site, running

from imgnom.site.rehearsal.visitor import Answer, Visitor

pytestmark = pytest.mark.xdist_group("contract")
PASSWORD = "Correct-horse-9-battery"
PUBLIC = (
    "/", "/signup", "/login", "/terms", "/privacy", "/privacy.json", "/privacy/versions", "/privacy/cookies",
    "/privacy/board", "/privacy/board.json", "/privacy/ledger/key", "/privacy/ledger/checkpoint", "/search?q=x", "/demo", "/outbox",
    "/.well-known/gpc.json", "/.well-known/security.txt", "/healthz", "/readyz",
)  # fmt: skip
OWN = ("/upload", "/me/privacy", "/me/privacy/edit", "/me/records", "/me/consents", "/me/export", "/me/withdraw")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("contract") / "home", "--demo") as one:
        yield one


def jpeg(colour: int = 90, width: int = 320, height: int = 200) -> bytes:
    image = pyvips.Image.black(width, height, bands=3).linear([1, 1, 1], [colour, 20, 200]).cast("uchar")
    image = image.copy(interpretation="srgb")
    image.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Artist", "somebody")
    return bytes(image.write_to_buffer(".jpg", keep="all"))


def code_for(site: Site, address: str, *, seconds: float = 20) -> str:
    """The code of the newest letter to an address, as soon as the worker has sent it."""
    import time

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for file in sorted((site.home / "outbox").glob("*.eml"), key=lambda f: f.stat().st_mtime, reverse=True):
            letter = message_from_bytes(file.read_bytes(), policy=mail_policy.default)
            body = letter.get_body(("plain",))
            found = re.search(r"\b(\d{6})\b", body.get_content() if body else "")
            if str(letter["To"]) == address and found:
                file.unlink()
                return found.group(1)
        time.sleep(0.1)
    raise AssertionError("no letter came")


def fields_of(name: str, **other: str) -> dict[str, str]:
    return {
        "age_group": "14_or_older",
        "username": f"{name}-login",
        "password1": PASSWORD,
        "nickname": f"{name}nick",
        "email": f"{name}@example.org",
        "agree_terms": "on",
        "agree_privacy": "on",
    } | other


def member(site: Site, name: str) -> Visitor:
    browser = Visitor(site.port, agent=f"Mozilla/5.0 (X11; Linux x86_64) Contract/{name}")
    assert browser.post("/signup", fields_of(name)).status == 303
    assert browser.post("/signup/confirm", {"code": code_for(site, f"{name}@example.org")}).status == 303
    return browser


@pytest.mark.clause("A0.2", "A8.3")
@pytest.mark.parametrize("path", PUBLIC)
def test_a_public_page_answers_anybody(site: Site, path: str) -> None:
    answer = Visitor(site.port, agent="Contract").get(path)
    assert answer.status == 200
    assert re.search(r"default-src '(none|self)'", answer.headers["Content-Security-Policy"])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.clause("A7.2a")
@pytest.mark.parametrize("path", OWN)
def test_a_page_of_ones_own_asks_for_the_login(site: Site, path: str) -> None:
    html = Visitor(site.port, agent="Contract").get(path)
    assert (html.status, html.location.split("?")[0]) == (302, "/login")
    as_json = Visitor(site.port, agent="Contract").get(path, Accept="application/json")
    assert as_json.status == 401


@pytest.mark.clause("A1.1", "A2.2d")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", ""), ("username", "a"), ("username", "admin"), ("username", "x" * 300), ("password1", ""),
        ("password1", "short"), ("password1", "password1234"), ("nickname", ""), ("nickname", "운영자"), ("email", "no-address"),
        ("email", ""), ("age_group", ""), ("age_group", "7"), ("agree_terms", ""), ("agree_privacy", ""),
    ],
)  # fmt: skip
def test_a_wrong_registration_names_its_field(site: Site, field: str, value: str) -> None:
    fields = fields_of("wrong", **{field: value})
    if not value:
        del fields[field]
    answer = Visitor(site.port, agent="Contract").post("/signup", fields)
    assert answer.status == 422
    assert f'name="{field}"' in answer.text
    assert PASSWORD not in answer.text


@pytest.mark.clause("A2.2b", "A2.2f")
def test_a_login_tells_nothing_and_its_form_is_guarded(site: Site) -> None:
    member(site, "neutral")
    answers = []
    for login in ("neutral-login", "neutral@example.org", "nobody-login", "nobody@example.org"):
        answer = Visitor(site.port, agent="Contract").post("/login", {"login": login, "password": "wrong-" + PASSWORD})
        text = re.sub(r'value="[^"]*"', "", answer.text)
        answers.append((answer.status, text, sorted(h for h in answer.headers if h != "Date")))
    assert answers[0][0] == 422
    assert all(answer == answers[0] for answer in answers)
    taken = Visitor(site.port, agent="Contract").post(
        "/signup", fields_of("other", username="neutral-login", email="neutral@example.org")
    )
    fresh = Visitor(site.port, agent="Contract").post("/signup", fields_of("fresh"))
    assert (taken.status, taken.location) == (fresh.status, fresh.location) == (303, "/signup/confirm")
    bare = Visitor(site.port, agent="Contract")
    assert (
        bare._ask("POST", "/login", b"login=a&password=b", {"Content-Type": "application/x-www-form-urlencoded"}).status
        == 403
    )


@pytest.mark.clause("A2.1")
def test_an_upload_answers_as_the_contract_says(site: Site) -> None:
    browser = member(site, "uploader")
    answer = browser.upload(
        {"title": '제목 "따옴표" [b]', "description": "글", "alt": "대체 글", "tags": "하나, 둘", "visibility": "public"},
        [("../../이름.jpg", jpeg()), ("bad.jpg", b"no picture"), ("two.png", jpeg(200))],
    )  # fmt: skip
    assert answer.status == 201
    good, bad, other = answer.json()["files"]
    assert set(good) >= {"name", "id", "page_url", "urls", "embed", "removed", "error"}
    assert set(good["urls"]) == {"thumbnail", "preview", "original"}
    assert set(good["embed"]) == {"html", "markdown", "bbcode"}
    assert good["removed"]
    assert good["error"] is None
    assert bad["error"]
    assert not bad["id"]
    assert other["id"], "the content says what it is, not the name"
    for url in good["urls"].values():
        path = urllib.parse.urlsplit(url).path
        file = browser.get(path)
        assert file.status == 200
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in file.headers["Content-Security-Policy"]
        assert "max-age=60" in file.headers["Cache-Control"]
        assert file.headers["ETag"]
        assert browser._ask("GET", path, None, {"If-None-Match": file.headers["ETag"]}).status == 304
        assert b"somebody" not in file.content
        pyvips.Image.new_from_buffer(file.content, "").avg()
    original = browser.get(urllib.parse.urlsplit(good["urls"]["original"]).path)
    assert original.headers["Content-Disposition"].startswith("attachment")
    assert urllib.parse.urlsplit(good["page_url"]).path == f"/i/{good['id']}"
    assert browser.get(f"/i/{good['id']}").status == 200
    assert browser.get("/t/" + urllib.parse.quote("하나")).status == 200


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 415), (b"GIF89a", 422), (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415), (b"%PDF-1.7\n", 415), (jpeg()[:400], 422)],
    ids=["empty", "cut GIF", "SVG", "PDF", "cut JPEG"],
)  # fmt: skip
def test_one_refused_file_gets_its_own_status(site: Site, content: bytes, status: int) -> None:
    browser = Visitor(site.port, agent="Contract/refused")
    sign_in_demo(site, browser)
    answer = browser.upload({"visibility": "public"}, [("a.jpg", content)])
    assert answer.status == status
    assert answer.json()["files"][0]["error"]


def sign_in_demo(site: Site, browser: Visitor, role: str = "member") -> None:
    cast = json.loads((site.home / "demo-cast.json").read_text(encoding="utf-8"))
    login = next(login for login, facts in cast.items() if facts["role"] == role)
    assert browser.post("/demo/sign-in", {"login": login}, page="/demo").status == 303


@pytest.mark.clause("A2.1")
def test_visibility_and_ownership(site: Site) -> None:
    owner, stranger = member(site, "owner"), member(site, "stranger")
    made = {}
    for visibility in ("public", "unlisted", "private"):
        answer = owner.upload({"title": f"see-{visibility}", "visibility": visibility}, [("a.jpg", jpeg())])
        made[visibility] = answer.json()["files"][0]
    page = {name: stranger.get(f"/i/{file['id']}").status for name, file in made.items()}
    assert page == {"public": 200, "unlisted": 200, "private": 404}
    listed = stranger.get("/").text
    assert made["public"]["id"] in listed
    assert made["unlisted"]["id"] not in listed
    private = urllib.parse.urlsplit(made["private"]["urls"]["preview"]).path
    assert stranger.get(private).status == 404
    own = owner.get(private)
    assert own.status == 200
    assert "no-store" in own.headers["Cache-Control"]
    assert owner.upload({"visibility": "everyone"}, [("a.jpg", jpeg())]).status == 422
    edit = stranger.post(f"/i/{made['public']['id']}/edit", {"title": "mine"}, page="/")
    assert edit.status == 404
    gone = owner.post(f"/i/{made['public']['id']}/delete", {}, page=f"/i/{made['public']['id']}")
    assert gone.status == 303
    assert owner.post(f"/i/{made['public']['id']}/delete", {}, page="/").status in (404, 409)
    assert owner.get(urllib.parse.urlsplit(made["public"]["urls"]["preview"]).path).status == 404


@pytest.mark.clause("A7.1", "A7.2c")
def test_sensitive_pages_ask_for_the_password_again_after_ten_minutes(site: Site) -> None:
    browser = member(site, "stepper")
    assert browser.get("/me/privacy/edit").status == 200, "signing in counts for ten minutes"
    browser.post("/logout", {}, page="/")
    assert browser.get("/me/privacy").status == 302
    wrong = browser.post("/login", {"login": "stepper-login", "password": "no"})
    assert wrong.status == 422
    assert browser.post("/login", {"login": "stepper@example.org", "password": PASSWORD}).status == 303


@pytest.mark.clause("I10", "X4")
def test_the_desk_needs_its_role_and_a_second_factor(site: Site) -> None:
    assert member(site, "nosy").get("/desk").status == 403
    made = site.command("staff", "add", "--login", "new-moderator", "--role", "moderator", "--json")
    assert made.returncode == 0, made.stderr
    facts = json.loads(made.stdout)
    assert set(facts) >= {"login", "role", "enrolment_url", "password", "totp_secret"}
    browser = Visitor(site.port, agent="Contract/staff")
    assert browser.post("/login", {"login": facts["login"], "password": facts["password"]}).status in (302, 303)
    assert browser.get("/desk").status == 302
    assert browser.post("/login/second-factor", {"code": "000000"}).status == 422
    code = pyotp.TOTP(facts["totp_secret"]).now()
    assert browser.post("/login/second-factor", {"code": code}).status == 303
    assert browser.get("/desk").status == 200


@pytest.mark.clause("A0.1", "I12")
def test_the_board_has_one_shape_and_no_green_by_hand(site: Site) -> None:
    rows = Visitor(site.port, agent="Contract").get("/privacy/board.json").json()["clauses"]
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert set(row) >= {"id", "state", "promise", "evidence", "checked_at"}
        assert row["state"] in ("green", "red", "planned")
        if row["state"] == "green":
            datetime.fromisoformat(row["checked_at"])


@pytest.mark.clause("A8.0")
def test_cookies_of_an_http_site_carry_no_prefix_and_no_secure(site: Site) -> None:
    browser = Visitor(site.port, agent="Contract")
    answer = browser.get("/signup")
    for line in answer.headers.get_all("Set-Cookie") or []:
        assert not line.startswith("__Host-")
        assert "Secure" not in line
        assert "SameSite" in line


@pytest.mark.clause("I3")
def test_under_fourteen_is_told_kindly_and_nothing_is_kept(site: Site) -> None:
    browser = Visitor(site.port, agent="Contract/young")
    answer = browser.post("/signup", fields_of("child", age_group="under_14"))
    assert answer.status in (200, 303)
    for file in site.home.rglob("*"):
        if file.is_file():
            assert b"child@example.org" not in file.read_bytes(), file


@pytest.mark.clause("A3.1", "A3.2①", "A4.1①", "A7.2b", "I6")
def test_a_whole_life_through_the_contract(site: Site) -> None:
    """Joins, uploads, leaves, the clock is turned with the demo's button, and the receipt says destroyed."""
    browser = member(site, "mortal")
    picture = browser.upload({"title": "짧은 생", "visibility": "public"}, [("a.jpg", jpeg())]).json()["files"][0]["id"]
    zipped = browser.get("/me/withdraw/pictures.zip")
    assert zipped.status == 200
    assert zipped.content[:2] == b"PK"
    assert browser.post("/me/withdraw", {"content": "delete"}).status == 422
    assert browser.post("/me/withdraw", {"confirm": "yes"}).status == 422
    assert browser.post("/me/withdraw", {"content": "burn", "confirm": "yes"}).status == 422
    left = browser.post("/me/withdraw", {"content": "delete", "confirm": "yes"})
    assert left.status == 303
    receipt = urllib.parse.urlsplit(left.location).path
    assert receipt.startswith("/receipt/")
    anybody = Visitor(site.port, agent="Contract/anybody")
    assert anybody.get(receipt).status == 200
    assert site.command("retention", "run", "--json").returncode == 0
    before: Answer = anybody.get(receipt + ".json")
    assert before.status == 200
    assert "mortal" not in before.text
    assert anybody.get(f"/i/{picture}").status == 404
    assert anybody.post("/login", {"login": "mortal-login", "password": PASSWORD}).status == 422
    for step in ("day", "months", "day"):
        assert anybody.post("/demo/clock", {"step": step}, page="/demo").status == 303
    done = site.command("retention", "run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["errors"] == {}
    after = anybody.get(receipt + ".json").json()
    assert "scheduled" not in json.dumps(after), "after three months nothing of it waits any more"
    assert anybody.get("/receipt/ABCD-EFGH-JKLM").status == 404
    verified = site.command("ledger", "verify")
    assert verified.returncode == 0, verified.stderr


@pytest.mark.clause("I2", "I9")
def test_retention_runs_beside_the_worker_and_beside_itself(site: Site) -> None:
    """Three commands at once while the worker works: each ends well, every key lives, one epoch is left."""
    from concurrent.futures import ThreadPoolExecutor

    browser = member(site, "bystander")
    assert Visitor(site.port, agent="Contract").post("/demo/clock", {"step": "day"}, page="/demo").status == 303
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(site.command, "retention", "run", "--json") for _ in range(3)]
    for run in runs:
        assert run.result().returncode == 0, run.result().stdout + run.result().stderr
    assert browser.get("/me/privacy/edit").status == 302, "a day is longer than ten minutes"
    signed = Visitor(site.port, agent="Contract/again")
    assert signed.post("/login", {"login": "bystander@example.org", "password": PASSWORD}).status == 303
    assert "bystander@example.org" in signed.get("/me/privacy").text
    assert site.command("check").returncode == 0
