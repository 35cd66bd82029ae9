"""Gallery, upload, files, editing."""

from urllib.parse import quote

from django import forms
from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from imgnom.community.images.errors import PictureError, PictureTooLarge, WrongType
from imgnom.community.images.models import Image
from imgnom.community.images.public import original_of, upload_file, visible_image, visible_images
from imgnom.community.images.take_in import MAX_BYTES, media_path, set_tags
from imgnom.community.members.public import member_by_nickname
from imgnom.web.guards import login_required_page
from imgnom.web.paging import keyset
from imgnom.web.requests import MemberRequest, Request
from imgnom.web.responses import invalid, see_other, wants_json
from imgnom.web.throttle import hit
from imgnom.web.words import say

PAGE = 40
SANDBOX = "default-src 'none'; sandbox"
VISIBILITIES = (
    ("public", say(ko="전체 공개", en="public")),
    ("unlisted", say(ko="링크 공개", en="unlisted")),
    ("private", say(ko="나만 보기", en="private")),
)


def _list(request: Request, query: QuerySet[Image], context: dict[str, object] | None = None) -> HttpResponse:
    page = keyset(query, after=request.GET.get("after"), size=PAGE)
    return render(request, "images/gallery.html", {"page": page} | (context or {}))


@require_safe
def gallery(request: Request) -> HttpResponse:
    return _list(request, visible_images(), {"front": True})


@require_safe
def tag(request: Request, name: str) -> HttpResponse:
    return _list(request, visible_images().filter(imagetag__tag__name=name.casefold()), {"heading": f"#{name}"})


@require_safe
def member_page(request: Request, nickname: str) -> HttpResponse:
    card = member_by_nickname(nickname)
    if card is None:
        raise Http404
    own = request.member is not None and request.member.pk == card.id
    query = (
        Image.objects.filter(author_id=card.id).select_related("author")
        if own
        else visible_images().filter(author_id=card.id)
    )
    return _list(request, query, {"heading": card.nickname})


@require_safe
def search(request: Request) -> HttpResponse:
    words = request.GET.get("q", "")[:100].strip()
    query = (
        visible_images()
        .filter(
            Q(title__icontains=words) | Q(imagetag__tag__name__icontains=words) | Q(author__nickname__icontains=words)
        )
        .distinct()
        if words
        else visible_images().none()
    )
    return _list(request, query, {"heading": say(ko="찾기", en="Search"), "words": words})


class UploadForm(forms.Form):
    title = forms.CharField(max_length=200, required=False)
    description = forms.CharField(max_length=5000, required=False)
    alt = forms.CharField(max_length=1000, required=False)
    tags = forms.CharField(max_length=400, required=False)
    visibility = forms.ChoiceField(choices=VISIBILITIES, required=False)


_REASONS = {
    "too-many-pixels": say(
        ko="한 변 16,384픽셀, 모두 6천만 픽셀까지 올릴 수 있습니다.", en="Up to 16,384 px a side and 60 million pixels."
    ),
    "bomb": say(ko="파일 크기에 견주어 너무 큰 그림입니다.", en="The picture is far too large for its file."),
}


def _words(error: PictureError) -> str:
    if isinstance(error, PictureTooLarge):
        return str(
            say(
                ko=f"{MAX_BYTES // 1048576} MB까지 올릴 수 있습니다. 크기를 줄여 다시 올려 주세요.",
                en=f"Up to {MAX_BYTES // 1048576} MB. Make it smaller and try again.",
            )
        )
    if isinstance(error, WrongType):
        if "heic" in error.args:
            return str(
                say(
                    ko="HEIC는 아직 받지 못합니다. 휴대전화에서 JPEG로 바꾸어 올려 주세요.",
                    en="HEIC is not accepted yet. Save it as JPEG first.",
                )
            )
        return str(
            say(ko="JPEG, PNG, WebP, GIF 사진만 받습니다.", en="Only JPEG, PNG, WebP and GIF pictures are accepted.")
        )
    return str(
        _REASONS.get(
            str(error.args[0]) if error.args else "",
            say(
                ko="사진으로 열리지 않는 파일입니다. 다른 파일로 다시 해 보세요.",
                en="This file does not open as a picture. Try another file.",
            ),
        )
    )


def embed_of(image: Image) -> dict[str, str]:
    base, page = settings.IMGNOM.base_url, f"{settings.IMGNOM.base_url}/i/{image.public_id}"
    source = f"{base}/media/{image.public_id}/preview"
    from django.utils.html import format_html

    return {
        "html": str(format_html('<a href="{}"><img src="{}" alt="{}"></a>', page, source, image.alt)),
        "markdown": f"[![{image.alt.replace(']', '')}]({source})]({page})",
        "bbcode": f"[url={page}][img]{source}[/img][/url]",
    }


def _facts(name: str, image: Image, removed: tuple[str, ...]) -> dict[str, object]:
    base = settings.IMGNOM.base_url
    urls = {size: f"{base}/media/{image.public_id}/{size}" for size in ("thumbnail", "preview", "original")}
    return {
        "name": name,
        "id": image.public_id,
        "page_url": f"{base}/i/{image.public_id}",
        "urls": urls,
        "embed": embed_of(image),
        "removed": list(removed),
        "error": None,
    }


@require_http_methods(["GET", "HEAD", "POST"])
@login_required_page
def upload(request: MemberRequest) -> HttpResponse:
    if request.method != "POST":
        return render(request, "images/upload.html", {"form": UploadForm(), "visibilities": VISIBILITIES})
    hit("upload", request.member.subject, limit=120, per_seconds=600)
    form = UploadForm(request.POST)
    files = request.FILES.getlist("file")
    if not files or not form.is_valid():
        words = str(say(ko="올릴 사진을 골라 주세요.", en="Choose a picture to upload."))
        if wants_json(request):
            return JsonResponse({"errors": {"file": [words]} if not files else form.errors.get_json_data()}, status=422)
        return invalid(request, "images/upload.html", {"form": form, "visibilities": VISIBILITIES, "problems": [words]})
    results, refused, status = [], [], 422
    data = form.cleaned_data
    for file in files:
        try:
            taken = upload_file(
                content=file.read(), file_name=file.name or "", title=data["title"], description=data["description"], alt=data["alt"], tags=data["tags"],
                visibility=data["visibility"] or "public", by_member=request.member.pk, subject=request.member.subject, now=request.now,
            )  # fmt: skip
        except PictureError as error:
            refused.append(_words(error))
            status = error.status
            results.append(
                {
                    "name": file.name,
                    "id": None,
                    "page_url": None,
                    "urls": None,
                    "embed": None,
                    "removed": [],
                    "error": _words(error),
                }
            )
        else:
            results.append(_facts(file.name or "", Image.objects.get(public_id=taken.public_id), taken.removed))
    all_refused = len(refused) == len(files)
    if wants_json(request):
        return JsonResponse({"files": results}, status=(status if len(files) == 1 else 422) if all_refused else 201)
    if refused:
        return render(
            request,
            "images/upload.html",
            {"form": form, "visibilities": VISIBILITIES, "problems": refused, "results": results},
            status=status if all_refused else 422,
        )
    return see_other(f"/i/{results[0]['id']}" if len(results) == 1 else f"/@{quote(request.member.nickname)}")


def _own(request: Request, public_id: str) -> Image:
    image = visible_image(public_id, member_id=request.member.pk)
    if image is None or image.author_id != request.member.pk:
        raise Http404
    return image


@require_http_methods(["GET", "HEAD", "POST"])
@login_required_page
def edit(request: MemberRequest, public_id: str) -> HttpResponse:
    image = _own(request, public_id)
    tags = " ".join(image.imagetag_set.values_list("tag__name", flat=True))
    form = UploadForm(
        request.POST or None,
        initial={
            "title": image.title,
            "description": image.description,
            "alt": image.alt,
            "tags": tags,
            "visibility": image.visibility,
        },
    )
    if request.method == "POST" and form.is_valid():
        for name in ("title", "description", "alt"):
            setattr(image, name, form.cleaned_data[name])
        image.visibility = form.cleaned_data["visibility"] or image.visibility
        image.save(update_fields=["title", "description", "alt", "visibility"])
        set_tags(image, form.cleaned_data["tags"])
        return see_other(f"/i/{public_id}")
    return render(
        request,
        "images/edit.html",
        {"form": form, "image": image, "visibilities": VISIBILITIES},
        status=422 if form.errors else 200,
    )


@require_safe
def file(request: Request, public_id: str, size: str) -> HttpResponse:
    image = visible_image(public_id, member_id=request.member.pk if request.member else None)
    if image is None:
        raise Http404
    shared = image.visibility != "private" and not image.removed_reason
    tag_value = f'"{image.media_token[:16]}-{size}"'
    response: HttpResponse | StreamingHttpResponse
    if request.headers.get("If-None-Match") == tag_value:
        response = HttpResponse(status=304)
    elif size == "original":
        kind = image.format
        response = StreamingHttpResponse(original_of(image), content_type=f"image/{kind}")
        response["Content-Disposition"] = (
            f'attachment; filename="imgnom-{image.public_id}.{"jpg" if kind == "jpeg" else kind}"'
        )
    else:
        path = media_path("derived", image.media_token, size)
        if not path.exists():
            raise Http404
        response = HttpResponse(path.read_bytes(), content_type="image/webp")
        response["Content-Disposition"] = f'inline; filename="imgnom-{image.public_id}-{size}.webp"'
    response["Content-Security-Policy"] = SANDBOX
    response["ETag"] = tag_value
    response["Cache-Control"] = "public, max-age=60" if shared else "private, no-store"
    return response  # type: ignore[return-value]
