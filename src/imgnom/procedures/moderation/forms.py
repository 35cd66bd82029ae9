"""Why something is removed, and why records are taken along. The reason is read by the one it concerns."""

from django import forms

from imgnom.community.images.public import CleanText, several_lines
from imgnom.web.words import say


class ReasonForm(forms.Form):
    reason = CleanText(
        clean_with=several_lines, max_length=500, label=say(ko="까닭", en="Reason"),
        error_messages={
            "required": say(ko="내리는 까닭을 적으십시오. 올린 사람이 봅니다.", en="Write the reason. Its owner will see it."),
        },
    )  # fmt: skip


class DownloadForm(forms.Form):
    reason = CleanText(
        clean_with=several_lines, max_length=500, label=say(ko="까닭", en="Reason"),
        error_messages={"required": say(ko="내려받는 까닭을 적으십시오. 기록에 남습니다.", en="Write the reason. It is recorded.")},
    )  # fmt: skip
