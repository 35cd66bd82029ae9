"""What may be said: up to two thousand characters, cleaned like the words of a picture."""

from django import forms

from imgnom.community.comments.public import MAX_BODY
from imgnom.community.images.public import CleanText, several_lines
from imgnom.web.words import say


class CommentForm(forms.Form):
    body = CleanText(
        clean_with=several_lines, max_length=MAX_BODY, label=say(ko="댓글 쓰기", en="Write a comment"),
        error_messages={"required": say(ko="댓글을 적어 주세요.", en="Write a comment first.")},
    )  # fmt: skip
