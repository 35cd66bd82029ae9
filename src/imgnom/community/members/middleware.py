"""LiveSession: a session lives by the site's clock and dies everywhere at once when the member says so (N2, A3)."""

from collections.abc import Callable
from datetime import timedelta

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse

from imgnom.community.members.known_browsers import write_known_browser
from imgnom.community.members.models import Member, MemberSession
from imgnom.community.members.sessions import STAFF_LONGEST, end_session_of, forget_session, session_end
from imgnom.custody.prepared import Prepared, as_row, columns_of
from imgnom.policy.public import Actor
from imgnom.web.requests import Request
from imgnom.web.session_keys import stored_session_key

VISITOR = Actor("visitor", None)
TOUCH_EVERY = timedelta(hours=1)
# Whoever can open the desk is signed out when nobody moves; looked at often enough for the minute to be right.
STAFF_IDLE = timedelta(minutes=15)
STAFF_TOUCH = timedelta(seconds=30)
_SESSION = columns_of(MemberSession)
_OF_SID = Prepared(
    lambda sid: MemberSession.objects.filter(sid=sid).values_list(*_SESSION, *columns_of(Member, "member__")), str
)


def _session_of(request: Request) -> MemberSession | None:
    """Our row of this session; none for a session whose key our row does not know."""
    found = _OF_SID.first(request.session.get("sid", ""))
    if found is None:
        return None
    row = as_row(MemberSession, found[: len(_SESSION)])
    if row.session_key != stored_session_key(request.session.session_key or ""):
        return None
    row.member = as_row(Member, found[len(_SESSION) :])
    return row


class LiveSession:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        request.member, request.actor = None, VISITOR
        if request.session.get(SESSION_KEY):
            self._recognise(request)
        response = self.get_response(request)
        write_known_browser(request, response)
        return response

    def _recognise(self, request: Request) -> None:
        now = request.now
        row = _session_of(request)
        staff = row is not None and row.member.role != "member"
        if (
            row is None
            or row.ends_at <= now
            or row.epoch != row.member.session_epoch
            or row.member.state == "withdrawn"
            or (staff and (now - row.last_seen >= STAFF_IDLE or now - row.starts_at >= STAFF_LONGEST))
        ):
            if staff and row is not None:
                end_session_of(row.sid)
            forget_session(request)
            return
        if now - row.last_seen >= (STAFF_TOUCH if staff else TOUCH_EVERY):
            MemberSession.objects.filter(pk=row.pk).update(
                last_seen=now, ends_at=session_end(row.member, starts_at=row.starts_at, now=now)
            )
            request.session.modified = True  # the browser's half lives on with it
        request.member = row.member
        request.actor = Actor(row.member.role, row.member.subject)
