"""Leaving, by oneself after the identity check (A7.2c), and the receipt (I6): parse, call one use case, answer."""

import secrets
from typing import Any

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from imgnom.community.images.public import newest_public_picture, zip_of
from imgnom.custody.ledger.public import LeafUnknown, sign_document
from imgnom.policy.public import CHOICES
from imgnom.procedures.retention.drawing import receipt_svg
from imgnom.procedures.retention.errors import AlreadyWithdrawn
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.receipts import certificate_document, find_receipt, receipt_document
from imgnom.procedures.retention.shown import shown_plan, shown_receipt
from imgnom.procedures.retention.withdraw_member import number_of_press, plans_for, withdraw_member
from imgnom.web.address import client_address
from imgnom.web.guards import step_up_required
from imgnom.web.requests import MemberRequest, Request
from imgnom.web.responses import see_other, streamed
from imgnom.web.throttle import hit_network

RECEIPT = "receipt"


@require_http_methods(["GET", "HEAD", "POST"])
def withdraw(request: Request) -> HttpResponse:
    """Whoever has just left here is shown their receipt, also when the button was pressed twice (C2)."""
    if request.member is None:
        number = number_of_press(request.POST.get("press", "")) or request.session.get(RECEIPT, "")
        if number:
            return _already(request, number) if request.method == "POST" else see_other(f"/receipt/{number}")
    return _withdraw(request)


@step_up_required
def _withdraw(request: MemberRequest) -> HttpResponse:
    chosen, confirmed = request.POST.get("content"), request.POST.get("confirm") == "yes"
    if request.method == "POST" and chosen in CHOICES and confirmed:
        try:
            number = withdraw_member(
                request.member.pk,
                choice=chosen,
                by=request.actor,
                now=request.now,
                press=request.POST.get("press", "")[:48],
            )
        except AlreadyWithdrawn as first:
            return _already(request, first.number)
        request.session.flush()
        request.session[RECEIPT] = number
        setattr(request, "has_left", True)  # noqa: B010 - read by the access record of this request
        return see_other(f"/receipt/{number}")
    asked = request.method == "POST"
    facts, plans = plans_for(request.member.pk, now=request.now)
    picture = newest_public_picture(request.member.pk)
    context = shown_plan(plans, facts) | {
        "picture": picture,
        "thumbnail": f"/media/{picture.public_id}/thumbnail" if picture else "",
        "press": secrets.token_urlsafe(18),
        "chosen": chosen if chosen in CHOICES else "",
        "confirmed": confirmed,
        "no_choice": asked and chosen not in CHOICES,
        "no_confirm": asked and not confirmed,
    }
    return render(request, "retention/withdraw.html", context, status=422 if asked else 200)


def _already(request: Request, number: str) -> HttpResponse:
    """A second press changes nothing and does not lose the number of the first."""
    request.member = None
    return render(request, "retention/already.html", {"number": number}, status=409)


@require_safe
@step_up_required
def pictures(request: MemberRequest) -> HttpResponse:
    response = streamed(zip_of(request.member.pk), content_type="application/zip")
    response["Content-Disposition"] = 'attachment; filename="imgnom-pictures.zip"'
    return response


def _row(request: Request, number: str) -> Withdrawal:
    hit_network("receipt", client_address(request), limit=600, per_seconds=600)
    row = find_receipt(number)
    if row is None:
        raise Http404
    return row


@require_safe
def find(request: Request) -> HttpResponse:
    """A number typed off a sheet of paper."""
    number = request.GET.get("number", "").strip()
    if number:
        hit_network("receipt", client_address(request), limit=600, per_seconds=600)
        found = find_receipt(number)
        if found is not None:
            return see_other(f"/receipt/{found.number}")
    return render(request, "retention/find.html", {"unknown": bool(number)}, status=404 if number else 200)


@require_safe
def receipt(request: Request, number: str) -> HttpResponse:
    row = _row(request, number)
    return render(request, "retention/receipt.html", shown_receipt(row, request.now))


@require_safe
def receipt_json(request: Request, number: str) -> HttpResponse:
    row = _row(request, number)
    return _signed(receipt_document(row, now=request.now))


@require_safe
def receipt_picture(request: Request, number: str) -> HttpResponse:
    """The receipt to keep: drawn here, of the number and the dates, of no person."""
    row = _row(request, number)
    drawn = receipt_svg(shown_receipt(row, request.now), address=f"{settings.IMGNOM.base_url}/receipt/{row.number}")
    response = HttpResponse(drawn, content_type="image/svg+xml; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="imgnom-{row.number}.svg"'
    return response


@require_safe
def certificate_json(request: Request, number: str, certificate_number: str) -> HttpResponse:
    row = _row(request, number)
    if certificate_number not in row.certificates:
        raise Http404
    try:
        response = _signed(certificate_document(certificate_number, now=request.now))
    except LeafUnknown:
        raise Http404 from None
    response["Content-Disposition"] = f'attachment; filename="{certificate_number}.json"'
    return response


def _signed(document: dict[str, Any]) -> HttpResponse:
    """Canonical JSON under our signature: not one byte of it can change unseen."""
    return HttpResponse(sign_document(document), content_type="application/json")
