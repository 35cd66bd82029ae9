"""Gallery, tags, members' pages, search, upload, files, editing."""

import hashlib
import re
import time
from http import HTTPStatus
from itertools import chain
from typing import Any
from urllib.parse import urlencode

from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from django.views.decorators.http import require_http_methods, require_safe

from imgnom.community.images.again import display_size
from imgnom.community.images.embed import embed_of, file_urls, page_url
from imgnom.community.images.errors import (
    Busy,
    NoDecoder,
    NotAPicture,
    OwnerGone,
    PictureError,
    PictureTooLarge,
    StorageFull,
)
from imgnom.community.images.forms import VISIBILITIES, PictureForm, errors_by_field
from imgnom.community.images.models import Image
from imgnom.community.images.public import change_words, original_of, upload_file
from imgnom.community.images.queries import (
    CardPage,
    card_page,
    newest_page,
    of_member,
    own_images,
    search_page,
    tag_page,
    tags_of,
    tags_on,
    visible_image,
)
from imgnom.community.images.quota import storage_of
from imgnom.community.images.take_in import MAX_BYTES
from imgnom.community.images.text import one_line
from imgnom.community.images.words import KINDS, MAX_MEGABYTES, refusal_words
from imgnom.community.members.public import member_by_nickname
from imgnom.custody.keys.public import SealBroken
from imgnom.web.address import client_address
from imgnom.web.errors import plain
from imgnom.web.guards import login_required_page
from imgnom.web.requests import MemberRequest, Request
from imgnom.web.responses import see_other, wants_json
from imgnom.web.room import takes_room
from imgnom.web.search import MAX_QUERY_CHARS, MAX_WORD_CHARS, MAX_WORDS, words_of
from imgnom.web.throttle import hit, hit_network
from imgnom.web.words import say

_IS_REFUSED = re.compile(r"q=0?(\.0*)?")
MAX_ACCEPTED = 50
BUSY_SECONDS = "2"
# A place in the line is free again when somebody's picture is done.
LINE_SECONDS = "5"
# So long the files of one request are opened one after another; the rest is to come again, and the thread is free.
REQUEST_SECONDS = 120.0
SANDBOX = "default-src 'none'; sandbox"
SHOWN_TO_OWNER = (
    ("public", say(ko="전체 공개", en="Everyone")),
    ("unlisted", say(ko="링크 공개", en="With the link")),
    ("private", say(ko="나만 보기", en="Only me")),
    ("removed", say(ko="운영진이 내림", en="Removed by staff")),
)


def _cloth(
    request: Request, template: str, query: QuerySet[Image], context: dict[str, Any], **kept: str
) -> HttpResponse:
    return _page_of_tiles(
        request, template, card_page(query, listing=template, after=request.GET.get("after")), context, **kept
    )


def _page_of_tiles(
    request: Request, template: str, page: CardPage, context: dict[str, Any], **kept: str
) -> HttpResponse:
    """`kept` are the parameters that stay in its links."""
    older = urlencode({name: value for name, value in kept.items() if value} | {"after": page.older})
    newest = urlencode({name: value for name, value in kept.items() if value})
    links = {"older_link": f"?{older}" if page.older else "", "newest_link": f"{request.path}?{newest}".rstrip("?")}
    return render(request, template, {"page": page} | links | context)


@require_safe
def gallery(request: Request) -> HttpResponse:
    page = newest_page(after=request.GET.get("after"))
    links = {"older_link": f"?after={page.older}" if page.older else "", "newest_link": "/"}
    return render(request, "images/gallery.html", {"page": page, "chips": tags_on(page.cards)} | links)


@require_safe
def tag(request: Request, name: str) -> HttpResponse:
    page = tag_page(name, listing="images/tag.html", after=request.GET.get("after"))
    return _page_of_tiles(request, "images/tag.html", page, {"name": one_line(name).casefold()})


@require_safe
def member_page(request: Request, nickname: str) -> HttpResponse:
    card = member_by_nickname(one_line(nickname))
    if card is None:
        raise Http404
    is_own = request.member is not None and request.member.pk == card.id
    show = request.GET.get("show", "public") if is_own else "public"
    if show not in dict(SHOWN_TO_OWNER):
        raise Http404
    context = {"nickname": card.nickname, "is_own": is_own, "show": show, "shown": SHOWN_TO_OWNER}
    return _cloth(
        request, "images/member.html", of_member(card.id, show=show), context, show="" if show == "public" else show
    )


@require_safe
def search(request: Request) -> HttpResponse:
    typed = one_line(request.GET.get("q", ""))
    asked = words_of(typed)
    if asked.words:
        hit_network("search", client_address(request), limit=120, per_seconds=60)
    shown = typed[:MAX_QUERY_CHARS]
    found = search_page(asked.words, listing="images/search.html", after=request.GET.get("after"))
    context = {
        "words": shown,
        "asked": asked,
        "found": found,
        "limits": {"chars": MAX_QUERY_CHARS, "words": MAX_WORDS, "word": MAX_WORD_CHARS},
    }
    return _page_of_tiles(request, "images/search.html", found.page, context, q=shown)


def _facts(name: str, image: Image) -> dict[str, Any]:
    return {
        "name": name,
        "id": image.public_id,
        "page_url": page_url(image),
        "urls": file_urls(image),
        "embed": embed_of(image),
        "removed": list(image.removed),
        "error": None,
    }


def _refused(name: str, error: PictureError) -> dict[str, Any]:
    nothing = dict.fromkeys(("id", "page_url", "urls", "embed"))
    facts: dict[str, Any] = {"name": name, **nothing, "removed": [], "error": refusal_words(error)}
    if isinstance(error, StorageFull):
        facts["storage"] = {"used_bytes": error.used, "limit_bytes": error.limit}
    return facts


def _take(request: MemberRequest, file: "UploadedFile[bytes]", words: dict[str, str]) -> dict[str, Any]:
    """What became of one file. Raises PictureError; OwnerGone, when whoever sent it left meanwhile."""
    if getattr(file, "over_all", False):
        raise PictureTooLarge("together")
    if (file.size or 0) > MAX_BYTES:
        raise PictureTooLarge(MAX_BYTES)
    taken = upload_file(
        content=file.read(), title=words["title"], description=words["description"], alt=words["alt"],
        tags=words["tags"], visibility=words["visibility"] or "public", by_member=request.member.pk, subject=request.member.subject,
        now=request.now,
    )  # fmt: skip
    image = Image.objects.filter(public_id=taken.public_id).first()
    if image is None:  # it stood for a moment, and left with its owner
        raise OwnerGone
    return _facts(one_line(file.name or "")[:200], image)


def _upload_page(request: MemberRequest, form: PictureForm, status: int = 200, **context: Any) -> HttpResponse:
    fixed = {
        "form": form, "visibilities": VISIBILITIES, "max_megabytes": MAX_MEGABYTES, "kinds": KINDS, "storage": storage_of(request.member.pk),
    }  # fmt: skip
    return render(request, "images/upload.html", fixed | context, status=status)


def _nothing_to_take(request: MemberRequest, form: PictureForm, *, has_files: bool) -> HttpResponse:
    missing = [] if has_files else [str(say(ko="올릴 사진을 골라 주세요.", en="Choose a picture to upload."))]
    if wants_json(request):
        return JsonResponse(
            {"files": [], "errors": ({"file": missing} if missing else {}) | errors_by_field(form)}, status=422
        )
    return _upload_page(request, form, 422, missing=missing, files_lost=has_files)


def _status_of(statuses: list[int]) -> int:
    """201 as soon as one stands; when all are refused for one reason, the status of that reason."""
    if HTTPStatus.CREATED in statuses:
        return HTTPStatus.CREATED
    return statuses[0] if len(set(statuses)) == 1 else HTTPStatus.UNPROCESSABLE_ENTITY


def _answer(
    request: MemberRequest, form: PictureForm, results: list[dict[str, Any]], statuses: list[int]
) -> HttpResponse:
    """What became of each file, for a program or on the page."""
    status = _status_of(statuses)
    if wants_json(request):
        return JsonResponse({"files": results}, status=status)
    return _upload_page(request, form, 422 if status == HTTPStatus.CREATED else status, results=results)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required_page
@takes_room
def upload(request: MemberRequest) -> HttpResponse:
    if request.method != "POST":
        return _upload_page(request, PictureForm(initial={"visibility": "public"}))
    files = request.FILES.getlist("file")
    for _ in range(max(1, len(files))):
        hit("upload", request.member.subject, limit=300, per_seconds=600)
    form = PictureForm(request.POST)
    if not form.is_valid() or not files:
        return _nothing_to_take(request, form, has_files=bool(files))
    results, statuses = [], list[int]()
    busy: Busy | None = None
    until = time.monotonic() + REQUEST_SECONDS
    for file in files:
        try:
            # The line is waited for in vain once, not once for each file.
            if busy or time.monotonic() > until:
                raise busy or Busy
            results.append(_take(request, file, form.cleaned_data))
            statuses.append(201)
        except PictureError as error:
            results.append(_refused(one_line(file.name or "")[:200], error))
            statuses.append(error.status)
            busy = busy or (error if isinstance(error, Busy) else None)
    if wants_json(request) or set(statuses) != {201}:
        answer = _answer(request, form, results, statuses)
        if busy:
            answer["Retry-After"] = LINE_SECONDS
        return answer
    if len(results) == 1:
        return see_other(f"/i/{results[0]['id']}")
    return see_other("/upload/done?" + urlencode([("i", result["id"]) for result in results]))


@require_safe
@login_required_page
def uploaded(request: MemberRequest) -> HttpResponse:
    """After several files without script: what was taken out of each, and its links."""
    images = own_images(request.GET.getlist("i")[:50], member_id=request.member.pk)
    if not images:
        raise Http404
    return render(request, "images/uploaded.html", {"results": [(image, page_url(image)) for image in images]})


def _own(request: MemberRequest, public_id: str) -> Image:
    image = visible_image(public_id, member_id=request.member.pk)
    if image is None or image.author_id != request.member.pk:
        raise Http404
    return image


@require_http_methods(["GET", "HEAD", "POST"])
@login_required_page
def edit(request: MemberRequest, public_id: str) -> HttpResponse:
    image = _own(request, public_id)
    if image.removed_reason:
        return plain(request, 403)
    if request.method == "POST":
        form = PictureForm(request.POST)
        if form.is_valid():
            change_words(image, **form.cleaned_data, by=request.actor, now=request.now)
            return see_other(f"/i/{public_id}")
    else:
        words = {name: getattr(image, name) for name in ("title", "description", "alt", "visibility")}
        form = PictureForm(initial=words | {"tags": " ".join(tags_of(image))})
    context = {"form": form, "image": image, "visibilities": VISIBILITIES}
    return render(request, "images/edit.html", context, status=422 if form.errors else 200)


def _formats_for(request: Request, image: Image) -> tuple[str, ...]:
    """AVIF first for a program that asks for it by name; WebP for all, and alone for what moves.

    Signs for anything (`image/*`, `*/*`) are sent by programs that cannot show AVIF.
    """
    if image.frames > 1:
        return ("webp",)
    for asked in request.headers.get("Accept", "").lower().split(",", MAX_ACCEPTED)[:MAX_ACCEPTED]:
        kind, *marks = ("".join(part.split()) for part in asked.split(";"))
        if kind == "image/avif" and not any(_IS_REFUSED.fullmatch(mark) for mark in marks):
            return ("avif", "webp")
    return ("webp",)


def _etag(image: Image, name: str) -> str:
    """Says nothing about the file's secret name."""
    return f'"{hashlib.blake2b(f"{image.media_token}/{name}".encode(), digest_size=12).hexdigest()}"'


def _known(request: Request, etags: list[str]) -> str:
    """The first of these that the browser holds already."""
    asked = parse_etags(request.headers.get("If-None-Match", ""))
    held = {mark.removeprefix("W/") for mark in asked}
    return next((etag for etag in etags if etag in held or "*" in asked), "")


def _original(image: Image) -> HttpResponseBase:
    chunks = original_of(image)
    first = next(chunks, b"")  # a key or file that is gone is known before the answer begins
    response = StreamingHttpResponse(chain([first], chunks), content_type=f"image/{image.format}")
    suffix = "jpg" if image.format == "jpeg" else image.format
    response["Content-Length"] = str(image.bytes)
    response["Content-Disposition"] = f'attachment; filename="imgnom-{image.public_id}.{suffix}"'
    return response


def _display_size(image: Image, size: str, formats: tuple[str, ...]) -> HttpResponseBase:
    content, shown_as = display_size(image, size, formats)
    response = HttpResponse(content, content_type=f"image/{shown_as}")
    response["Content-Disposition"] = f'inline; filename="imgnom-{image.public_id}-{size}.{shown_as}"'
    response["ETag"] = _etag(image, f"{size}/{shown_as}")
    return response


def _bytes_of(request: Request, image: Image, size: str) -> HttpResponseBase:
    """Our own type and our own name, whatever the file was called. Raises Http404, NoDecoder, Busy."""
    is_original, is_shared = size == "original", image.visibility != "private"
    formats = (image.format,) if is_original else _formats_for(request, image)
    etags = [_etag(image, f"{size}/{shown_as}") for shown_as in formats]
    if is_shared and (known := _known(request, etags)):
        response: HttpResponseBase = HttpResponse(status=304, headers={"ETag": known})
    else:
        try:
            response = _original(image) if is_original else _display_size(image, size, formats)
        except (FileNotFoundError, SealBroken, NotAPicture):
            raise Http404 from None
        if is_original:
            response["ETag"] = etags[0]
    if not is_original:
        patch_vary_headers(response, ["Accept"])
    if not is_shared:
        del response["ETag"]
    return response


@require_safe
def file(request: Request, public_id: str, size: str) -> HttpResponseBase:
    image = visible_image(public_id, member_id=request.member.pk if request.member else None)
    if image is None or image.removed_reason:
        raise Http404
    is_shared = image.visibility != "private"
    try:
        response = _bytes_of(request, image, size)
    except NoDecoder:
        return plain(request, 503)
    except Busy:
        busy = plain(request, 503)
        busy["Retry-After"] = BUSY_SECONDS
        return busy
    response["Content-Security-Policy"] = SANDBOX
    # The lines to copy are for other people's pages; a private picture is for none.
    response["Cross-Origin-Resource-Policy"] = "cross-origin" if is_shared else "same-origin"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "public, max-age=60" if is_shared else "private, no-store"
    if image.visibility != "public":
        response["X-Robots-Tag"] = "noindex"
    return response
