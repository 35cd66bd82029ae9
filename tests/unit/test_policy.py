"""The pure core: periods against a day-by-day oracle, decisions, plans, and policy files that must be refused."""

import calendar
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgnom.policy.public import (
    Allow,
    CannotTell,
    Deny,
    Held,
    LeavingFacts,
    Policy,
    PolicyError,
    add_period,
    decide,
    difference,
    ends_at,
    load_policy,
    parse_period,
    plan_retention,
    plan_withdrawal,
    render_articles,
)

ROOT = Path(__file__).resolve().parents[2] / "policies"
IMGNOM = load_policy(ROOT / "imgnom")
PIPA = load_policy(ROOT / "imgnom-pipa")
NOON = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DAYS = st.dates(date(2024, 1, 1), date(2034, 12, 31))


def _step_months(day: date, months: int) -> date:
    """The oracle: walk month by month, keeping the wish for the day of the month."""
    year, month = day.year, day.month
    for _ in range(months):
        month += 1
        if month == 13:
            year, month = year + 1, 1
    last = calendar.monthrange(year, month)[1]
    return date(year, month, min(day.day, last))


@pytest.mark.clause("A3.1", "A3.2②")
@given(DAYS, st.integers(0, 61), st.integers(0, 40))
def test_calendar_periods_agree_with_walking_month_by_month(day: date, months: int, days: int) -> None:
    if months + days:
        period = parse_period(f"P{months}M{days}D")
        assert add_period(day, period) == _step_months(day, months) + timedelta(days=days)


@pytest.mark.clause("A3.1")
@given(st.datetimes(datetime(2024, 1, 1), datetime(2034, 12, 31)))
def test_a_day_record_ends_at_midnight_in_seoul_after_its_last_day(naive: datetime) -> None:
    start = naive.replace(tzinfo=UTC)
    record = IMGNOM.records["identity_after_leaving"]
    end = ends_at(record, start, "Asia/Seoul")
    assert end is not None
    local = end.astimezone(ZoneInfo("Asia/Seoul"))
    assert (local.hour, local.minute, local.second) == (0, 0, 0)
    assert local.date() - timedelta(days=1) == _step_months(start.astimezone(ZoneInfo("Asia/Seoul")).date(), 3)


@pytest.mark.clause("A3.0a", "A4.0")
@given(
    st.lists(
        st.tuples(st.sampled_from(["identity_after_leaving", "session", "posts"]), st.integers(0, 4000)), max_size=20
    ),
    st.integers(0, 4000),
)
def test_what_is_due_is_exactly_what_has_ended(things: list[tuple[str, int]], offset: int) -> None:
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    held = [Held(record, str(number), begin + timedelta(days=days)) for number, (record, days) in enumerate(things)]
    at = begin + timedelta(days=offset)
    plan = plan_retention(IMGNOM, held, at=at)
    assert len(plan.due) + len(plan.upcoming) + len(plan.permanent) == len(held)
    assert all(end <= at for _, end in plan.due)
    assert all(end > at for _, end in plan.upcoming)
    assert {h.record for h in plan.permanent} <= {"posts"}


def _decide(**changes: object) -> object:
    facts = {"item": "email", "purpose": "notices", "role": "system", "now": NOON} | changes
    return decide(IMGNOM, **facts)  # type: ignore[arg-type]


@pytest.mark.clause("A2.0")
@pytest.mark.parametrize(
    ("changes", "outcome", "clause"),
    [
        ({}, Allow, "A2.2h"),
        ({"role": "moderator"}, Deny, "A2.2h"),
        ({"purpose": "statistics"}, Deny, "A2.4"),
        ({"purpose": "advertising"}, Deny, "A2.3c"),
        ({"purpose": "advertising", "consents": frozenset({"advertising"})}, Allow, "A2.3c"),
        ({"restricted": True}, Deny, "A7.3a"),
        ({"restricted": True, "purpose": "identity"}, Allow, "A2.2a"),
        ({"archived": True}, Deny, "A4.1②"),
        ({"archived": True, "purpose": "investigation", "role": "officer"}, CannotTell, "A4.1①"),
        (
            {"archived": True, "purpose": "investigation", "role": "officer", "deadline": NOON + timedelta(1)},
            Allow,
            "A3.1",
        ),
        ({"archived": True, "purpose": "investigation", "role": "officer", "deadline": NOON}, Deny, "A4.0"),
        ({"item": "shoe_size"}, CannotTell, "A2.0"),
        ({"item": "guardian_contact", "purpose": "rights"}, CannotTell, "C1"),
    ],
)
def test_a_reading_is_decided_with_its_clause(changes: dict[str, object], outcome: type, clause: str) -> None:
    decision = _decide(**changes)
    assert isinstance(decision, outcome)
    assert decision.clause == clause  # type: ignore[attr-defined]


@pytest.mark.clause("A3.2①", "A7.2b")
@pytest.mark.parametrize(("policy", "outcome"), [(IMGNOM, "archived"), (PIPA, None)])
def test_identity_is_kept_apart_as_the_policy_says(policy: object, outcome: str | None) -> None:
    plan = plan_withdrawal(policy, LeavingFacts(3, 2, 1, 1), choice="keep", now=NOON)  # type: ignore[arg-type]
    fate = plan.fate_of("identity_after_leaving")
    assert (fate.outcome if fate else None) == outcome
    assert plan.fate_of("private_pictures").outcome == "destroyed_now"  # type: ignore[union-attr]
    if fate:
        assert fate.until == date(2027, 2, 22)


@pytest.mark.clause("A0.2")
def test_every_figure_of_the_articles_comes_from_the_facts() -> None:
    korean = "".join(p.text for a in render_articles(IMGNOM, "ko") for p in a.paragraphs)
    assert "3개월" in korean
    assert "5년" in korean
    pipa = "".join(p.text for a in render_articles(PIPA, "ko") for p in a.paragraphs)
    assert "5년 동안" not in pipa
    assert any(change.key == "records.identity_after_leaving.scope" for change in difference(IMGNOM, PIPA))


WRONG = [
    ('period = "P3M"', 'period = "three months"', "records.identity_after_leaving.period"),
    ('period = "P3M"', 'period = "P"', "records.identity_after_leaving.period"),
    ('zone = "Asia/Seoul"', 'zone = "Asia/Nowhere"', "zone"),
    ("effective = 2024-03-04", 'effective = "soon"', "effective"),
    ('id = "imgnom"', "", "id"),
    ('collected = "registration"', 'collected = "whenever"', "items.username.collected"),
    ('store = "vault"', 'store = "drawer"', "items.username.store"),
    ('category = "pd:Username"', 'category = "Username"', "items.username.category"),
    ('label = { ko = "아이디", en = "ID" }', 'label = { ko = "아이디" }', "items.username.label"),
    ("required = true", 'required = "yes"', "items.username.required"),
    ('basis = "contract"', 'basis = "because"', "basis"),
    ('scope = "everyone"', 'scope = "some"', "scope"),
    ('article = "A2.1"', 'article = "somewhere"', "purposes.service.article"),
    ('roles = ["system", "member"]', 'roles = ["king"]', "uses[0].roles"),
    ('roles = ["system", "member"]', "roles = []", "uses[0].roles"),
    ('purpose = "identity"', 'purpose = "fun"', "uses[0].purpose"),
    ('item = "username"', 'item = "shoe"', "uses[0].item"),
    ('consent = "marketing"', 'consent = "nothing"', "purposes.marketing.consent"),
    ('email = "privacy@imgnom.example"', "", "officer.email"),
    (
        "[settings.without_delay_days]\nvalue = 5",
        "[settings.without_delay_days]\nvalue = 50",
        "settings.without_delay_days.value",
    ),
    ("[roles.visitor]", "[roles.visitor]\ncrown = true", "roles.visitor.crown"),
    ("[cookies.imgnom_lang]", '[cookies."Bad Name"]', "cookies.Bad Name"),
    ('category = "necessary"', 'category = "sweet"', "cookies.imgnom_session.category"),
    ('state = "built"', 'state = "maybe"', "state"),
    ("[operator]", "[operator", "file"),
    (
        'items = ["username", "email", "nickname", "membership"]',
        'items = ["username", "hat"]',
        "records.identity_after_leaving.items",
    ),
]


@pytest.mark.clause("I1")
@pytest.mark.parametrize(("old", "new", "key"), WRONG, ids=[key + str(n) for n, (_, _, key) in enumerate(WRONG)])
def test_a_policy_that_does_not_hold_together_is_refused_by_file_and_key(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    folder = tmp_path / "policy"
    shutil.copytree(ROOT / "imgnom", folder)
    text = (folder / "policy.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "policy.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PolicyError) as refused:
        load_policy(folder)
    assert key in refused.value.key
    assert str(folder) in str(refused.value)


def test_wording_that_names_nothing_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    shutil.copytree(ROOT / "imgnom", folder)
    (folder / "articles.en.md").write_text("## 1. X\n\n[A0.1] {{records.nothing.period}}\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"records\.nothing"):
        load_policy(folder)


@pytest.mark.clause("A1.1")
@pytest.mark.parametrize("policy", [IMGNOM, PIPA], ids=lambda p: p.id)
def test_registration_asks_for_the_four_items_of_the_document_and_nothing_else(policy: Policy) -> None:
    asked = {item.id for item in policy.items.values() if item.collected == "registration"}
    assert asked == {"username", "password", "nickname", "email"}
