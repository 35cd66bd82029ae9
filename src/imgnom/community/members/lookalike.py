"""When two names are the same to the eye, and which scripts one name may mix (Unicode Technical Standard 39).

A skeleton is made by NFKC, case folding, NFD and one stand-in for each class of look-alikes; marks, blanks and dots
fall away. Names may hold one script beside Latin, or Latin with Hangul, Han or kana: what people really write.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

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
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", name).casefold())
    bare = "".join(char for char in folded if _is_bare(char) and char not in INVISIBLE)
    alike = unicodedata.normalize("NFD", bare.translate(_stand_ins())).casefold()
    return re.sub(r"[\s._\-·~'\"!*]+", "", unicodedata.normalize("NFC", alike))


def stroke(name: str) -> str:
    """A coarser skeleton, for names of the staff only: the strokes i, l and 1 are one."""
    return re.sub(r"[il|1]", "l", skeleton(name))


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
    for char in unicodedata.normalize("NFD", name):
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if marks > MAX_MARKS:
            return True
    return False
