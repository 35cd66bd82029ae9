"""Answers of the contract: 303 after success, 422 for wrong input; and which kind of answer the caller reads."""

import re
from collections.abc import Iterator
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render

MAX_ACCEPT_CHARS, MAX_RANGES = 1024, 50
_QUALITY = re.compile(r"q\s*=\s*(1(?:\.0{0,3})?|0(?:\.[0-9]{0,3})?)")


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
    accepted = _accepted(request.headers.get("Accept", "*/*"))
    return _rank(accepted, "application", "json") > _rank(accepted, "text", "html")


def _accepted(header: str) -> list[tuple[str, str, float]]:
    """(type, subtype, quality) of each range, in the header's order. What is no range is passed over; never raises."""
    found = []
    for part in header[:MAX_ACCEPT_CHARS].split(",", MAX_RANGES)[:MAX_RANGES]:
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        main, slash, sub = kind.partition("/")
        qualities = [_QUALITY.fullmatch(parameter) for parameter in parameters]
        if not (main and slash and sub) or any(
            not parameter.startswith("q") for parameter in parameters
        ):  # a range with parameters of its own asks for another thing than our pages
            continue
        found.append((main, sub, next((float(match[1]) for match in qualities if match), 1.0)))
    return found


def _rank(accepted: list[tuple[str, str, float]], main: str, sub: str) -> tuple[float, int, int]:
    """Quality, specificity and place of the range that fits best; all zero where none does."""
    exact = ((main, sub), (main, "*"), ("*", "*"))
    for specificity, wanted in zip((3, 2, 1), exact, strict=True):
        for place, (asked_main, asked_sub, quality) in enumerate(accepted):
            if (asked_main, asked_sub) == wanted:
                return (quality, specificity, -place) if quality else (0.0, 0, 0)
    return (0.0, 0, 0)
