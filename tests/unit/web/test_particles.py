"""Korean particles agree with the word before them, whatever kind of word it is."""

import pytest
from django.template import engines

from imgnom.web.particles import ending_of, particle, with_particle


@pytest.mark.clause("I11")
@pytest.mark.parametrize(
    ("word", "pair", "said"),
    [
        ("사진", "을/를", "사진을"),
        ("파기 영수증", "이/가", "파기 영수증이"),
        ("쿠키", "은/는", "쿠키는"),
        ("이메일", "으로/로", "이메일로"),
        ("방침", "으로/로", "방침으로"),
        ("주소", "으로/로", "주소로"),
        ("닉네임", "과/와", "닉네임과"),
        ("아이디", "과/와", "아이디와"),
        ("서울", "이/가", "서울이"),
    ],
)
def test_hangul_is_read_off_its_last_syllable(word: str, pair: str, said: str) -> None:
    assert with_particle(word, pair) == said


@pytest.mark.clause("I11")
@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("0", "0을"), ("1", "1을"), ("2", "2를"), ("3", "3을"), ("4", "4를"), ("5", "5를"), ("6", "6을"), ("7", "7을"),
        ("8", "8을"), ("9", "9를"), ("10", "10을"), ("20", "20을"), ("300", "300을"), ("12,000", "12,000을"),
        ("100000000", "100000000을"), ("1000000000000", "1000000000000를"), ("3.5", "3.5를"), ("0.10", "0.10을"),
    ],
)  # fmt: skip
def test_numbers_are_read_as_they_are_spoken(number: str, said: str) -> None:
    assert with_particle(number, "을/를") == said


@pytest.mark.clause("I11")
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("1", "1로"), ("7", "7로"), ("3", "3으로"), ("32 MB", "32 MB로"), ("50 kg", "50 kg으로"), ("16,384 px", "16,384 px로"),
        ("40%", "40%로"), ("GIF", "GIF로"), ("URL", "URL로"), ("PIN", "PIN으로"), ("email", "email로"), ("Chromium", "Chromium으로"),
        ("cookie", "cookie로"), ("block", "block으로"),
    ],
)  # fmt: skip
def test_latin_words_units_and_rieul_before_ro(word: str, said: str) -> None:
    assert with_particle(word, "으로/로") == said


@pytest.mark.parametrize("wrapped", ["‘가을 산’", "가을 산)", "“가을 산.”", "가을 산 "])
def test_signs_that_nobody_speaks_are_passed_over(wrapped: str) -> None:
    assert particle(wrapped, "은/는") == "은"


def test_every_syllable_of_hangul_agrees_with_its_own_letters() -> None:
    import unicodedata

    for code in range(0xAC00, 0xD7A4):
        letters = unicodedata.normalize("NFD", chr(code))
        expected = "vowel" if len(letters) == 2 else "rieul" if letters[2] == "\u11af" else "consonant"
        assert ending_of(chr(code)) == expected


def test_a_pair_written_wrongly_is_refused() -> None:
    with pytest.raises(ValueError, match="을/를"):
        particle("사진", "을")


def test_the_filter_escapes_what_members_wrote() -> None:
    made = engines["django"].from_string('{{ word|josa:"을/를" }}').render({"word": "<b>산"})
    assert made == "&lt;b&gt;산을"
