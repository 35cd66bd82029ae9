"""Joining killed at each step, and done twice at the same moment: nothing is left for ever, one effect (R1, F4)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from imgnom.community.members import join as joining
from imgnom.community.members.errors import MemberError
from imgnom.community.members.models import Letter, Member, PendingRegistration
from imgnom.community.members.public import create_confirmed_member, destroy_registrations
from imgnom.custody.consent.models import Consent
from imgnom.custody.keys.models import DataKey
from imgnom.custody.keys.public import KeysError
from imgnom.custody.vault.models import BlindIndex, SealedValue
from imgnom.custody.vault.public import VaultError
from tests.custody.at_once import at_once
from tests.rooms.members.people import FIELDS, PASSWORD, SOMEBODY_ELSE, code_for, join, sign_in, sign_up

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
TRACES = (PendingRegistration, SealedValue, DataKey, BlindIndex, Consent, Letter, Member)
WRITES = ("INSERT", "UPDATE", "DELETE")


class Killed(BaseException):
    """What no `except Exception` catches, as a real kill."""


@contextmanager
def killed_at(number: int) -> Iterator[list[int]]:
    """The number-th writing statement, in whichever store, is not carried out, and nothing after it."""
    seen = [0]

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(WRITES):
            seen[0] += 1
            if seen[0] >= number:
                raise Killed
        return execute(sql, params, many, context)

    with in_all_stores(watch):
        yield seen


@contextmanager
def in_all_stores(watch: Callable[..., Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for alias in connections:
            stack.enter_context(connections[alias].execute_wrapper(watch))
        yield


def register(now: datetime) -> str:
    return joining.register_member(
        username="seonwoo.l", password=PASSWORD, nickname="하늘", email="seonwoo@mail.example",
        extras={}, consents={"agree_terms": True, "advertising": True}, source="", now=now,
    )  # fmt: skip


def writes_of(work: Callable[[], object]) -> int:
    with killed_at(10_000) as seen:
        work()
    return seen[0]


def nothing_is_left() -> None:
    left = {
        model.__name__: list(model._default_manager.values()) for model in TRACES if model._default_manager.exists()
    }
    assert left == {}


@pytest.mark.clause("A2.2d", "I2")
def test_a_sign_up_killed_at_any_write_is_destroyed_by_the_fifth_day(now: datetime) -> None:
    steps = writes_of(lambda: register(now))
    assert steps > 8
    destroy_registrations(now=now + timedelta(days=5))
    for step in range(1, steps + 1):
        with pytest.raises(Killed), killed_at(step):
            register(now)
        destroy_registrations(now=now + timedelta(days=5))
        nothing_is_left()


@pytest.mark.clause("A2.2d", "I2")
def test_the_destruction_of_a_sign_up_killed_at_any_write_is_finished_by_the_next_run(now: datetime) -> None:
    end = now + timedelta(days=5)
    register(now)
    steps = writes_of(lambda: destroy_registrations(now=end))
    for step in range(1, steps + 1):
        register(now)
        with pytest.raises(Killed), killed_at(step):
            destroy_registrations(now=end)
        destroy_registrations(now=end)
        nothing_is_left()


def code_of(token: str) -> str:
    from imgnom.community.members.codes import code_of as worked_out

    row = PendingRegistration.objects.get(token=token)
    return worked_out(token, row.turn, row.digits)


@pytest.mark.clause("A2.2d", "I2")
def test_a_confirmation_killed_at_any_write_can_be_carried_on_or_is_destroyed(now: datetime) -> None:
    def confirm(token: str, code: str) -> None:
        joining.confirm_registration(token=token, code=code, now=now)

    token = register(now)
    code = code_of(token)
    steps = writes_of(lambda: confirm(token, code))
    Member.objects.all().delete()
    for step in range(1, steps + 1):
        for carry_on in (True, False):
            for model in TRACES:
                model._default_manager.all().delete()
            token = register(now)
            code = code_of(token)
            with pytest.raises(Killed), killed_at(step):
                confirm(token, code)
            if carry_on:
                confirm(token, code)
                assert Member.objects.count() == 1
                assert not PendingRegistration.objects.exists()
                assert BlindIndex.objects.count() == 2
            else:
                destroy_registrations(now=now + timedelta(days=5))
                nothing_is_left()


@pytest.mark.clause("A2.2f", "I2")
def test_a_confirmation_that_stopped_half_way_does_not_hold_the_mailbox(home: Path, now: datetime) -> None:
    token = register(now)
    code = code_of(token)
    steps = writes_of(lambda: None)
    step = 1
    while not BlindIndex.objects.filter(item="email").exists():
        with pytest.raises(Killed), killed_at(step):
            joining.confirm_registration(token=token, code=code, now=now)
        step += 1
    assert steps == 0
    assert not Member.objects.exists()
    client = join(home, now, email="seonwoo@mail.example")
    assert client.get("/me/privacy").status_code == 200
    assert Member.objects.count() == 1
    assert not PendingRegistration.objects.filter(state="confirmed").exists()


@pytest.mark.clause("I10", "I2")
def test_a_staff_account_killed_while_it_is_made_is_destroyed_too(now: datetime) -> None:
    def make() -> None:
        create_confirmed_member(
            username="officer.one", password=PASSWORD, nickname="담당", email="o@mail.example", now=now,
            role="officer", extras={"second_factor": "A" * 32},
        )  # fmt: skip

    steps = writes_of(make)
    for model in TRACES:
        model._default_manager.all().delete()
    for step in range(1, steps + 1):
        with pytest.raises(Killed), killed_at(step):
            make()
        destroy_registrations(now=now + timedelta(days=5))
        nothing_is_left()


@pytest.mark.clause("A2.2d")
def test_of_confirmations_at_the_same_moment_one_has_an_effect(home: Path, now: datetime) -> None:
    client = sign_up()
    code = code_for(home, now, FIELDS["email"])
    cookie = client.cookies["imgnom_session"].value

    def confirm() -> int:
        twin = Client()
        twin.cookies["imgnom_session"] = cookie
        return twin.post("/signup/confirm", {"code": code}).status_code

    answers = sorted(at_once(*[confirm] * 6))
    assert answers.count(303) == 1
    assert set(answers) <= {303, 409, 422}
    member = Member.objects.get()
    assert Consent.objects.filter(subject=member.subject).count() == 2
    assert sign_in().status_code == 303


@pytest.mark.clause("A1.1", "A2.2f")
@pytest.mark.parametrize("same", ["username", "nickname", "email"])
def test_of_two_who_confirm_the_same_thing_at_the_same_moment_one_gets_it(home: Path, now: datetime, same: str) -> None:
    others = {name: value for name, value in SOMEBODY_ELSE.items() if name != same}
    one, two = sign_up(), sign_up(**others)
    sent = {
        client: code_for_token(client.session["registration"]) for client in (one, two)
    }  # fmt: skip
    answers = at_once(*[lambda c=c: c.post("/signup/confirm", {"code": sent[c]}).status_code for c in (one, two)])  # type: ignore[misc]
    assert sorted(answers) == [303, 422]
    assert Member.objects.count() == 1
    assert BlindIndex.objects.filter(item="email").count() >= 1
    assert Member.objects.get().subject in set(BlindIndex.objects.values_list("subject", flat=True))


def code_for_token(token: str) -> str:
    return code_of(token)


@pytest.mark.clause("A2.2d")
def test_a_sign_up_confirmed_while_it_is_destroyed_never_makes_a_member_without_a_key(now: datetime) -> None:
    for _ in range(5):
        for model in TRACES:
            model._default_manager.all().delete()
        token = register(now)
        code, row = code_of(token), PendingRegistration.objects.get(token=token)

        def confirm(token: str = token, code: str = code) -> None:
            with suppress(MemberError, VaultError, KeysError):  # it was told no, in whichever way it met the other
                joining.confirm_registration(token=token, code=code, now=now)

        def destroy(row: PendingRegistration = row) -> None:
            joining.end_registration(row, now=now)

        at_once(confirm, destroy)
        for member in Member.objects.all():
            assert DataKey.objects.filter(owner=member.subject).exists()
        destroy_registrations(now=now)
        assert Member.objects.exists() or not SealedValue.objects.exists()
