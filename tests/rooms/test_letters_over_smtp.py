"""Letters over a real mail server on loopback: taken, refused for now and tried again, signed in to, and left out of logs."""

import gc
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from django.conf import settings
from django.test import Client

from imgnom.community.members.models import Letter
from imgnom.community.members.public import deliver_mail
from imgnom.site.clock import set_clock
from tests.live import free_port

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

ADDRESS = "seonwoo@mail.example"
FIELDS = {
    "age_group": "14_or_older", "username": "seonwoo.l", "password1": "kite over the river", "nickname": "하늘바라기", "email": ADDRESS,
    "agree_terms": "on", "agree_privacy": "on",
}  # fmt: skip
USER, WORD = b"letters", b"p@ss:word/with?signs"


class Postman:
    """Takes what comes, or answers as it is told to."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], EmailMessage]] = []
        self.answer = ""
        self.users: list[bytes] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.answer:
            return self.answer
        message = message_from_bytes(envelope.original_content or b"", policy=default)
        assert isinstance(message, EmailMessage)
        self.taken.append((str(envelope.mail_from), list(envelope.rcpt_tos), message))
        return "250 taken"

    def check(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _way: str, data: LoginPassword
    ) -> AuthResult:
        self.users.append(data.login)
        return AuthResult(success=(data.login, data.password) == (USER, WORD))


@contextmanager
def _server(postman: Postman, **more: object) -> Iterator[int]:
    port = free_port()
    controller = Controller(postman, hostname="127.0.0.1", port=port, **more)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()
        with warnings.catch_warnings():
            # The library leaves its streams to the collector; here, so that no other test hears of it.
            warnings.simplefilter("ignore", ResourceWarning)
            del controller
            gc.collect()


@pytest.fixture(autouse=True)
def _time_stands_still(now: datetime) -> None:
    set_clock(now)


@pytest.fixture
def asked(now: datetime) -> Client:
    client = Client()
    assert client.post("/signup", FIELDS).status_code == 303
    return client


def _mail_to(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(settings, "IMGNOM", replace(settings.IMGNOM, mail_url=url))


@pytest.mark.clause("A2.2d")
def test_a_code_comes_over_smtp_to_its_owner_and_joins(
    asked: Client, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    postman = Postman()
    with _server(postman) as port:
        _mail_to(monkeypatch, f"smtp://127.0.0.1:{port}?tls=optional")
        assert deliver_mail(now=now) == 1
    [(sender, to, message)] = postman.taken
    assert to == [ADDRESS]
    assert message["To"] == ADDRESS
    assert sender in str(message["From"])
    assert message["Message-ID"]
    code = "".join(character for character in str(message["Subject"]) if character.isdigit())
    assert len(code) == 6
    assert code in message.get_content()
    assert FIELDS["username"] not in str(message)
    assert FIELDS["password1"] not in str(message)
    assert not Letter.objects.exists()
    assert asked.post("/signup/confirm", {"code": code}).status_code == 303


@pytest.mark.clause("I2")
@pytest.mark.usefixtures("asked")
def test_a_letter_that_is_refused_for_now_goes_later_and_says_nothing_in_the_log(
    now: datetime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    postman = Postman()
    postman.answer = f"451 {ADDRESS} is busy"
    with caplog.at_level(logging.DEBUG), _server(postman) as port:
        _mail_to(monkeypatch, f"smtp://127.0.0.1:{port}?tls=optional")
        assert deliver_mail(now=now) == 0
        assert Letter.objects.get().tries == 1
        assert deliver_mail(now=now) == 0, "not again at once"
        postman.answer = ""
        Letter.objects.update(leased_until=0)
        assert deliver_mail(now=now) == 1
    assert len(postman.taken) == 1
    assert not [
        record for record in caplog.records if record.name.startswith("imgnom") and ADDRESS in record.getMessage()
    ]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.usefixtures("asked")
def test_the_server_is_signed_in_to_with_what_the_address_says(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    postman = Postman()
    with _server(postman, authenticator=postman.check, auth_required=True, auth_require_tls=False) as port:
        _mail_to(monkeypatch, f"smtp://letters:p%40ss%3Aword%2Fwith%3Fsigns@127.0.0.1:{port}?tls=optional")
        assert deliver_mail(now=now) == 1
        _mail_to(monkeypatch, f"smtp://letters:wrong@127.0.0.1:{port}?tls=optional")
        Client().post(
            "/signup", FIELDS | {"email": "other@mail.example", "username": "other.l", "nickname": "다른사람"}
        )
        assert deliver_mail(now=now) == 0
    assert postman.users[0] == USER
    assert len(postman.taken) == 1
    assert Letter.objects.count() == 1
