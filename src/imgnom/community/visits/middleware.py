"""RecordVisit: one record for every page, sign-in and change; pictures, static files and health look-ups make none."""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from imgnom.community.members.public import member_by_subject
from imgnom.community.visits.public import record_access
from imgnom.web.requests import Request

log = logging.getLogger("imgnom.visits")
SILENT = ("media/", "static/", "healthz", "readyz", "outbox", "demo")


class RecordVisit:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        response = self.get_response(request)
        route = request.resolver_match.route if request.resolver_match else None
        if route is None or route.startswith(SILENT):
            return response
        kind, subject = getattr(request, "access_note", (None, None))
        member = getattr(request, "member", None)
        if kind is None:
            kind, subject = (
                ("visit" if request.method in ("GET", "HEAD") else "change"),
                member.subject if member else None,
            )
        elif kind == "failed_login" and member_by_subject(subject) is None:
            subject = None
        try:
            record_access(
                request, kind=kind, subject=subject, route=route, status=response.status_code, now=request.now
            )  # type: ignore[attr-defined]
        except Exception as error:  # noqa: BLE001 - reading goes on when the log cannot be written; it is told to the operator
            log.error("an access record was lost: %s", type(error).__name__)  # noqa: TRY400
        return response
