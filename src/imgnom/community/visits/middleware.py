"""RecordVisit: a record for every page, sign-in and change; pictures, static files and health look-ups make none.

Where one network of visitors sends very many, one record counts many of them (`limits`); of members each has its own.

No page is given out that could not be recorded: while the queue is full the answer is 503 before anything is done.
"""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from imgnom.community.members.public import member_by_subject
from imgnom.community.visits.record import MAX_AGENT_CHARS, MAX_ROUTE_CHARS, Visit
from imgnom.community.visits.writer import DirectWriter, writer
from imgnom.web.address import client_address
from imgnom.web.errors import plain
from imgnom.web.requests import Request

log = logging.getLogger("imgnom.visits")
SILENT = ("media/", "static/", "healthz", "readyz", "outbox", "demo")
AT_ONCE = ("login", "logout", "failed_login", "step_up")
WAIT_SECONDS = 2.0


class RecordVisit:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        is_member = request.member is not None
        if not request.path[1:].startswith(SILENT) and not writer().has_room(
            wait_seconds=WAIT_SECONDS, for_member=is_member
        ):
            busy = plain(request, 503)
            busy["Retry-After"] = "5"
            return busy
        response = self.get_response(request)
        route = request.resolver_match.route if request.resolver_match else None
        if route is not None and not route.startswith(SILENT) and not getattr(request, "is_asked_about", False):
            for visit in writer().admitted(visit_of(request, route, response.status_code)):
                keep(visit)
        return response


def visit_of(request: Request, route: str, status: int) -> Visit:
    note: tuple[str, str | None] | None = getattr(request, "access_note", None)
    if note is None:
        looked = request.method in ("GET", "HEAD")
        proved = route == "step-up" and not looked and status == 303
        kind = "visit" if looked else "step_up" if proved else "change"
        subject = request.member.subject if request.member else None
    else:
        kind, subject = note
        if kind == "failed_login" and (subject is None or member_by_subject(subject) is None):
            subject = None
    return Visit(
        at=request.now.replace(microsecond=0),
        kind=kind,
        subject=subject,
        route=route[:MAX_ROUTE_CHARS],
        status=status,
        address=client_address(request),
        agent=request.headers.get("User-Agent", "")[:MAX_AGENT_CHARS],
        has_left=getattr(request, "has_left", False),
    )


def keep(visit: Visit) -> None:
    """Sign-ins stand before the answer leaves; should the store not take one just now, it waits with the others."""
    if visit.kind in AT_ONCE:
        try:
            DirectWriter().put(visit)
        except Exception as error:  # noqa: BLE001 - it is not lost: the queue tries until it stands
            log.error("a sign-in record waits: %s", type(error).__name__)  # noqa: TRY400 - a traceback may carry values
        else:
            return
    try:
        writer().put(visit)
    except Exception as error:  # noqa: BLE001 - only a process without a queue comes here, and it says so
        log.error("an access record was lost: %s", type(error).__name__)  # noqa: TRY400
