"""What leaving does, worked out from the file alone: for everybody, in both policies, on any day."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgnom.policy.public import CHOICES, LeavingFacts, plan_withdrawal
from tests.unit.policies import BOTH, IMGNOM, PIPA, edited
from tests.unit.test_policy_periods import INSTANTS, walked

NOON = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SEOUL = ZoneInfo("Asia/Seoul")
PEOPLE = st.builds(
    LeavingFacts, pictures=st.integers(0, 9), comments=st.integers(0, 9), private_pictures=st.integers(0, 9), sessions=st.integers(0, 3),
    extra_items=st.just(()), open_case=st.booleans(), final_sanction=st.booleans(),
)  # fmt: skip


@pytest.mark.clause("A3.1", "A3.2①", "A7.2b")
@pytest.mark.parametrize(("policy", "outcome"), [(IMGNOM, "archived"), (PIPA, None)])
def test_identity_is_kept_apart_as_the_policy_says(policy: Any, outcome: str | None) -> None:
    plan = plan_withdrawal(policy, LeavingFacts(3, 2, 1, 1), choice="keep", now=NOON)
    fate = plan.fate_of("identity_after_leaving")
    assert (fate.outcome if fate else None) == outcome
    private = plan.fate_of("private_pictures")
    assert private is not None
    assert private.outcome == "destroyed_now"
    if fate:
        assert fate.until == date(2027, 2, 22)
        assert fate.ends_at == datetime(2027, 2, 22, 15, tzinfo=UTC)


@pytest.mark.clause("A3.0a", "A3.1", "A3.2①", "A3.2②", "A4.1①", "A7.2b")
@given(st.sampled_from(sorted(BOTH)), PEOPLE, st.sampled_from(CHOICES), INSTANTS)
def test_a_plan_says_of_everything_what_becomes_of_it_and_until_when(
    name: str, person: LeavingFacts, choice: Any, now: datetime
) -> None:
    policy = BOTH[name]
    plan = plan_withdrawal(policy, person, choice=choice, now=now)
    today = now.astimezone(SEOUL).date()
    kept_apart = name == "imgnom" or person.open_case
    account, identity, posts = plan.fate_of("account"), plan.fate_of("identity_after_leaving"), plan.fate_of("posts")
    assert account is not None
    assert posts is not None
    gone = set(account.items) | ({"username", "email", "nickname"} & set(identity.items if identity else ()))
    assert gone >= {"username", "password", "nickname", "email"}, "nothing that was entered is left without a fate"
    assert (identity is not None) == kept_apart
    if identity is not None:
        assert identity.until == walked(today, "P3M")
        assert not set(identity.items) & set(account.items), "what is kept is not said to be gone"
    assert posts.outcome == ("destroyed_now" if choice == "delete" else "kept")
    assert posts.count == person.pictures + person.comments
    private = plan.fate_of("private_pictures")
    assert private is not None
    assert (private.outcome, private.count) == ("destroyed_now", person.private_pictures)
    records = plan.fate_of("access_records_member")
    assert records is not None
    assert records.until == walked(today, "P5Y" if name == "imgnom" else "P3M")
    names = plan.fate_of("freed_names")
    assert names is not None
    assert names.until == walked(today, "P3M")
    assert plan_withdrawal(policy, person, choice=choice, now=now) == plan
    for fate in plan.fates:
        assert fate.clause in policy.clauses
        assert fate.reason.ko
        assert fate.reason.en
        if fate.outcome == "destroyed_now":
            assert fate.until is None


@pytest.mark.clause("I1", "A3.1")
@given(
    INSTANTS,
    st.sampled_from(["P1M", "P6M", "P1Y", "P45D"]),
    st.sampled_from(["everyone", "open_case", "final_sanction", "nobody"]),
    PEOPLE,
)
def test_a_changed_period_or_scope_changes_the_plan_and_nothing_else(
    now: datetime, period: str, scope: str, person: LeavingFacts
) -> None:
    policy = edited(IMGNOM, lambda f: f["records"]["identity_after_leaving"].update(period=period, scope=scope))
    plan = plan_withdrawal(policy, person, choice="keep", now=now)
    fate = plan.fate_of("identity_after_leaving")
    applies = {
        "everyone": True,
        "open_case": person.open_case,
        "final_sanction": person.final_sanction,
        "nobody": False,
    }
    assert (fate is not None) == applies[scope]
    if fate is not None:
        assert fate.until == walked(now.astimezone(SEOUL).date(), period)
    else:
        account = plan.fate_of("account")
        assert account is not None
        assert {"username", "email", "nickname"} <= set(account.items)
    others = [f for f in plan.fates if f.record not in ("identity_after_leaving", "account")]
    assert others == [
        f
        for f in plan_withdrawal(IMGNOM, person, choice="keep", now=now).fates
        if f.record not in ("identity_after_leaving", "account")
    ]


@pytest.mark.clause("A3.0a")
def test_an_added_item_goes_with_the_account_or_into_the_archive_as_the_file_says() -> None:
    def add(facts: dict[str, Any]) -> None:
        facts["items"]["phone"] = {
            "label": {"ko": "전화", "en": "phone"}, "category": "pd:TelephoneNumber", "collected": "registration", "store": "vault",
        }  # fmt: skip
        facts["uses"] += [
            {"item": "phone", "purpose": "rights", "roles": ["member"]}, {"item": "phone", "purpose": "retention", "roles": ["system"]},
        ]  # fmt: skip

    def keep(facts: dict[str, Any]) -> None:
        add(facts)
        facts["records"]["identity_after_leaving"]["items"].append("phone")

    person = LeavingFacts(extra_items=("phone",))
    with_account = plan_withdrawal(edited(IMGNOM, add), person, choice="keep", now=NOON)
    account, identity = with_account.fate_of("account"), with_account.fate_of("identity_after_leaving")
    assert account is not None
    assert identity is not None
    assert "phone" in account.items
    assert "phone" not in identity.items
    archived = plan_withdrawal(edited(IMGNOM, keep), person, choice="keep", now=NOON)
    account, identity = archived.fate_of("account"), archived.fate_of("identity_after_leaving")
    assert account is not None
    assert identity is not None
    assert "phone" in identity.items
    assert "phone" not in account.items, "nothing is both kept and destroyed"


def test_a_plan_made_a_second_before_midnight_in_seoul_counts_from_that_day() -> None:
    before = datetime(2026, 11, 22, 14, 59, 59, tzinfo=UTC)
    for now, until in ((before, date(2027, 2, 22)), (before + timedelta(seconds=1), date(2027, 2, 23))):
        fate = plan_withdrawal(IMGNOM, LeavingFacts(), choice="keep", now=now).fate_of("identity_after_leaving")
        assert fate is not None
        assert fate.until == until
