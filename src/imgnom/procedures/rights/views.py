"""One's own page: everything held, why, until when; changing it; consents."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from imgnom.community.comments.public import count_comments
from imgnom.community.images.public import count_for
from imgnom.community.members.public import (
    CodeWrong,
    NicknameTaken,
    begin_email_change,
    change_nickname,
    check_nickname,
    confirm_email_change,
)
from imgnom.custody.consent.public import consent_history, consents_of, record_consent
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.vault.public import ValueMissing, held_items, seal_value, sealed_at
from imgnom.custody.vault.reveal import RevealRefused, reveal
from imgnom.policy.public import Actor
from imgnom.web.guards import has_step_up, login_required_page, step_up_required
from imgnom.web.requests import MemberRequest, Request, posted
from imgnom.web.responses import invalid, see_other
from imgnom.web.words import current_language, say


def _own(request: Request) -> Actor:
    return Actor("member", request.member.subject)


def _value(request: Request, item: str) -> str:
    try:
        return reveal(request.member.subject, item, purpose="rights", by=_own(request), now=request.now).open()
    except ValueMissing:
        return ""
    except RevealRefused:
        return _registered(request, item)


def _registered(request: Request, item: str) -> str:
    """An added item needs a use for `rights`; a file that forgot it still may not hide the value from its owner."""
    from imgnom.custody.vault.public import ValueMissing as Missing

    for purpose in policy_in_force().purposes_of(item):
        try:
            return reveal(request.member.subject, item, purpose=purpose.id, by=_own(request), now=request.now).open()
        except (RevealRefused, Missing):
            continue
    return ""


def _held(request: Request, *, with_values: bool) -> list[dict[str, Any]]:
    policy, subject = policy_in_force(), request.member.subject
    rows = []
    sealed = set(held_items(subject))
    pictures, private = count_for(request.member.pk)
    counts = {"image_file": pictures, "comment_text": count_comments(request.member.pk)}
    for key, item in policy.items.items():
        if item.collected == "planned" or not (
            key in sealed
            or item.collected in ("registration", "automatic")
            or key in counts
            or key in ("membership", "consent_record")
        ):
            continue
        value = ""
        if key == "password":
            value = str(say(ko="되돌릴 수 없게 바뀌어 있습니다", en="kept one-way"))
        elif key in counts:
            value = str(counts[key])
        elif key == "membership":
            value = request.member.joined_at.date().isoformat()
        elif key in sealed and with_values:
            value = _value(request, key)
        records = [r for r in policy.records_of(key) if r.id != "pending_registration"]
        rows.append(
            {
                "item": item,
                "value": value,
                "hidden": key in sealed and not with_values,
                "purposes": policy.purposes_of(key),
                "records": records,
                "since": sealed_at(subject, key),
            }
        )
    return rows


@require_safe
@login_required_page
def privacy(request: MemberRequest) -> HttpResponse:
    shown = has_step_up(request)
    context = {"rows": _held(request, with_values=shown), "shown": shown, "consents": _consents(request)}
    return render(request, "rights/privacy.html", context)


def _consents(request: Request) -> list[dict[str, Any]]:
    given = consents_of(request.member.subject)
    return [{"kind": kind, "given": kind.id in given} for kind in policy_in_force().consents.values()]


class EditForm(forms.Form):
    def __init__(self, *args: Any, extra: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lang, policy = current_language(), policy_in_force()
        for name in ("nickname", "email", *extra):
            kind = forms.EmailField if name == "email" else forms.CharField
            self.fields[name] = kind(
                label=policy.items[name].label.get(lang), max_length=254, required=policy.items[name].required
            )
            self.fields[name].widget.attrs["class"] = "box"

    def clean_nickname(self) -> str:
        return check_nickname(self.cleaned_data["nickname"])


@require_http_methods(["GET", "HEAD", "POST"])
@step_up_required
def edit(request: MemberRequest) -> HttpResponse:
    member = request.member
    usual = ("username", "password", "nickname", "email")
    extra = {
        key: _value(request, key)
        for key, item in policy_in_force().items.items()
        if item.collected == "registration" and key not in usual
    }
    before = {"nickname": member.nickname, "email": _value(request, "email")} | extra
    if request.method == "POST" and "code" in request.POST:
        return _confirm(request)
    form = EditForm(posted(request), extra=extra, initial=before)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            if data["nickname"] != before["nickname"]:
                change_nickname(member, nickname=data["nickname"], now=request.now)
        except NicknameTaken:
            form.add_error(
                "nickname",
                say(
                    ko="이미 있는 닉네임입니다. 다른 이름을 적어 주세요.", en="This nickname is taken. Choose another."
                ),
            )
            return invalid(request, "rights/edit.html", {"form": form})
        for name in extra:
            if data[name] != before[name]:
                seal_value(member.subject, name, data[name], now=request.now)
        if data["email"] != before["email"]:
            request.session["email_change"] = begin_email_change(member, data["email"], now=request.now)
            return see_other("/me/privacy/edit?confirm=email")
        return see_other("/me/privacy")
    context = {"form": form, "confirming": "confirm" in request.GET and "email_change" in request.session}
    return (
        invalid(request, "rights/edit.html", context) if form.errors else render(request, "rights/edit.html", context)
    )


def _confirm(request: Request) -> HttpResponse:
    try:
        confirm_email_change(
            request.member, token=request.session.get("email_change", ""), code=request.POST["code"], now=request.now
        )
    except (CodeWrong, ValidationError):
        form = EditForm(extra={})
        return invalid(request, "rights/edit.html", {"form": form, "confirming": True, "wrong": True})
    request.session.pop("email_change", None)
    return see_other("/me/privacy")


@require_http_methods(["GET", "HEAD", "POST"])
@step_up_required
def consents(request: MemberRequest) -> HttpResponse:
    subject = request.member.subject
    if request.method == "POST":
        given = consents_of(subject)
        for kind in policy_in_force().consents.values():
            wanted = f"consent_{kind.id}" in request.POST
            if not kind.required and wanted != (kind.id in given):
                record_consent(subject, kind.id, given=wanted, way="page", by=_own(request), now=request.now)
        return see_other("/me/consents")
    return render(
        request, "rights/consents.html", {"consents": _consents(request), "history": consent_history(subject)}
    )


@require_safe
@step_up_required
def export(request: MemberRequest) -> HttpResponse:
    rows = _held(request, with_values=True)
    facts = [
        {
            "item": r["item"].id,
            "value": r["value"],
            "purposes": [p.id for p in r["purposes"]],
            "records": [x.id for x in r["records"]],
        }
        for r in rows
    ]
    response = HttpResponse(json.dumps({"items": facts}, ensure_ascii=False, indent=1), content_type="application/json")
    response["Content-Disposition"] = 'attachment; filename="imgnom-my-data.json"'
    return response
