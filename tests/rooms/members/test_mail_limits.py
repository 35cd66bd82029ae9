"""No mailbox is flooded, whoever asks, and nobody's code is late because of one mailbox (threat Q2)."""

import dataclasses
import socket
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from imgnom.community.members import letters as queue
from imgnom.community.members import mail_limits
from imgnom.community.members.models import Letter, SentMessage
from imgnom.community.members.public import deliver_mail, destroy_letters, due_letters, queue_letter
from imgnom.community.members.sending import MailRefused
from imgnom.custody.ledger.public import sequence
from imgnom.site.clock import set_clock
from tests.rooms.members.people import FIELDS, SOMEBODY_ELSE, code_for, code_in, join, letters, sign_up

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
VICTIM = "victim@gmail.com"


def spellings() -> Iterator[str]:
    return (f"{'V' if n % 2 else 'v'}ic.tim+{n}@{'googlemail' if n % 3 else 'gmail'}.com" for n in range(10_000))


def bomb(number: int, address: str, *, at: str) -> None:
    sign_up(Client(REMOTE_ADDR=at), username=f"bomber{number}", nickname=f"폭탄{number}호", email=address)


def to_victim(home: Path, now: datetime) -> int:
    return sum("gmail.com" in str(one["To"]) or "googlemail" in str(one["To"]) for one in letters(home, now))


@pytest.mark.clause("A2.2d", "A2.2h")
def test_mailbox_gets_few_messages_however_it_is_spelled_and_whoever_asks(home: Path, now: datetime) -> None:
    names, number = spellings(), 0
    for hour in range(4):
        at = now + timedelta(hours=hour)
        set_clock(at)
        for _ in range(7):
            number += 1
            bomb(number, next(names), at=f"2001:db8:{number:x}::1")
            Client(REMOTE_ADDR=f"2001:db8:{number:x}::1").post("/reset", {"login": next(names)})
            deliver_mail(now=at)
        assert to_victim(home, at) == min(5 * (hour + 1), 12)
    assert not Letter.objects.exists(), "what is too much is dropped"
    later = now + timedelta(hours=24)
    set_clock(later)
    bomb(number + 1, next(names), at="203.0.113.1")
    assert to_victim(home, later) == 13


@pytest.mark.clause("A2.2d", "A2.2h")
def test_one_network_leaves_room_for_the_owner_elsewhere(home: Path, now: datetime) -> None:
    for number in range(6):
        bomb(number, VICTIM, at=f"2001:db8:1:{number:x}::1")
    assert to_victim(home, now) == 4
    owner = sign_up(Client(REMOTE_ADDR="203.0.113.9"), email=VICTIM)
    code = code_for(home, now, VICTIM)
    assert owner.post("/signup/confirm", {"code": code}).status_code == 303


@pytest.mark.clause("A2.2a", "A2.2h")
def test_owner_on_a_known_browser_gets_a_code_while_the_mailbox_is_bombed(home: Path, now: datetime) -> None:
    owner = join(home, now, email=VICTIM)
    owner.post("/logout")
    for number in range(8):
        bomb(number, VICTIM, at=f"2001:db8:{number + 1:x}::1")
    flooded = to_victim(home, now)
    assert flooded == 5
    owner.post("/reset", {"login": FIELDS["username"]})
    told = letters(home, now)
    assert len(told) == flooded + 1 == 6
    form = {"code": code_in(told[-1]), "password1": "a garden by the sea"}
    assert owner.post("/reset/confirm", form).status_code == 303
    assert to_victim(home, now) == 6, "the notice of it waits"
    assert Letter.objects.get().template_id == "new_password"
    Letter.objects.update(leased_until=0)
    assert deliver_mail(now=now + timedelta(hours=1)) == 1


@pytest.mark.clause("A2.2f", "A2.2h")
def test_member_who_changes_to_somebody_elses_address_is_bounded_too(home: Path, now: datetime) -> None:
    client = join(home, now)
    for _ in range(8):
        client.post("/me/privacy/edit", {"nickname": FIELDS["nickname"], "email": VICTIM})
    assert to_victim(home, now) == 4


@pytest.mark.clause("A4.0", "A5.0")
def test_counts_hold_no_address_and_end_after_a_day(home: Path, now: datetime) -> None:
    sign_up()
    deliver_mail(now=now)
    row = SentMessage.objects.get()
    assert len(row.mailbox) == len(row.source) == 64
    assert due_letters(now=now + timedelta(hours=24)) - due_letters(now=now) == 1
    destroy_letters(now=now + timedelta(hours=23))
    assert SentMessage.objects.exists()
    destroy_letters(now=now + timedelta(hours=24))
    assert not SentMessage.objects.exists()


@pytest.mark.clause("A2.2h")
def test_resends_are_capped_per_network(home: Path, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgnom.community.members.views.RESENDS_AN_HOUR", 2)
    answers = []
    for number in range(3):
        client = sign_up(username=f"person{number}", nickname=f"사람{number}째", email=f"p{number}@mail.example")
        answers.append(client.post("/signup/confirm", {"resend": "1"}).status_code)
    assert answers == [303, 303, 429]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whom messages went to, in order; a mailbox at `slow.example` is refused."""
    found: list[str] = []

    def send(message: EmailMessage, *, name: str) -> None:
        found.append(str(message["To"]))
        if str(message["To"]).endswith("slow.example"):
            raise MailRefused

    monkeypatch.setattr(queue, "send", send)
    return found


@pytest.mark.clause("A2.2d", "A2.2h")
def test_code_of_another_mailbox_comes_before_the_second_of_one(home: Path, now: datetime, sent: list[str]) -> None:
    for number in range(5):
        bomb(number, VICTIM, at=f"2001:db8:{number + 1:x}::1")
    sign_up()
    deliver_mail(now=now, limit=2)
    assert sent == [VICTIM, FIELDS["email"]]


@pytest.mark.clause("A2.2d", "A2.2h")
def test_mailbox_that_is_refused_holds_up_its_own_messages_only(home: Path, now: datetime, sent: list[str]) -> None:
    for number in range(4):
        bomb(number, "box@slow.example", at=f"2001:db8:{number + 1:x}::1")
    sign_up()
    deliver_mail(now=now)
    assert sent == ["box@slow.example", FIELDS["email"]]
    deliver_mail(now=now)
    assert len(sent) == 2, "one try for all of them"


@pytest.mark.clause("A2.2d", "A2.2h")
def test_slow_domain_waits_while_others_go_on(home: Path, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []

    class Clock:
        at = 1000.0

        @classmethod
        def monotonic(cls) -> float:
            return cls.at

        time = staticmethod(time.time)

    def send(message: EmailMessage, *, name: str) -> None:
        found.append(str(message["To"]))
        Clock.at += 15 if "slow" in str(message["To"]) else 0
        if "slow" in str(message["To"]):
            raise MailRefused

    monkeypatch.setattr(queue, "send", send)
    monkeypatch.setattr(queue, "time", Clock)
    monkeypatch.setattr(queue, "_slow_until", {})
    for number in range(3):
        bomb(number, f"box{number}@slow.example", at=f"2001:db8:{number + 1:x}::1")
    sign_up()
    for _ in range(3):
        deliver_mail(now=now)
    assert found == ["box0@slow.example", FIELDS["email"]]
    Clock.at += 60
    Letter.objects.update(leased_until=0)
    deliver_mail(now=now)
    assert len(found) == 3


@pytest.mark.clause("A2.2h")
@pytest.mark.parametrize("login", [FIELDS["email"], "nobody@mail.example"])
def test_notice_of_slow_mail_does_not_tell_whom_a_letter_is_for(
    home: Path, now: datetime, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    join(home, now)
    deliver_mail(now=now)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = f"smtp://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setattr(settings, "IMGNOM", dataclasses.replace(settings.IMGNOM, mail_url=away))
        Client().post("/reset", {"login": login})
        deliver_mail(now=now)
        assert Client().get("/reset/confirm").context["late"]
        assert Letter.objects.get().tries == 1


@pytest.mark.clause("A2.2h")
def test_letter_for_nobody_leaves_as_many_leaves_as_one_for_a_member(home: Path, now: datetime) -> None:
    join(home, now)
    sequence(now=now)
    grown = []
    for login in (FIELDS["email"], "nobody@mail.example"):
        Client().post("/reset", {"login": login})
        deliver_mail(now=now)
        grown.append(sequence(now=now))
    assert grown[0] == grown[1] > 0


def test_notice_without_a_source_uses_the_reserved_share(home: Path, now: datetime) -> None:
    join(home, now, **SOMEBODY_ELSE)
    assert mail_limits.OF_STRANGERS.an_hour < mail_limits.OF_MAILBOX.an_hour
    assert mail_limits.OF_ONE_SOURCE.a_day < mail_limits.OF_STRANGERS.a_day < mail_limits.OF_MAILBOX.a_day
    assert queue_letter.__kwdefaults__["source"] == ""
