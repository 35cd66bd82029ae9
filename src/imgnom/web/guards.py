"""Who may see a page: signed in, lately proven, of a role. And where a `next` may lead.

A browser is led to the page where it can help itself; a program is told what is missing: 401 without a session, 403
with `needs` when the session must be proven first.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse

from imgnom.web.errors import forbidden, plain
from imgnom.web.requests import MemberRequest, Request
from imgnom.web.responses import wants_json

type View = Callable[..., HttpResponse]
MAX_NEXT = 2000
STEP_UP_FOR = timedelta(minutes=10)
# The session's note that a password was right and the second factor is owed; written by the members' room.
HALF_LOGIN = "half_login"


def safe_next(value: str | None, default: str = "/") -> str:
    """A path of this site, or the default (threat C3)."""
    value = value or ""
    if len(value) > MAX_NEXT:
        return default
    if not value.startswith("/") or value[1:2] in ("/", "\\") or any(ord(c) < 33 or c == "\\" for c in value):
        return default
    try:
        parts = urlsplit(value)
    except ValueError:
        return default
    return value if not parts.scheme and not parts.netloc else default


def way_back(request: HttpRequest) -> str:
    """Where a form of the frame (language, cookies) leads back to: this page with its question, if it can be opened.

    An answer to a form stands at an address that may only take forms; the page it was sent from is the way back then.
    """
    if request.method in ("GET", "HEAD"):
        return safe_next(request.get_full_path())
    referer = request.headers.get("Referer", "")
    if len(referer) > MAX_NEXT or not referer.isascii():  # urlsplit normalises the host
        return "/"
    came = urlsplit(referer)
    here = urlsplit(settings.IMGNOM.base_url)
    if (came.scheme, came.netloc) != (here.scheme, here.netloc):
        return "/"
    return safe_next(f"{came.path}?{came.query}" if came.query else came.path)


def _to(path: str, request: Request) -> HttpResponse:
    return HttpResponseRedirect(f"{path}?next={quote(way_back(request))}")


def _needs(what: str, path: str, request: Request) -> HttpResponse:
    """`what` for a program, the page at `path` for a person."""
    return JsonResponse({"error": 403, "needs": what}, status=403) if wants_json(request) else _to(path, request)


def login_required_page(view: View) -> View:
    @wraps(view)
    def guarded(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.member is None:
            if HALF_LOGIN in request.session:
                return _needs("second_factor", "/login/second-factor", request)
            return plain(request, 401) if wants_json(request) else _to("/login", request)
        return view(request, *args, **kwargs)

    return guarded


def mark_step_up(request: Request) -> None:
    request.session["step_up_at"] = request.now.isoformat()


def has_step_up(request: Request) -> bool:
    """Whether who sits there proved it in the last ten minutes of the site's clock."""
    text = request.session.get("step_up_at")
    return text is not None and timedelta(0) <= request.now - datetime.fromisoformat(text) < STEP_UP_FOR


def step_up_required(view: View) -> View:
    @wraps(view)
    @login_required_page
    def guarded(request: MemberRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return view(request, *args, **kwargs) if has_step_up(request) else _needs("step_up", "/step-up", request)

    return guarded


def role_required(*roles: str) -> Callable[[View], View]:
    """Role too low: 403. The right role without its second factor: to the second factor (I10)."""

    def decorate(view: View) -> View:
        @wraps(view)
        @login_required_page
        def guarded(request: MemberRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.member.role not in roles:
                return forbidden(request)
            if not request.session.get("second_factor"):
                return _needs("second_factor", "/login/second-factor", request)
            return view(request, *args, **kwargs)

        # Read by the board's check that no page of the desk stands open.
        guarded.roles = roles  # type: ignore[attr-defined]
        return guarded

    return decorate
