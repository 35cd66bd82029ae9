"""The words of a picture: title, description, alternative text, tags, and who may see it."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from imgnom.community.images.text import MAX_TAG, MAX_TAGS, one_line, several_lines, tag_names
from imgnom.web.fields import TextField
from imgnom.web.words import say

VISIBILITIES = (
    ("public", say(ko="전체 공개", en="Everyone")),
    ("unlisted", say(ko="링크 공개", en="With the link")),
    ("private", say(ko="나만 보기", en="Only me")),
)


class CleanText(TextField):
    """Text is cleaned before its length is counted: a browser sends two characters for the end of a line."""

    def __init__(self, *, clean_with: Callable[[str], str], **kwargs: Any) -> None:
        super().__init__(clean_with=clean_with, **kwargs)
        self.widget.attrs.setdefault("class", "box")


class TagsField(CleanText):
    def validate(self, value: str) -> None:
        super().validate(value)
        names = tag_names(value)
        if len(names) > MAX_TAGS:
            raise ValidationError(say(ko=f"태그는 {MAX_TAGS}개까지 답니다.", en=f"Up to {MAX_TAGS} tags."))
        if any(len(name) > MAX_TAG for name in names):
            raise ValidationError(
                say(ko=f"태그 하나는 {MAX_TAG}자까지입니다.", en=f"A tag has up to {MAX_TAG} characters.")
            )

    def clean(self, value: Any) -> str:
        return " ".join(tag_names(super().clean(value)))


class PictureForm(forms.Form):
    title = CleanText(
        clean_with=one_line, max_length=200, required=False, label=say(ko="제목", en="Title"), hint=say(ko="비워도 됩니다", en="optional")
    )  # fmt: skip
    description = CleanText(
        clean_with=several_lines, max_length=5000, required=False, label=say(ko="설명", en="Description"), hint=say(ko="비워도 됩니다", en="optional"),
        widget=forms.Textarea(attrs={"class": "box", "rows": 4}),
    )  # fmt: skip
    alt = CleanText(
        clean_with=one_line, max_length=1000, required=False, label=say(ko="무엇이 보이나요?", en="What is on the picture?"),
        hint=say(ko="볼 수 없는 사람에게 읽어 줍니다", en="for people who cannot see it"), widget=forms.Textarea(attrs={"class": "box", "rows": 2}),
    )  # fmt: skip
    tags = TagsField(
        clean_with=one_line, max_length=1000, required=False, label=say(ko="태그", en="Tags"),
        hint=say(ko="빈칸이나 쉼표로 나눕니다", en="separated by spaces or commas"),
    )  # fmt: skip
    visibility = forms.ChoiceField(
        choices=VISIBILITIES, required=False, label=say(ko="누가 볼 수 있나요", en="Who can see it"), widget=forms.RadioSelect,
        error_messages={"invalid_choice": say(ko="셋 가운데 하나를 골라 주세요.", en="Choose one of the three.")},
    )  # fmt: skip


def errors_by_field(form: forms.BaseForm) -> dict[str, list[str]]:
    """For programs: the field's name and its sentences."""
    return {name: [str(text) for text in texts] for name, texts in form.errors.items()}
