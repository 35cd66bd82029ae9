"""When two names are the same to the eye, and which scripts one name may mix (Unicode Technical Standard 39).

A skeleton is made by NFKC, case folding, NFD and one stand-in for each class of look-alikes; marks, blanks and dots
fall away. Names may hold one script beside Latin, or Latin with Hangul, Han or kana: what people really write.

The table is the standard's own data, cut to what is left after NFKC and case folding. Packages that carry the same data
(confusable-homoglyphs, confusables) make no skeleton and are no newer, so none is installed for it.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

from imgnom.policy.text import normalized

# Small Cyrillic letters of the form of Latin capitals: not in the standard's list, but read so in a name.
_SMALL_CAPITALS = {"к": "k", "м": "rn", "т": "t", "в": "b", "н": "h"}
_SCRIPTS = (
    "LATIN", "HANGUL", "CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "CYRILLIC", "GREEK", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC",
    "DEVANAGARI", "BENGALI", "TAMIL", "TELUGU", "THAI", "LAO", "KHMER", "MYANMAR", "MONGOLIAN", "ETHIOPIC", "CHEROKEE",
)  # fmt: skip
_EAST_ASIAN = frozenset(("LATIN", "HANGUL", "CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO"))
# Letters and signs that show nothing: fillers of Hangul, the empty braille cell, the sign for "no letter".
INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5\u00ad")
MAX_MARKS = 3
# What a form may hand over, and what compatibility forms can grow to (U+FDFA becomes 18 characters).
MAX_NAME_CHARS, MAX_FOLDED_CHARS = 1016, 20_000
# The one joiner that shows: between two pictographs it makes a third (a family, a flag).
_JOINED_PICTURES = re.compile(
    "(?<=[\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d(?=[\u2600-\u27bf\U0001f000-\U0001faff])"
)


@cache
def _stand_ins() -> dict[int, str]:
    lines = Path(__file__).with_name("lookalikes.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if not line.startswith("#"))
    table = {ord(member): stands for stands, members in pairs for member in members}
    return table | {ord(small): stands for small, stands in _SMALL_CAPITALS.items()}


def _is_bare(char: str) -> bool:
    """Accents fall away; the vowels and finals of Hangul, which combine too, do not."""
    return not unicodedata.combining(char) and unicodedata.category(char) != "Mn"


def skeleton(name: str) -> str:
    """Raises UnboundedText."""
    composed = normalized("NFKC", name, max_chars=MAX_NAME_CHARS).casefold()
    folded = normalized("NFD", composed, max_chars=MAX_FOLDED_CHARS)
    bare = "".join(char for char in folded if _is_bare(char) and char not in INVISIBLE)
    alike = normalized("NFD", bare.translate(_stand_ins()), max_chars=2 * MAX_FOLDED_CHARS).casefold()
    return re.sub(r"[\s._\-·~'\"!*]+", "", normalized("NFC", alike, max_chars=2 * MAX_FOLDED_CHARS))


# For the names of the staff only, where a digit for a letter is read as that letter.
_DIGITS = str.maketrans("3457$", "easts")
_HANJA = str.maketrans("者員人", "자원인")
_NAMED = re.compile(
    "(?:LATIN LETTER SMALL CAPITAL|(?:NEGATIVE |CROSSED NEGATIVE |RAISED )?(?:SQUARED|CIRCLED) LATIN (?:CAPITAL|SMALL) LETTER"
    "|REGIONAL INDICATOR SYMBOL LETTER|TAG LATIN (?:CAPITAL|SMALL) LETTER) ([A-Z])"
)
_FIRSTS = [
    "ᄀ",
    "ᄁ",
    "ᄀᄉ",
    "ᄂ",
    "ᄂᄌ",
    "ᄂᄒ",
    "ᄃ",
    "ᄅ",
    "ᄅᄀ",
    "ᄅᄆ",
    "ᄅᄇ",
    "ᄅᄉ",
    "ᄅᄐ",
    "ᄅᄑ",
    "ᄅᄒ",
    "ᄆ",
    "ᄇ",
    "ᄇᄉ",
    "ᄉ",
    "ᄊ",
    "ᄋ",
    "ᄌ",
    "ᄎ",
    "ᄏ",
    "ᄐ",
    "ᄑ",
    "ᄒ",
]
_PIECES = {0x11A8 + number: first for number, first in enumerate(_FIRSTS)}
_PIECES |= {0x116A: "ᅩᅡ", 0x116B: "ᅩᅢ", 0x116C: "ᅩᅵ", 0x116F: "ᅮᅥ", 0x1170: "ᅮᅦ", 0x1171: "ᅮᅵ", 0x1174: "ᅳᅵ"}
_DOUBLED = {0x1101: "ᄀᄀ", 0x1104: "ᄃᄃ", 0x1108: "ᄇᄇ", 0x110A: "ᄉᄉ", 0x110D: "ᄌᄌ"}


def _named_letter(char: str) -> str:
    """A letter that Unicode draws otherwise and does not fold, as ᴀ and 🅰."""
    found = _NAMED.fullmatch(unicodedata.name(char, "")) if ord(char) > 0x7F else None
    return found[1].casefold() if found else char


def stroke(name: str) -> str:
    """A coarser skeleton, for names of the staff only: the strokes i, l and 1 are one, digits are the letters they
    look like, `cl` is d and `vv` is w.
    """
    alike = skeleton("".join(map(_named_letter, name))).translate(_DIGITS).translate(_HANJA)
    return re.sub(r"[il|1]", "l", alike.replace("cl", "d").replace("vv", "w"))


def letters_of(name: str) -> str:
    """Without whatever is neither letter nor digit: stars between the letters hide no word."""
    bare = normalized("NFKC", name, max_chars=MAX_FOLDED_CHARS)
    return "".join(char for char in bare if char.isalnum() or _named_letter(char) != char)


def syllables_of(name: str) -> str:
    """The letters of a name as they are written, whole syllables of Hangul among them."""
    return letters_of(name).translate(_HANJA)


def words_of(name: str) -> tuple[list[str], ...]:
    """The words of a name as blanks and signs part them, then without digits at their ends, then parted by digits too."""
    bare = "".join(char for char in normalized("NFKC", name, max_chars=MAX_FOLDED_CHARS) if _is_bare(char))
    words = [word for word in re.split(r"[\W_]+", bare) if word]
    trimmed = [word.strip("0123456789") for word in words]
    return words, [word for word in trimmed if word], [word for word in re.split(r"[\W\d_]+", bare) if word]


def has_loose_jamo(name: str) -> bool:
    """Whether letters of Hangul stand in it that form no syllable."""
    return any(0x1100 <= ord(char) <= 0x11FF for char in normalized("NFKC", name, max_chars=MAX_FOLDED_CHARS))


def jamo(text: str) -> str:
    """Hangul as a row of single letters, so that ㅇㅜㄴ and 운 are the same."""
    return normalized("NFD", text, max_chars=2 * MAX_FOLDED_CHARS).translate(_PIECES).translate(_DOUBLED)


def _script(char: str) -> str | None:
    name = unicodedata.name(char, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    return next((script for script in _SCRIPTS if name.startswith(script)), "OTHER")


def mixes_scripts(name: str) -> bool:
    """Whether letters of scripts stand together that no language writes together, as `pаypal` with a Cyrillic а."""
    used = {_script(char) for char in name if unicodedata.category(char)[0] == "L" and char not in "ªº"}
    return len(used) > 1 and not used <= _EAST_ASIAN


def hides_something(name: str) -> bool:
    """Whether there is anything that does not show: controls, fillers, blanks of other widths, towers of marks."""
    plain = _JOINED_PICTURES.sub("", name)
    if any(char in INVISIBLE or (unicodedata.category(char)[0] in "CZ" and char != " ") for char in plain):
        return True
    marks = 0
    for char in normalized("NFD", name, max_chars=MAX_NAME_CHARS):
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if marks > MAX_MARKS:
            return True
    return False
