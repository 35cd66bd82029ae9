"""Answers of the contract: 303 after success, 422 for wrong input."""

from collections.abc import Iterator
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render


class SeeOther(HttpResponseRedirect):
    status_code = 303


def see_other(url: str) -> HttpResponse:
    return SeeOther(url)


def invalid(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return render(request, template, context, status=422)


def streamed(pieces: Iterator[bytes], *, content_type: str) -> HttpResponse:
    """An answer that goes out while it is made; for the views' types it is one like any other."""
    return cast(HttpResponse, StreamingHttpResponse(pieces, content_type=content_type))


def wants_json(request: HttpRequest) -> bool:
    """Whether the caller is a program that reads JSON sooner than a page."""
    if request.path.startswith("/api/"):
        return True
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"
