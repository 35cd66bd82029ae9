"""The page of a picture with its comments; writing, editing and deleting them; deleting the picture itself."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from imgnom.community.comments.forms import CommentForm
from imgnom.community.comments.models import Comment
from imgnom.community.comments.public import (
    change_comment,
    delete_comment,
    has_just_said,
    write_comment,
)
from imgnom.community.comments.public import delete_picture as destroy_picture
from imgnom.community.comments.queries import talk_under
from imgnom.community.images.public import (
    Image,
    ShownPicture,
    embed_of,
    file_urls,
    page_url,
    shown_picture,
    tags_of,
    visible_image,
)
from imgnom.custody.outbox.public import for_one_act
from imgnom.web.errors import plain
from imgnom.web.guards import login_required_page
from imgnom.web.requests import MemberRequest, Request
from imgnom.web.responses import see_other
from imgnom.web.room import takes_room
from imgnom.web.throttle import hit

REMEMBERED = 50


def _page(request: Request, shown: ShownPicture, form: CommentForm, status: int = 200, **more: Any) -> HttpResponse:
    image = shown.image
    context = {
        "shown": shown, "image": image, "form": form, "mine": request.member is not None and image.author_id == request.member.pk,
        "link": page_url(image), "preview": file_urls(image)["preview"], "embed": embed_of(image), "tags": tags_of(image), "now": request.now,
        "talk": talk_under(image.pk, before=request.GET.get("before")),
    }  # fmt: skip
    response = render(request, "comments/picture.html", context | more, status=status)
    if image.visibility != "public" or image.removed_reason:
        response["X-Robots-Tag"] = "noindex"
    if image.visibility == "private" or image.removed_reason:
        response["Cache-Control"] = "private, no-store"
    return response


def _shown(request: Request, public_id: str) -> ShownPicture:
    shown = shown_picture(public_id, member_id=request.member.pk if request.member else None)
    if shown is None:
        raise Http404
    return shown


@require_safe
def picture(request: Request, public_id: str) -> HttpResponse:
    return _page(request, _shown(request, public_id), CommentForm())


@require_POST
@login_required_page
@takes_room
def write(request: MemberRequest, public_id: str) -> HttpResponse:
    shown = _shown(request, public_id)
    hit("comment", request.member.subject, limit=60, per_seconds=600)
    form = CommentForm(request.POST)
    if not form.is_valid():
        return _page(request, shown, form, 422)
    body = form.cleaned_data["body"]
    if has_just_said(image_id=shown.image.pk, body=body, by_member=request.member.pk, now=request.now):
        return _page(request, shown, CommentForm(), 409, said_twice=True)
    try:
        write_comment(image_id=public_id, body=body, by_member=request.member.pk, now=request.now)
    except LookupError:
        raise Http404 from None
    return see_other(f"/i/{public_id}#comments")


def _was_deleted(request: Request, mark: str) -> bool:
    return mark in request.session.get("deleted", [])


def _remember_deleted(request: Request, mark: str) -> None:
    """So that the second press of the same button is told apart from somebody else's thing (409, not 404)."""
    request.session["deleted"] = [*request.session.get("deleted", []), mark][-REMEMBERED:]


def _own(request: MemberRequest, comment_id: int) -> Comment | None:
    return Comment.objects.select_related("image").filter(pk=comment_id, author_id=request.member.pk).first()


@require_http_methods(["GET", "HEAD", "POST"])
@login_required_page
@takes_room
def edit(request: MemberRequest, comment_id: int) -> HttpResponse:
    comment = _own(request, comment_id)
    if comment is None:
        raise Http404
    if comment.removed_reason:
        return plain(request, 403)
    form = CommentForm(request.POST) if request.method == "POST" else CommentForm(initial={"body": comment.body})
    if request.method == "POST" and form.is_valid():
        hit("comment", request.member.subject, limit=60, per_seconds=600)
        if not change_comment(comment, body=form.cleaned_data["body"]):
            return plain(request, 409)
        return see_other(f"/i/{comment.image.public_id}#comment-{comment.pk}")
    return render(request, "comments/edit.html", {"form": form, "comment": comment}, status=422 if form.errors else 200)


@require_POST
@login_required_page
def delete(request: MemberRequest, comment_id: int) -> HttpResponse:
    mark = f"comment {comment_id}"
    comment = _own(request, comment_id)
    if comment is None and not _was_deleted(request, mark):
        raise Http404
    if comment is None or not delete_comment(comment, now=request.now, by=for_one_act(request.actor)):
        return plain(request, 409)
    _remember_deleted(request, mark)
    return see_other(f"/i/{comment.image.public_id}#comments")


def _own_picture(request: MemberRequest, public_id: str) -> Image | None:
    image = visible_image(public_id, member_id=request.member.pk)
    return image if image is not None and image.author_id == request.member.pk else None


@require_http_methods(["GET", "HEAD", "POST"])
@login_required_page
def delete_picture(request: MemberRequest, public_id: str) -> HttpResponse:
    mark = f"picture {public_id}"
    image = _own_picture(request, public_id)
    if image is None:
        if request.method == "POST" and _was_deleted(request, mark):
            return plain(request, 409)
        raise Http404
    if request.method != "POST":
        talk = talk_under(image.pk, before=None)
        return render(request, "comments/delete_picture.html", {"image": image, "talk": talk})
    destroy_picture(image, now=request.now, by=for_one_act(request.actor))
    _remember_deleted(request, mark)
    return see_other("/")
