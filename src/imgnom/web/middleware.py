"""What stands around every page: plain errors, headers, declared cookies, the language.

The headers let no page fetch from or tell another host (A5.0); the cookie guard lets none out
that the policy does not list (A8.0, A8.1).
"""

import logging
from collections.abc import Callable, Mapping

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils import translation
from django.utils.cache import patch_vary_headers

from imgnom.custody.in_force import policy_in_force
from imgnom.policy.text import has_long_mark_run
from imgnom.web import errors
from imgnom.web.cookies import PREFIX, read_cookie
from imgnom.web.language import language_of
from imgnom.web.request_limits import MAX_PARAMETER, bound
from imgnom.web.requests import Request

log = logging.getLogger("imgnom.web")
type Handler = Callable[[HttpRequest], HttpResponse]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Frame-Options": "DENY",
}
PRIVATE = ("/me", "/desk", "/receipt", "/login", "/signup", "/reset", "/step-up", "/staff")
# Worded pages differ by language and by who is signed in; a picture's bytes do not.
WORDED = ("text/", "application/json", "application/atom")


class RequestLimits:
    """Answers what `bound` refused; an address's own parameters have a maximum length, and no tower of marks."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        status = bound(request.META)
        return errors.bare(request, status) if status else self.get_response(request)

    def process_view(self, request: Request, view: object, args: object, kwargs: Mapping[str, object]) -> None:
        for value in kwargs.values():
            if isinstance(value, str) and (len(value) > MAX_PARAMETER or has_long_mark_run(value)):
                raise Http404


class ScrubbedErrors:
    """An exception's type and route may be told; its text, locals and request never (they carry values)."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or response.streaming or response.content or request.method == "HEAD":
            return response
        # Django refuses a method with an empty page; nobody should have to read a status line.
        worded = errors.bare(request, response.status_code)
        for name, value in response.items():
            worded.headers.setdefault(name, value)
        worded["Content-Length"] = str(len(worded.content))
        worded.cookies = response.cookies
        return worded

    def process_exception(self, request: Request, exception: Exception) -> HttpResponse:
        return errors.answer_for(request, exception, upright=True)


class SecurityHeaders:
    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        response = self.get_response(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if settings.IMGNOM.is_https:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
        if not request.path.startswith("/static/"):
            private = getattr(request, "member", None) is not None or request.path.startswith(PRIVATE)
            response.headers.setdefault("Cache-Control", "private, no-store" if private else "private, no-cache")
            if response.get("Content-Type", "").startswith(WORDED):
                patch_vary_headers(response, ["Accept-Language", "Cookie"])
        return response


class OnlyDeclaredCookies:
    """A cookie that the policy does not declare, or that this visitor did not choose, never leaves (A8.0, A8.1)."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        response = self.get_response(request)
        if not response.cookies:
            return response
        declared = policy_in_force().cookies
        refused = request.headers.get("Sec-GPC") == "1"
        chosen = set() if refused else set(read_cookie(request, "imgnom_cookies").split("."))
        for name in list(response.cookies):
            cookie = declared.get(name.removeprefix(PREFIX))
            if cookie is None or (cookie.category not in ("necessary", "preference") and cookie.category not in chosen):
                del response.cookies[name]
                log.warning("a cookie that nobody declared or chose was held back")
        return response


class NoNulCharacters:
    """U+0000 is on no keyboard, and PostgreSQL takes no text with it: no address has it, and a question loses it.

    Forms are left alone: each says itself what it does not take.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: Request, view: object, args: object, kwargs: Mapping[str, object]) -> None:
        request.GET = _without_nul(request.GET)  # type: ignore[assignment]  # django-stubs: immutable, which it is
        if any(isinstance(value, str) and "\0" in value for value in kwargs.values()):
            raise Http404


def _without_nul(typed: QueryDict) -> QueryDict:
    if not any("\0" in text for name, values in typed.lists() for text in (name, *values)):
        return typed
    kept = QueryDict(mutable=True, encoding=typed.encoding)
    for name, values in typed.lists():
        kept.setlist(name.replace("\0", ""), [value.replace("\0", "") for value in values])
    kept._mutable = False
    return kept


class ChosenLanguage:
    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        request.lang = language_of(request)
        with translation.override(request.lang):
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", request.lang)
        return response
