"""LiveSession: a session lives by the site's clock and dies everywhere at once when the member says so (N2, A3)."""

from collections.abc import Callable
from datetime import timedelta

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse

from imgnom.community.members.codes import record_end
from imgnom.community.members.models import Member, MemberSession
from imgnom.community.members.sessions import end_one_session
from imgnom.custody.prepared import Prepared, as_row, columns_of
from imgnom.policy.public import Actor
from imgnom.web.requests import Request

VISITOR = Actor("visitor", None)
TOUCH_EVERY = timedelta(hours=1)
# Whoever can open the desk is signed out when nobody moves; looked at often enough for the minute to be right.
STAFF_IDLE = timedelta(minutes=15)
STAFF_TOUCH = timedelta(seconds=30)
_SESSION = columns_of(MemberSession)
_OF_SID = Prepared(
    lambda sid: MemberSession.objects.filter(sid=sid).values_list(*_SESSION, *columns_of(Member, "member__")), str
)


def _session_of(sid: str) -> MemberSession | None:
    found = _OF_SID.first(sid)
    if found is None:
        return None
    row = as_row(MemberSession, found[: len(_SESSION)])
    row.member = as_row(Member, found[len(_SESSION) :])
    return row


class LiveSession:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        request.member, request.actor = None, VISITOR
        if request.session.get(SESSION_KEY):
            self._recognise(request)
        return self.get_response(request)

    def _recognise(self, request: Request) -> None:
        now = request.now
        row = _session_of(request.session.get("sid", ""))
        staff = row is not None and row.member.role != "member"
        if (
            row is None
            or row.ends_at <= now
            or row.epoch != row.member.session_epoch
            or row.member.state == "withdrawn"
            or (staff and now - row.last_seen >= STAFF_IDLE)
        ):
            if staff and row is not None:
                end_one_session(row.member_id, row.pk)
            request.session.flush()
            return
        if now - row.last_seen >= (STAFF_TOUCH if staff else TOUCH_EVERY):
            MemberSession.objects.filter(pk=row.pk).update(last_seen=now, ends_at=record_end("session", now))
            request.session.modified = True  # the browser's half lives on with it
        request.member = row.member
        request.actor = Actor(row.member.role, row.member.subject)
