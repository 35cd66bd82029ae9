"""Periods by the calendar, held against an oracle that walks day by day and month by month, over ten years."""

import calendar
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imgnom.policy.public import (
    PERMANENT,
    Held,
    PolicyError,
    add_period,
    ends_at,
    last_day,
    parse_period,
    plan_retention,
    words_for_period,
)
from tests.unit.policies import BOTH, IMGNOM, edited

DAYS = st.dates(date(2024, 1, 1), date(2034, 12, 31))
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2034, 12, 31)).map(lambda naive: naive.replace(tzinfo=UTC))
SEOUL = ZoneInfo("Asia/Seoul")
# Zones whose clocks jump at midnight, by half an hour, or back over midnight; and some that never do.
ZONES = (
    "Asia/Seoul", "UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Asia/Beirut", "Africa/Cairo", "America/Havana",
    "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Asia/Gaza",
)  # fmt: skip
PERIODS = ("P1D", "P1M", "P3M", "P1Y", "P5Y", "P1Y2M3D", "P13M", "P30D")


def walked_months(day: date, months: int) -> date:
    """The oracle: one month after the other, keeping the wish for the day of the month."""
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def walked(day: date, text: str) -> date:
    period = parse_period(text)
    day = walked_months(day, 12 * period.years + period.months)
    for _ in range(period.days):
        day = date.fromordinal(day.toordinal() + 1)
    return day


def first_instant_after(day: date, zone: ZoneInfo) -> datetime:
    """The oracle for "24:00": walk the real time quarter by quarter until the wall shows a later date, and stays there."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=14)
    found = at
    while at < datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=40):
        if at.astimezone(zone).date() <= day:
            found = at + timedelta(minutes=15)
        at += timedelta(minutes=15)
    return found


@pytest.mark.clause("A3.1", "A3.2②")
@given(DAYS, st.integers(0, 61), st.integers(0, 40))
def test_calendar_periods_agree_with_walking_month_by_month(day: date, months: int, days: int) -> None:
    if months + days:
        period = parse_period(f"P{months}M{days}D")
        assert add_period(day, period) == walked_months(day, months) + timedelta(days=days)


@pytest.mark.clause("A3.1")
@pytest.mark.parametrize(
    ("start", "text", "last"),
    [
        ("2024-01-31", "P1M", "2024-02-29"), ("2026-01-31", "P1M", "2026-02-28"), ("2024-02-29", "P1Y", "2025-02-28"),
        ("2024-02-29", "P4Y", "2028-02-29"), ("2023-11-30", "P3M", "2024-02-29"), ("2026-11-30", "P3M", "2027-02-28"),
        ("2026-08-31", "P3M", "2026-11-30"), ("2026-12-31", "P2M", "2027-02-28"), ("2024-02-28", "P5Y", "2029-02-28"),
        ("2026-11-22", "P90D", "2027-02-20"), ("2026-11-22", "P3M", "2027-02-22"),
    ],
)  # fmt: skip
def test_month_ends_and_leap_days_fall_as_the_calendar_says(start: str, text: str, last: str) -> None:
    assert add_period(date.fromisoformat(start), parse_period(text)) == date.fromisoformat(last)


@pytest.mark.clause("A3.1", "A3.2②")
@given(INSTANTS, st.sampled_from(PERIODS))
@example(datetime(2026, 11, 21, 14, 59, 59, tzinfo=UTC), "P3M")  # a second before midnight in Seoul
@example(datetime(2026, 11, 21, 15, 0, 0, tzinfo=UTC), "P3M")
def test_a_day_record_ends_at_midnight_in_seoul_which_is_fifteen_oclock_in_utc(start: datetime, text: str) -> None:
    def change(facts: dict[str, Any]) -> None:
        facts["records"]["identity_after_leaving"]["period"] = text

    policy = edited(IMGNOM, change)
    record = policy.records["identity_after_leaving"]
    end = ends_at(record, start, policy.zone)
    assert end is not None
    assert (end.hour, end.minute, end.second, end.microsecond) == (15, 0, 0, 0)
    assert end.astimezone(SEOUL).date() - timedelta(days=1) == walked(start.astimezone(SEOUL).date(), text)
    assert last_day(record, start, policy.zone) == end.astimezone(SEOUL).date() - timedelta(days=1)


@pytest.mark.clause("A3.1")
@given(INSTANTS, st.sampled_from(ZONES), st.sampled_from(PERIODS))
@example(datetime(2026, 3, 25, 12, tzinfo=UTC), "Asia/Beirut", "P3D")  # the night whose midnight does not exist
@example(datetime(2026, 10, 29, 12, tzinfo=UTC), "America/Havana", "P2D")  # the day whose midnight comes twice
@example(datetime(2026, 8, 3, 12, tzinfo=UTC), "America/Santiago", "P1M2D")
def test_in_every_zone_a_record_lives_to_the_last_instant_of_its_last_day(
    start: datetime, zone: str, text: str
) -> None:
    policy = edited(IMGNOM, lambda facts: facts.update(zone=zone))
    record = edited(policy, lambda f: f["records"]["identity_after_leaving"].update(period=text)).records[
        "identity_after_leaving"
    ]
    end = ends_at(record, start, zone)
    day = walked(start.astimezone(ZoneInfo(zone)).date(), text)
    assert end == first_instant_after(day, ZoneInfo(zone))


@given(INSTANTS, st.sampled_from(ZONES), st.sampled_from(["P5D", "P30D", "PT10M", "P1DT6H"]))
def test_an_instant_record_ends_at_the_same_time_of_day_and_never_before(start: datetime, zone: str, text: str) -> None:
    policy = edited(IMGNOM, lambda f: f["records"]["pending_registration"].update(period=text))
    period = parse_period(text)
    end = ends_at(policy.records["pending_registration"], start, zone)
    assert end is not None
    local, ended = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
    if not period.seconds:
        assert ended.date() == local.date() + timedelta(days=period.days)
        assert abs(
            (ended.replace(tzinfo=None) - local.replace(tzinfo=None)) - timedelta(days=period.days)
        ) <= timedelta(hours=1)
    if not period.days:
        assert end - start == timedelta(seconds=period.seconds)
    assert end > start


@st.composite
def held_things(draw: st.DrawFn) -> tuple[Any, list[Held], datetime]:
    policy = draw(st.sampled_from(list(BOTH.values())))
    names = st.sampled_from(sorted(policy.records))
    things = draw(st.lists(st.tuples(names, INSTANTS), max_size=12))
    return policy, [Held(name, str(n), at) for n, (name, at) in enumerate(things)], draw(INSTANTS)


@pytest.mark.clause("A3.0a", "A4.0", "I2")
@given(held_things())
def test_what_is_due_is_exactly_what_a_day_by_day_simulation_has_seen_end(
    drawn: tuple[Any, list[Held], datetime],
) -> None:
    policy, held, at = drawn
    plan = plan_retention(policy, held, at=at)
    due, upcoming = {h.ref for h, _ in plan.due}, {h.ref for h, _ in plan.upcoming}
    endless = {h.ref for h in plan.permanent}
    assert due | upcoming | endless == {h.ref for h in held}
    assert len(due) + len(upcoming) + len(endless) == len(held)
    assert [end for _, end in plan.due] == sorted(end for _, end in plan.due)
    today = at.astimezone(SEOUL).date()
    for thing in held:
        record = policy.records[thing.record]
        period = record.period
        if period is None or period is PERMANENT:
            assert thing.ref in endless
        elif record.ends == "day":
            assert (thing.ref in due) == (today > walked(thing.starts_at.astimezone(SEOUL).date(), str(period)))
        else:
            days = timedelta(days=period.days, seconds=period.seconds)
            assert (period.years, period.months) == (0, 0)
            assert (thing.ref in due) == (at >= thing.starts_at + days)  # Seoul has no summer time


@pytest.mark.clause("A3.0a")
@given(held_things(), st.integers(1, 3650))
def test_what_was_once_due_stays_due_and_nothing_becomes_due_early(
    drawn: tuple[Any, list[Held], datetime], days: int
) -> None:
    policy, held, at = drawn
    before, after = plan_retention(policy, held, at=at), plan_retention(policy, held, at=at + timedelta(days=days))
    assert {h.ref for h, _ in before.due} <= {h.ref for h, _ in after.due}
    assert before.permanent == after.permanent
    for thing, end in after.due:
        assert plan_retention(policy, [thing], at=end).due
        assert not plan_retention(policy, [thing], at=end - timedelta(microseconds=1)).due


def test_something_held_that_no_record_declares_stops_the_planner() -> None:
    with pytest.raises(PolicyError, match=r"records\.shoe"):
        plan_retention(
            IMGNOM, [Held("shoe", "1", datetime(2026, 1, 1, tzinfo=UTC))], at=datetime(2026, 1, 1, tzinfo=UTC)
        )


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P0D", "P0Y0M", "P-1M", "P1.5M", "3M", "P3", "P3m", "PM", "P1DT", "P1M1Y", "P３M", " P3M", "P3M ", "P1W", "P" + "9" * 400 + "Y", "PT1H1D"],
)  # fmt: skip
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        parse_period(text)


@pytest.mark.parametrize(
    ("text", "korean", "english"),
    [
        ("P3M", "3개월", "3 months"), ("P1M", "1개월", "1 month"), ("P5Y", "5년", "5 years"), ("P90D", "90일", "90 days"),
        ("P1Y6M", "1년 6개월", "1 year 6 months"), ("PT10M", "10분", "10 minutes"), ("PT1H", "1시간", "1 hour"),
        ("PT90M", "1시간 30분", "1 hour 30 minutes"), ("PT90S", "1분 30초", "1 minute 30 seconds"), ("P1DT2H", "1일 2시간", "1 day 2 hours"),
    ],
)  # fmt: skip
def test_a_period_is_said_in_its_own_units(text: str, korean: str, english: str) -> None:
    assert words_for_period(parse_period(text), "ko") == korean
    assert words_for_period(parse_period(text), "en") == english
