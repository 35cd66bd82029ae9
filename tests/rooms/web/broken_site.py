"""Pages and middleware that break in every way, for the tests of the error pages. Used as a root of addresses."""

from collections.abc import Callable

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.urls import include, path

from imgnom.web.errors import plain
from imgnom.web.throttle import TooMany

CANARY = "CANARY-seonwoo@mail.example"


class Sheltered(Exception):
    """An exception of ours whose text holds a personal value, as a library's might."""


def raising(error: Callable[[], BaseException]) -> Callable[..., HttpResponse]:
    def view(request: HttpRequest, name: str) -> HttpResponse:
        secret = request.POST.get("secret", CANARY)  # stands in the frame, as in a real view
        raise error() from Sheltered(secret)

    return view


ERRORS: dict[str, Callable[[], BaseException]] = {
    "bad": lambda: BadRequest(CANARY),
    "suspicious": lambda: SuspiciousOperation(CANARY),
    "unreadable": lambda: UnreadablePostError(CANARY),
    "forbidden": lambda: PermissionDenied(CANARY),
    "missing": lambda: Http404(CANARY),
    "large": lambda: RequestDataTooBig(CANARY),
    "often": lambda: TooMany(150),
    "broken": lambda: Sheltered(CANARY),
    "locked": lambda: OperationalError("database is locked"),
    "database": lambda: OperationalError(CANARY),
}


def status(request: HttpRequest, status: int) -> HttpResponse:
    return plain(request, status)


def form(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.POST.get("a", "nothing"))


urlpatterns = [
    *(path(f"break/{kind}/<str:name>", raising(error)) for kind, error in ERRORS.items()),
    path("status/<int:status>", status),
    path("form", form),
    path("", include("imgnom.site.urls")),
]
handler400 = "imgnom.web.errors.bad_request"
handler403 = "imgnom.web.errors.forbidden"
handler404 = "imgnom.web.errors.not_found"
handler500 = "imgnom.web.errors.server_error"


class _Breaks:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response


class RaisesTooMany(_Breaks):
    def __call__(self, request: HttpRequest) -> HttpResponse:
        raise TooMany(150)


class RaisesSheltered(_Breaks):
    def __call__(self, request: HttpRequest) -> HttpResponse:
        raise Sheltered(CANARY)


class RaisesUnreadable(_Breaks):
    def __call__(self, request: HttpRequest) -> HttpResponse:
        raise UnreadablePostError(CANARY)
