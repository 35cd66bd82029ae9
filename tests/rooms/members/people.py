"""People who join through the pages, and the letters they get."""

import re
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from django.http import HttpResponse
from django.test import Client

from imgnom.community.members.public import deliver_mail

PASSWORD = "kite over the river"
FIELDS = {
    "age_group": "14_or_older",
    "username": "seonwoo.l",
    "password1": PASSWORD,
    "nickname": "하늘바라기",
    "email": "seonwoo@mail.example",
    "agree_terms": "on",
    "agree_privacy": "on",
}
SOMEBODY_ELSE = {"username": "mirae.k", "nickname": "미래", "email": "mirae@mail.example"}


def letters(home: Path, now: datetime, *, to: str = "") -> list[EmailMessage]:
    """Everything that waits is sent; then all letters in the outbox, the oldest first."""
    deliver_mail(now=now)
    found = [
        message_from_bytes(file.read_bytes(), policy=policy.default) for file in sorted((home / "outbox").glob("*.eml"))
    ]
    return [letter for letter in found if to in str(letter["To"])]


def code_in(letter: EmailMessage) -> str:
    return re.search(r"\d{6,}", str(letter["Subject"]))[0]  # type: ignore[index]


def code_for(home: Path, now: datetime, address: str) -> str:
    return code_in(letters(home, now, to=address)[-1])


def wrong_code(right: str) -> str:
    return f"{(int(right) + 1) % 10 ** len(right):0{len(right)}d}"


def sign_up(client: Client | None = None, **changes: str) -> Client:
    client = client or Client()
    answer = client.post("/signup", FIELDS | changes)
    assert answer.status_code == 303, answer.context["form"].errors
    assert answer["Location"] == "/signup/confirm"
    return client


def join(home: Path, now: datetime, client: Client | None = None, **changes: str) -> Client:
    client = sign_up(client, **changes)
    code = code_for(home, now, (FIELDS | changes)["email"])
    assert client.post("/signup/confirm", {"code": code}).status_code == 303
    return client


def sign_in(client: Client | None = None, login: str = FIELDS["username"], password: str = PASSWORD) -> HttpResponse:
    return (client or Client()).post("/login", {"login": login, "password": password})  # type: ignore[return-value]
