"""Unicode text in bounded time: the only caller of `normalize` and of the IDNA codec.

Both sort runs of combining marks by insertion: a run of n disordered marks costs n² steps while the interpreter's lock is
held (100,000 characters take ten seconds). Length is therefore checked before anything else looks at a text, and a run of
more than `MAX_MARKS` marks is refused. Runs are counted as they are after compatibility decomposition, since one
character can become several marks (U+0344), or a mark although it is none itself (U+FF9E, U+0F73).
Source: UAX #15 section 13 (stream-safe text: at most 30 non-starters); RFC 3490 and RFC 1035 (lengths of names).
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Literal

type Form = Literal["NFC", "NFD", "NFKC", "NFKD"]

MAX_MARKS = 30
MAX_DOMAIN, MAX_LABEL = 253, 63
# Every mark of Unicode 16 lies below this, but for selectors without a combining class (U+E0100 to U+E01EF).
_LAST_MARK = 0x1FFFF
_SELECTORS = range(0xE0100, 0xE01F0)


class UnboundedText(ValueError):
    """A text whose processing has no reasonable bound. It carries no text."""


class TextTooLong(UnboundedText):
    """More characters than the caller allows."""


class TooManyMarks(UnboundedText):
    """More than `MAX_MARKS` combining marks in a row."""


def _is_mark(char: str) -> bool:
    return unicodedata.combining(char) != 0 or unicodedata.category(char).startswith("M")


@cache
def _marks_of() -> dict[str, tuple[int, int, bool]]:
    """For each character that has a mark in its decomposition: marks in front, marks at the end, and whether it is all
    marks.
    """
    found = {}
    for code in (*range(0x80, _LAST_MARK + 1), *_SELECTORS):
        char = chr(code)
        if not unicodedata.combining(char) and not unicodedata.decomposition(char) and not _is_mark(char):
            continue
        parts = [_is_mark(part) for part in unicodedata.normalize("NFKD", char)]
        if any(parts):
            front = parts.index(False) if False in parts else len(parts)
            end = parts[::-1].index(False) if False in parts else len(parts)
            found[char] = (front, end, all(parts))
    return found


@cache
def _suspicious() -> re.Pattern[str]:
    """A run that may hold more marks than the limit. Quick rather than exact: all characters beyond the BMP count."""
    marks = _marks_of()
    most = max(max(front, end) for front, end, _ in marks.values())
    kinds = "".join(re.escape(char) for char in marks if char <= "\uffff")
    return re.compile(f"[{kinds}\U00010000-\U0010ffff]{{{MAX_MARKS // most}}}")


def has_long_mark_run(text: str) -> bool:
    """Whether more than `MAX_MARKS` combining marks would follow one another in the decomposed text; linear time."""
    if text.isascii() or _suspicious().search(text) is None:
        return False
    marks, run = _marks_of(), 0
    for char in text:
        found = marks.get(char)
        if found is None:
            run = 0
            continue
        front, end, is_all_marks = found
        if run + front > MAX_MARKS or end > MAX_MARKS:
            return True
        run = run + front if is_all_marks else end
    return False


def ensure_bounded(text: str, *, max_chars: int) -> str:
    """The text itself. Raises TextTooLong, TooManyMarks."""
    if len(text) > max_chars:
        raise TextTooLong(max_chars)
    if has_long_mark_run(text):
        raise TooManyMarks(MAX_MARKS)
    return text


def normalized(form: Form, text: str, *, max_chars: int) -> str:
    """The text in a normalisation form, checked first. Raises TextTooLong, TooManyMarks."""
    return unicodedata.normalize(form, ensure_bounded(text, max_chars=max_chars))


def ascii_domain(domain: str) -> str:
    """A domain as the name servers know it: compatibility forms folded, small letters, punycode. Raises ValueError."""
    folded = normalized("NFKC", domain, max_chars=MAX_DOMAIN).lower().rstrip(".")
    if not folded or any(len(label) > MAX_LABEL for label in re.split("[.\u3002\uff0e\uff61]", folded)):
        raise ValueError("no domain")
    return folded.encode("idna").decode()


def growth_of_normalization(*, clock: Callable[[], float]) -> float:
    """How many times longer this Python needs for a run of marks four times as long: near 4 where it is linear.

    `clock` counts seconds of CPU; the least of five tries counts.
    """
    short, long = ("a" + "\u0315\u0300" * count for count in (500, 2000))
    return _least_cost(long, clock) / max(_least_cost(short, clock), 1e-9)


def _least_cost(text: str, clock: Callable[[], float]) -> float:
    costs = []
    for _ in range(5):
        began = clock()
        unicodedata.normalize("NFD", text)
        costs.append(clock() - began)
    return min(costs)
