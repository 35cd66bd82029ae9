"""Words of the error pages, waiting times, badges, patchworks."""

import base64
import re

import pytest
from django.utils import translation

from imgnom.web import board_states
from imgnom.web.dates import wait_words
from imgnom.web.error_words import words_for
from imgnom.web.icons import ICONS
from imgnom.web.patchwork import patches
from imgnom.web.templatetags.web import clause_badge

STATUSES = (400, 401, 403, "csrf", 404, 405, 409, 413, 415, 422, 429, 500, 503)
UNTOUCHED = re.compile(r"잃지 않|저장되었|nothing was lost|not lost|is safe|saved", re.IGNORECASE)


@pytest.mark.clause("I11")
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_words_of_its_own_in_both_languages(status: int | str) -> None:
    ko, en = words_for(status, "ko"), words_for(status, "en")
    assert re.search("[가-힣]", ko.title + ko.lead)
    assert not re.search("[가-힣]", en.title + en.lead)
    others = [words_for(other, "ko").title for other in STATUSES if other != status]
    assert ko.title not in others
    assert "{" not in ko.lead + en.lead


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_no_error_page_comforts_with_what_it_cannot_know(status: int | str, lang: str) -> None:
    words = words_for(status, lang)  # type: ignore[arg-type]
    assert not UNTOUCHED.search(words.title + words.lead)
    if status in (500, 503):
        # How far the work had gone is unknown after a breakdown: the page asks to look first.
        assert re.search(r"되었는지|was done", words.lead)
        assert not re.search(r"바꾸지 않았|nothing was changed|Nothing was", words.lead)


@pytest.mark.parametrize(("status", "like"), [(418, 400), (451, 400), (502, 500), (599, 500)])
def test_an_unforeseen_status_speaks_like_its_kind(status: int, like: int) -> None:
    assert words_for(status, "en") == words_for(like, "en")


@pytest.mark.parametrize(
    ("seconds", "ko", "en"),
    [
        (0, "1초", "1 second"),
        (1, "1초", "1 second"),
        (59, "59초", "59 seconds"),
        (60, "1분", "1 minute"),
        (61, "2분", "2 minutes"),
        (600, "10분", "10 minutes"),
        (3600, "1시간", "1 hour"),
        (3601, "2시간", "2 hours"),
    ],
)
def test_a_wait_is_rounded_up(seconds: int, ko: str, en: str) -> None:
    assert (wait_words(seconds, "ko"), wait_words(seconds, "en")) == (ko, en)


def test_the_wait_stands_in_the_words_of_429() -> None:
    assert "3분" in words_for(429, "ko", retry_after=150).lead
    assert "3 minutes" in words_for(429, "en", retry_after=150).lead


@pytest.fixture
def board() -> object:
    yield board_states.register
    board_states.register(lambda clause: None)


@pytest.mark.clause("A0.1")
def test_a_badge_without_a_board_promises_nothing() -> None:
    board_states.register(lambda clause: None)
    with translation.override("en"):
        made = clause_badge("A4.2")
    assert 'data-state="planned"' in made
    assert "planned</span>" in made
    assert ICONS["planned"] in made


@pytest.mark.clause("A0.1")
@pytest.mark.parametrize(
    ("told", "shown"),
    [("green", "holds"), ("red", "broken"), ("planned", "planned"), ("??", "planned"), (None, "planned")],
)
def test_a_badge_shows_what_the_board_knows(board: object, told: str | None, shown: str) -> None:
    board(lambda clause: told if clause == "A4.2" else None)  # type: ignore[operator]
    assert f'data-state="{shown}"' in clause_badge("A4.2")
    assert 'data-state="planned"' in clause_badge("A4.1")


@pytest.mark.clause("A0.1")
def test_a_board_that_fails_turns_nothing_green(board: object, caplog: pytest.LogCaptureFixture) -> None:
    def fail(clause: str) -> str:
        raise RuntimeError("CANARY-IN-MESSAGE")

    board(fail)  # type: ignore[operator]
    assert 'data-state="planned"' in clause_badge("A4.2")
    assert "RuntimeError" in caplog.text
    assert "CANARY" not in caplog.text


def test_a_badge_escapes_its_clause() -> None:
    assert "<script" not in clause_badge('"><script>')


def test_a_patchwork_is_cut_from_the_pictures_own_colours() -> None:
    raw = bytes(range(36))
    cut = patches(base64.b64encode(raw).decode())
    assert len(cut) == 7
    own = {f"#{raw[3 * place : 3 * place + 3].hex()}" for place in range(12)}
    assert {patch.colour for patch in cut} <= own
    # The seven patches cover the field of 3 × 2 without a gap or an overlap.
    assert sum(float(p.width) * float(p.height) for p in cut) == pytest.approx(6)


def test_two_pictures_may_be_cut_differently() -> None:
    first, second = (patches(base64.b64encode(bytes(35) + bytes([n])).decode()) for n in (0, 1))
    assert [(p.x, p.width) for p in first] != [(p.x, p.width) for p in second]


@pytest.mark.parametrize("broken", ["", "not base64!", "QUJD", "한글"])
def test_a_broken_placeholder_draws_nothing(broken: str) -> None:
    assert patches(broken) == ()
