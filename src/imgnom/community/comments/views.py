"""The page of a picture with its comments; writing, editing and deleting them."""

from django import forms
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from imgnom.community.comments.models import Comment
from imgnom.community.comments.public import write_comment
from imgnom.community.images.public import Image, delete_one, embed_of, visible_image, visible_images
from imgnom.custody.keys.public import compact
from imgnom.web.guards import login_required_page
from imgnom.web.paging import keyset
from imgnom.web.requests import MemberRequest, Request
from imgnom.web.responses import see_other
from imgnom.web.throttle import hit
from imgnom.web.words import say


class CommentForm(forms.Form):
    body = forms.CharField(
        max_length=2000, error_messages={"required": say(ko="댓글을 적어 주세요.", en="Write a comment.")}
    )


def _image(request: Request, public_id: str) -> Image:
    image = visible_image(public_id, member_id=request.member.pk if request.member else None)
    if image is None:
        raise Http404
    return image


def _page(request: Request, image: Image, form: CommentForm, status: int = 200) -> HttpResponse:
    comments = Comment.objects.filter(image=image).select_related("author")
    mine = request.member is not None and image.author_id == request.member.pk
    around = visible_images()
    context = {
        "image": image, "form": form, "mine": mine, "embed": embed_of(image), "tags": image.imagetag_set.select_related("tag"),
        "page": keyset(comments, after=request.GET.get("after"), size=50),
        "newer": around.filter(pk__gt=image.pk).order_by("pk").first(), "older": around.filter(pk__lt=image.pk).order_by("-pk").first(),
    }  # fmt: skip
    return render(request, "comments/picture.html", context, status=status)


@require_safe
def picture(request: Request, public_id: str) -> HttpResponse:
    return _page(request, _image(request, public_id), CommentForm())


@require_POST
@login_required_page
def write(request: MemberRequest, public_id: str) -> HttpResponse:
    image = _image(request, public_id)
    hit("comment", request.member.subject, limit=60, per_seconds=600)
    form = CommentForm(request.POST)
    if not form.is_valid():
        return _page(request, image, form, 422)
    write_comment(image_id=public_id, body=form.cleaned_data["body"], by_member=request.member.pk, now=request.now)
    return see_other(f"/i/{public_id}#comments")


def _own(request: Request, comment_id: int) -> Comment:
    comment = Comment.objects.select_related("image").filter(pk=comment_id, author_id=request.member.pk).first()
    if comment is None:
        raise Http404
    return comment


@require_http_methods(["GET", "HEAD", "POST"])
@login_required_page
def edit(request: MemberRequest, comment_id: int) -> HttpResponse:
    comment = _own(request, comment_id)
    form = CommentForm(request.POST or None, initial={"body": comment.body})
    if request.method == "POST" and form.is_valid():
        comment.body = form.cleaned_data["body"]
        comment.save(update_fields=["body"])
        return see_other(f"/i/{comment.image.public_id}#comments")
    return render(request, "comments/edit.html", {"form": form, "comment": comment}, status=422 if form.errors else 200)


@require_POST
@login_required_page
def delete(request: MemberRequest, comment_id: int) -> HttpResponse:
    comment = _own(request, comment_id)
    place = comment.image.public_id
    comment.delete()
    compact("default")
    return see_other(f"/i/{place}#comments")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required_page
def delete_picture(request: MemberRequest, public_id: str) -> HttpResponse:
    image = _image(request, public_id)
    if image.author_id != request.member.pk:
        raise Http404
    if request.method != "POST":
        return render(request, "comments/delete_picture.html", {"image": image})
    Comment.objects.filter(image=image).delete()
    delete_one(image, now=request.now, by=request.actor)
    return see_other("/")
