"""The forms of the members. Labels, purposes and periods under each field come from the policy file."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from imgnom.community.members import rules
from imgnom.custody.guard.public import canonical_email
from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import words_for_period
from imgnom.web.words import current_language, say

MISSING = {"required": say(ko="여기를 적어 주세요.", en="Fill this in.")}


def _why(item: str) -> str:
    policy, lang = policy_in_force(), current_language()
    purposes = ", ".join(dict.fromkeys(p.label.get(lang) for p in policy.purposes_of(item)[:2]))
    kept = policy.records["identity_after_leaving"]
    if item in kept.items and kept.scope == "everyone":
        period = words_for_period(kept.period, lang)
        return (
            f"{purposes} · 회원인 동안, 탈퇴 뒤 {period}"
            if lang == "ko"
            else f"{purposes} · while a member, then {period}"
        )
    return f"{purposes} · 탈퇴하면 바로 없어집니다" if lang == "ko" else f"{purposes} · destroyed when you leave"


def box(
    kind: type[forms.Field],
    label: str,
    *,
    hint: str = "",
    why: str = "",
    widget: forms.Widget | None = None,
    **attrs: Any,
) -> forms.Field:
    field = kind(
        label=label,
        widget=widget,
        error_messages=MISSING,
        required=attrs.pop("required", True),
        max_length=attrs.pop("max_length", 254),
    )
    field.widget.attrs |= {"class": "box"} | attrs
    field.hint, field.why = hint, why
    return field


def password_box(label: str, autocomplete: str) -> forms.Field:
    return box(
        forms.CharField, label, widget=forms.PasswordInput(), autocomplete=autocomplete, max_length=rules.MAX_PASSWORD
    )


def code_box() -> forms.Field:
    return box(
        forms.CharField,
        say(ko="확인 번호", en="Code"),
        inputmode="numeric",
        autocomplete="one-time-code",
        max_length=12,
    )


class SignupForm(forms.Form):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        policy, lang = policy_in_force(), current_language()
        self.fields["age_group"] = forms.ChoiceField(
            choices=[("14_or_older", say(ko="만 14세 이상", en="14 or older")), ("under_14", say(ko="만 14세 미만", en="Under 14"))],
            widget=forms.RadioSelect, label=say(ko="나이", en="Age"), error_messages=MISSING,
        )  # fmt: skip
        auto = {"username": "username", "nickname": "nickname", "email": "email"}
        self.extra_items: list[str] = []
        for key, item in policy.items.items():
            if item.collected != "registration":
                continue
            hint = item.hint.get(lang) if item.hint else ""
            label = item.label.get(lang)
            if key == "password":
                self.fields["password1"] = password_box(label, "new-password")
                self.fields["password1"].hint = hint
            elif key == "email":
                self.fields["email"] = box(forms.EmailField, label, hint=hint, why=_why(key), autocomplete="email")
            else:
                self.fields[key] = box(
                    forms.CharField,
                    label,
                    hint=hint,
                    why=_why(key),
                    autocomplete=auto.get(key, "off"),
                    required=item.required,
                    max_length=200,
                )
                if key not in auto:
                    self.extra_items.append(key)
        for kind in policy.consents.values():
            name = kind.id if kind.required else f"consent_{kind.id}"
            field = forms.BooleanField(
                required=kind.required, label=kind.label.get(lang), error_messages={"required": kind.refusal.get(lang)}
            )
            field.hint, field.why = kind.text.get(lang), kind.refusal.get(lang)
            self.fields[name] = field

    def consents(self) -> dict[str, bool]:
        return {
            k.id: bool(self.cleaned_data.get(k.id if k.required else f"consent_{k.id}"))
            for k in policy_in_force().consents.values()
        }

    def required_consents(self) -> list[Any]:
        return [self[k.id] for k in policy_in_force().consents.values() if k.required]

    def optional_consents(self) -> list[Any]:
        return [self[f"consent_{k.id}"] for k in policy_in_force().consents.values() if not k.required]

    def item_fields(self) -> list[Any]:
        return [
            self[name]
            for name in ("username", "password1", "nickname", "email", *self.extra_items)
            if name in self.fields
        ]

    def clean_username(self) -> str:
        return rules.check_username(self.cleaned_data["username"])

    def clean_nickname(self) -> str:
        return rules.check_nickname(self.cleaned_data["nickname"])

    def clean_email(self) -> str:
        return check_email(self.cleaned_data["email"])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("password1"):
            try:
                rules.check_password(
                    data["password1"], beside=tuple(data.get(n) or "" for n in ("username", "nickname", "email"))
                )
            except ValidationError as error:
                self.add_error("password1", error)
        return data


def check_email(value: str) -> str:
    try:
        canonical_email(value)
    except (ValueError, UnicodeError):
        raise ValidationError(say(ko="이메일 주소를 적어 주세요.", en="Write an e-mail address.")) from None
    return value


class _Fields(forms.Form):
    def rows(self) -> list[Any]:
        return list(self)


class ConfirmForm(_Fields):
    code = code_box()


class CodeForm(_Fields):
    code = code_box()


class LoginForm(_Fields):
    login = box(forms.CharField, say(ko="아이디 또는 이메일", en="ID or e-mail"), autocomplete="username")
    password = password_box(say(ko="비밀번호", en="Password"), "current-password")


class PasswordForm(_Fields):
    password = password_box(say(ko="비밀번호", en="Password"), "current-password")


class NewPasswordForm(_Fields):
    password1 = password_box(say(ko="새 비밀번호", en="New password"), "new-password")

    def clean_password1(self) -> str:
        rules.check_password(self.cleaned_data["password1"], beside=())
        return str(self.cleaned_data["password1"])


class ResetForm(_Fields):
    login = box(forms.CharField, say(ko="아이디 또는 이메일", en="ID or e-mail"), autocomplete="username")


class ResetConfirmForm(NewPasswordForm):
    code = code_box()
    field_order = ("code", "password1")
