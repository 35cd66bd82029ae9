"""Error pages: plain words, no values, JSON for programs."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.debug import ExceptionReporter

from imgnom.web.responses import wants_json


class SilentReporter(ExceptionReporter):
    """No locals, no POST, no META: an error report never carries a value."""

    def get_traceback_text(self) -> str:
        return self.exc_type.__name__ if self.exc_type else "error"

    get_traceback_html = get_traceback_text


def plain(request: HttpRequest, status: int) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"error": status}, status=status)
    return render(request, "web/error.html", {"status": status}, status=status)


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return plain(request, 400)


def forbidden(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return plain(request, 403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return plain(request, 403)


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return plain(request, 404)


def too_many(request: HttpRequest, retry_after: int) -> HttpResponse:
    response = plain(request, 429)
    response["Retry-After"] = str(max(1, retry_after))
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"error": 500}, status=500)
    return render(request, "web/error.html", {"status": 500}, status=500)
