"""One member's whole life through the pages, with a real vault, real letters and real pictures."""

import io
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from PIL import Image as Picture

from imgnom.community.members.models import Letter, Member, PendingRegistration
from imgnom.community.members.public import deliver_mail
from imgnom.custody.archive.models import ArchivedValue
from imgnom.custody.in_force import policy_in_force
from imgnom.procedures.retention.public import DESTROYERS, ENDS_OTHERWISE, run_due
from imgnom.site.clock import set_clock

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

FIELDS = {
    "age_group": "14_or_older", "username": "seonwoo.l", "password1": "kite over the river", "nickname": "하늘바라기", "email": "seonwoo@mail.example",
    "agree_terms": "on", "agree_privacy": "on",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _time_stands_still(now: datetime) -> None:
    set_clock(now)


def code_for(home: Path, address: str, now: datetime) -> str:
    deliver_mail(now=now)
    for file in sorted((home / "outbox").glob("*.eml"), reverse=True):
        text = file.read_text(encoding="utf-8", errors="replace")
        if f"To: {address}" in text:
            return re.search(r"\b(\d{6})\b", text.split("\n\n", 1)[0])[1]  # type: ignore[index]
    return ""


def join(home: Path, now: datetime, **changes: str) -> Client:
    client = Client()
    fields = FIELDS | changes
    assert client.post("/signup", fields).status_code == 303
    assert client.post("/signup/confirm", {"code": code_for(home, fields["email"], now)}).status_code == 303
    return client


def jpeg() -> bytes:
    target = io.BytesIO()
    exif = Picture.Exif()
    exif[0x013B] = "ARTISTCANARY"
    exif.get_ifd(0x8825)[1] = "N"
    Picture.new("RGB", (640, 420), (40, 90, 140)).save(target, "JPEG", exif=exif)
    return target.getvalue()


def upload(client: Client, content: bytes, name: str = "a.jpg", **fields: str) -> object:
    file = io.BytesIO(content)
    file.name = name
    return client.post("/upload", {"file": file, "title": "강가", **fields}, headers={"accept": "application/json"})


@pytest.mark.clause("A1.1", "A2.2d")
def test_joining_asks_for_a_code_and_keeps_nothing_in_plain(home: Path, now: datetime) -> None:
    join(home, now)
    member = Member.objects.get()
    assert member.nickname == FIELDS["nickname"]
    assert member.password.startswith("argon2$argon2id")
    decoded = " ".join(str(session.get_decoded()) for session in Session.objects.all())
    assert FIELDS["email"] not in decoded
    assert FIELDS["username"] not in decoded
    assert not Letter.objects.exists()


@pytest.mark.clause("A1.1", "A2.2f")
def test_a_taken_mailbox_gets_the_same_answer_and_a_letter_to_its_owner(home: Path, now: datetime) -> None:
    join(home, now)
    other = Client()
    answer = other.post(
        "/signup", FIELDS | {"nickname": "다른이름", "username": "another.one", "email": "Seonwoo+x@mail.example"}
    )
    assert answer.status_code == 303
    assert answer["Location"] == "/signup/confirm"
    assert "/reset" in Letter.objects.get().template_id or Letter.objects.get().template_id == "already"


@pytest.mark.clause("A1.1")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nickname", "imgnom운영팀"),
        ("nickname", "аdmin"),
        ("username", "ab"),
        ("password1", "password"),
        ("password1", "seonwoo.l1"),
        ("email", "no address"),
        ("agree_privacy", ""),
    ],
)
def test_wrong_input_is_named_at_its_field_and_nothing_is_lost(field: str, value: str) -> None:
    answer = Client().post("/signup", FIELDS | {field: value})
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert not PendingRegistration.objects.exists()


@pytest.mark.clause("I3")
def test_who_is_under_fourteen_leaves_nothing(now: datetime) -> None:
    assert Client().post("/signup", FIELDS | {"age_group": "under_14"}).status_code == 200
    assert not PendingRegistration.objects.exists()


@pytest.mark.clause("A2.2a")
def test_five_wrong_codes_end_a_code(home: Path, now: datetime) -> None:
    client = Client()
    client.post("/signup", FIELDS)
    right = code_for(home, FIELDS["email"], now)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for _ in range(5):
        assert client.post("/signup/confirm", {"code": wrong}).status_code == 422
    assert client.post("/signup/confirm", {"code": right}).status_code == 422


@pytest.mark.clause("A2.2c")
def test_a_wrong_login_tells_nothing(home: Path, now: datetime) -> None:
    join(home, now)
    known = Client().post("/login", {"login": FIELDS["username"], "password": "wrong wrong"})
    unknown = Client().post("/login", {"login": "nobody.here", "password": "wrong wrong"})
    strip = lambda r: re.sub(rb'value="[^"]*"', b"", r.content)  # noqa: E731
    assert known.status_code == unknown.status_code == 422
    assert strip(known) == strip(unknown)
    assert (
        Client().post("/login", {"login": FIELDS["email"].upper(), "password": FIELDS["password1"]}).status_code == 303
    )


def test_a_session_ends_by_the_sites_clock(home: Path, now: datetime) -> None:
    client = join(home, now)
    assert client.get("/me/privacy").status_code == 200
    set_clock(now + timedelta(days=31))
    assert client.get("/me/privacy").status_code == 302


@pytest.mark.clause("A2.1")
def test_hidden_data_is_gone_before_the_first_write(home: Path, now: datetime) -> None:
    client = join(home, now)
    answer = upload(client, jpeg())
    assert answer.status_code == 201
    facts = answer.json()["files"][0]
    assert "camera" in facts["removed"]
    assert "place" in facts["removed"]
    for size in ("thumbnail", "preview", "original"):
        served = client.get(f"/media/{facts['id']}/{size}")
        assert b"ARTISTCANARY" not in (b"".join(served.streaming_content) if served.streaming else served.content)
        assert served["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in served["Content-Security-Policy"]


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (b"GIF89a<script>", 422),
        (b"\xff\xd8\xff\xe0junk", 422),
        (b"%PDF-1.4", 415),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, 422),
        (b"", 422),
    ],
)
def test_what_is_no_picture_is_refused_by_content(home: Path, now: datetime, content: bytes, status: int) -> None:
    client = join(home, now)
    assert upload(client, content or b"x", name="holiday.jpg").status_code == (status if content else 415)


@pytest.mark.clause("A2.1")
def test_a_private_picture_is_nobody_elses(home: Path, now: datetime) -> None:
    client = join(home, now)
    name = upload(client, jpeg(), visibility="private").json()["files"][0]["id"]
    for path in (f"/i/{name}", f"/media/{name}/preview", f"/media/{name}/original"):
        assert client.get(path).status_code == 200
        assert Client().get(path).status_code == 404


@pytest.mark.clause("A7.2b", "A3.2①")
@pytest.mark.parametrize("choice", ["keep", "anonymise", "delete"])
def test_leaving_does_what_was_chosen(home: Path, now: datetime, choice: str) -> None:
    client = join(home, now)
    name = upload(client, jpeg()).json()["files"][0]["id"]
    assert client.post("/me/withdraw", {"confirm": "yes"}).status_code == 422
    assert client.post("/me/withdraw", {"content": choice}).status_code == 422
    answer = client.post("/me/withdraw", {"content": choice, "confirm": "yes"})
    assert answer.status_code == 303
    assert not Member.objects.exists()
    page = Client().get(f"/i/{name}")
    assert page.status_code == (404 if choice == "delete" else 200)
    assert (FIELDS["nickname"] in page.content.decode()) == (choice == "keep")
    assert Client().get(answer["Location"]).status_code == 200
    facts = Client().get(answer["Location"] + ".json").json()
    assert facts["certificates"][0]["grade"] == "cryptographic"
    assert facts["ledger"]
    assert ArchivedValue.objects.count() == 4
    set_clock(now + timedelta(days=100))
    run_due(now=now + timedelta(days=100))
    assert not ArchivedValue.objects.exists()
    states = {line["record"]: line["state"] for line in Client().get(answer["Location"] + ".json").json()["lines"]}
    assert states["identity_after_leaving"] == "destroyed"


@pytest.mark.clause("A3.0a")
def test_every_record_of_the_policy_has_its_destroyer_or_a_reason() -> None:
    known = {destroyer.record for destroyer in DESTROYERS} | set(ENDS_OTHERWISE)
    assert {record.id for record in policy_in_force().records.values() if record.state == "built"} == known


@pytest.mark.clause("I10", "X4")
def test_the_desk_is_closed_to_members_and_visitors(home: Path, now: datetime) -> None:
    assert Client().get("/desk").status_code == 302
    assert join(home, now).get("/desk").status_code == 403


@pytest.mark.clause("A0.2", "A8.3")
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/privacy",
        "/privacy.json",
        "/privacy/versions",
        "/privacy/cookies",
        "/privacy/board",
        "/privacy/board.json",
        "/terms",
        "/signup",
        "/login",
        "/search?q=x",
        "/healthz",
        "/readyz",
        "/.well-known/gpc.json",
        "/.well-known/security.txt",
    ],
)
def test_public_pages_answer_in_both_languages(path: str) -> None:
    for language in ("ko", "en"):
        assert Client(headers={"accept-language": language}).get(path).status_code == 200
