"""What stands around every page: plain errors, headers, declared cookies, the language."""

import logging
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from imgnom.custody.in_force import policy_in_force
from imgnom.web import errors
from imgnom.web.requests import Request
from imgnom.web.throttle import TooMany

log = logging.getLogger("imgnom.web")
type Handler = Callable[[HttpRequest], HttpResponse]

CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'"
)


class ScrubbedErrors:
    """An exception's type and route may be told; its text, locals and request never (they carry values)."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: Request, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, TooMany):
            return errors.too_many(request, exception.retry_after)
        from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
        from django.http import Http404

        if isinstance(exception, RequestDataTooBig):
            return errors.plain(request, 413)
        if isinstance(exception, Http404 | PermissionDenied | SuspiciousOperation):
            return None
        route = request.resolver_match.route if request.resolver_match else "?"
        log.error("unhandled %s at /%s", type(exception).__name__, route)
        return errors.server_error(request)


class SecurityHeaders:
    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", CSP)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), microphone=(), geolocation=(), interest-cohort=()"
        )
        response.headers.setdefault("X-Frame-Options", "DENY")
        if settings.IMGNOM.is_https:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
        if not request.path.startswith("/static/"):
            private = getattr(request, "member", None) is not None or request.path.startswith(
                ("/me", "/desk", "/receipt", "/login", "/signup")
            )
            response.headers.setdefault("Cache-Control", "private, no-store" if private else "private, no-cache")
        return response


class OnlyDeclaredCookies:
    """A cookie that the policy does not declare, or that this visitor did not choose, never leaves (A8.0, A8.1)."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        response = self.get_response(request)
        declared = policy_in_force().cookies
        refused = request.headers.get("Sec-GPC") == "1"
        chosen = set() if refused else set(request.COOKIES.get("imgnom_cookies", "").split("."))
        for name in list(response.cookies):
            cookie = declared.get(name.removeprefix("__Host-"))
            if cookie is None or (cookie.category not in ("necessary", "preference") and cookie.category not in chosen):
                del response.cookies[name]
                log.warning("a cookie that nobody declared or chose was held back")
        return response


class ChosenLanguage:
    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        chosen = request.COOKIES.get("imgnom_lang")
        if chosen not in ("ko", "en"):
            asked = translation.get_language_from_request(request)
            chosen = "en" if asked.startswith("en") and request.headers.get("Accept-Language") else "ko"
        request.lang = chosen
        with translation.override(chosen):
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", chosen)
        return response
