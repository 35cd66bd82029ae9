"""What was not looked at, not lately, or cannot be shown here is not green (V11)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import Policy, Text, load_policy
from imgnom.procedures.proofs import checks
from imgnom.procedures.proofs.public import (
    Check,
    Finding,
    check_promises,
    code_digest,
    read_board,
    record_rehearsal,
    register_check,
)
from tests.live import ROOT

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
OFFICER = ("A9.1", "A9.2", "A9.3")
REAL = {
    "mode": "production",
    "mail_url": "smtp://mail.moonlight.kr",
    "mail_is_named": True,
    "base_url": "https://moonlight.kr",
}


def _rows(now: datetime) -> dict[str, tuple[str, str]]:
    return {row.id: (row.state, "; ".join(words.en for words in row.evidence)) for row in read_board(now=now).rows}


def _rehearsed(now: datetime) -> None:
    states = dict.fromkeys(policy_in_force().clauses, "green")
    assert record_rehearsal(states, policy=policy_in_force().digest, code=code_digest(), now=now)


@pytest.fixture
def real_policy(monkeypatch: pytest.MonkeyPatch) -> Policy:
    """What the officer's check reads; the site's own policy stays, so that its evidence counts."""
    policy = load_policy(ROOT / "tests" / "site" / "real_policy")
    monkeypatch.setattr(checks, "policy_in_force", lambda: policy)
    return policy


@pytest.mark.clause("A9.1", "A9.2", "A9.3")
@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "green"),
        ({"base_url": "http://127.0.0.1:8000"}, "green"),
        ({"base_url": "http://moonlight.kr"}, "red"),
        ({"mail_is_named": False}, "red"),
        ({"mail_url": "file:///var/mail"}, "planned"),
        ({"mode": "demo"}, "planned"),
        ({"mode": "rehearsal"}, "planned"),
    ],
)
def test_officer_is_green_only_where_mail_and_address_reach_people(
    settings: Any, now: datetime, real_policy: Policy, changes: dict[str, Any], state: str
) -> None:
    _rehearsed(now)
    settings.IMGNOM = replace(settings.IMGNOM, **(REAL | changes))
    check_promises(now=now)
    assert {_rows(now)[clause][0] for clause in OFFICER} == {state}


@pytest.mark.clause("A9.1", "A9.2", "A9.3")
def test_officer_is_red_in_production_with_bundled_contacts(settings: Any, now: datetime) -> None:
    _rehearsed(now)
    settings.IMGNOM = replace(settings.IMGNOM, **REAL)
    assert "officer" in check_promises(now=now)
    for clause in OFFICER:
        state, words = _rows(now)[clause]
        assert state == "red"
        assert "an example" in words


@pytest.mark.clause("A9.3")
def test_demo_says_that_its_contacts_are_not_proven(now: datetime) -> None:
    _rehearsed(now)
    check_promises(now=now)
    assert _rows(now)["A9.3"] == (
        "planned",
        "it cannot be shown that the contacts reach anybody: this is a demo, or mail is only written to files",
    )
    assert _rows(now)["I9"][0] == "planned", "its keys are kept with its data"


@pytest.mark.clause("A0.1", "I12")
def test_old_checks_leave_no_clause_green_that_needs_them(now: datetime) -> None:
    _rehearsed(now)
    check_promises(now=now)
    needed = {clause for check in checks.all_checks() for clause in check.clauses}
    assert any(state == "green" for clause, (state, _) in _rows(now).items() if clause in needed)
    late = _rows(now + timedelta(hours=25, seconds=1))
    assert {late[clause][0] for clause in needed if clause in late} <= {"red", "planned"}
    assert "not been checked again" in late["A2.0"][1]


@pytest.mark.clause("A0.1", "I12")
def test_check_that_never_ran_leaves_its_clause_not_green(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    _rehearsed(now)
    check_promises(now=now)
    assert _rows(now)["A8.0"][0] == "green"
    monkeypatch.setattr(checks, "_registered", dict(checks._registered))
    register_check(Check("new", ("A8.0",), Text("가", "a"), Text("나", "b"), lambda _now: Finding(1, 0)))
    assert _rows(now)["A8.0"] == ("planned", "this has not been checked yet")
    check_promises(now=now)
    assert _rows(now)["A8.0"][0] == "green"


@pytest.mark.clause("A0.1", "I12")
@pytest.mark.parametrize(("finding", "state"), [(Finding(1, 0, known=False), "planned"), (Finding(1, 1), "red")])
def test_unknown_outweighs_green_and_fault_outweighs_unknown(
    now: datetime, monkeypatch: pytest.MonkeyPatch, finding: Finding, state: str
) -> None:
    _rehearsed(now)
    monkeypatch.setattr(checks, "_registered", dict(checks._registered))
    for name, found in (
        ("one", Finding(1, 0)),
        ("two", finding),
        ("three", Finding(1, 0, known=False)),
        ("four", Finding(1, 0)),
    ):
        register_check(Check(name, ("A8.2",), Text("가", "a"), Text("나", "b"), lambda _now, found=found: found))
    check_promises(now=now)
    assert _rows(now)["A8.2"][0] == state
