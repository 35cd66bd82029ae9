"""Limits through the pages: whoever tries too often waits, and nobody waits for somebody else."""

from datetime import datetime

import pytest
from django.http import HttpResponse
from django.test import Client

from imgnom.community.members.public import create_confirmed_member
from imgnom.site.clock import set_clock

pytestmark = pytest.mark.django_db(databases="__all__")
PASSWORD = "kite over the river"


@pytest.fixture(autouse=True)
def _member(now: datetime) -> None:
    set_clock(now)
    create_confirmed_member(
        username="seonwoo.l", password=PASSWORD, nickname="하늘바라기", email="seonwoo@mail.example", now=now
    )


def try_to_enter(address: str, password: str) -> HttpResponse:
    return Client(REMOTE_ADDR=address).post("/login", {"login": "seonwoo.l", "password": password})  # type: ignore[return-value]


@pytest.mark.clause("A1.1")
def test_a_stranger_who_guesses_locks_out_themselves_only() -> None:
    answers = [try_to_enter("198.51.100.9", f"guess {n}").status_code for n in range(22)]
    assert answers[0] == 422
    assert answers[-1] == 429
    refused = try_to_enter("198.51.100.9", PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 600
    assert "뒤에 다시" in refused.content.decode()
    assert try_to_enter("::ffff:198.51.100.9", PASSWORD).status_code == 429, "the same person, written differently"
    assert try_to_enter("203.0.113.7", PASSWORD).status_code == 303


@pytest.mark.clause("A1.1")
def test_a_stranger_who_asks_for_resets_leaves_the_owner_theirs() -> None:
    ask = {"login": "seonwoo.l"}
    stranger = [Client(REMOTE_ADDR="198.51.100.9").post("/reset", ask).status_code for _ in range(7)]
    assert stranger[-1] == 429
    assert Client(REMOTE_ADDR="203.0.113.7").post("/reset", ask).status_code == 303


@pytest.mark.clause("A1.1")
def test_known_and_unknown_names_are_counted_alike() -> None:
    def tries(login: str, address: str) -> list[int]:
        client = Client(REMOTE_ADDR=address)
        return [client.post("/login", {"login": login, "password": "x"}).status_code for _ in range(22)]

    assert tries("seonwoo.l", "198.51.100.1") == tries("nobody.here", "198.51.100.2")
