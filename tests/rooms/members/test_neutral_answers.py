"""Known or unknown, the answer is the same and costs the same (threats N1, P5).

Not the clock is compared but the work: the statements sent to each store, in order, and the slow hashes worked out.
"""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import connections
from django.http import HttpResponse
from django.test import Client

from tests.rooms.members.people import (
    FIELDS,
    PASSWORD,
    SOMEBODY_ELSE,
    code_for,
    join,
    letters,
    sign_in,
    sign_up,
    wrong_code,
)

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
HASHES: Counter[str] = Counter()


class CountingHasher(Argon2PasswordHasher):
    """The real one; it only says how often it was asked."""

    def encode(self, password: str, salt: str) -> str:
        HASHES["encode"] += 1
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        HASHES["verify"] += 1
        return super().verify(password, encoded)


@pytest.fixture(autouse=True)
def _counted(settings: Any) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    HASHES.clear()


def work_of(ask: Callable[[], HttpResponse]) -> tuple[Any, ...]:
    """What was answered, how long it is, which statements went to which store, how many slow hashes."""
    HASHES.clear()
    sent: list[tuple[str, str]] = []

    def note(alias: str) -> Callable[..., Any]:
        def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            sent.append((alias, re.sub(r'"s\d+_x\d+"', "a savepoint", sql)))
            return execute(sql, params, many, context)

        return watch

    with ExitStack() as stack:
        for alias in connections:
            stack.enter_context(connections[alias].execute_wrapper(note(alias)))
        answer = ask()
    page = re.sub(rb'value="[^"]*"', b"", answer.content)
    visits = [one for one in sent if one[0] != "logs"]  # a record has the kind and the key of whom it is about
    return answer.status_code, answer.get("Location"), len(page), page, visits, dict(HASHES)


@pytest.mark.clause("A1.1", "A2.2c")
@pytest.mark.parametrize("known", ["seonwoo.l", "seonwoo@mail.example", "SEONWOO.L", "Seonwoo+x@mail.example"])
def test_a_wrong_password_and_an_unknown_name_cost_the_same(home: Path, now: datetime, known: str) -> None:
    join(home, now)
    unknown = "nobody@mail.example" if "@" in known else "nobody.x"
    for name in (known, unknown):
        sign_in(login=name, password="warm up")
    one, other = (work_of(lambda name=name: sign_in(login=name, password="wrong wrong")) for name in (known, unknown))  # type: ignore[misc]
    assert one == other
    assert one[0] == 422
    assert one[-1] == {"verify": 1}


@pytest.mark.clause("A1.1", "A2.2f")
@pytest.mark.parametrize("taken", ["username", "email"])
def test_signing_up_with_what_is_taken_costs_the_same(home: Path, now: datetime, taken: str) -> None:
    join(home, now)
    fresh = FIELDS | SOMEBODY_ELSE
    sign_up(username="warm.up", nickname="데우기", email="warm@mail.example")
    one = work_of(lambda: Client().post("/signup", fresh | {taken: FIELDS[taken]}))  # type: ignore[arg-type,return-value]
    other = work_of(lambda: Client().post("/signup", fresh | {"nickname": "또다른이", "email": "third@mail.example"}))  # type: ignore[arg-type,return-value]
    assert one == other
    assert one[:2] == (303, "/signup/confirm")
    assert one[-1] == {"encode": 1}


@pytest.mark.clause("A2.2a")
def test_asking_for_a_new_password_costs_the_same_and_only_a_member_gets_a_letter(home: Path, now: datetime) -> None:
    join(home, now)
    ask = lambda name: Client().post("/reset", {"login": name})  # noqa: E731
    ask("warm.up")
    before = len(letters(home, now))
    one, other = work_of(lambda: ask(FIELDS["email"])), work_of(lambda: ask("nobody@mail.example"))  # type: ignore[return-value]
    assert one == other
    assert one[:2] == (303, "/reset/confirm")
    sent = letters(home, now)[before:]
    assert [letter["To"] for letter in sent] == [FIELDS["email"]]


@pytest.mark.clause("A2.2a")
def test_a_wrong_number_for_a_new_password_costs_the_same(home: Path, now: datetime) -> None:
    join(home, now)
    works = []
    for name in (FIELDS["username"], "nobody.here"):
        client = Client()
        client.post("/reset", {"login": name})
        works.append(
            work_of(lambda c=client: c.post("/reset/confirm", {"code": "000000", "password1": "a garden by the sea"}))
        )  # type: ignore[misc]
    assert works[0] == works[1]
    assert works[0][0] == 422


@pytest.mark.clause("A2.2f", "A7.1")
def test_changing_to_a_taken_address_costs_the_same_and_its_owner_is_told(home: Path, now: datetime) -> None:
    join(home, now)
    client = join(home, now, **SOMEBODY_ELSE)
    ask = lambda email: client.post("/me/privacy/edit", {"nickname": SOMEBODY_ELSE["nickname"], "email": email})  # noqa: E731
    ask("warm@mail.example")
    one, other = work_of(lambda: ask(FIELDS["email"])), work_of(lambda: ask("fresh@mail.example"))  # type: ignore[return-value]
    assert one == other
    assert one[0] == 303
    assert "다른 계정" in letters(home, now, to=FIELDS["email"])[-1].get_content()


@pytest.mark.clause("A2.2d")
def test_sending_again_costs_the_same_for_a_taken_mailbox(home: Path, now: datetime) -> None:
    taken = sign_up(username="another.one", nickname="다른이름")
    join(home, now)
    free = sign_up(**SOMEBODY_ELSE)
    again = {"resend": "1"}
    taken.post("/signup/confirm", again)
    assert work_of(lambda: taken.post("/signup/confirm", again)) == work_of(lambda: free.post("/signup/confirm", again))  # type: ignore[arg-type,return-value]


@pytest.mark.real_cost
@pytest.mark.clause("A1.1")
def test_a_hash_names_its_algorithm_and_its_cost(home: Path, now: datetime) -> None:
    from imgnom.community.members.models import Member

    join(home, now)
    assert re.match(r"argon2\$argon2id\$v=19\$m=102400,t=2,p=\d+\$", Member.objects.get().password)


@pytest.mark.clause("A2.2a")
def test_a_reset_ends_every_session_and_its_number_works_once_in_its_browser(home: Path, now: datetime) -> None:
    inside = join(home, now)
    client = Client()
    client.post("/reset", {"login": FIELDS["email"]})
    code = code_for(home, now, FIELDS["email"])
    new = {"code": code, "password1": "a garden by the sea"}
    assert Client().post("/reset/confirm", new).status_code == 422
    assert client.post("/reset/confirm", new | {"code": wrong_code(code)}).status_code == 422
    alike = client.post("/reset/confirm", new | {"password1": FIELDS["username"] + "99"})
    assert "password1" in alike.context["form"].errors
    assert client.post("/reset/confirm", new).status_code == 303
    assert client.post("/reset/confirm", new).status_code == 422
    assert inside.get("/me/privacy").status_code == 302
    assert sign_in(password=PASSWORD).status_code == 422
    assert sign_in(password="a garden by the sea").status_code == 303
    assert "비밀번호가 바뀌었습니다" in letters(home, now)[-1]["Subject"]
