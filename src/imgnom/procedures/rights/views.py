"""One's own page: everything held, why, until when; changing it; consents; taking all of it along."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from imgnom.community.images.public import storage_of
from imgnom.community.members.public import (
    CodeWrong,
    NicknameTaken,
    begin_email_change,
    change_nickname,
    check_email,
    check_nickname,
    confirm_email_change,
)
from imgnom.custody.consent.public import consent_history, consents_of, record_consent
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.vault.public import corrections_of, forget_value, held_items, note_correction, seal_value
from imgnom.policy.public import Actor
from imgnom.procedures.rights.export import export_zip, exported_facts
from imgnom.procedures.rights.held import held_of, read_own
from imgnom.procedures.rights.looks import looks_of
from imgnom.procedures.rights.threads import AXIS, threads_of
from imgnom.web.fields import EmailField, TextField
from imgnom.web.guards import has_step_up, login_required_page, step_up_required
from imgnom.web.requests import MemberRequest, posted
from imgnom.web.responses import invalid, see_other, streamed, wants_json
from imgnom.web.words import current_language, say

# Corrected by ways of their own, or not at all: each with the reason that the page shows.
OWN_WAYS = ("username", "password")


@require_safe
@login_required_page
def privacy(request: MemberRequest) -> HttpResponse:
    shown = has_step_up(request)
    held = held_of(request.member, now=request.now, with_values=shown)
    policy = policy_in_force()
    threads = threads_of(held, policy, request.now)
    context = {
        "held": held,
        "shown": shown,
        "threads": threads,
        "axis": AXIS,
        "next": next((thread for thread in threads if thread.kind == "dated"), None),
        "consents": _consents(request),
        "looks": looks_of(request.member.subject, now=request.now),
        "corrections": corrections_of(request.member.subject)[:5],
        "items": policy.items,
        "recipients": policy.recipients.values(),
        "storage": storage_of(request.member.pk),
    }
    return render(request, "rights/privacy.html", context)


def _consents(request: MemberRequest) -> list[dict[str, Any]]:
    given = consents_of(request.member.subject)
    last = {row.kind: row.at for row in reversed(consent_history(request.member.subject))}
    return [
        {"kind": kind, "given": kind.id in given, "at": last.get(kind.id)}
        for kind in policy_in_force().consents.values()
    ]


class EditForm(forms.Form):
    def __init__(self, *args: Any, extra: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lang, policy = current_language(), policy_in_force()
        for name in ("nickname", "email", *extra):
            item = policy.items[name]
            kind = EmailField if name == "email" else TextField
            field = kind(
                label=item.label.get(lang), max_length=254, required=item.required or name in ("nickname", "email")
            )
            field.widget.attrs["class"] = "box"
            setattr(field, "hint", item.hint.get(lang) if item.hint else "")  # noqa: B010 - read by the field's partial
            self.fields[name] = field

    def clean_nickname(self) -> str:
        if self.cleaned_data["nickname"] == self.initial.get("nickname"):
            return str(self.initial["nickname"])  # kept as it is, also where the rules of today would refuse it
        return str(check_nickname(self.cleaned_data["nickname"]))

    def clean_email(self) -> str:
        return str(check_email(self.cleaned_data["email"]))


def _row(request: MemberRequest) -> Any:
    """Who is signed in, handed on as the members' room knows them."""
    return request.member


def _extra(request: MemberRequest) -> dict[str, str]:
    """What else the form of this policy asks for; an optional item that was left empty can be written in later."""
    return {
        key: read_own(request.member, key, now=request.now)
        for key, item in policy_in_force().items.items()
        if item.collected == "registration" and item.store == "vault" and key not in (*OWN_WAYS, "nickname", "email")
    }


@require_http_methods(["GET", "HEAD", "POST"])
@step_up_required
def edit(request: MemberRequest) -> HttpResponse:
    member = request.member
    if request.method == "POST" and "code" in request.POST:
        return _confirm(request)
    extra = _extra(request)
    before = {"nickname": member.nickname, "email": read_own(member, "email", now=request.now)} | extra
    form = EditForm(posted(request), extra=extra, initial=before)
    if request.method == "POST" and form.is_valid() and _correct_names(request, form, before):
        if form.cleaned_data["email"] != before["email"]:
            request.session["email_change"] = begin_email_change(
                _row(request), email=form.cleaned_data["email"], now=request.now
            )
            return see_other("/me/privacy/edit?confirm=email")
        return see_other("/me/privacy")
    context = {"form": form, "confirming": "confirm" in request.GET and "email_change" in request.session}
    return (
        invalid(request, "rights/edit.html", context) if form.is_bound else render(request, "rights/edit.html", context)
    )


def _correct_names(request: MemberRequest, form: EditForm, before: dict[str, str]) -> bool:
    """Nickname and added items are as written; False with the field named when the nickname is taken."""
    member, data = request.member, form.cleaned_data
    if data["nickname"] != before["nickname"]:
        try:
            change_nickname(_row(request), nickname=data["nickname"], now=request.now)
        except NicknameTaken:
            form.add_error(
                "nickname",
                say(
                    ko="이미 있는 닉네임입니다. 다른 이름을 적어 주세요.", en="This nickname is taken. Choose another."
                ),
            )
            return False
    for name in before.keys() - {"nickname", "email"}:
        if data[name] != before[name]:
            if before[name]:
                note_correction(member.subject, name, before[name], now=request.now)
            if data[name]:
                seal_value(member.subject, name, data[name], now=request.now)
            elif name in held_items(member.subject):
                forget_value(member.subject, name)
    return True


def _confirm(request: MemberRequest) -> HttpResponse:
    try:
        confirm_email_change(
            request, token=request.session.get("email_change", ""), code=request.POST["code"], now=request.now
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
                own = Actor("member", subject)
                record_consent(subject, kind.id, given=wanted, way="page", by=own, now=request.now)
        return see_other("/me/consents")
    kinds = policy_in_force().consents
    history = [{"row": row, "kind": kinds.get(row.kind)} for row in consent_history(subject)]
    return render(request, "rights/consents.html", {"consents": _consents(request), "history": history})


@require_safe
@step_up_required
def export(request: MemberRequest) -> HttpResponse:
    """A ZIP with pictures for a person; the facts alone for a program, or whoever asks for `?format=json`."""
    if wants_json(request) or request.GET.get("format") == "json":
        facts = json.dumps(exported_facts(request.member, now=request.now), ensure_ascii=False, indent=1)
        response = HttpResponse(facts, content_type="application/json")
        response["Content-Disposition"] = 'attachment; filename="imgnom-my-data.json"'
        return response
    response = streamed(export_zip(request.member, now=request.now), content_type="application/zip")
    response["Content-Disposition"] = 'attachment; filename="imgnom-my-data.zip"'
    return response
