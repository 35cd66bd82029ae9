"""Words in pairs: Korean and English stand side by side and the reader's language picks one when shown (I11).

No catalogue: the two are written, not translated, and a word without its other half cannot be written down.
"""

from django.utils.functional import lazy
from django.utils.translation import get_language


def current_language() -> str:
    return "en" if (get_language() or "ko").startswith("en") else "ko"


def _pick(ko: str, en: str) -> str:
    return en if current_language() == "en" else ko


_lazy_pick = lazy(_pick, str)


def say(*, ko: str, en: str) -> str:
    """A lazy text in the reader's language."""
    return _lazy_pick(ko, en)
