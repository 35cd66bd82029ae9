"""Text fields of forms: length and marks are checked before anything else is done with what was typed.

Django strips, cleans and validates first and counts afterwards. Here a text that is far too long, or that holds a run of
combining marks which would take quadratic time to normalise, is refused first, with its field named. Every form takes
its text fields from this module; a test refuses Django's own anywhere else.
"""

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from imgnom.policy.text import MAX_MARKS, TextTooLong, TooManyMarks, ensure_bounded, normalized
from imgnom.web.words import say

# A browser sends two characters for a line break, and decomposed Hangul three for a syllable; both count one when kept.
TYPED_PER_KEPT = 4

TOO_MANY_MARKS = say(
    ko=f"글자에 덧붙이는 부호가 {MAX_MARKS}개 넘게 이어져 있습니다. 부호를 줄여 주세요.",
    en=f"More than {MAX_MARKS} combining marks follow one another. Remove some of them.",
)


def _too_long(limit: int) -> Any:
    return say(
        ko=f"{limit:,}자까지 적을 수 있습니다. 조금 줄여 주세요.",
        en=f"Up to {limit:,} characters. Shorten it a little.",
    )


def bounded_or_invalid(text: str, *, max_chars: int, too_long: Any) -> str:
    """The text itself. Raises ValidationError, in the reader's language."""
    try:
        return ensure_bounded(text, max_chars=max_chars)
    except TextTooLong:
        raise ValidationError(too_long, code="max_length") from None
    except TooManyMarks:
        raise ValidationError(TOO_MANY_MARKS, code="too_many_marks") from None


class TextField(forms.CharField):
    """`clean_with` is applied to what was typed, and the limit counts what is left."""

    def __init__(
        self, *, max_length: int, clean_with: Callable[[str], str] | None = None, hint: str = "", why: str = "", **kwargs: Any
    ) -> None:  # fmt: skip
        self.clean_with, self.hint, self.why = clean_with, hint, why
        kwargs["error_messages"] = {"max_length": _too_long(max_length)} | (kwargs.pop("error_messages", None) or {})
        super().__init__(max_length=max_length, **kwargs)

    def to_python(self, value: Any) -> str:
        typed = "" if value is None else str(value)
        limit = (self.max_length or 0) * TYPED_PER_KEPT
        bounded_or_invalid(typed, max_chars=limit, too_long=self.error_messages["max_length"])
        text = super().to_python(typed) or ""
        return self.clean_with(text) if self.clean_with else text


class EmailField(TextField, forms.EmailField):
    def __init__(self, *, max_length: int = 254, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, **kwargs)


class PasswordField(TextField):
    """As typed, blanks too; only Hangul that came in pieces is put together, so that every keyboard writes the same."""

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, strip=False, **kwargs)

    def to_python(self, value: Any) -> str:
        text = super().to_python(value)
        return normalized("NFC", text, max_chars=len(text))
