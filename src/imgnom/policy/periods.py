"""Calendar arithmetic (rule C5): months and years by the calendar, days counted from the day after the start.

31 January plus one month is the last day of February. A period of whole days, months or years ends at 24:00 of its
last day in the policy's zone (Korean Civil Act, arts 157, 159, 160); an `instant` record ends to the second.
"""

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from imgnom.policy.types import Period, Permanent, Record

_SHAPE = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


def parse_period(text: str) -> Period:
    """Read an ISO 8601 period such as P3M, P5Y, P30D or PT10M. Raises ValueError."""
    match = _SHAPE.fullmatch(text)
    if match is None or text in ("P", "PT") or text.endswith("T"):
        raise ValueError(f"{text!r} is no ISO 8601 period such as P3M, P5Y, P30D or PT10M")
    years, months, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    period = Period(years, months, days, hours * 3600 + minutes * 60 + seconds, text)
    if not any((years, months, days, period.seconds)):
        raise ValueError(f"{text!r} is no time at all")
    return period


def add_period(day: date, period: Period) -> date:
    """The same day so many years, months and days on; the last day of the month where there is no such day."""
    month_index = day.month - 1 + period.months + 12 * period.years
    year, month = day.year + month_index // 12, month_index % 12 + 1
    moved = date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
    return moved + timedelta(days=period.days)


def last_day(record: Record, starts: datetime, zone: str) -> date | None:
    """The date people are shown as "until". None where there is no fixed end."""
    if record.period is None or isinstance(record.period, Permanent):
        return None
    local = starts.astimezone(ZoneInfo(zone))
    if record.ends == "instant":
        end = ends_at(record, starts, zone)
        return end.astimezone(ZoneInfo(zone)).date() if end else None
    return add_period(local.date(), record.period)


def ends_at(record: Record, starts: datetime, zone: str) -> datetime | None:
    """The instant, in UTC, from which the record is refused and due for destruction. None where there is no end."""
    period = record.period
    if period is None or isinstance(period, Permanent):
        return None
    local = starts.astimezone(ZoneInfo(zone))
    if record.ends == "instant":
        moved = datetime.combine(add_period(local.date(), period), local.timetz())
        return moved.astimezone(UTC) + timedelta(seconds=period.seconds)
    after = add_period(local.date(), period) + timedelta(days=1)
    return datetime.combine(after, time(0), ZoneInfo(zone)).astimezone(UTC)


_WORDS = {
    "ko": (("years", "년"), ("months", "개월"), ("days", "일")),
    "en": (("years", "year"), ("months", "month"), ("days", "day")),
}


def words_for_period(period: Period | Permanent | None, lang: str) -> str:
    """3개월 / 3 months; never 90일 for three months."""
    if period is None:
        return "이용하는 동안" if lang == "ko" else "while in use"
    if isinstance(period, Permanent):
        return "기한 없이" if lang == "ko" else "without end"
    parts = []
    for name, unit in _WORDS["en" if lang == "en" else "ko"]:
        count = getattr(period, name)
        if count:
            parts.append(f"{count}{unit}" if lang == "ko" else f"{count} {unit}{'s' if count > 1 else ''}")
    if period.seconds:
        minutes = period.seconds // 60
        if minutes % 60 == 0:
            parts.append(
                f"{minutes // 60}시간" if lang == "ko" else f"{minutes // 60} hour{'s' if minutes > 60 else ''}"
            )
        else:
            parts.append(f"{minutes}분" if lang == "ko" else f"{minutes} minutes")
    return " ".join(parts)
