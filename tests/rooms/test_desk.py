"""The desk from outside: who may open it, what lies on it, removing for good with a reason, and the record of each move."""

import csv
import io
import re
from argparse import Namespace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pyotp
import pytest
from django.conf import settings
from django.db import DatabaseError
from django.test import Client

from imgnom.community.comments.models import Comment
from imgnom.community.comments.public import write_comment
from imgnom.community.images.models import Image
from imgnom.community.images.public import upload_file
from imgnom.community.images.take_in import files_of, sweep_orphans
from imgnom.community.members.models import Letter, Member
from imgnom.community.members.public import MemberCard, create_confirmed_member, create_staff, deliver_mail
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.models import DataKey
from imgnom.custody.ledger.public import verify_ledger
from imgnom.procedures.moderation import handling, views
from imgnom.procedures.moderation.models import HandlerRecord, RightGrant
from imgnom.procedures.moderation.public import record_grant
from imgnom.procedures.moderation.words import change_words
from imgnom.procedures.retention.public import run_due
from imgnom.site.clock import set_clock
from imgnom.site.invariants import check_invariants
from imgnom.site.staff_command import end_staff
from tests.rooms.test_life import jpeg

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
PASSWORD = "kite over the river"
PLACE = "203.0.113.77"


@pytest.fixture(autouse=True)
def _time_stands_still(now: datetime) -> None:
    set_clock(now)


@pytest.fixture
def owner(now: datetime) -> MemberCard:
    return create_confirmed_member(
        username="eunsu.k", password=PASSWORD, nickname="은수", email="eunsu@mail.example", now=now
    )


def client(language: str = "ko") -> Client:
    return Client(REMOTE_ADDR=PLACE, headers={"accept-language": language})


def signed_in(login: str) -> Client:
    browser = client()
    assert browser.post("/login", {"login": login, "password": PASSWORD}).status_code == 303
    return browser


def staff(role: str, now: datetime, *, factor: bool = True) -> Client:
    made = create_staff(login=f"the-{role}", role=role, now=now)
    browser = client()
    answer = browser.post("/login", {"login": made.login, "password": made.password})
    assert answer["Location"] == "/login/second-factor"
    if factor:
        code = pyotp.TOTP(made.totp_secret).now()
        assert browser.post("/login/second-factor", {"code": code}).status_code == 303
    return browser


def hang(owner: MemberCard, now: datetime, **words: str) -> Image:
    facts = {
        "title": "달항아리",
        "description": "흰 그릇",
        "alt": "그릇",
        "tags": "백자",
        "visibility": "public",
    } | words
    made = upload_file(content=jpeg(), by_member=owner.id, subject=owner.subject, now=now, **facts)
    return Image.objects.get(public_id=made.public_id)


def every_file(token: str) -> list[Path]:
    found = files_of(token)
    assert len(found) == 5, "the original, and two sizes in two formats"
    return found


def newest() -> HandlerRecord:
    found = HandlerRecord.objects.order_by("-pk").first()
    assert found is not None
    return found


@pytest.mark.clause("I10")
def test_a_password_alone_opens_no_page_of_the_desk(now: datetime) -> None:
    half = staff("officer", now, factor=False)
    for path in ("/desk", "/desk/records", "/desk/picture/x"):
        answer = half.get(path)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/login/second-factor")
    assert half.post("/desk/remove/picture/x", {"reason": "x"}).status_code == 302
    asked = half.get("/desk", headers={"accept": "application/json"})
    assert (asked.status_code, asked.json()["needs"]) == (403, "second_factor")


@pytest.mark.clause("I10", "A9.1")
def test_rights_end_with_the_account_wherever_it_is_ended(owner: MemberCard, now: datetime) -> None:
    officer, moderator, member = staff("officer", now), staff("moderator", now), signed_in("eunsu.k")
    removed = hang(owner, now)
    assert moderator.post(f"/desk/remove/picture/{removed.public_id}", {"reason": "copyright"}).status_code == 303
    assert officer.get("/desk/records").status_code == 200
    ended = Namespace(act="end", login="the-moderator", role=None, json=False)
    assert end_staff(ended) == 0
    assert moderator.get("/desk").status_code == 302, "signed out"
    assert end_staff(ended) == 1
    assert end_staff(Namespace(act="end", login="eunsu.k", role=None, json=False)) == 1, "a member is no staff account"
    assert member.get("/me/privacy").status_code == 200
    auditor = staff("auditor", now)
    assert auditor.post("/me/withdraw", {"content": "keep", "confirm": "yes"}).status_code == 303
    told = RightGrant.objects.order_by("pk").values_list("role", "change", "by")
    assert [row[:2] for row in told] == [("moderator", "ended"), ("auditor", "ended")]
    assert told[0][2] == "command line"
    page = officer.get("/desk/records").content.decode()
    assert page.count(change_words("ended")) == 2
    assert Image.objects.get(pk=removed.pk).removed_reason, "what was done stays"
    assert check_invariants()["ok"]


@pytest.mark.clause("I10", "X4")
@pytest.mark.parametrize(
    ("role", "desk", "records"),
    [("moderator", 200, 403), ("officer", 200, 200), ("administrator", 200, 403), ("auditor", 303, 200)],
)
def test_each_role_opens_what_it_is_for(now: datetime, role: str, desk: int, records: int) -> None:
    browser = staff(role, now)
    assert browser.get("/desk").status_code == desk
    assert browser.get("/desk/records").status_code == records
    if records == 403:
        assert (newest().act, newest().what, newest().result) == ("open", "desk/records", "refused")


@pytest.mark.clause("X4")
def test_the_records_are_for_the_roles_that_the_policy_names() -> None:
    uses = [use for use in policy_in_force().uses if use.item == "handler_record"]
    assert {role for use in uses for role in use.roles} - {"system"} == set(views.READERS)


@pytest.mark.clause("X4", "A2.2c")
def test_a_member_is_turned_away_and_that_is_recorded(owner: MemberCard) -> None:
    member = signed_in("eunsu.k")
    assert not HandlerRecord.objects.exists(), "members are no handlers"
    for method, path in (("get", "/desk"), ("get", "/desk/records"), ("post", "/desk/remove/picture/x")):
        assert getattr(member, method)(path).status_code == 403
        assert (newest().account, newest().role, newest().result) == (owner.subject, "member", "refused")
    assert HandlerRecord.objects.count() == 3


@pytest.mark.clause("A2.1", "C3")
def test_the_desk_shows_what_others_can_open_and_nothing_private(owner: MemberCard, now: datetime) -> None:
    shown = [hang(owner, now, title=title, visibility=title) for title in ("public", "unlisted")]
    secret = hang(owner, now, title="nobody's business", visibility="private")
    comment = write_comment(image_id=shown[0].public_id, body="한마디 남깁니다", by_member=owner.id, now=now)
    hidden = write_comment(image_id=secret.public_id, body="혼잣말", by_member=owner.id, now=now)
    desk = staff("moderator", now)
    text = desk.get("/desk").content.decode()
    for image in shown:
        assert f"/desk/picture/{image.public_id}" in text
    assert f"/desk/comment/{comment.pk}" in text
    assert secret.public_id not in text
    assert "혼잣말" not in text
    for path in (
        f"/desk/picture/{secret.public_id}",
        f"/desk/comment/{hidden.pk}",
        "/desk/picture/none",
        "/desk/shoe/1",
    ):
        assert desk.get(path).status_code == 404
        assert newest().result == "missing"
    assert desk.post(f"/desk/remove/picture/{secret.public_id}", {"reason": "x"}).status_code == 404
    assert desk.post(f"/desk/remove/comment/{hidden.pk}", {"reason": "x"}).status_code == 404
    assert Image.objects.get(pk=secret.pk).removed_reason == ""
    assert Comment.objects.get(pk=hidden.pk).body == "혼잣말"


@pytest.mark.clause("A2.1", "X4")
def test_nobody_at_the_desk_sees_an_address_or_a_login(owner: MemberCard, now: datetime) -> None:
    image = hang(owner, now)
    signed_in("eunsu.k").get("/desk")
    officer = staff("officer", now)
    for path in ("/desk", f"/desk/picture/{image.public_id}", "/desk/records", "/desk?q=은수"):
        text = officer.get(path).content.decode()
        for secret in ("eunsu@mail.example", "eunsu.k", PLACE, owner.subject):
            assert secret not in text, path
    assert "203.0.113.0/24" in officer.get("/desk/records").content.decode()


@pytest.mark.clause("A2.1", "A4.2", "C3")
def test_a_removed_picture_is_gone_at_once_and_its_owner_reads_why(
    owner: MemberCard, now: datetime, home: Path
) -> None:
    image = hang(owner, now)
    paths = every_file(image.media_token)
    assert all(path.exists() for path in paths)
    assert DataKey.objects.filter(owner=image.media_token).exists()
    desk, member = staff("moderator", now), signed_in("eunsu.k")
    address = f"/desk/remove/picture/{image.public_id}"
    answer = desk.post(address, {"reason": "주민등록증이 보입니다"})
    assert (answer.status_code, answer["Location"]) == (303, "/desk")
    assert not any(path.exists() for path in paths)
    assert not DataKey.objects.filter(owner=image.media_token).exists()
    row = Image.objects.get(pk=image.pk)
    assert (row.description, row.alt, row.placeholder) == ("", "", "")
    page = member.get(f"/i/{image.public_id}").content.decode()
    assert "주민등록증이 보입니다" in page
    assert client().get(f"/i/{image.public_id}").status_code == 404
    assert member.get(f"/media/{image.public_id}/preview").status_code == 404
    record = newest()
    assert (record.act, record.what, record.whose, record.result, record.place) == (
        "remove", f"picture {image.public_id}", owner.subject, "done", "203.0.113.0/24",
    )  # fmt: skip
    assert record.reason == "주민등록증이 보입니다"
    # Once is once: no second effect, no second letter, and the first reason stands.
    assert desk.post(address, {"reason": "다른 까닭"}).status_code == 409
    assert desk.post(address, {"reason": ""}).status_code == 409
    assert Image.objects.get(pk=image.pk).removed_reason == "주민등록증이 보입니다"
    assert Letter.objects.count() == 1
    deliver_mail(now=now)
    letter = message_from_bytes(next((home / "outbox").glob("*.eml")).read_bytes(), policy=policy.default)
    assert letter["To"] == "eunsu@mail.example"
    body = letter.get_content()
    assert body.count(f"/i/{image.public_id}") == 2, "the desk's language is not the reader's: both stand there"
    assert letter["Subject"] == "[imgnom] 운영진이 사진을 내렸습니다 / Staff removed a picture of yours"
    assert "까닭은" in body.partition("* * *")[0]
    assert "Sign in to read the reason" in body.partition("* * *")[2]
    assert "주민등록증" not in body, "why is read after signing in"
    assert next(row for row in check_invariants()["invariants"] if row["id"] == "I2")["ok"]
    # The owner clears the rest away, and may leave afterwards.
    assert member.post(f"/i/{image.public_id}/delete").status_code == 303
    assert not Image.objects.exists()


@pytest.mark.clause("A2.1", "C3")
def test_a_removed_comment_loses_its_words_and_its_author_reads_why(owner: MemberCard, now: datetime) -> None:
    image = hang(owner, now)
    comment = write_comment(image_id=image.public_id, body="번호는 010-0000-0000", by_member=owner.id, now=now)
    desk = staff("moderator", now)
    address = f"/desk/remove/comment/{comment.pk}"
    assert "내리는 까닭" in desk.post(address, {"reason": "  \n "}).content.decode()
    assert newest().result == "invalid"
    assert Comment.objects.get(pk=comment.pk).body == "번호는 010-0000-0000"
    assert desk.post(address, {"reason": "전화번호가 있습니다"}).status_code == 303
    row = Comment.objects.get(pk=comment.pk)
    assert (row.body, row.removed_reason) == ("", "전화번호가 있습니다")
    own = signed_in("eunsu.k").get(f"/i/{image.public_id}").content.decode()
    other = client().get(f"/i/{image.public_id}").content.decode()
    assert "전화번호가 있습니다" in own
    assert "전화번호가 있습니다" not in other
    assert "운영진이 내린 댓글" in other
    assert desk.post(address, {"reason": "다시"}).status_code == 409
    assert newest().result == "twice"
    assert Letter.objects.get().template_id == "removed_comment"


@pytest.mark.clause("A2.1", "A3.2①")
def test_what_somebody_left_behind_goes_as_a_whole(owner: MemberCard, now: datetime) -> None:
    image = hang(owner, now)
    said = write_comment(image_id=image.public_id, body="남은 말", by_member=owner.id, now=now)
    gone = write_comment(image_id=image.public_id, body="지워질 말", by_member=owner.id, now=now)
    desk = staff("moderator", now)
    assert desk.post(f"/desk/remove/comment/{gone.pk}", {"reason": "x"}).status_code == 303
    member = signed_in("eunsu.k")
    assert member.post("/me/withdraw", {"content": "keep", "confirm": "yes"}).status_code == 303
    assert not Comment.objects.filter(pk=gone.pk).exists(), "a removed comment does not outlive its author"
    assert Image.objects.get().author_name == "은수"
    letters = Letter.objects.count()
    assert desk.post(f"/desk/remove/comment/{said.pk}", {"reason": "부탁을 받았습니다"}).status_code == 303
    assert not Comment.objects.exists()
    assert desk.post(f"/desk/remove/picture/{image.public_id}", {"reason": "부탁을 받았습니다"}).status_code == 303
    assert not Image.objects.exists()
    assert not any(path.exists() for path in every_file(image.media_token))
    assert Letter.objects.count() == letters, "nobody is left to write to"
    for address in (f"picture/{image.public_id}", f"comment/{said.pk}"):
        assert desk.post(f"/desk/remove/{address}", {"reason": "다시"}).status_code == 409


@pytest.mark.clause("A2.1", "I2")
def test_a_removal_killed_half_way_serves_nothing_and_is_finished(
    owner: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgnom.community.images import public

    image = hang(owner, now)

    def killed(*_args: object, **_kwargs: object) -> None:
        raise OSError("killed")

    desk = staff("moderator", now)
    with monkeypatch.context() as patch:
        patch.setattr(public, "destroy_files", killed)
        desk.raise_request_exception = False
        assert desk.post(f"/desk/remove/picture/{image.public_id}", {"reason": "x"}).status_code == 500
    assert newest().result == "begun"
    assert signed_in("eunsu.k").get(f"/media/{image.public_id}/original").status_code == 404
    sweep_orphans(now=now, older_than=timedelta(0))
    assert not any(path.exists() for path in every_file(image.media_token))
    assert not DataKey.objects.filter(owner=image.media_token).exists()


@pytest.mark.clause("X4", "C3")
def test_each_move_leaves_exactly_one_record(owner: MemberCard, now: datetime) -> None:
    image = hang(owner, now)
    made = create_staff(login="officer.one", role="officer", now=now)
    browser = client()
    steps = [
        ("sign in", "failed", lambda: browser.post("/login", {"login": made.login, "password": "wrong wrong"})),
        ("sign in", "done", lambda: browser.post("/login", {"login": made.login, "password": made.password})),
        ("second factor", "failed", lambda: browser.post("/login/second-factor", {"code": "no"})),
        ("second factor", "done", lambda: browser.post("/login/second-factor", {"code": pyotp.TOTP(made.totp_secret).now()})),
        ("look", "done", lambda: browser.get("/desk")),
        ("search", "done", lambda: browser.get("/desk?q=달항아리")),
        ("look", "done", lambda: browser.get(f"/desk/picture/{image.public_id}")),
        ("look", "done", lambda: browser.get("/desk/records")),
        ("download", "invalid", lambda: browser.post("/desk/records", {"reason": ""})),
        ("download", "done", lambda: browser.post("/desk/records", {"reason": "월례 점검"})),
        ("sign out", "done", lambda: browser.post("/logout")),
    ]  # fmt: skip
    for count, (act, result, step) in enumerate(steps, 1):
        step()
        assert HandlerRecord.objects.count() == count, (act, result)
        row = newest()
        assert (row.act, row.result, row.account, row.role, row.place) == (
            act,
            result,
            made.subject,
            "officer",
            "203.0.113.0/24",
        )
        assert row.at == now
    assert "달항아리" not in str(list(HandlerRecord.objects.values())), (
        "what was searched for is no business of a record"
    )


@pytest.mark.clause("X4", "C3")
@pytest.mark.parametrize(
    ("method", "path"),
    [("get", "/desk"), ("get", "/desk?q=a"), ("get", "/desk/picture/ID"), ("get", "/desk/records"), ("post", "/desk/records"), ("post", "/desk/remove/picture/ID")],
)  # fmt: skip
def test_what_cannot_be_recorded_does_not_happen(
    owner: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    image = hang(owner, now, title="보이지않아야함")
    officer = staff("officer", now)
    officer.raise_request_exception = False

    def full(*_args: object, **_kwargs: object) -> None:
        raise DatabaseError("no room")

    monkeypatch.setattr(handling.HandlerRecord.objects, "create", full)
    answer = getattr(officer, method)(
        path.replace("ID", image.public_id), {"reason": "x"} if method == "post" else None
    )
    assert answer.status_code == 500
    assert "보이지않아야함" not in answer.content.decode()
    assert Image.objects.get().removed_reason == ""
    assert all(path.exists() for path in every_file(image.media_token))


@pytest.mark.clause("X4", "C3")
def test_a_sign_in_of_staff_that_cannot_be_recorded_did_not_happen(
    now: datetime, monkeypatch: pytest.MonkeyPatch, owner: MemberCard
) -> None:
    made = create_staff(login="officer.one", role="officer", now=now)

    def full(*_args: object, **_kwargs: object) -> None:
        raise DatabaseError("no room")

    browser = client()
    with monkeypatch.context() as patch:
        patch.setattr(handling.HandlerRecord.objects, "create", full)
        assert browser.post("/login", {"login": made.login, "password": made.password}).status_code == 503
        assert signed_in("eunsu.k").get("/me/privacy").status_code == 200, "members are not concerned"
    assert browser.get("/me/privacy").status_code == 302


@pytest.mark.clause("I10")
def test_staff_who_do_not_move_are_signed_out(now: datetime, owner: MemberCard) -> None:
    desk, member = staff("moderator", now), signed_in("eunsu.k")
    for minutes in (14, 28, 42):
        set_clock(now + timedelta(minutes=minutes))
        assert desk.get("/desk").status_code == 200, "every move begins a new quarter of an hour"
    set_clock(now + timedelta(minutes=57, seconds=1))
    assert desk.get("/desk").status_code == 302
    assert desk.get("/desk").status_code == 302
    assert member.get("/me/records").status_code != 401
    assert member.get("/upload").status_code == 200


@pytest.mark.clause("X4", "I1")
def test_records_are_not_read_past_their_end_and_are_destroyed(now: datetime, owner: MemberCard) -> None:
    made = create_staff(login="officer.one", role="officer", now=now)
    record_grant(subject=made.subject, role="officer", change="granted", by="command line", now=now)
    officer = staff("officer", now)
    officer.get("/desk")
    assert HandlerRecord.objects.get(act="look").ends_at is not None
    ends = {row.ends_at for row in HandlerRecord.objects.all()}
    assert len(ends) == 1
    late = ends.pop()
    assert late is not None
    assert late.year == now.year + 2
    assert handling.handler_rows(now=late - timedelta(seconds=1))
    assert not handling.handler_rows(now=late), "past its end nothing is read, destroyed or not"
    assert run_due(now=late).destroyed["handler_records"] == HandlerRecord.objects.count() + 3
    assert not HandlerRecord.objects.exists()
    assert RightGrant.objects.count() == 1, "who got which right is kept for three years"
    assert run_due(now=late + timedelta(days=366)).destroyed["right_grants"] == 1
    assert verify_ledger().ok


@pytest.mark.clause("X4")
def test_a_download_names_its_reason_and_runs_no_formula(now: datetime, owner: MemberCard) -> None:
    officer = staff("officer", now)
    officer.post("/desk/records", {"reason": "=HYPERLINK(1)"})
    answer = officer.post("/desk/records", {"reason": "월례 점검"})
    assert answer["Content-Type"].startswith("text/csv")
    assert "attachment" in answer["Content-Disposition"]
    assert answer["Cache-Control"] == "private, no-store"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert rows[0]["reason"] == "월례 점검"
    assert rows[1]["reason"] == "'=HYPERLINK(1)"
    assert {row["place"] for row in rows} == {"203.0.113.0/24"}


@pytest.mark.clause("A2.1")
def test_the_desk_goes_on_where_its_page_ends(owner: MemberCard, now: datetime) -> None:
    image = hang(owner, now)
    Comment.objects.bulk_create(
        Comment(
            image=image, author_id=owner.id, body=f"말 {n:03d}", created_at=now + timedelta(seconds=n), position=n + 1
        )
        for n in range(95)
    )
    desk = staff("moderator", now)
    seen: list[str] = []
    address = "/desk"
    for _ in range(5):
        answer = desk.get(address)
        seen += [item.key for item in answer.context["page"].items]
        if not answer.context["page"].older:
            break
        address = f"/desk?after={answer.context['page'].older}"
    assert len(seen) == len(set(seen)) == 96
    assert image.public_id in seen
    found = desk.get("/desk?q=말 01").context["page"].items
    assert {item.text for item in found} == {"말 001"} | {f"말 0{n}" for n in range(10, 20)}
    for odd in (
        "/desk?after=1-2-3",
        "/desk?after=%00",
        "/desk?after=-1--1",
        f"/desk?after={'9' * 30}-1",
        "/desk?show=king",
        "/desk?q=%00%25_",
    ):
        assert desk.get(odd).status_code == 200, odd
    assert {item.kind for item in desk.get("/desk?show=pictures").context["page"].items} == {"picture"}


@pytest.mark.clause("I10")
def test_an_enrolment_link_works_once_and_for_two_days(now: datetime) -> None:
    made = create_staff(login="new.officer", role="officer", now=now)
    late = create_staff(login="late.officer", role="officer", now=now - timedelta(seconds=1))
    set_clock(now + timedelta(days=2) - timedelta(seconds=1))
    assert client().get(late.enrolment_path).status_code == 404
    browser = client()
    page = browser.get(made.enrolment_path)
    assert page["Cache-Control"] == "private, no-store"
    text = page.content.decode()
    assert "<svg" in text
    assert " style=" not in text
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", text)[1]  # type: ignore[index]
    assert made.totp_secret != secret
    assert made.totp_secret not in text
    code = pyotp.TOTP(secret).now()
    wrong = browser.post(made.enrolment_path, {"code": "000000", "password1": "a garden by the sea"})
    assert wrong.status_code == 422
    assert browser.post(made.enrolment_path, {"code": code, "password1": "short"}).status_code == 422
    answer = browser.post(made.enrolment_path, {"code": code, "password1": "a garden by the sea"})
    assert (answer.status_code, answer["Location"]) == (303, "/login")
    assert client().get(made.enrolment_path).status_code == 404
    assert browser.post(made.enrolment_path, {"code": code, "password1": "another garden here"}).status_code == 404
    # The password of the command line is dead; so are its second factor and the code that was shown here.
    assert client().post("/login", {"login": made.login, "password": made.password}).status_code == 422
    fresh = client()
    assert fresh.post("/login", {"login": made.login, "password": "a garden by the sea"}).status_code == 303
    assert fresh.post("/login/second-factor", {"code": code}).status_code == 422, "a code works once"
    assert fresh.post("/login/second-factor", {"code": pyotp.TOTP(made.totp_secret).now()}).status_code == 422
    Member.objects.update(last_totp_step=0)
    assert fresh.post("/login/second-factor", {"code": code}).status_code == 303
    assert fresh.get("/desk").status_code == 200


@pytest.mark.clause("I10")
def test_who_reads_the_table_of_enrolments_can_open_none(now: datetime) -> None:
    from imgnom.community.members.models import Enrolment

    made = create_staff(login="new.officer", role="officer", now=now)
    kept = Enrolment.objects.get().digest
    assert kept not in made.enrolment_path
    assert client().get(f"/staff/enrol/{kept}").status_code == 404


@pytest.fixture
def many_rows(now: datetime) -> None:
    for _ in range(handling.PAGE + 5):
        handling.record_handling(by=handling.Actor("officer", "gone"), place="x", act="look", what="desk", now=now)


@pytest.mark.clause("X4")
def test_all_records_can_be_reached(now: datetime, many_rows: None) -> None:
    officer = staff("officer", now)
    first = officer.get("/desk/records")
    older = first.context["older"]
    assert len(first.context["rows"]) == handling.PAGE
    rest = officer.get(f"/desk/records?before={older}").context["rows"]
    assert rest
    assert {row.number for row in rest}.isdisjoint({row.number for row in first.context["rows"]})
    assert settings.IMGNOM.is_toy
