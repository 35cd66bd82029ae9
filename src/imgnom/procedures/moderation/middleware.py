"""RecordHandling: sign-in, sign-out, failed sign-in and second factor of staff leave a handler record (C3, I10).

A sign-in that cannot be recorded did not happen: its session ends before the answer leaves.
"""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from imgnom.community.members.public import end_session, role_of
from imgnom.policy.public import Actor
from imgnom.procedures.moderation.handling import record_handling
from imgnom.web.address import client_address, shortened
from imgnom.web.errors import plain
from imgnom.web.requests import Request

log = logging.getLogger("imgnom.moderation")
ACTS = {"login": ("sign in", "done"), "logout": ("sign out", "done"), "failed_login": ("sign in", "failed")}


class RecordHandling:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        response = self.get_response(request)
        found = _signing(request, response.status_code)
        if found is None:
            return response
        actor, act, result = found
        try:
            record_handling(
                by=actor, place=shortened(client_address(request)), act=act, what="account", result=result, now=request.now
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - whatever kept it from being written, the rule is the same
            log.error("a handler record could not be written: %s", type(error).__name__)  # noqa: TRY400 - no values in logs
            end_session(request)
            request.member = None
            return plain(request, 503)
        return response


def _signing(request: Request, status: int) -> tuple[Actor, str, str] | None:
    """Who of the staff just came, went or was refused; nothing for members and visitors."""
    note: tuple[str, str | None] | None = getattr(request, "access_note", None)
    half: str | None = getattr(request, "half_subject", None)
    subject: str | None
    if half is not None and request.method == "POST":
        subject = half
        result = "done" if status == 303 else "failed"
        act = "second factor" if _is_second_factor(request) else "sign in"
    elif note is not None and note[0] in ACTS:
        kind, subject = note
        act, result = ACTS[kind]
    else:
        return None
    role = role_of(subject) if subject else None
    return (Actor(role, subject), act, result) if role and role != "member" else None


def _is_second_factor(request: Request) -> bool:
    route = request.resolver_match.route if request.resolver_match else ""
    return route == "login/second-factor"
