"""The forms of the members. Labels, purposes and periods under each field come from the policy file."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BoundField

from imgnom.community.members import rules
from imgnom.custody.guard.public import canonical_email
from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import Item, words_for_period
from imgnom.policy.text import normalized
from imgnom.web.fields import EmailField, PasswordField, TextField
from imgnom.web.words import current_language, say

MISSING = {
    "required": say(ko="여기를 적어 주세요.", en="Fill this in."),
    "null_characters_not_allowed": say(
        ko="쓸 수 없는 글자가 있습니다.", en="There is a character that cannot be used."
    ),
}
LONGEST_OPTIONAL = 1000
USUAL = ("username", "password", "nickname", "email")
_COUNTED = {1: "한", 2: "두", 3: "세", 4: "네", 5: "다섯", 6: "여섯", 7: "일곱", 8: "여덟", 9: "아홉", 10: "열"}
_COUNTED_EN = {1: "one thing", 2: "two things", 3: "three things", 4: "four things", 5: "five things", 6: "six things"}


def _why(item: str) -> str:
    """What for and until when, in one line."""
    policy, lang = policy_in_force(), current_language()
    purposes = ", ".join(dict.fromkeys(p.label.get(lang) for p in policy.purposes_of(item)[:2]))
    kept = policy.records.get("identity_after_leaving")
    if kept is not None and item in kept.items and kept.scope == "everyone":
        period = words_for_period(kept.period, lang)
        until = f"회원인 동안, 탈퇴 뒤 {period}" if lang == "ko" else f"while a member, then {period}"
    else:
        until = "탈퇴하면 바로 없어집니다" if lang == "ko" else "destroyed when you leave"
    return f"{purposes} · {until}" if purposes else until


def dress(field: forms.Field, *, hint: str = "", why: str = "", **attrs: str) -> forms.Field:
    """`hint` (who sees it) and `why` are shown by the field's template; the rest goes onto the control."""
    field.widget.attrs |= {"class": "box"} | attrs
    vars(field).update(hint=hint, why=why)
    return field


def text_box(
    label: str, *, hint: str = "", why: str = "", required: bool = True, max_length: int = 254, **attrs: str
) -> forms.Field:
    field = TextField(label=label, error_messages=_messages(max_length), required=required, max_length=max_length)
    return dress(field, hint=hint, why=why, **attrs)


def _messages(max_length: int) -> dict[str, str]:
    return MISSING | {
        "max_length": say(ko=f"{max_length}자까지 적을 수 있습니다.", en=f"Use at most {max_length} characters.")
    }


def email_box(label: str, *, hint: str = "", why: str = "") -> forms.Field:
    wrong = say(
        ko="이메일 주소를 적어 주세요. 예: name@mail.example", en="Write an e-mail address, as name@mail.example"
    )
    field = EmailField(label=label, error_messages=_messages(254) | {"invalid": wrong}, max_length=254)
    return dress(field, hint=hint, why=why, autocomplete="email")


def password_box(label: str, autocomplete: str, *, hint: str = "", why: str = "") -> forms.Field:
    field = PasswordField(
        label=label,
        widget=forms.PasswordInput(),
        error_messages=_messages(rules.MAX_PASSWORD),
        max_length=rules.MAX_PASSWORD,
    )
    return dress(field, hint=hint, why=why, autocomplete=autocomplete)


def code_box() -> forms.Field:
    return text_box(say(ko="확인 번호", en="Code"), inputmode="numeric", autocomplete="one-time-code", max_length=24)


class SignupForm(forms.Form):
    """The age question, the policy's items, the policy's consents; nothing else is read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        policy, lang = policy_in_force(), current_language()
        self.fields["age_group"] = forms.ChoiceField(
            choices=[("14_or_older", say(ko="만 14세 이상", en="14 or older")), ("under_14", say(ko="만 14세 미만", en="Under 14"))],
            widget=forms.RadioSelect,
            label=say(ko="나이", en="Age"),
            error_messages={
                "required": say(ko="둘 가운데 하나를 골라 주세요.", en="Choose one of the two."),
                "invalid_choice": say(ko="둘 가운데 하나를 골라 주세요.", en="Choose one of the two."),
            },
        )  # fmt: skip
        asked = {
            key: item
            for key, item in policy.items.items()
            if item.collected == "registration" and key != "consent_record"
        }
        self.extra_items = [key for key in asked if key not in USUAL]
        for key in [key for key in (*USUAL, *self.extra_items) if key in asked]:
            self.fields["password1" if key == "password" else key] = self._field(asked[key], lang)
        for kind in policy.consents.values():
            box = forms.BooleanField(
                required=kind.required, label=kind.label.get(lang), error_messages={"required": kind.refusal.get(lang)}
            )
            vars(box).update(hint=kind.text.get(lang), why=kind.refusal.get(lang))
            self.fields[kind.id if kind.required else f"consent_{kind.id}"] = box

    @staticmethod
    def _field(item: Item, lang: str) -> forms.Field:
        label, hint, why = item.label.get(lang), item.hint.get(lang) if item.hint else "", _why(item.id)
        match item.id:
            case "password":
                return password_box(label, "new-password", hint=hint, why=why)
            case "email":
                return email_box(label, hint=hint, why=why)
            case "username" | "nickname":
                return text_box(
                    label, hint=hint, why=why, autocomplete=item.id, autocapitalize="none", spellcheck="false"
                )
            case _:
                mark = "" if item.required else str(say(ko="[선택]", en="[optional]"))
                return text_box(
                    label,
                    hint=f"{mark} {hint}".strip(),
                    why=why,
                    required=item.required,
                    max_length=LONGEST_OPTIONAL,
                    autocomplete="off",
                )

    def consents(self) -> dict[str, bool]:
        return {
            k.id: bool(self.cleaned_data.get(k.id if k.required else f"consent_{k.id}"))
            for k in policy_in_force().consents.values()
        }

    def extras(self) -> dict[str, str]:
        return {
            name: normalized("NFC", self.cleaned_data[name], max_chars=LONGEST_OPTIONAL) for name in self.extra_items
        }

    def required_consents(self) -> list[BoundField]:
        return [self[k.id] for k in policy_in_force().consents.values() if k.required]

    def optional_consents(self) -> list[BoundField]:
        return [self[f"consent_{k.id}"] for k in policy_in_force().consents.values() if not k.required]

    def item_fields(self) -> list[BoundField]:
        return [
            self[name]
            for name in ("username", "password1", "nickname", "email", *self.extra_items)
            if name in self.fields
        ]

    def heading(self) -> str:
        """네 가지만 묻습니다: counted off the form."""
        asked = len(self.item_fields())
        if current_language() == "en":
            return f"We ask {_COUNTED_EN.get(asked, f'{asked} things')}"
        return f"{_COUNTED.get(asked, str(asked))} 가지만 묻습니다"

    def asks_only_the_usual(self) -> bool:
        return not self.extra_items

    def age_answered(self) -> bool:
        return self.is_bound and self.data.get("age_group") == "14_or_older"

    def clean_username(self) -> str:
        return rules.check_username(self.cleaned_data["username"])

    def clean_nickname(self) -> str:
        return rules.check_nickname(self.cleaned_data["nickname"])

    def clean_email(self) -> str:
        return check_email(self.cleaned_data["email"])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("password1"):
            beside = tuple(str(data.get(name) or "") for name in ("username", "nickname", "email"))
            try:
                rules.check_password(data["password1"], beside=beside)
            except ValidationError as error:
                self.add_error("password1", error)
        return data


def check_email(value: str) -> str:
    try:
        canonical_email(value)
    except ValueError:
        raise ValidationError(
            say(
                ko="이메일 주소를 적어 주세요. 예: name@mail.example",
                en="Write an e-mail address, as name@mail.example",
            )
        ) from None
    return value


class CodeForm(forms.Form):
    code = code_box()


class ConfirmForm(forms.Form):
    """The code, and where an ID or a nickname was taken meanwhile, another one."""

    def __init__(self, *args: Any, needs: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not needs:
            self.fields["code"] = code_box()
        if "username" in needs:
            self.fields["username"] = text_box(
                say(ko="다른 아이디", en="Another ID"),
                autocomplete="username",
                autocapitalize="none",
                spellcheck="false",
            )
        if "nickname" in needs:
            self.fields["nickname"] = text_box(say(ko="다른 닉네임", en="Another nickname"), autocomplete="nickname")

    def clean_username(self) -> str:
        return rules.check_username(self.cleaned_data["username"])

    def clean_nickname(self) -> str:
        return rules.check_nickname(self.cleaned_data["nickname"])


class LoginForm(forms.Form):
    login = text_box(
        say(ko="아이디 또는 이메일", en="ID or e-mail"),
        autocomplete="username",
        autocapitalize="none",
        spellcheck="false",
    )
    password = password_box(say(ko="비밀번호", en="Password"), "current-password")


class PasswordForm(forms.Form):
    password = password_box(say(ko="비밀번호", en="Password"), "current-password")


class NewPasswordForm(forms.Form):
    """What a new password must be, for each form that sets one."""

    password1 = password_box(say(ko="새 비밀번호", en="New password"), "new-password")

    def clean_password1(self) -> str:
        rules.check_password(self.cleaned_data["password1"], beside=())
        return str(self.cleaned_data["password1"])


class ChangePasswordForm(NewPasswordForm):
    password = password_box(say(ko="현재 비밀번호", en="Current password"), "current-password")
    field_order = ("password", "password1")


class ResetForm(forms.Form):
    login = text_box(
        say(ko="아이디 또는 이메일", en="ID or e-mail"),
        autocomplete="username",
        autocapitalize="none",
        spellcheck="false",
    )


class ResetConfirmForm(NewPasswordForm):
    code = code_box()
    field_order = ("code", "password1")
