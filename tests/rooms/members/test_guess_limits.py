"""Guessing from any number of networks is bounded, and no stranger keeps the owner out (threats N3, N4)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pyotp
import pytest
from django.test import Client

from imgnom.community.members import enter
from imgnom.community.members.models import CodeRequest, Member
from imgnom.community.members.public import create_staff
from imgnom.site.clock import set_clock
from imgnom.web import throttle
from tests.rooms.members.people import FIELDS, PASSWORD, SOMEBODY_ELSE, code_for, join, sign_in, wrong_code

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
DEVICE = "imgnom_device"


class Seconds:
    def __init__(self) -> None:
        self.at = 1_000_000.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    made = Seconds()
    monkeypatch.setattr(throttle, "time", made)
    monkeypatch.setattr(enter, "FREE_TRIES", 20)  # so that the tests take half as long
    return made


def test_one_network_alone_delays_nobody_else() -> None:
    assert enter.NETWORK_TRIES <= enter.NETWORK_TRIES_A_DAY < enter.FREE_TRIES


def addresses() -> Iterator[str]:
    """One of another /48 each time: what a stranger with many networks has."""
    return (f"2001:db8:{number:x}::1" for number in range(1, 60_000))


def guess(address: str, login: str = FIELDS["username"]) -> int:
    return sign_in(Client(REMOTE_ADDR=address), login=login, password="wrong wrong").status_code


def forget_sign_in(client: Client) -> Client:
    """The same browser later: the session is over, the cookie of a known browser is still there."""
    del client.cookies["imgnom_session"]
    return client


@pytest.mark.clause("A2.2c")
@pytest.mark.parametrize("login", [FIELDS["username"], FIELDS["email"], "nobody.here", "nobody@mail.example"])
def test_login_from_ever_new_networks_is_delayed(home: Path, now: datetime, seconds: Seconds, login: str) -> None:
    join(home, now)
    networks = addresses()
    assert [guess(next(networks), login) for _ in range(22)] == [422] * 20 + [429] * 2
    late = sign_in(Client(REMOTE_ADDR=next(networks)), login=login, password=PASSWORD)
    assert (late.status_code, late["Retry-After"]) == (429, "30")
    assert "/reset" in late.content.decode()
    seconds.at += 30
    assert guess(next(networks), login) == 422
    assert sign_in(Client(REMOTE_ADDR=next(networks)), login=login)["Retry-After"] == "60"


@pytest.mark.clause("A2.2c")
def test_known_browser_signs_in_while_a_stranger_guesses(home: Path, now: datetime, seconds: Seconds) -> None:
    owner = forget_sign_in(join(home, now, client=Client(REMOTE_ADDR="203.0.113.7")))
    for address in ["203.0.113.7"] * 25 + [f"2001:db8:{number:x}::1" for number in range(25)]:
        guess(address)
    assert guess("203.0.113.7") == 429, "a neighbour behind the same address is refused"
    assert sign_in(owner, login=FIELDS["email"]).status_code == 303
    assert sign_in(Client(REMOTE_ADDR="198.51.100.1")).status_code == 429


@pytest.mark.clause("A2.2a", "A2.2c")
def test_mailed_code_makes_a_new_browser_known(home: Path, now: datetime, seconds: Seconds) -> None:
    join(home, now)
    networks = addresses()
    for _ in range(25):
        guess(next(networks))
    fresh = Client(REMOTE_ADDR="198.51.100.1")
    assert sign_in(fresh).status_code == 429
    assert fresh.post("/reset", {"login": FIELDS["username"]}).status_code == 303
    new = "a garden by the sea"
    code = code_for(home, now, FIELDS["email"])
    assert fresh.post("/reset/confirm", {"code": wrong_code(code), "password1": new}).status_code == 422
    assert DEVICE not in fresh.cookies
    assert fresh.post("/reset/confirm", {"code": code, "password1": new}).status_code == 303
    assert sign_in(fresh, password=new).status_code == 303


@pytest.mark.clause("A2.2c")
def test_known_browser_cookie_is_bound_bounded_and_not_forgeable(home: Path, now: datetime, seconds: Seconds) -> None:
    owner = forget_sign_in(join(home, now))
    cookie = owner.cookies[DEVICE]
    assert (cookie["max-age"], bool(cookie["httponly"]), cookie["samesite"]) == (365 * 86_400, True, "Lax")
    assert Member.objects.get().subject not in cookie.value
    other = join(home, now, **SOMEBODY_ELSE)
    networks = addresses()
    for _ in range(25):
        guess(next(networks))
    number, day, proof = cookie.value.split("-")
    later = f"{number}-20990101-{proof}"
    for value in (
        other.cookies[DEVICE].value,
        later,
        f"{number[:-1]}{int(number[-1], 16) ^ 1:x}-{day}-{proof}",
        "x" * 5000,
        "é-1-2",
        "--",
        "",
    ):
        stranger = Client()
        stranger.cookies[DEVICE] = value
        assert sign_in(stranger).status_code == 429, value
    answers = [sign_in(owner, password="wrong wrong").status_code for _ in range(22)]
    assert answers == [422] * 20 + [429] * 2, "a copied cookie leads no further"
    set_clock(now + timedelta(days=367))
    seconds.at += 25 * 3600
    for _ in range(21):
        guess(next(networks))
    assert sign_in(owner).status_code == 429, "its end is part of what is signed"


@pytest.mark.clause("A2.2c")
def test_one_browser_is_known_to_several_accounts(home: Path, now: datetime, seconds: Seconds) -> None:
    shared = Client(REMOTE_ADDR="203.0.113.7")
    join(home, now, client=shared)
    shared.post("/logout")
    join(home, now, client=shared, **SOMEBODY_ELSE)
    shared.post("/logout")
    networks = addresses()
    for login in (FIELDS["username"], SOMEBODY_ELSE["username"]):
        for _ in range(21):
            guess(next(networks), login)
    for login in (FIELDS["username"], SOMEBODY_ELSE["username"]):
        assert sign_in(shared, login=login).status_code == 303
        shared.post("/logout")


@pytest.mark.clause("I10")
def test_second_factor_is_delayed_for_strangers_and_not_for_a_known_browser(
    now: datetime, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_staff(login="the-officer", role="officer", now=now)
    login = {"login": made.login, "password": made.password}
    owner = Client()
    owner.post("/login", login)
    assert owner.post("/login/second-factor", {"code": pyotp.TOTP(made.totp_secret).now()}).status_code == 303
    Member.objects.update(last_totp_step=0)
    answers = []
    for number in range(12):
        thief = Client(REMOTE_ADDR=f"2001:db8:{number:x}::1")
        assert thief.post("/login", login).status_code == 303
        answers.append(thief.post("/login/second-factor", {"code": "000000"}).status_code)
    assert answers == [422] * 10 + [429] * 2
    assert forget_sign_in(owner).post("/login", login).status_code == 303
    assert owner.post("/login/second-factor", {"code": pyotp.TOTP(made.totp_secret).now()}).status_code == 303


@pytest.mark.clause("A2.2a")
def test_reset_codes_that_can_be_guessed_are_few_whoever_asks(home: Path, now: datetime, seconds: Seconds) -> None:
    """Five short ones a day of one account, from any number of networks; the others have twelve digits."""
    join(home, now)
    for address, _ in zip(addresses(), range(7), strict=False):
        assert Client(REMOTE_ADDR=address).post("/reset", {"login": FIELDS["email"]}).status_code == 303
    assert sorted(CodeRequest.objects.values_list("digits", flat=True)) == [6] * 4 + [12] * 3, "joining took the first"


@pytest.mark.clause("A2.2a")
def test_reset_confirm_hashes_nothing_before_the_code_is_right(
    home: Path, now: datetime, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    monkeypatch.setattr("imgnom.community.members.passwords.make_password", hashed.append)
    form = {"code": "000000", "password1": "a garden by the sea"}
    stranger = Client(REMOTE_ADDR="2001:db8:7::1")
    answers = [stranger.post("/reset/confirm", form).status_code for _ in range(61)]
    assert (answers[-1], set(answers[:-1])) == (429, {422})
    asked = Client(REMOTE_ADDR="203.0.113.8")
    asked.post("/reset", {"login": "nobody.here"})
    assert asked.post("/reset/confirm", form).status_code == 422
    assert hashed == []
