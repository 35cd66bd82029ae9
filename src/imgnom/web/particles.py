"""Korean particles that agree with the word before them: 은/는, 이/가, 을/를, 과/와, 으로/로 …

A Hangul syllable says itself whether it ends in a consonant. Digits are read as Sino-Korean numbers (10 is 십, 100 is 백),
capitals letter by letter (GIF is 지아이에프), other Latin words by the consonants that Korean keeps at the end (ㄱ ㄴ ㄹ ㅁ ㅂ ㅇ).
That last reading is a rule of thumb: names of people are set with 님 instead (nickname + 님), so that nothing is guessed.
"""

import re
from typing import Literal

type Ending = Literal["vowel", "rieul", "consonant"]

_FIRST_SYLLABLE, _LAST_SYLLABLE, _FINALS, _RIEUL = 0xAC00, 0xD7A3, 28, 8
_DIGITS: dict[str, Ending] = {
    "0": "consonant", "1": "rieul", "2": "vowel", "3": "consonant", "4": "vowel",
    "5": "vowel", "6": "consonant", "7": "rieul", "8": "rieul", "9": "vowel",
}  # fmt: skip
# Letters by their Korean names: 엘, 엠, 엔, 아르; all others end in a vowel.
_LETTERS: dict[str, Ending] = {"L": "rieul", "M": "consonant", "N": "consonant"}
_UNITS: dict[str, Ending] = {
    "%": "vowel", "kg": "consonant", "g": "consonant", "km": "vowel", "cm": "vowel", "mm": "vowel", "m": "vowel",
    "px": "rieul", "KB": "vowel", "MB": "vowel", "GB": "vowel", "°": "vowel",
}  # fmt: skip
_UNIT_AFTER_DIGIT = re.compile(rf"\d\s*({'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})$")
# What is written but not spoken at the end of a word.
_SILENT = " \t\n\"'’”»›)]}>.,!?…·"


def _number_ending(digits: str) -> Ending:
    """The last spoken syllable of a whole number: 십, 백, 천, 만, 억 end in consonants, 조 in a vowel."""
    zeros = len(digits) - len(digits.rstrip("0"))
    if zeros == 0 or zeros == len(digits):
        return _DIGITS[digits[-1]]
    return "vowel" if zeros >= 12 and zeros % 4 == 0 and zeros < 16 else "consonant"


def _latin_ending(word: str) -> Ending:
    if len(word) == 1 or word.isupper():
        return _LETTERS.get(word[-1].upper(), "vowel")
    lower = word.lower()
    if lower.endswith("l"):
        return "rieul"
    if lower.endswith(("m", "n", "ng")) or re.search(r"(?:[^aeiou]|^)[aeiou](?:ck|[kpbt])$", lower):
        return "consonant"
    return "vowel"


def ending_of(text: str) -> Ending:
    """How the spoken text ends: in a vowel, in ㄹ, or in another consonant."""
    text = text.rstrip(_SILENT)
    if not text:
        return "vowel"
    last = text[-1]
    if _FIRST_SYLLABLE <= ord(last) <= _LAST_SYLLABLE:
        final = (ord(last) - _FIRST_SYLLABLE) % _FINALS
        return "vowel" if final == 0 else "rieul" if final == _RIEUL else "consonant"
    if unit := _UNIT_AFTER_DIGIT.search(text):
        return _UNITS[unit[1]]
    if number := re.search(r"([.])?([0-9][0-9,]*)$", text):
        digits = number[2].replace(",", "")
        return _DIGITS[digits[-1]] if number[1] else _number_ending(digits)
    if word := re.search(r"[A-Za-z]+$", text):
        return _latin_ending(word[0])
    return "vowel"


def particle(text: str, pair: str) -> str:
    """The half of `pair` (as 을/를: after a consonant / after a vowel) that agrees with the text.

    Raises ValueError for a pair without a stroke. 로 follows ㄹ as it follows a vowel.
    """
    after_consonant, stroke, after_vowel = pair.partition("/")
    if not stroke:
        raise ValueError(f"A pair of particles is written as 을/를, not as {pair!r}.")
    ending = ending_of(text)
    if ending == "rieul" and after_vowel.startswith("로"):
        return after_vowel
    return after_vowel if ending == "vowel" else after_consonant


def with_particle(text: str, pair: str) -> str:
    return f"{text}{particle(text, pair)}"
