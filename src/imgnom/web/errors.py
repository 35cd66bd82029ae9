"""Error pages: plain words, no values, no address; JSON for programs. And the one table from exceptions to answers.

    what was raised                                           the answer
    TooMany                                                   429 with Retry-After
    RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent    413
    UnreadablePostError, MultiPartParserError, BadRequest,
      SuspiciousOperation (foreign host, broken session …),
      UnboundedText (too long, or too many marks in a row)    400
    PermissionDenied                                          403
    Http404                                                   404
    a full disk                                               507 with Retry-After, and its reserve is given up
    a store or disk that is locked, read-only, away,
      a statement past its time limit                         503 with Retry-After
    everything else                                           500, noted by type and route

A page that comes out of a breakdown stands on nothing that may be broken: no policy, no database, no session, no
template of another floor. If even its template fails, plain text is left.
"""

import logging
import sys
from typing import Any

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter

from imgnom.policy.text import UnboundedText
from imgnom.web.error_words import DEFAULT_WAIT_SECONDS, words_for
from imgnom.web.language import language_of
from imgnom.web.responses import wants_json
from imgnom.web.room import NoRoom, give_reserve, is_away, is_full
from imgnom.web.search import StatementTooSlow
from imgnom.web.throttle import TooMany

log = logging.getLogger("imgnom.web")
# Somebody has to make room, which takes longer than a hiccup.
ROOM_WAIT_SECONDS = 300


class SilentReporter(ExceptionReporter):
    """No locals, no POST, no META: an error report never carries a value."""

    def get_traceback_text(self) -> SafeString:
        return SafeString(self.exc_type.__name__ if self.exc_type else "error")

    get_traceback_html = get_traceback_text


def _route(request: HttpRequest) -> str:
    """The pattern that matched, never the address: that may hold a name or a token."""
    match = getattr(request, "resolver_match", None)
    return f"/{match.route}" if match else "no route"


def _answer(request: HttpRequest, status: int, *, kind: str, retry_after: int | None, upright: bool) -> HttpResponse:
    """`upright`: the site itself stands, so the page may show menu and footer of who is signed in."""
    words = words_for(kind, language_of(request), retry_after=retry_after)
    context = {"status": status, "kind": kind, "words": words, "lang": language_of(request)}
    response: HttpResponse
    if wants_json(request):
        response = JsonResponse({"error": status, "message": f"{words.title}. {words.lead}"}, status=status)
    elif upright:
        response = render(request, "web/error.html", context, status=status)
    else:
        response = HttpResponse(_bare(context), status=status)
    if retry_after is not None:
        response["Retry-After"] = str(max(1, retry_after))
    response["Cache-Control"] = "private, no-store"
    response["Content-Language"] = language_of(request)
    patch_vary_headers(response, ["Accept", "Accept-Language", "Cookie"])
    return response


def _bare(context: dict[str, Any]) -> str:
    try:
        with translation.override(context["lang"]):
            return render_to_string("web/broken.html", context)
    except Exception as error:  # noqa: BLE001 - the last page of all must come
        log.error("the error page itself failed: %s", type(error).__name__)  # noqa: TRY400 - no values in logs
        words = context["words"]
        return f"<!doctype html><meta charset=utf-8><title>imgnom</title><h1>{words.title}</h1><p>{words.lead}</p>"


def plain(request: HttpRequest, status: int) -> HttpResponse:
    """An error page inside the site's own frame."""
    return _answer(request, status, kind=str(status), retry_after=None, upright=status < 500)


def bare(request: HttpRequest, status: int) -> HttpResponse:
    """An error page that needs neither session nor database."""
    return _answer(request, status, kind=str(status), retry_after=None, upright=False)


def too_many(request: HttpRequest, retry_after: int, *, upright: bool = True) -> HttpResponse:
    return _answer(request, 429, kind="429", retry_after=max(1, retry_after), upright=upright)


def answer_for(request: HttpRequest, error: BaseException | None, *, upright: bool) -> HttpResponse:
    """The answer to an exception. What nobody foresaw is noted by type and route and nothing else."""
    match error:
        case UnboundedText():
            status = 400
        case TooMany():
            return too_many(request, error.retry_after, upright=upright)
        case RequestDataTooBig() | TooManyFieldsSent() | TooManyFilesSent():
            status = 413
        case UnreadablePostError() | MultiPartParserError() | BadRequest() | SuspiciousOperation():
            status = 400
        case PermissionDenied():
            status = 403
        case Http404():
            status = 404
        case StatementTooSlow():
            return _answer(request, 503, kind="503", retry_after=DEFAULT_WAIT_SECONDS, upright=upright)
        case NoRoom():
            return _answer(request, 507, kind="507", retry_after=ROOM_WAIT_SECONDS, upright=upright)
        case _:
            log.error("unhandled %s at %s", type(error).__name__ if error else "error", _route(request))
            if error is not None and is_full(error):
                give_reserve()
                return _answer(request, 507, kind="507", retry_after=DEFAULT_WAIT_SECONDS, upright=False)
            if error is not None and is_away(error):
                return _answer(request, 503, kind="503", retry_after=DEFAULT_WAIT_SECONDS, upright=False)
            return bare(request, 500)
    if status in (400, 413):
        # The body cannot be read a second time, and nobody behind this line may try to.
        request._mark_post_parse_error()  # type: ignore[attr-defined]
    return _answer(request, status, kind=str(status), retry_after=None, upright=upright and status != 400)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return answer_for(request, exception or BadRequest(), upright=False)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return plain(request, 403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Refused before the view ran, so nothing was changed, and the page may say so."""
    return _answer(request, 403, kind="csrf", retry_after=None, upright=True)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return plain(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls this while the exception is being handled: in middleware no other hook sees it."""
    return answer_for(request, sys.exception(), upright=False)
