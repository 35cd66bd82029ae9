"""A copied cookie dies when rights or secrets change; stores hold digests of keys; staff sign in anew each day (N2)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

import pyotp
import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory

from imgnom.community.members.models import Member, MemberSession
from imgnom.community.members.public import create_staff
from imgnom.site.clock import set_clock
from imgnom.site.sessions import SessionMiddleware, SessionStore
from imgnom.web.session_keys import stored_session_key
from tests.custody.at_once import at_once
from tests.rooms.members.people import FIELDS, PASSWORD, code_for, join, sign_in

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
NEW = "a garden by the sea"
COOKIE = "imgnom_session"


def _key(client: Client) -> str:
    return client.cookies[COOKIE].value


def _copy(client: Client) -> Client:
    copied = Client()
    copied.cookies[COOKIE] = _key(client)
    return copied


def _listed(client: Client) -> set[str]:
    return {row.id for row in client.get("/me/sessions").context["rows"]}


def _is_signed_in(client: Client) -> bool:
    return client.get("/me/privacy").status_code == 200


def _step_up(client: Client, _home: Path, _now: datetime) -> None:
    assert client.post("/step-up", {"password": PASSWORD}).status_code == 303


def _password(client: Client, _home: Path, _now: datetime) -> None:
    assert client.post("/me/password", {"password": PASSWORD, "password1": NEW}).status_code == 303


def _email(client: Client, home: Path, now: datetime) -> None:
    changed = {"nickname": FIELDS["nickname"], "email": "new@mail.example"}
    assert client.post("/me/privacy/edit", changed).status_code == 303
    code = code_for(home, now, "new@mail.example")
    assert client.post("/me/privacy/edit", {"code": code}).status_code == 303


@pytest.mark.clause("A2.2c")
@pytest.mark.parametrize(("change", "ends_others"), [(_step_up, False), (_password, True), (_email, True)])
def test_copied_cookie_dies_when_the_session_is_renewed(
    home: Path, now: datetime, change: Callable[[Client, Path, datetime], None], ends_others: bool
) -> None:
    client, other = join(home, now), Client()
    sign_in(other)
    stolen, key, listed = _copy(client), _key(client), _listed(client)
    own_before = next(row.id for row in client.get("/me/sessions").context["rows"] if row.is_here)
    assert _is_signed_in(stolen)
    change(client, home, now)
    assert _is_signed_in(client)
    assert _key(client) != key
    assert not _is_signed_in(stolen)
    assert own_before not in _listed(client)
    assert _is_signed_in(other) is not ends_others
    for old in listed - _listed(client):
        client.post("/me/sessions", {"which": old})
    assert _is_signed_in(client), "an id from before names no session"


@pytest.mark.clause("I10")
def test_second_factor_renews_the_session(now: datetime) -> None:
    made = create_staff(login="the-officer", role="officer", now=now)
    client = Client()
    client.post("/login", {"login": made.login, "password": made.password})
    halfway = _copy(client)
    assert client.post("/login/second-factor", {"code": pyotp.TOTP(made.totp_secret).now()}).status_code == 303
    assert client.get("/desk").status_code == 200
    assert halfway.get("/desk").status_code == 302
    session = client.session
    del session["second_factor"]
    session.save()
    Member.objects.update(last_totp_step=0)
    stolen = _copy(client)
    assert client.get("/desk").status_code == 302
    assert client.post("/login/second-factor", {"code": pyotp.TOTP(made.totp_secret).now()}).status_code == 303
    assert client.get("/desk").status_code == 200
    assert stolen.get("/desk")["Location"].startswith("/login?")


@pytest.mark.clause("A2.2c")
def test_signing_in_again_ends_the_session_before_it(home: Path, now: datetime) -> None:
    client = join(home, now)
    stolen = _copy(client)
    sign_in(client)
    assert not _is_signed_in(stolen)
    assert MemberSession.objects.count() == 1


@pytest.mark.clause("A2.2c")
def test_half_sign_in_ends_the_session_before_it(now: datetime) -> None:
    made = create_staff(login="the-officer", role="officer", now=now)
    login, client = {"login": made.login, "password": made.password}, Client()
    client.post("/login", login)
    client.post("/login/second-factor", {"code": pyotp.TOTP(made.totp_secret).now()})
    before = _copy(client)
    assert MemberSession.objects.count() == 1
    assert client.post("/login", login)["Location"] == "/login/second-factor"
    assert (MemberSession.objects.count(), _is_signed_in(before), _is_signed_in(client)) == (0, False, False)


@pytest.mark.clause("A2.2a")
def test_password_change_always_asks_for_the_current_password(home: Path, now: datetime) -> None:
    client = join(home, now)
    page = client.get("/me/password").content.decode()
    assert 'autocomplete="current-password"' in page
    assert client.post("/me/password", {"password1": NEW}).status_code == 422
    answers = [
        client.post("/me/password", {"password": f"wrong wrong {n}", "password1": NEW}).status_code for n in range(11)
    ]
    assert answers == [422] * 10 + [429]
    assert client.post("/step-up", {"password": PASSWORD}).status_code == 429, "one counter for both forms"
    assert sign_in(Client()).status_code == 303


@pytest.mark.clause("A2.2a")
def test_right_passwords_use_up_no_tries(home: Path, now: datetime) -> None:
    client = join(home, now)
    assert {client.post("/step-up", {"password": PASSWORD}).status_code for _ in range(12)} == {303}


@pytest.mark.clause("A2.2c")
def test_of_two_password_changes_at_once_one_succeeds(home: Path, now: datetime) -> None:
    client = join(home, now)
    first, second = _copy(client), _copy(client)

    def change(browser: Client, password: str) -> int:
        return browser.post("/me/password", {"password": PASSWORD, "password1": password}).status_code

    at_once(lambda: change(first, NEW), lambda: change(second, f"{NEW} too"))
    assert sorted((_is_signed_in(first), _is_signed_in(second))) == [False, True]
    assert not _is_signed_in(client)
    kept = NEW if _is_signed_in(first) else f"{NEW} too"
    assert sign_in(Client(), password=kept).status_code == 303


@pytest.mark.clause("A2.2c")
def test_answer_to_the_old_cookie_takes_no_cookie_and_revives_nothing(home: Path, now: datetime) -> None:
    client = join(home, now)
    late, factory = _copy(client), RequestFactory()
    request = factory.get("/", headers={"cookie": f"{COOKIE}={_key(client)}"})
    request.session = SessionStore(_key(client))
    request.session["slow"] = True  # loaded before the renewal, saved after it
    _step_up(client, home, now)
    rows = set(Session.objects.values_list("session_key", flat=True))
    answer = SessionMiddleware(lambda _: HttpResponse()).process_response(request, HttpResponse())
    assert not answer.cookies
    for path in ("/", "/me/privacy", "/media/none/thumbnail"):
        assert COOKIE not in late.get(path).cookies, path
    assert set(Session.objects.values_list("session_key", flat=True)) == rows
    assert _is_signed_in(client)


@pytest.mark.clause("A2.2c")
def test_request_that_outran_the_renewal_signs_nobody_out(home: Path, now: datetime) -> None:
    """Django's row was read before the renewal, ours after it."""
    client = join(home, now)
    late = _copy(client)
    MemberSession.objects.update(sid="renewed")
    answer = late.get("/me/privacy")
    assert answer.status_code == 302
    assert COOKIE not in answer.cookies
    assert "Cookie" in answer["Vary"]


@pytest.mark.clause("A2.2c")
def test_signing_out_takes_the_cookie_along(home: Path, now: datetime) -> None:
    client = join(home, now)
    answer = client.post("/logout")
    assert answer.cookies[COOKIE]["max-age"] == 0


@pytest.mark.clause("A1.2")
def test_stores_hold_no_session_key_that_signs_in(home: Path, now: datetime) -> None:
    client = join(home, now)
    _step_up(client, home, now)
    key = _key(client)
    for file in (path for path in home.rglob("*") if path.is_file()):
        assert key.encode() not in file.read_bytes(), file.name
    for row in (Session.objects.get(session_key=stored_session_key(key)), MemberSession.objects.get()):
        thief = Client()
        thief.cookies[COOKIE] = row.session_key
        assert not _is_signed_in(thief)
    MemberSession.objects.update(session_key="another session's")
    assert not _is_signed_in(client), "a session's data under another session's key signs nobody in"


@pytest.mark.clause("A2.2c")
def test_sessions_of_the_version_before_live_on(home: Path, now: datetime) -> None:
    client = join(home, now)
    stored = stored_session_key(_key(client))
    for model in (Session, MemberSession):
        model.objects.filter(session_key=stored).update(session_key=_key(client))
    assert not _is_signed_in(client)
    migration = import_module("imgnom.community.members.migrations.0002_hashed_session_keys")
    for _ in range(2):  # repeated, it changes nothing more
        with connection.schema_editor() as editor:
            migration.store_digests(apps, editor)
    assert _is_signed_in(client)


@pytest.mark.clause("I10")
def test_staff_session_ends_twelve_hours_after_sign_in(now: datetime) -> None:
    made = create_staff(login="the-officer", role="officer", now=now)
    client = Client()
    client.post("/login", {"login": made.login, "password": made.password})
    client.post("/login/second-factor", {"code": pyotp.TOTP(made.totp_secret).now()})
    row = MemberSession.objects.get()
    assert row.ends_at == now + timedelta(hours=12)
    for minutes in range(14, 12 * 60, 14):
        set_clock(now + timedelta(minutes=minutes))
        assert client.get("/privacy/cookies").status_code == 200
        if minutes % 98 == 0:  # neither use nor a new proof prolongs it
            client.post("/step-up", {"password": made.password})
    assert client.get("/desk").status_code == 200
    set_clock(now + timedelta(hours=12) - timedelta(seconds=1))
    assert client.get("/desk").status_code == 200
    MemberSession.objects.update(ends_at=now + timedelta(days=30))
    set_clock(now + timedelta(hours=12))
    assert client.get("/desk").status_code == 302
    assert not MemberSession.objects.exists()
