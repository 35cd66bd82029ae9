"""May this role read this item for this purpose now: a decision with a reason and a clause, never a guess."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgnom.policy.public import Allow, CannotTell, Decision, Deny, decide
from tests.unit.policies import BOTH, IMGNOM, edited

NOON = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def _decide(**changes: Any) -> Decision:
    facts = {"item": "email", "purpose": "notices", "role": "system", "now": NOON} | changes
    return decide(IMGNOM, **facts)


@pytest.mark.clause("A2.0")
@pytest.mark.parametrize(
    ("changes", "outcome", "clause"),
    [
        ({}, Allow, "A2.2h"),
        ({"role": "moderator"}, Deny, "A2.2h"),
        ({"role": "king"}, Deny, "A2.2h"),
        ({"purpose": "statistics"}, Deny, "A2.4"),
        ({"purpose": "advertising"}, Deny, "A2.3c"),
        ({"purpose": "advertising", "consents": frozenset({"advertising"})}, Allow, "A2.3c"),
        ({"purpose": "advertising", "consents": frozenset({"marketing"})}, Deny, "A2.3c"),
        ({"restricted": True}, Deny, "A7.3a"),
        ({"restricted": True, "purpose": "identity"}, Allow, "A2.2a"),
        ({"restricted": True, "purpose": "advertising", "consents": frozenset({"advertising"})}, Deny, "A7.3a"),
        ({"archived": True}, Deny, "A4.1②"),
        ({"archived": True, "deadline": NOON + timedelta(1)}, Deny, "A4.1②"),
        ({"archived": True, "purpose": "investigation", "role": "officer"}, CannotTell, "A4.1①"),
        ({"archived": True, "purpose": "investigation", "role": "officer", "deadline": NOON + timedelta(1)}, Allow, "A3.1"),
        ({"archived": True, "purpose": "investigation", "role": "officer", "deadline": NOON}, Deny, "A4.0"),
        ({"archived": True, "purpose": "investigation", "role": "moderator", "deadline": NOON + timedelta(1)}, Deny, "A3.1"),
        ({"deadline": NOON}, Deny, "A4.0"),
        ({"deadline": NOON + timedelta(microseconds=1)}, Allow, "A2.2h"),
        ({"item": "shoe_size"}, CannotTell, "A2.0"),
        ({"purpose": "fun"}, CannotTell, "A2.0"),
        ({"item": "guardian_contact", "purpose": "rights"}, CannotTell, "C1"),
        ({"item": "exif", "purpose": "service"}, CannotTell, "C1"),
    ],
)  # fmt: skip
def test_a_reading_is_decided_with_its_clause(changes: dict[str, Any], outcome: type, clause: str) -> None:
    decision = _decide(**changes)
    assert isinstance(decision, outcome)
    assert decision.clause == clause
    assert decision.reason.ko.strip()
    assert decision.reason.en.strip()


@pytest.mark.clause("A2.0", "A4.0", "A4.1②", "A7.3a")
@given(
    policy=st.sampled_from(list(BOTH.values())), item=st.sampled_from([*IMGNOM.items, "shoe"]), purpose=st.sampled_from([*IMGNOM.purposes, "fun"]),
    role=st.sampled_from([*IMGNOM.roles, "king"]), consents=st.frozensets(st.sampled_from(list(IMGNOM.consents))),
    restricted=st.booleans(), archived=st.booleans(), hours=st.none() | st.integers(-2, 2),
)  # fmt: skip
def test_nothing_is_allowed_that_the_file_does_not_say_in_so_many_words(
    policy: Any, item: str, purpose: str, role: str, consents: frozenset[str], restricted: bool, archived: bool, hours: int | None,
) -> None:  # fmt: skip
    deadline = None if hours is None else NOON + timedelta(hours=hours)
    decision = decide(
        policy, item=item, purpose=purpose, role=role, consents=consents, restricted=restricted, archived=archived, deadline=deadline, now=NOON,
    )  # fmt: skip
    declared = any((u.item, u.purpose) == (item, purpose) and role in u.roles for u in policy.uses)
    allowed = (
        declared
        and policy.items[item].collected not in ("planned", "never")
        and (policy.purposes[purpose].consent or "agree_terms") in {*consents, "agree_terms"}
        and not (restricted and purpose not in ("rights", "identity", "retention", "investigation"))
        and not (archived and (purpose not in ("investigation", "rights", "retention") or deadline is None))
        and (deadline is None or deadline > NOON)
    )
    assert isinstance(decision, Allow) == allowed
    assert decision.clause in policy.clauses or decision.clause == "C1"


@pytest.mark.clause("A2.0", "I1")
def test_a_use_that_the_operator_takes_out_of_the_file_is_refused_from_then_on() -> None:
    def change(facts: dict[str, Any]) -> None:
        facts["uses"] = [u for u in facts["uses"] if (u["item"], u["purpose"]) != ("email", "complaints")]

    asked = {"item": "email", "purpose": "complaints", "role": "officer", "now": NOON}
    assert isinstance(decide(IMGNOM, **asked), Allow)  # type: ignore[arg-type]
    assert isinstance(decide(edited(IMGNOM, change), **asked), Deny)  # type: ignore[arg-type]
