"""What people write, before it is kept: composed letters, no control characters, nothing that turns the line around.

Unicode's embedding, override and isolate characters (UAX 9) are dropped: with them a title could show the words around
it backwards. Letters that run from right to left and the joiners of emoji stay. Lines end in one way.
"""

import re
import unicodedata

from imgnom.policy.text import normalized

MAX_TAGS, MAX_TAG = 20, 40
# The longest text that any field or address hands over, before it is cleaned.
MAX_TYPED_CHARS = 20_000
_TURNS_THE_LINE = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF])
_LINE_ENDS = re.compile("\r\n?|\v|\f|\x85|\u2028|\u2029")
_NOT_IN_TAGS = str.maketrans(dict.fromkeys('#/\\?%&;:"<>()[]{}', " ") | {",": " ", "，": " ", "、": " "})


def _without_controls(text: str) -> str:
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs"))


def several_lines(text: str) -> str:
    """Composed (NFC), with plain line feeds, at most one empty line in a row. Raises UnboundedText."""
    composed = normalized("NFC", text, max_chars=MAX_TYPED_CHARS)
    composed = _LINE_ENDS.sub("\n", composed).replace("\t", " ")
    plain = _without_controls(composed.translate(_TURNS_THE_LINE))
    return re.sub(r"\n{3,}", "\n\n", plain).strip()


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", several_lines(text)).strip()


def tag_names(text: str) -> tuple[str, ...]:
    """The tags of a field, each once: small letters, without # and the signs that mean something in an address."""
    words = one_line(text).translate(_NOT_IN_TAGS).split()
    return tuple(dict.fromkeys(name for word in words if (name := word.casefold().strip("."))))
