"""One's own page: everything held, why, until when, used for what and when last; corrected, taken along, one click away."""

import csv
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from imgnom.community.comments.public import write_comment
from imgnom.community.members.models import Member
from imgnom.community.members.public import MemberCard, deliver_mail
from imgnom.custody.archive.models import ArchivedValue
from imgnom.custody.consent.public import record_consent
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.models import DataKey
from imgnom.custody.ledger.models import Leaf
from imgnom.custody.ledger.public import sequence
from imgnom.custody.outbox.models import Outbox
from imgnom.custody.vault.models import Correction, LastUse, SealedValue
from imgnom.custody.vault.public import find_subject, held_items
from imgnom.custody.vault.reveal import RevealRefused, reveal
from imgnom.policy.public import SYSTEM, Actor
from imgnom.procedures.moderation.public import record_handling
from imgnom.procedures.retention.public import run_due
from imgnom.procedures.rights.threads import place_of
from imgnom.site.clock import set_clock
from tests.rooms.test_withdrawal import PASSWORD, ROOT, post, signed_in, somebody

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


@pytest.fixture(autouse=True)
def _time_stands_still(now: datetime) -> None:
    set_clock(now)


@pytest.fixture
def card(now: datetime) -> MemberCard:
    return somebody(now, "reader", "책벌레")


def exported(client: Client) -> dict[str, object]:
    return dict(json.loads(client.get("/me/export", headers={"accept": "application/json"}).content))


def items_of(client: Client) -> dict[str, dict[str, object]]:
    return {row["item"]: row for row in exported(client)["items"]}  # type: ignore[attr-defined]


def codes_in(home: Path, address: str, now: datetime) -> list[str]:
    deliver_mail(now=now)
    found = []
    for file in sorted((home / "outbox").glob("*.eml")):
        letter = message_from_bytes(file.read_bytes(), policy=policy.default)
        if address in str(letter["To"]):
            found += re.findall(r"\b\d{6}\b", letter.get_content())
    return found


@pytest.mark.clause("A7.1", "A2.0")
def test_values_are_shown_only_after_the_identity_check(card: MemberCard, now: datetime) -> None:
    client = signed_in("reader")
    for language in ("ko", "en"):
        page = client.get("/me/privacy", headers={"accept-language": language}).content.decode()
        assert "reader@mail.example" in page
        assert page.count('class="thread"') >= 4
    set_clock(now + timedelta(minutes=10))
    page = client.get("/me/privacy").content.decode()
    assert "reader@mail.example" not in page
    assert "/step-up?next=/me/privacy" in page
    assert client.get("/me/export").status_code == 302
    assert client.get("/me/privacy/edit")["Location"].startswith("/step-up?next=")


@pytest.mark.clause("A2.0")
def test_each_use_is_shown_with_the_day_it_happened_last(card: MemberCard, now: datetime) -> None:
    client = signed_in("reader")
    later = now + timedelta(days=3)
    reveal(card.subject, "email", purpose="notices", by=SYSTEM, now=later)
    set_clock(later)
    client.post("/step-up", {"password": PASSWORD, "next": "/"})
    uses = {row["purpose"]: row["last_used_at"] for row in items_of(client)["email"]["purposes"]}  # type: ignore[attr-defined]
    assert uses["notices"] == later.isoformat()
    assert uses["advertising"] is None
    assert {row["purpose"] for row in items_of(client)["username"]["purposes"] if row["last_used_at"]} >= {"identity"}  # type: ignore[attr-defined]
    assert "2026-11-25" in client.get("/me/privacy").content.decode()


@pytest.mark.clause("A2.0")
def test_looking_at_ones_own_page_notes_the_use_and_writes_no_leaf(card: MemberCard, now: datetime) -> None:
    client = signed_in("reader")
    sequence(now=now)
    before = Leaf.objects.count()
    for _ in range(3):
        client.get("/me/privacy")
    assert not Outbox.objects.using("vault").exists()
    assert Leaf.objects.count() == before
    assert LastUse.objects.filter(subject=card.subject, item="email", purpose="rights", role="member").count() == 1


@pytest.mark.clause("A2.0", "X4")
def test_who_looked_stands_there_with_role_reason_and_time_and_never_the_account(
    card: MemberCard, now: datetime
) -> None:
    client = signed_in("reader")
    assert "아직 아무도 보지 않았습니다" in client.get("/me/privacy").content.decode()
    officer = Actor("officer", "o" * 26)
    for minutes in (1, 2):
        reveal(card.subject, "email", purpose="complaints", by=officer, now=now + timedelta(minutes=minutes))
    with pytest.raises(RevealRefused):
        reveal(card.subject, "username", purpose="complaints", by=officer, now=now)
    record_handling(
        by=Actor("moderator", "m" * 26), place="10.0.0.0/24", act="remove", what="picture abc", whose=card.subject, reason="남의 얼굴이 나옵니다", now=now
    )  # fmt: skip
    page = client.get("/me/privacy").content.decode()
    log = page[page.index('class="log"') : page.index("</ol>", page.index('class="log"'))]
    assert log.count("개인정보 보호책임자") == 2, "each look of the staff, and no refusal"
    assert "남의 얼굴이 나옵니다" in log
    assert not [token for token in ("o" * 26, "m" * 26, "10.0.0.0") if token in page]


@pytest.mark.clause("A7.1", "A7.2a")
def test_what_is_exported_is_what_is_shown_with_ones_own_pictures_and_nobody_elses(
    card: MemberCard, now: datetime
) -> None:
    mine, private = post(card, now), post(card, now, visibility="private")
    other = somebody(now, "other", "강바람")
    theirs = post(other, now)
    write_comment(image_id=theirs, body="=HYPERLINK('x') 곱습니다", by_member=card.id, now=now)
    write_comment(image_id=mine, body="남의 말", by_member=other.id, now=now)
    record_consent(card.subject, "advertising", given=True, way="page", by=Actor("member", card.subject), now=now)
    client = signed_in("reader")
    answer = client.get("/me/export")
    assert answer["Content-Type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))  # type: ignore[attr-defined]
    assert archive.testzip() is None
    facts = json.loads(archive.read("my-data.json"))
    shown = set(re.findall(r"<td><b>([^<]+)</b></td>", client.get("/me/privacy").content.decode()))
    assert {row["label"]["ko"] for row in facts["items"]} == shown
    values = {row["item"]: row["value"] for row in facts["items"]}
    assert (values["username"], values["nickname"], values["email"]) == ("reader", "책벌레", "reader@mail.example")
    assert values["password"] == ""
    rows = list(csv.DictReader(io.StringIO(archive.read("my-data.csv").decode("utf-8-sig"))))
    assert [row["item"] for row in rows] == [row["item"] for row in facts["items"]]
    pictures = json.loads(archive.read("pictures.json"))
    assert {row["id"] for row in pictures} == {mine, private}
    assert len([name for name in archive.namelist() if name.startswith("pictures/")]) == 2
    said = json.loads(archive.read("comments.json"))
    assert [(row["picture"], row["body"]) for row in said] == [(theirs, "=HYPERLINK('x') 곱습니다")]
    whole = b"".join(archive.read(name) for name in archive.namelist() if not name.startswith("pictures/"))
    assert not [word for word in ("강바람", "남의 말", "other@mail.example") if word.encode() in whole]
    assert facts["consents"][0]["consent"] == "advertising"
    taken = zipfile.ZipFile(io.BytesIO(b"".join(client.get("/me/withdraw/pictures.zip").streaming_content)))  # type: ignore[attr-defined]
    assert len(json.loads(taken.read("pictures.json"))) == 2


@pytest.mark.clause("A7.1", "A7.2a")
def test_a_nickname_is_corrected_and_of_the_one_before_only_a_digest_is_left(card: MemberCard, now: datetime) -> None:
    somebody(now, "other", "강바람")
    client = signed_in("reader")
    taken = client.post("/me/privacy/edit", {"nickname": "강바람", "email": "reader@mail.example"})
    assert taken.status_code == 422
    assert "nickname" in taken.context["form"].errors
    assert client.post("/me/privacy/edit", {"nickname": "책갈피", "email": "reader@mail.example"}).status_code == 303
    assert Member.objects.get(pk=card.id).nickname == "책갈피"
    assert items_of(client)["nickname"]["value"] == "책갈피"
    row = Correction.objects.get(subject=card.subject)
    assert row.item == "nickname"
    assert re.fullmatch(r"[0-9a-f]{64}", row.digest)
    assert Client().get("/@책벌레").status_code == 404
    assert Client().get("/@책갈피").status_code == 200


@pytest.mark.clause("A7.1", "A7.2a")
def test_a_new_email_is_confirmed_first_and_the_old_one_works_until_then(
    card: MemberCard, now: datetime, home: Path
) -> None:
    client = signed_in("reader")
    form = {"nickname": "책벌레", "email": "new.reader@mail.example"}
    answer = client.post("/me/privacy/edit", form)
    assert answer["Location"] == "/me/privacy/edit?confirm=email"
    assert client.get(answer["Location"]).status_code == 200
    assert items_of(client)["email"]["value"] == "reader@mail.example"
    assert Client().post("/login", {"login": "reader@mail.example", "password": PASSWORD}).status_code == 303
    assert Client().post("/login", {"login": "new.reader@mail.example", "password": PASSWORD}).status_code == 422
    code = codes_in(home, "new.reader@mail.example", now)[-1]
    wrong = client.post("/me/privacy/edit", {"code": f"{(int(code) + 1) % 1_000_000:06d}"})
    assert wrong.status_code == 422
    assert client.post("/me/privacy/edit", {"code": code}).status_code == 303
    assert items_of(client)["email"]["value"] == "new.reader@mail.example"
    assert Client().post("/login", {"login": "reader@mail.example", "password": PASSWORD}).status_code == 422
    assert Client().post("/login", {"login": "new.reader@mail.example", "password": PASSWORD}).status_code == 303
    assert find_subject("email", "reader@mail.example") is None
    deliver_mail(now=now)  # the old address is told, and goes with that letter
    assert SealedValue.objects.filter(subject=card.subject, item="email").count() == 1
    assert Correction.objects.get(subject=card.subject).item == "email"


@pytest.mark.clause("A7.1")
def test_a_code_for_a_new_email_ends_with_its_time(card: MemberCard, now: datetime, home: Path) -> None:
    client = signed_in("reader")
    client.post("/me/privacy/edit", {"nickname": "책벌레", "email": "late@mail.example"})
    code = codes_in(home, "late@mail.example", now)[-1]
    late = now + timedelta(minutes=11)
    set_clock(late)
    client.post("/step-up", {"password": PASSWORD, "next": "/"})
    assert client.post("/me/privacy/edit", {"code": code}).status_code == 422
    run_due(now=late)
    assert SealedValue.objects.filter(subject=card.subject, item="email").count() == 1


@pytest.mark.clause("A7.2a", "A7.2b")
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/privacy",
        "/privacy/board",
        "/upload",
        "/me/records",
        "/me/sessions",
        "/terms",
        "/search?q=x",
        "/nothing-here",
    ],
)
def test_changing_and_leaving_are_one_click_away_on_every_page(card: MemberCard, path: str) -> None:
    client = signed_in("reader")
    for language, words in (
        ("ko", ("개인정보 변경", "회원탈퇴")),
        ("en", ("Change personal information", "Withdraw membership")),
    ):
        page = client.get(path, headers={"accept-language": language}).content.decode()
        for address, label in zip(("/me/privacy/edit", "/me/withdraw"), words, strict=True):
            assert re.search(rf'<a href="{address}"[^>]*>{label}</a>', page)


@pytest.fixture
def with_telephone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy file of an operator: one more item on the form, kept like the rest of the identity."""
    folder = tmp_path / "policy"
    folder.mkdir()
    base = policy_in_force()
    kept = ", ".join(f'"{item}"' for item in (*base.records["identity_after_leaving"].items, "phone"))
    (folder / "policy.toml").write_text(
        f"""
extends = "{ROOT / "policies" / "imgnom"}"
id = "operator"
[items.phone]
label = {{ ko = "전화번호", en = "telephone" }}
category = "pd:TelephoneNumber"
collected = "registration"
required = false
store = "vault"
[[uses]]
item = "phone"
purpose = "rights"
roles = ["member", "system"]
[[uses]]
item = "phone"
purpose = "retention"
roles = ["system"]
[records.identity_after_leaving]
items = [{kept}]
""",
        encoding="utf-8",
    )
    monkeypatch.setattr(settings, "IMGNOM", replace(settings.IMGNOM, policy=folder))


@pytest.mark.clause("I1", "A7.1", "A4.1①")
@pytest.mark.usefixtures("with_telephone")
def test_an_item_of_the_policy_file_is_shown_edited_exported_archived_and_destroyed(
    card: MemberCard, now: datetime
) -> None:
    client = signed_in("reader")
    assert "phone" not in items_of(client), "an optional item that was left empty is not held"
    form = {"nickname": "책벌레", "email": "reader@mail.example"}
    assert client.post("/me/privacy/edit", form | {"phone": "010-1234-5678"}).status_code == 303
    assert "010-1234-5678" in client.get("/me/privacy").content.decode()
    assert items_of(client)["phone"]["value"] == "010-1234-5678"
    assert client.post("/me/privacy/edit", form | {"phone": "010-8765-4321"}).status_code == 303
    assert items_of(client)["phone"]["value"] == "010-8765-4321"
    plan = client.get("/me/withdraw").content.decode()
    assert "전화번호" in plan
    answer = client.post("/me/withdraw", {"content": "keep", "confirm": "yes"})
    assert ArchivedValue.objects.filter(item="phone").count() == 1
    assert "phone" not in held_items(card.subject)
    late = now + timedelta(days=100)
    set_clock(late)
    assert run_due(now=late).errors == {}
    assert not ArchivedValue.objects.exists()
    made = Client().get(answer["Location"] + ".json").json()["certificates"][-1]["certificate"]
    assert "phone" in made["items"]
    assert not DataKey.objects.filter(klass="archive").exists()


@pytest.mark.clause("A7.1")
def test_an_optional_item_can_be_taken_back(card: MemberCard, with_telephone: None) -> None:
    client = signed_in("reader")
    form = {"nickname": "책벌레", "email": "reader@mail.example"}
    client.post("/me/privacy/edit", form | {"phone": "010-1234-5678"})
    client.post("/me/privacy/edit", form | {"phone": ""})
    assert "phone" not in items_of(client)
    assert not SealedValue.objects.filter(subject=card.subject, item="phone").exists()


def test_a_later_day_stands_further_along_the_line(now: datetime) -> None:
    today = now.date()
    places = [place_of(today + timedelta(days=days), today) for days in range(0, 5000, 7)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (3.0, 94.0)
    assert place_of(today - timedelta(days=3), today) == 3.0
