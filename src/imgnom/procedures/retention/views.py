"""Leaving, by oneself after the identity check (A7.2c), and the receipt (I6)."""

from datetime import datetime
from typing import Any

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from imgnom.community.images.public import zip_of
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.ledger.public import LeafUnknown, certificate, make_checkpoint, proof_of, sequence
from imgnom.policy.public import CHOICES, Text
from imgnom.procedures.retention.errors import AlreadyWithdrawn
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.withdraw_member import plan_for, withdraw_member
from imgnom.web.address import client_address, limit_key
from imgnom.web.errors import plain
from imgnom.web.guards import step_up_required
from imgnom.web.requests import MemberRequest, Request
from imgnom.web.responses import see_other
from imgnom.web.throttle import hit


@require_http_methods(["GET", "HEAD", "POST"])
@step_up_required
def withdraw(request: MemberRequest) -> HttpResponse:
    chosen, confirmed = request.POST.get("content"), request.POST.get("confirm") == "yes"
    if request.method == "POST" and chosen in CHOICES and confirmed:
        try:
            number = withdraw_member(request.member.pk, choice=chosen, by=request.actor, now=request.now)
        except AlreadyWithdrawn:
            return plain(request, 409)
        request.session.flush()
        request.member = None
        return see_other(f"/receipt/{number}")
    plans = {choice: plan_for(request.member.pk, choice=choice, now=request.now) for choice in CHOICES}
    context = {"plans": plans, "plan": plans["keep"], "chosen": chosen, "items": policy_in_force().items}
    missing = request.method == "POST"
    return render(
        request,
        "retention/withdraw.html",
        context | {"no_choice": missing and chosen not in CHOICES, "no_confirm": missing and not confirmed},
        status=422 if missing else 200,
    )


@require_safe
@step_up_required
def pictures(request: MemberRequest) -> HttpResponse:
    response = HttpResponse(zip_of(request.member.pk), content_type="application/zip")
    response["Content-Disposition"] = 'attachment; filename="imgnom-pictures.zip"'
    return response


def _row(request: Request, number: str) -> Withdrawal:
    hit("receipt", limit_key(client_address(request)), limit=600, per_seconds=600)
    row = Withdrawal.objects.filter(number=number).first()
    if row is None:
        raise Http404
    return row


def _facts(row: Withdrawal, now: datetime) -> dict[str, Any]:
    lines = []
    for line in row.lines:
        over = (
            line["ends_at"] is not None
            and line["outcome"] in ("archived", "kept_until")
            and now >= datetime.fromisoformat(line["ends_at"])
        )
        state = (
            "destroyed"
            if line["state"] == "destroyed" or (over and line["outcome"] == "kept_until")
            else "refused"
            if over
            else line["state"]
        )
        lines.append(line | {"state": state})
    return {
        "receipt": row.number, "withdrawn_at": row.starts_at.isoformat(), "choice": row.choice, "policy": row.policy_digest, "state": row.state,
        "lines": lines, "certificates": [c for c in (_certificate(n) for n in row.certificates) if c],
    }  # fmt: skip


def _certificate(number: str) -> dict[str, Any] | None:
    try:
        return certificate(number)
    except LeafUnknown:
        return None


def _proofs(row: Withdrawal, now: datetime) -> list[dict[str, Any]]:
    proofs = []
    for leaf in row.leaves:
        try:
            proofs.append(proof_of(leaf))
        except LeafUnknown:
            sequence(now=now)
            make_checkpoint(now=now)
            try:
                proofs.append(proof_of(leaf))
            except LeafUnknown:
                continue
    return proofs


@require_safe
def receipt(request: Request, number: str) -> HttpResponse:
    row = _row(request, number)
    facts = _facts(row, request.now)
    for line in facts["lines"]:
        record = policy_in_force().records.get(line["record"])
        line["label"] = record.label if record else Text(line["record"], line["record"])
        line["why"] = Text(line["reason"]["ko"], line["reason"]["en"])
    return render(request, "retention/receipt.html", {"facts": facts, "row": row})


@require_safe
def receipt_json(request: Request, number: str) -> HttpResponse:
    row = _row(request, number)
    return JsonResponse(
        _facts(row, request.now) | {"ledger": _proofs(row, request.now)}, json_dumps_params={"ensure_ascii": False}
    )


@require_safe
def certificate_json(request: Request, number: str, certificate_number: str) -> HttpResponse:
    row = _row(request, number)
    if certificate_number not in row.certificates:
        raise Http404
    found = certificate(certificate_number)
    response = JsonResponse(found | {"ledger": [proof_of(found["leaf_id"])]}, json_dumps_params={"ensure_ascii": False})
    response["Content-Disposition"] = f'attachment; filename="{certificate_number}.json"'
    return response
