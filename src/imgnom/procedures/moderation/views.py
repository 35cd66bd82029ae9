"""The desk, minimal and whole: newest pictures and comments, removing one with a reason, the handler records."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from imgnom.community.comments.public import Comment, remove_comment_by_staff
from imgnom.community.images.public import Image, remove_by_staff
from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import ends_at
from imgnom.procedures.moderation.models import HandlerRecord
from imgnom.web.address import client_address, shortened
from imgnom.web.guards import role_required
from imgnom.web.requests import MemberRequest, Request
from imgnom.web.responses import invalid, see_other

STAFF = ("moderator", "officer", "administrator")


def record_handling(request: Request, *, act: str, what: str, result: str = "done") -> None:
    """Fail closed: if this cannot be written, the act does not happen (C3)."""
    policy = policy_in_force()
    HandlerRecord.objects.create(
        account=request.member.subject, role=request.member.role, at=request.now, place=shortened(client_address(request)), act=act, what=what,
        result=result, ends_at=ends_at(policy.records["handler_records"], request.now, policy.zone),
    )  # fmt: skip


@require_safe
@role_required(*STAFF)
def desk(request: MemberRequest) -> HttpResponse:
    record_handling(request, act="look", what="desk")
    return render(request, "moderation/desk.html", _queue())


def _queue() -> dict[str, object]:
    images = Image.objects.filter(visibility="public").select_related("author").order_by("-pk")[:40]
    comments = Comment.objects.select_related("author", "image").order_by("-pk")[:40]
    return {"images": images, "comments": comments}


@require_POST
@role_required(*STAFF)
def remove(request: MemberRequest, kind: str, key: str) -> HttpResponse:
    reason = request.POST.get("reason", "").strip()
    if not reason:
        return invalid(request, "moderation/desk.html", _queue() | {"no_reason": True})
    record_handling(request, act=f"remove {kind}", what=key)
    if kind == "picture":
        done = remove_by_staff(key, reason=reason, by=request.actor, now=request.now)
    elif key.isdigit():
        done = remove_comment_by_staff(int(key), reason=reason, by=request.actor, now=request.now)
    else:
        raise Http404
    if not done:
        raise Http404
    return see_other("/desk")


@require_safe
@role_required("officer", "administrator", "auditor")
def records(request: MemberRequest) -> HttpResponse:
    record_handling(request, act="look", what="handler records")
    rows = HandlerRecord.objects.filter(ends_at__gt=request.now).order_by("-pk")[:200]
    return render(request, "moderation/records.html", {"rows": rows})
