"""The clock: everything held as a thread. Sewn while you are a member, basted where a day is set, a knot on that day.

Only places and words; what is held and until when comes from `held`. Things with one fate share one thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from imgnom.policy.public import Policy, Text, words_for_period
from imgnom.procedures.rights.held import Held, records_of
from imgnom.web.dates import in_seoul

# Days from today, and how far along the line they stand, in hundredths of its length.
SCALE = ((0, 3.0), (7, 14.0), (30, 25.0), (91, 38.0), (365, 53.0), (1096, 70.0), (1826, 86.0), (3653, 94.0))
AXIS = tuple(
    (place, Text(ko, en))
    for (_, place), (ko, en) in zip(
        SCALE, (("오늘", "today"), ("7일", "7 days"), ("한 달", "1 month"), ("석 달", "3 months"), ("1년", "1 year"), ("3년", "3 years"), ("5년", "5 years")), strict=False
    )
)  # fmt: skip
SEWN_END, TAIL_START = 97.0, 88.0
SOON_DAYS = 7


@dataclass(frozen=True)
class Thread:
    kind: str  # dated, sewn or tailed
    names: Text
    count: int | None
    why: Text
    soon: bool
    first: date | None
    last: date | None
    first_x: str
    last_x: str
    knots: tuple[str, ...]
    when: Text
    then: Text


def place_of(day: date, today: date) -> float:
    """How far along the line a day stands; beyond the scale at its end."""
    days = max(0, (day - today).days)
    for (low, left), (high, right) in pairwise(SCALE):
        if days <= high:
            return left + (right - left) * (days - low) / (high - low)
    return SCALE[-1][1]


def _x(place: float) -> str:
    return f"{place:.1f}%"


def _day(end: datetime) -> date:
    """The date people are shown: what ends at midnight ends with the day before."""
    local = in_seoul(end)
    return date.fromordinal(local.date().toordinal() - 1) if (local.hour, local.minute) == (0, 0) else local.date()


def _why(held: Sequence[Held]) -> Text:
    purposes = list(dict.fromkeys(last.purpose for one in held for last in one.purposes))[:2]
    return Text(" · ".join(p.label.ko for p in purposes), ", ".join(p.label.en for p in purposes))


def _names(held: Sequence[Held]) -> Text:
    each = _count(held) is None
    labels = [(one.item.label, f" {one.count:,}" if each and one.count and not one.is_secret else "") for one in held]
    return Text("·".join(label.ko + n for label, n in labels), ", ".join(label.en + n for label, n in labels))


def _count(held: Sequence[Held]) -> int | None:
    return held[0].count if len(held) == 1 or all(one.count == held[0].count for one in held) else None


def _dated(held: Sequence[Held], today: date) -> Thread:
    days = sorted({_day(end) for one in held for end in one.ends})
    first, last = days[0], days[-1]
    start, end = place_of(first, today), place_of(last, today)
    between = (
        () if last == first else tuple(_x(start + (end - start) * step / 4) for step in (1, 2, 3) if end - start > 8)
    )
    return Thread(
        "dated", _names(held), _count(held), _why(held), (first - today).days <= SOON_DAYS, first, last, _x(max(start, 5.0)), _x(max(end, 5.0)),
        between, Text("", ""), Text("", ""),
    )  # fmt: skip


def _sewn(held: Sequence[Held], policy: Policy) -> Thread:
    fates = [fate for one in held for fate in one.fates]
    ends = [fate for fate in fates if fate.until is not None]
    if ends:
        longest = max(ends, key=lambda fate: fate.until or date.min)
        period = policy.records[longest.record].period
        when = Text(f"떠난 뒤 {words_for_period(period, 'ko')}", f"{words_for_period(period, 'en')} after leaving")
        apart = longest.outcome == "archived"
        then = (
            Text("따로 보관했다가 없앱니다", "kept apart, then destroyed")
            if apart
            else Text("그때까지만 두고 없앱니다", "kept until then, then destroyed")
        )
        kind = "tailed"
    elif _is_post(held[0], policy):
        kind, when, then = (
            "sewn",
            Text("떠날 때 고름", "you choose at leaving"),
            Text("두기 · 이름 떼기 · 지우기", "keep, no name, delete"),
        )
    else:
        kind, when, then = (
            "sewn",
            Text("떠나는 순간", "the moment you leave"),
            Text("바로 없앱니다", "destroyed at once"),
        )
    return Thread(
        kind, _names(held), _count(held), _why(held), False, None, None, _x(TAIL_START), _x(SEWN_END), (), when, then
    )  # fmt: skip


def _fate_of(one: Held, policy: Policy) -> tuple[object, ...]:
    """What shares this shares a thread."""
    if one.ends:
        return ("dated", one.ends)
    if one.fates:
        return ("tailed", max(((f.until or date.min), f.record) for f in one.fates))
    return ("chosen",) if _is_post(one, policy) else ("sewn",)


def _is_post(one: Held, policy: Policy) -> bool:
    return any(record.id == "posts" for record in records_of(policy, one.item.id)) and not one.sealed


def threads_of(held: Sequence[Held], policy: Policy, now: datetime) -> tuple[Thread, ...]:
    """Dated ones first, the nearest on top; then what lasts as long as the membership."""
    groups: dict[tuple[object, ...], list[Held]] = {}
    for one in held:
        groups.setdefault(_fate_of(one, policy), []).append(one)
    today = in_seoul(now).date()
    dated = [_dated(group, today) for key, group in groups.items() if key[0] == "dated"]
    others = [_sewn(group, policy) for key, group in groups.items() if key[0] != "dated"]
    order = {"tailed": 1, "sewn": 0}
    return (
        *sorted(dated, key=lambda thread: (thread.first or date.max, thread.names.ko)),
        *sorted(others, key=lambda thread: order[thread.kind]),
    )
