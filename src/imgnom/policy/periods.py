"""Calendar arithmetic (rule C5): months and years by the calendar, days counted from the day after the start.

31 January plus one month is the last day of February. A period of whole days, months or years ends at 24:00 of its
last day in the policy's zone (Korean Civil Act, arts 157, 159, 160); an `instant` record ends to the second.
"""

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from imgnom.policy.types import Period, Permanent, Record

_SHAPE = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9})S)?)?", re.ASCII
)


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
        day = add_period(local.date(), period)
        # An hour that comes twice keeps which of the two it was only on its own day.
        moved = datetime.combine(day, local.timetz() if day == local.date() else local.timetz().replace(fold=0))
        return moved.astimezone(UTC) + timedelta(seconds=period.seconds)
    after = add_period(local.date(), period) + timedelta(days=1)
    return datetime.combine(after, time(0), ZoneInfo(zone)).astimezone(UTC)


_UNITS = {
    "ko": ("년", "개월", "일", "시간", "분", "초"),
    "en": ("year", "month", "day", "hour", "minute", "second"),
}


def words_for_period(period: Period | Permanent | None, lang: str) -> str:
    """3개월 / 3 months; never 90일 for three months."""
    if period is None:
        return "이용하는 동안" if lang == "ko" else "while in use"
    if isinstance(period, Permanent):
        return "기한 없이" if lang == "ko" else "without end"
    hours, rest = divmod(period.seconds, 3600)
    counts = (period.years, period.months, period.days, hours, *divmod(rest, 60))
    units = _UNITS["en" if lang == "en" else "ko"]
    parts = [(count, unit) for count, unit in zip(counts, units, strict=True) if count]
    if lang == "ko":
        return " ".join(f"{count}{unit}" for count, unit in parts)
    return " ".join(f"{count} {unit}{'s' if count > 1 else ''}" for count, unit in parts)


_STARTS = {
    "registration": ("가입한 때부터", "from joining"),
    "confirmation": ("번호를 보낸 때부터", "from when the code is sent"),
    "login": ("로그인한 때부터", "from signing in"),
    "record": ("기록한 때부터", "from when it is recorded"),
    "upload": ("올린 때부터", "from the upload"),
    "comment": ("쓴 때부터", "from the writing"),
    "withdrawal": ("탈퇴한 날부터", "from the day of leaving"),
    "final_sanction": ("이용제한이 확정된 날부터", "from the day a restriction became final"),
    "consent_withdrawal": ("동의를 거둔 날부터", "from the day consent was withdrawn"),
    "close": ("끝난 날부터", "from the day it is closed"),
    "decision": ("결정한 날부터", "from the day of the decision"),
    "issue": ("내준 때부터", "from the issue"),
    "use": ("마지막으로 쓴 때부터", "from the last use"),
    "appointment": ("맡은 때부터", "from the appointment"),
    "queue": ("보내기로 한 때부터", "from when it is queued"),
    "look": ("들여다본 날부터", "from the day of the look"),
    "notice": ("알린 날부터", "from the day of the notice"),
    "request": ("요구한 날부터", "from the day of the request"),
    "visit": ("방문한 날부터", "from the day of the visit"),
}


def words_for_start(starts: str, lang: str) -> str:
    """What starts the clock: 탈퇴한 날부터 / from the day of leaving."""
    korean, english = _STARTS[starts]
    return english if lang == "en" else korean


def words_for_fate(period: Period | Permanent | None, starts: str, lang: str) -> str:
    """A whole predicate, so that a sentence stays true whichever start and period the file holds."""
    words = words_for_period(period, lang)
    if isinstance(period, Period):
        start = words_for_start(starts, lang)
        return (
            f"{start} {words} 동안 두었다가 없앱니다" if lang == "ko" else f"kept for {words} {start}, then destroyed"
        )
    if isinstance(period, Permanent):
        return f"{words} 둡니다" if lang == "ko" else f"kept {words}"
    return f"{words}만 두고 없앱니다" if lang == "ko" else f"kept only {words}, then destroyed"
