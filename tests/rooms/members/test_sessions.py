"""Sessions: a new id, seen and ended from anywhere, dead everywhere at once; devices; step-up; tries (N2, N4, C3)."""

from datetime import datetime, timedelta
from pathlib import Path

import pyotp
import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from imgnom.community.members.models import KnownDevice, Letter, Member, MemberSession
from imgnom.community.members.public import create_staff, destroy_sessions
from imgnom.custody.vault.models import SealedValue
from imgnom.site.clock import set_clock
from tests.custody.at_once import at_once
from tests.rooms.members.people import FIELDS, PASSWORD, join, letters, sign_in

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
PHONE = "Mozilla/5.0 (Linux; Android 16; SM-S938N) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36"
DESK = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"


def browser(agent: str = DESK, **extra: str) -> Client:
    return Client(headers={"user-agent": agent}, **extra)  # type: ignore[arg-type]


def session_of(client: Client) -> str:
    return client.cookies["imgnom_session"].value


@pytest.mark.clause("A2.2c")
def test_a_session_gets_a_new_id_when_somebody_signs_in(home: Path, now: datetime) -> None:
    join(home, now)
    client = browser()
    client.post("/reset", {"login": "x"})
    planted = session_of(client)
    sign_in(client)
    assert session_of(client) != planted
    thief = Client()
    thief.cookies["imgnom_session"] = planted
    assert thief.get("/me/privacy").status_code == 302


@pytest.mark.clause("A2.2c")
def test_the_token_of_forms_is_another_one_once_somebody_is_signed_in(home: Path, now: datetime) -> None:
    """Whoever could plant a token before cannot use it for the member's forms afterwards."""
    join(home, now)
    client = Client(enforce_csrf_checks=True)
    client.get("/login")
    planted = client.cookies["imgnom_csrf"].value
    form = {"login": FIELDS["username"], "password": PASSWORD, "csrfmiddlewaretoken": planted}
    assert client.post("/login", form).status_code == 303
    fresh = client.cookies["imgnom_csrf"].value
    assert fresh != planted
    assert client.post("/logout", {"csrfmiddlewaretoken": planted}).status_code == 403
    assert client.post("/logout", {"csrfmiddlewaretoken": fresh}).status_code == 303


@pytest.mark.clause("A2.2c")
def test_sessions_are_listed_with_their_device_and_ended_one_by_one_or_all(home: Path, now: datetime) -> None:
    here = join(home, now, client=browser(DESK))
    phone, other = browser(PHONE), browser(DESK)
    sign_in(phone)
    sign_in(other)
    page = here.get("/me/sessions")
    assert sorted((row.device, row.is_here) for row in page.context["rows"]) == [
        ("Chrome · Android · 휴대전화", False), ("Firefox · Windows · 컴퓨터", False), ("Firefox · Windows · 컴퓨터", True),
    ]  # fmt: skip
    the_phone = next(row for row in page.context["rows"] if "Android" in row.device)
    assert here.post("/me/sessions", {"which": str(the_phone.id)}).status_code == 303
    assert phone.get("/me/privacy").status_code == 302
    assert other.get("/me/privacy").status_code == 200
    assert here.post("/me/sessions", {"which": "others"}).status_code == 303
    assert other.get("/me/privacy").status_code == 302
    assert here.get("/me/privacy").status_code == 200
    assert MemberSession.objects.count() == 1
    assert SealedValue.objects.filter(item="device_information").count() == 1
    assert b"Android" not in b"".join(file.read_bytes() for file in (home / "db").glob("default*"))


@pytest.mark.clause("A2.2c")
def test_nobody_ends_somebody_elses_session(home: Path, now: datetime) -> None:
    victim = join(home, now)
    stranger = join(home, now, username="mirae.k", nickname="미래", email="mirae@mail.example")
    target = MemberSession.objects.order_by("pk").first()
    assert target is not None
    for odd in (str(target.pk), "-1", "٣", "9" * 40, "", "others"):
        stranger.post("/me/sessions", {"which": odd})
    assert victim.get("/me/privacy").status_code == 200


@pytest.mark.clause("A2.2c")
def test_a_cookie_that_signed_out_is_dead(home: Path, now: datetime) -> None:
    client = join(home, now)
    kept = session_of(client)
    assert client.post("/logout").status_code == 303
    again = Client()
    again.cookies["imgnom_session"] = kept
    assert again.get("/me/privacy").status_code == 302
    assert not MemberSession.objects.exists()
    assert not Session.objects.exists()


@pytest.mark.clause("A2.2c")
def test_a_new_password_ends_all_other_sessions_and_withdrawal_all(home: Path, now: datetime) -> None:
    here = join(home, now)
    elsewhere = browser()
    sign_in(elsewhere)
    assert here.post("/me/password", {"password": PASSWORD, "password1": FIELDS["email"]}).status_code == 422
    assert here.post("/me/password", {"password": PASSWORD, "password1": "password"}).status_code == 422
    assert here.post("/me/password", {"password": PASSWORD, "password1": "a garden by the sea"}).status_code == 303
    assert elsewhere.get("/me/privacy").status_code == 302
    assert here.get("/me/privacy").status_code == 200
    sign_in(elsewhere, password="a garden by the sea")
    assert here.post("/me/withdraw", {"content": "delete", "confirm": "yes"}).status_code == 303
    for client in (here, elsewhere):
        assert client.get("/me/privacy").status_code == 302
    assert not MemberSession.objects.exists()
    assert not KnownDevice.objects.exists()


@pytest.mark.clause("A2.2c", "A4.0")
def test_a_session_and_what_is_known_of_its_device_end_on_their_day(home: Path, now: datetime) -> None:
    client = join(home, now)
    set_clock(now + timedelta(days=29))
    client.get("/")
    late = now + timedelta(days=59)
    set_clock(late)
    assert client.get("/me/privacy").status_code == 302
    sign_in(client)
    destroy_sessions(now=late)
    assert client.get("/me/privacy").status_code == 200, "a session begun on a moved clock lives"
    assert not SealedValue.objects.filter(item="device_information").exclude(
        row=f"session-{MemberSession.objects.get().pk}"
    )


@pytest.mark.clause("A2.2c")
def test_a_device_not_seen_lately_is_told_by_mail_and_a_known_one_is_not(home: Path, now: datetime) -> None:
    join(home, now, client=browser(DESK))
    sign_in(browser(DESK.replace("145.0", "146.0")))
    assert not Letter.objects.exists(), "a browser that was brought up to date is the same device"
    sign_in(browser(PHONE), password="wrong wrong")
    assert not Letter.objects.exists()
    sign_in(browser(PHONE))
    told = letters(home, now)[-1]
    assert told["To"] == FIELDS["email"]
    assert "새 기기" in told["Subject"]
    assert "/me/sessions" in told.get_content()
    sign_in(browser(PHONE))
    assert not Letter.objects.exists()


@pytest.mark.clause("A2.2c")
def test_the_owner_is_told_when_somebody_guesses_and_nobody_is_locked_out(home: Path, now: datetime) -> None:
    join(home, now)
    before = len(letters(home, now))
    for number in range(16):
        sign_in(Client(REMOTE_ADDR=f"198.51.100.{number}"), password="wrong wrong")
        sign_in(Client(REMOTE_ADDR=f"198.51.100.{number}"), login="nobody.here", password="wrong wrong")
    told = letters(home, now)[before:]
    assert [letter["To"] for letter in told] == [FIELDS["email"]]
    assert sign_in(Client(REMOTE_ADDR="203.0.113.7")).status_code == 303


@pytest.mark.clause("A2.2c")
def test_names_written_differently_share_one_counter_and_successes_take_nothing_off_it(
    home: Path, now: datetime
) -> None:
    join(home, now)
    spelled = ["seonwoo.l", "SEONWOO.L", "ｓｅｏｎｗｏｏ.l", " seonwoo.l ", "Seonwoo.L"]
    answers = []
    for number in range(22):
        if number % 5 == 4:
            assert sign_in().status_code == 303
        answers.append(sign_in(login=spelled[number % 5], password="wrong wrong").status_code)
    assert answers == [422] * 20 + [429] * 2
    late = sign_in()
    assert late.status_code == 429
    assert int(late["Retry-After"]) > 0


@pytest.mark.clause("A2.2c")
def test_successes_alone_are_never_too_many(home: Path, now: datetime) -> None:
    join(home, now)
    assert {sign_in().status_code for _ in range(30)} == {303}


@pytest.mark.clause("A2.2c")
def test_tries_at_the_same_moment_are_counted_one_by_one(home: Path, now: datetime) -> None:
    join(home, now)
    answers = at_once(*[lambda: sign_in(password="wrong wrong").status_code] * 25)
    assert (answers.count(422), answers.count(429)) == (20, 5)


@pytest.mark.clause("A2.2a")
def test_proof_lasts_ten_minutes_and_leads_only_within_the_site(home: Path, now: datetime) -> None:
    client = join(home, now)
    set_clock(now + timedelta(minutes=10))
    asked = client.get("/me/password")
    assert (asked.status_code, asked["Location"]) == (302, "/step-up?next=/me/password")
    assert client.post("/step-up", {"password": "wrong wrong", "next": "/me/password"}).status_code == 422
    for trick in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\tx",
        "\n//evil",
        "///evil",
    ):
        answer = client.post("/step-up", {"password": PASSWORD, "next": trick})
        assert (answer.status_code, answer["Location"]) == (303, "/me/privacy"), trick
    answer = client.post("/step-up", {"password": PASSWORD, "next": "/me/password"})
    assert answer["Location"] == "/me/password"
    assert client.get("/me/password").status_code == 200


@pytest.mark.clause("I10")
def test_a_password_alone_signs_nobody_in_who_has_a_second_factor(now: datetime) -> None:
    made = create_staff(login="the-officer", role="officer", now=now)
    client = Client()
    assert (
        client.post("/login", {"login": made.login, "password": made.password, "next": "/me/records"}).status_code
        == 303
    )
    for path in ("/me/privacy", "/me/password", "/me/sessions", "/upload", "/desk"):
        assert client.get(path)["Location"].startswith("/login/second-factor"), path
    assert not MemberSession.objects.exists()
    for wrong in ("", "000000", "１２３４５６", "é", "x" * 24):
        assert client.post("/login/second-factor", {"code": wrong}).status_code == 422
    code = pyotp.TOTP(made.totp_secret).now()
    answer = client.post("/login/second-factor", {"code": code})
    assert (answer.status_code, answer["Location"]) == (303, "/me/records")
    twin = Client()
    twin.post("/login", {"login": made.login, "password": made.password})
    assert twin.post("/login/second-factor", {"code": code}).status_code == 422, "each step once"


@pytest.mark.clause("I10")
def test_a_half_sign_in_ends_after_ten_minutes_and_with_a_new_password(now: datetime) -> None:
    made = create_staff(login="the-officer", role="officer", now=now)
    client = Client()
    client.post("/login", {"login": made.login, "password": made.password})
    set_clock(now + timedelta(minutes=10))
    code = pyotp.TOTP(made.totp_secret).now()
    assert client.post("/login/second-factor", {"code": code}).status_code == 302
    client.post("/login", {"login": made.login, "password": made.password})
    Member.objects.update(session_epoch=99)
    assert client.post("/login/second-factor", {"code": code}).status_code == 302
    assert not MemberSession.objects.exists()
