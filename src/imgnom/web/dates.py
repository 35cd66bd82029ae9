"""Dates as people read them: absolute, in Seoul, with a relative hint."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

SEOUL = ZoneInfo("Asia/Seoul")
_NATIVE = {1: "한", 2: "두", 3: "석", 4: "넉", 5: "다섯", 6: "여섯"}


def in_seoul(instant: datetime) -> datetime:
    return instant.astimezone(SEOUL)


def until_words(day: date | datetime | None, now: datetime, lang: str) -> str:
    """석 달 뒤 / in 3 months; nothing for no date."""
    if day is None:
        return ""
    target = in_seoul(day).date() if isinstance(day, datetime) else day
    days = (target - in_seoul(now).date()).days
    ahead = days >= 0
    days = abs(days)
    if days == 0:
        return "오늘" if lang == "ko" else "today"
    if days < 31:
        count, ko, en = days, f"{days}일", "day"
    elif days < 365:
        count = round(days / 30.44)
        ko, en = f"{_NATIVE[count]} 달" if count in _NATIVE else f"{count}개월", "month"
    else:
        count = round(days / 365.25)
        ko, en = f"{count}년", "year"
    if lang == "ko":
        return f"{ko} {'뒤' if ahead else '전'}"
    words = f"{count} {en}{'s' if count > 1 else ''}"
    return f"in {words}" if ahead else f"{words} ago"


def utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


def wait_words(seconds: int, lang: str) -> str:
    """How long to wait, rounded up so that the wait is over when it is over: 40초, 3분, 2시간."""
    for size, ko, en in ((3600, "시간", "hour"), (60, "분", "minute"), (1, "초", "second")):
        if seconds >= size or size == 1:
            count = max(1, -(-seconds // size))
            return f"{count}{ko}" if lang == "ko" else f"{count} {en}{'s' if count > 1 else ''}"
    raise AssertionError(seconds)
