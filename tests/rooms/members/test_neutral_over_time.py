"""Known or unknown, the whole sequence of answers is the same, whatever hour, day or key epoch passes (threat N1).

A single answer is compared in `test_neutral_answers`. Here one twin has an account and the other has none; both send
the same requests at the same instants, and everything that a stranger can see of the answers must be equal.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from imgnom.community.members.public import deliver_mail, destroy_codes
from imgnom.custody.keys.public import turn_epoch
from imgnom.site.clock import set_clock
from imgnom.web import throttle
from tests.rooms.members.people import FIELDS, PASSWORD, SOMEBODY_ELSE, join, sign_in, sign_up

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
type Seen = tuple[Any, ...]
UNKNOWN_ID, UNKNOWN_EMAIL = "nobody.xx", "nobodyx@mail.example"
KNOWN_ID, KNOWN_EMAIL = FIELDS["username"], FIELDS["email"]


class Time:
    """The site's clock and the seconds of the rate limits, moved together as on a running site."""

    def __init__(self, start: datetime) -> None:
        self.now, self.seconds = start, 1_000_000.0

    def monotonic(self) -> float:
        return self.seconds

    def move(self, **by: float) -> None:
        step = timedelta(**by)
        self.now += step
        self.seconds += step.total_seconds()
        set_clock(self.now)


@pytest.fixture
def time(now: datetime, monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time(now)
    monkeypatch.setattr(throttle, "time", made)
    return made


def seen(answer: HttpResponse, *typed: str) -> Seen:
    """Status, headers, page and cookies; random tokens and what was typed are masked."""
    page = re.sub(r'value="[A-Za-z0-9]{64}"', 'value="TOKEN"', answer.content.decode())
    for word in typed:
        page = page.replace(word, "TYPED") if len(word) > 2 else page
    cookies = sorted((name, c["max-age"], c["path"], bool(c["httponly"])) for name, c in answer.cookies.items())
    headers = sorted((k, v) for k, v in answer.items() if k not in ("Content-Length", "X-Request-Id"))
    return answer.status_code, headers, page, cookies


def cross_hour(time: Time) -> None:
    time.move(minutes=1)


def cross_day(time: Time) -> None:
    time.move(hours=24)


def cross_key_epoch(time: Time) -> None:
    turn_epoch(now=time.now)


def twins(time: Time, ask: Callable[[Client, str], HttpResponse], names: Sequence[str], steps: int) -> list[list[Seen]]:
    """What each twin saw: the same steps, with the end of an hour, of a key epoch and of a day in between."""
    found: list[list[Seen]] = [[] for _ in names]
    time.move(minutes=59 - time.now.minute, seconds=58 - time.now.second)
    for cross in (None, cross_hour, cross_key_epoch, cross_day):
        if cross is not None:
            cross(time)
        for _ in range(steps):
            for number, name in enumerate(names):
                client = Client(REMOTE_ADDR=f"2001:db8:{number + 1}::1")
                found[number].append(seen(ask(client, name), name))
    return found


@pytest.mark.clause("A1.1", "A2.2c")
def test_login_sequence_is_equal_across_time(home: Path, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgnom.community.members.enter.FREE_TRIES", 5)
    join(home, time.now)
    names = (KNOWN_ID, UNKNOWN_ID, KNOWN_EMAIL, UNKNOWN_EMAIL)
    found = twins(time, lambda client, name: sign_in(client, login=name, password="wrong wrong"), names, 3)
    assert found == [found[0]] * 4
    assert [status for status, *_ in found[0]] == [422] * 5 + [429] * 4 + [422] * 3


@pytest.mark.clause("A2.2a")
def test_reset_sequence_is_equal_across_time(home: Path, time: Time) -> None:
    join(home, time.now)
    names = (KNOWN_ID, UNKNOWN_ID, KNOWN_EMAIL, UNKNOWN_EMAIL)
    found = twins(time, lambda client, name: client.post("/reset", {"login": name}), names, 3)  # type: ignore[arg-type,return-value]
    assert found == [found[0]] * 4
    assert [status for status, *_ in found[0]] == [303] * 5 + [429] * 4 + [303] * 3


@pytest.mark.clause("A2.2a")
def test_wrong_reset_code_sequence_is_equal_across_time(home: Path, time: Time) -> None:
    join(home, time.now)
    time.move(minutes=59, seconds=45)
    found: tuple[list[Seen], list[Seen]] = ([], [])
    clients = [Client(REMOTE_ADDR=f"203.0.{number}.1") for number in range(2)]
    for step in range(8):
        for client, name, answers in zip(clients, (KNOWN_EMAIL, UNKNOWN_EMAIL), found, strict=True):
            if step % 6 == 0:
                answers.append(seen(client.post("/reset", {"login": name})))  # type: ignore[arg-type]
            form = {"code": f"{step:06d}", "password1": "a garden by the sea"}
            answers.append(seen(client.post("/reset/confirm", form), form["code"]))  # type: ignore[arg-type]
        deliver_mail(now=time.now)
        time.move(minutes=2)
    destroy_codes(now=time.now)
    for client, answers in zip(clients, found, strict=True):
        answers.append(seen(client.get("/reset/confirm")))  # type: ignore[arg-type]
    assert found[0] == found[1]


@pytest.mark.clause("A2.2a", "A2.2c")
def test_id_and_address_of_one_account_cannot_be_joined_by_a_counter(home: Path, time: Time) -> None:
    join(home, time.now)
    found = []
    for number, (name, email) in enumerate([(KNOWN_ID, KNOWN_EMAIL), (KNOWN_ID, UNKNOWN_EMAIL)]):
        stranger = f"203.0.{number}.7"
        login = lambda typed, at=stranger: sign_in(Client(REMOTE_ADDR=at), login=typed, password="wrong wrong")  # noqa: E731
        reset = lambda typed, at=stranger: Client(REMOTE_ADDR=at).post("/reset", {"login": typed})  # noqa: E731
        answers = [login(name).status_code for _ in range(22)] + [reset(name).status_code for _ in range(6)]
        answers += [login(email).status_code for _ in range(3)] + [reset(email).status_code for _ in range(6)]
        found.append(answers[21:])
        time.move(days=1, seconds=1)
    assert found[0] == found[1] == [429] + [303] * 5 + [429] + [422] * 3 + [303] * 5 + [429]


@pytest.mark.clause("A2.2c")
def test_owner_who_signs_in_changes_nothing_that_a_stranger_sees(
    home: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgnom.community.members.enter.FREE_TRIES", 4)
    owner = join(home, time.now)
    found: tuple[list[Seen], list[Seen]] = ([], [])
    for step in range(8):
        for name, answers in zip((KNOWN_ID, UNKNOWN_ID), found, strict=True):
            client = Client(REMOTE_ADDR=f"203.{step}.{int(name == KNOWN_ID)}.7")
            answers.append(seen(sign_in(client, login=name, password="wrong wrong"), name))
        assert sign_in(owner).status_code == 303
        sign_in(owner, password="mistyped")
        time.move(seconds=20)
    assert found[0] == found[1]
    assert {status for status, *_ in found[0]} == {422, 429}


@pytest.mark.clause("A1.1", "A2.2d", "A2.2f")
def test_sign_up_sequence_is_equal_for_taken_and_free_across_time(home: Path, time: Time) -> None:
    """Wrong codes, new codes, an hour, a day, the end after five days, and somebody else who joins meanwhile."""
    join(home, time.now)
    forms = [
        FIELDS | SOMEBODY_ELSE | {"username": FIELDS["username"]},
        FIELDS | {"username": "second.one", "nickname": "두번째"},
        FIELDS | {"username": "third.one", "nickname": "세번째", "email": "third@mail.example"},
    ]
    time.move(minutes=57)
    clients = [Client(REMOTE_ADDR=f"203.0.{number}.1") for number in range(3)]
    answers: list[list[Seen]] = [[], [], []]

    def all_of_them(ask: Callable[[Client, dict[str, str]], Any]) -> None:
        for client, form, seen_by in zip(clients, forms, answers, strict=True):
            seen_by.append(seen(ask(client, form), *form.values()))

    def confirm(step: int) -> None:
        all_of_them(lambda client, _: client.post("/signup/confirm", {"code": f"00000{step}"}))

    def resend() -> None:
        all_of_them(lambda client, _: client.post("/signup/confirm", {"resend": "1"}))

    all_of_them(lambda client, form: client.post("/signup", form))
    for step in range(6):
        confirm(step)
    deliver_mail(now=time.now)
    for minutes in (4, 11, 60, 24 * 60):
        time.move(minutes=minutes)
        confirm(1)
        resend()
        if minutes == 11:
            cross_key_epoch(time)
            join(home, time.now, username="fourth.one", nickname="네번째", email="fourth@mail.example")
    for _ in range(5):
        resend()
    time.move(days=4)
    confirm(1)
    resend()
    assert answers == [answers[0]] * 3
    assert [status for status, *_ in answers[0]] == [303, *[422] * 6, *[422, 303] * 4, *[303] * 4, 429, 422, 303]


@pytest.mark.clause("A2.2c")
def test_step_up_sequence_does_not_depend_on_the_hour(home: Path, time: Time) -> None:
    owner = join(home, time.now)
    thief = Client(REMOTE_ADDR="203.0.113.9")
    thief.cookies["imgnom_session"] = owner.cookies["imgnom_session"].value
    time.move(minutes=59)
    answers = []
    for step in range(12):
        if step in (4, 8):
            time.move(minutes=1)
            cross_key_epoch(time)
        answers.append(thief.post("/step-up", {"password": "wrong wrong"}).status_code)
    assert answers == [422] * 10 + [429] * 2
    time.move(minutes=1)
    assert thief.post("/step-up", {"password": "wrong wrong"}).status_code == 422, "delayed, not shut"
    assert thief.post("/step-up", {"password": "wrong wrong"}).status_code == 429
    assert owner.post("/step-up", {"password": PASSWORD}).status_code == 303, "a thief does not keep the owner out"


@pytest.mark.clause("A4.2")
def test_receipt_numbers_known_and_unknown_share_one_limit(home: Path, time: Time) -> None:
    owner = join(home, time.now)
    answer = owner.post("/me/withdraw", {"content": "delete", "confirm": "yes"})
    known = answer["Location"].rpartition("/")[2]
    stranger = "2001:db8:5::{:x}"
    for step in range(600):
        throttle.hit_network("receipt", stranger.format(step + 1), limit=600, per_seconds=600)
    found = []
    for number in (known, "AAAA-BBBB-CCCC-DDDD"):
        client = Client(REMOTE_ADDR=stranger.format(9))
        asked = [
            client.get(f"/receipt?number={number}"),
            client.get(f"/receipt/{number}"),
            client.get(f"/receipt/{number}.json"),
        ]
        found.append([seen(one, number) for one in asked])
    assert found[0] == found[1]
    assert {status for status, *_ in found[0]} == {429}
    time.move(minutes=11)
    assert Client(REMOTE_ADDR=stranger.format(9)).get(f"/receipt/{known}").status_code == 200


@pytest.mark.clause("A1.1", "A7.4")
def test_name_of_a_leaver_answers_as_a_name_of_nobody_across_time(home: Path, time: Time) -> None:
    owner = join(home, time.now)
    owner.post("/me/withdraw", {"content": "delete", "confirm": "yes"})
    for ask in (
        lambda client, name: sign_in(client, login=name, password="wrong wrong"),
        lambda client, name: client.post("/reset", {"login": name}),
    ):
        one, other = twins(time, ask, (KNOWN_EMAIL, UNKNOWN_EMAIL), 2)  # type: ignore[arg-type]
        assert one == other
    found = []
    for number, name in enumerate((KNOWN_ID, "fresh.name")):
        client = Client(REMOTE_ADDR=f"203.0.{number}.1")
        form = {"username": name, "nickname": f"새이름{number}", "email": f"new{number}@mail.example"}
        sign_up(client, **form)
        found.append([seen(client.post("/signup/confirm", {"code": "000000"})), seen(client.get("/signup/confirm"))])  # type: ignore[arg-type]
    assert found[0] == found[1]
