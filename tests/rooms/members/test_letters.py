"""Letters over a real SMTP conversation: taken, refused, cut off; never lost, never doubled, nothing slipped in (F11)."""

import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings
from django.test import Client

from imgnom.community.members.models import Letter
from imgnom.community.members.public import deliver_mail
from imgnom.custody.guard.public import mail_domain
from imgnom.custody.keys import keyring
from tests.custody.at_once import at_once
from tests.live import free_port
from tests.rooms.members.people import FIELDS, code_in, join, letters, sign_up

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
type Answer = str | None


class Server:
    """A mail server that takes what it is sent unless `says` something else at a step."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.says: dict[str, list[str]] = {}
        self.seen: list[str] = []

    def _next(self, step: str) -> str | None:
        self.seen.append(step)
        return self.says[step].pop(0) if self.says.get(step) else None

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = self._next("rcpt")
        if said:
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        said = self._next("data")
        if said == "cut":
            server.transport.abort()
            return "250 never heard"
        if said == "take and cut":
            self.taken.append((envelope.rcpt_tos[0], bytes(envelope.content)))  # type: ignore[arg-type]
            server.transport.abort()
            return "250 never heard"
        if said:
            return said
        self.taken.append((envelope.rcpt_tos[0], bytes(envelope.content)))  # type: ignore[arg-type]
        return "250 taken"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._next("quit"):
            server.transport.abort()
        return "221 bye"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    mine = Server()
    controller = Controller(mine, hostname="127.0.0.1", port=free_port())
    controller.start()
    monkeypatch.setattr(settings, "IMGNOM", _with_mail(f"smtp://127.0.0.1:{controller.port}?tls=optional"))
    yield mine
    controller.stop()


def _with_mail(url: str) -> Any:
    import dataclasses

    return dataclasses.replace(settings.IMGNOM, mail_url=url)


def try_again(now: datetime) -> int:
    """What waits for its next try is due."""
    Letter.objects.update(leased_until=0)
    return deliver_mail(now=now)


@pytest.mark.clause("A2.2d", "A2.2h")
def test_a_letter_goes_over_smtp_in_korean_and_is_forgotten(server: Server, now: datetime) -> None:
    client = sign_up()
    assert deliver_mail(now=now) == 1
    ((to, raw),) = server.taken
    letter = message_from_bytes(raw, policy=policy.default)
    assert to == FIELDS["email"] == letter["To"]
    assert str(letter["Subject"]).startswith("[imgnom] 가입 확인 번호 ")
    assert raw.isascii(), "any server can carry it"
    assert not Letter.objects.exists()
    assert client.post("/signup/confirm", {"code": code_in(letter)}).status_code == 303


@pytest.mark.clause("A2.2h")
@pytest.mark.parametrize(
    ("step", "said"),
    [("rcpt", "450 busy"), ("rcpt", "550 nobody here"), ("data", "451 later"), ("data", "554 no"), ("data", "cut")],
)
def test_what_was_not_taken_is_tried_again_and_comes_once(server: Server, now: datetime, step: str, said: str) -> None:
    sign_up()
    server.says[step] = [said, said]
    assert deliver_mail(now=now) == 0
    assert deliver_mail(now=now) == 0, "not at once"
    assert server.seen.count(step) == 1
    assert not Client().get("/reset/confirm").context["late"], "what one mailbox refuses is told to nobody"
    assert try_again(now) == 0
    assert try_again(now) == 1
    assert [to for to, _ in server.taken] == [FIELDS["email"]]
    assert not Letter.objects.exists()
    assert try_again(now) == 0


@pytest.mark.clause("A2.2h")
def test_a_server_that_hangs_up_while_parting_has_the_letter_all_the_same(server: Server, now: datetime) -> None:
    sign_up()
    server.says["quit"] = ["cut"]
    assert deliver_mail(now=now) == 1
    assert try_again(now) == 0
    assert len(server.taken) == 1


@pytest.mark.clause("A2.2h")
def test_a_letter_taken_without_a_word_comes_again_under_the_same_name(server: Server, now: datetime) -> None:
    """Whether it arrived nobody can know; the name lets the mailbox show it once."""
    sign_up()
    server.says["data"] = ["take and cut"]
    assert deliver_mail(now=now) == 0
    assert try_again(now) == 1
    one, two = (message_from_bytes(raw, policy=policy.default) for _, raw in server.taken)
    assert one["Message-ID"] == two["Message-ID"]
    assert one.get_content() == two.get_content()


@pytest.mark.clause("A2.2h")
def test_while_no_server_answers_nobody_waits_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(settings, "IMGNOM", _with_mail(f"smtp://127.0.0.1:{closed.getsockname()[1]}"))
        sign_up()
        sign_up(username="another.one", nickname="다른이름", email="b@mail.example")
        assert deliver_mail(now=now) == 0
        assert Client().get("/reset/confirm").context["late"], "everybody is told that mail is slow"
        assert sorted(Letter.objects.values_list("tries", flat=True)) == [0, 1], (
            "one time-out a round, not one a letter"
        )


@pytest.mark.clause("A2.2h")
def test_a_keyring_that_is_away_loses_no_letter(home: Path, now: datetime, tmp_path: Path) -> None:
    sign_up()
    away = [file for file in keyring.folder().glob("*.key") if "kek" in file.name or "epoch" in file.name]
    assert away
    for file in away:
        file.rename(tmp_path / file.name)
    assert deliver_mail(now=now) == 0
    assert Letter.objects.count() == 1
    for file in away:
        (tmp_path / file.name).rename(file)
    assert try_again(now) == 1


@pytest.mark.clause("A2.2h")
def test_several_at_the_counter_send_each_letter_once(server: Server, now: datetime) -> None:
    for number in range(5):
        sign_up(username=f"person{number}", nickname=f"사람{number}째", email=f"p{number}@mail.example")
    at_once(*[lambda: deliver_mail(now=now)] * 4)
    assert sorted(to for to, _ in server.taken) == [f"p{number}@mail.example" for number in range(5)]


@pytest.mark.clause("A2.2d")
def test_a_number_that_works_no_more_is_not_sent(home: Path, now: datetime) -> None:
    sign_up()
    assert letters(home, now + timedelta(minutes=10)) == []
    assert not Letter.objects.exists()


@pytest.mark.clause("A1.1")
@pytest.mark.parametrize("trick", ["a@mail.example\nBcc: x@evil.example", "a@mail.example\r\nSubject: x", "a@mail.example, b@evil.example", '"a b"@mail.example', "a@[127.0.0.1]", "a@mail.example\x00"])  # fmt: skip
def test_no_address_carries_a_header_a_second_one_or_a_number(trick: str) -> None:
    answer = Client().post("/signup", FIELDS | {"email": trick})
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"email"}


@pytest.mark.clause("A1.1", "A2.2f")
def test_an_address_with_a_korean_domain_is_written_to_and_is_one_mailbox(server: Server, now: datetime) -> None:
    sign_up(email="seonwoo@메일.example")
    assert deliver_mail(now=now) == 1
    assert server.taken[0][0] == f"seonwoo@{mail_domain('메일.example')}"


def test_the_same_letter_is_the_same_file(home: Path, now: datetime) -> None:
    join(home, now)
    names = [file.name for file in (home / "outbox").iterdir()]
    assert [name.removesuffix(".eml").isdigit() for name in names] == [True]
