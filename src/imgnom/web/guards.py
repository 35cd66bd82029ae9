"""Who may see a page: signed in, lately proven, of a role. And where a `next` may lead."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import quote, urlsplit

from django.http import HttpResponse, HttpResponseRedirect, JsonResponse

from imgnom.web.errors import forbidden
from imgnom.web.requests import MemberRequest, Request
from imgnom.web.responses import wants_json

type View = Callable[..., HttpResponse]
STEP_UP_FOR = timedelta(minutes=10)


def safe_next(value: str | None, default: str = "/") -> str:
    """A path of this site, or the default (threat C3)."""
    value = value or ""
    if not value.startswith("/") or value[1:2] in ("/", "\\") or any(ord(c) < 33 or c == "\\" for c in value):
        return default
    parts = urlsplit(value)
    return value if not parts.scheme and not parts.netloc else default


def _to(path: str, request: Request) -> HttpResponse:
    back = request.get_full_path() if request.method == "GET" else request.path
    return HttpResponseRedirect(f"{path}?next={quote(back)}")


def login_required_page(view: View) -> View:
    @wraps(view)
    def guarded(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.member is None:
            return JsonResponse({"error": 401}, status=401) if wants_json(request) else _to("/login", request)
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
        return view(request, *args, **kwargs) if has_step_up(request) else _to("/step-up", request)

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
                return _to("/login/second-factor", request)
            return view(request, *args, **kwargs)

        return guarded

    return decorate
