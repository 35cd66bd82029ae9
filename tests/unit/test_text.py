"""Unicode text in bounded time: what is refused, and that nothing else is changed by it."""

import random
import time
import unicodedata

import pytest

from imgnom.policy.text import (
    MAX_MARKS,
    TextTooLong,
    TooManyMarks,
    ascii_domain,
    ensure_bounded,
    growth_of_normalization,
    has_long_mark_run,
    normalized,
)

ABOVE, UNDER = "\u0300", "\u0315"


def longest_run(text: str) -> int:
    """Counted the slow way, off the decomposed text."""
    longest = run = 0
    for char in unicodedata.normalize("NFKD", text):
        is_mark = unicodedata.combining(char) != 0 or unicodedata.category(char).startswith("M")
        run = run + 1 if is_mark else 0
        longest = max(longest, run)
    return longest


@pytest.mark.parametrize(
    "towers",
    [
        UNDER + ABOVE, "\u0344", "\u0f73", "\u0f75\u0f73", "\uff9e\u0315", "\u20dd", "\u034f\u0300", "\ufe0f", "\U000e0100", "\U0001d165", "\u0903",
        "\u05b0\u05b1",
    ],
)  # fmt: skip
def test_a_run_of_marks_is_refused_from_the_31st_on(towers: str) -> None:
    weight = longest_run("a" + towers) or 1
    fits = "a" + towers * (MAX_MARKS // weight)
    assert not has_long_mark_run(fits)
    assert has_long_mark_run(fits + towers)
    assert not has_long_mark_run((fits + "b") * 5), "each letter has marks of its own"


def test_a_letter_that_brings_marks_counts_them() -> None:
    assert not has_long_mark_run("\u1f82" + ABOVE * (MAX_MARKS - 3))
    assert has_long_mark_run("\u1f82" + ABOVE * (MAX_MARKS - 2))
    assert has_long_mark_run(ABOVE * MAX_MARKS + "\u0344")


def test_the_count_agrees_with_the_decomposed_text() -> None:
    dice = random.Random(14)
    pool = [
        chr(code) for code in range(0x20000) if unicodedata.decomposition(chr(code)) or unicodedata.combining(chr(code))
    ]
    for _ in range(2000):
        text = "".join(dice.choice(pool) if dice.random() < 0.97 else "a" for _ in range(dice.randrange(1, 120)))
        if dice.random() < 0.5:
            text = "".join(char for char in text if longest_run(char))
        assert has_long_mark_run(text) == (longest_run(text) > MAX_MARKS), ascii(text)


@pytest.mark.parametrize(
    "text",
    [
        "달항아리" * 2000,
        "plain " * 2000,
        "é" * 9000,
        unicodedata.normalize("NFD", "달항아리é") * 900,
        "नमस्ते สวัสดี שָׁלוֹם" * 100,
    ],
)
def test_ordinary_text_of_any_script_is_normalised_as_python_does(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert normalized(form, text, max_chars=len(text)) == unicodedata.normalize(form, text)  # type: ignore[arg-type]


def test_length_is_checked_before_marks_and_the_error_holds_no_text() -> None:
    with pytest.raises(TextTooLong) as told:
        ensure_bounded("secret" * 10, max_chars=59)
    assert "secret" not in str(told.value)
    with pytest.raises(TooManyMarks) as told_marks:
        normalized("NFC", "a" + UNDER * 31, max_chars=32)
    assert UNDER not in str(told_marks.value)


def test_a_domain_is_checked_label_by_label_before_it_is_encoded() -> None:
    assert ascii_domain("사진。한국.") == "사진.한국".encode("idna").decode()
    for wrong in ("", ".", "가" * 64 + ".example", "a." * 127 + "example", UNDER * 31 + ".example", "가" * 300):
        with pytest.raises(ValueError):
            ascii_domain(wrong)


def test_growth_of_this_python_is_measured() -> None:
    assert 1 < growth_of_normalization(clock=time.thread_time) < 64
