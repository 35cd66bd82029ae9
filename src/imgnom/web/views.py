"""The language switch: a form, so that it works without script and leaves no trace in an address."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from imgnom.web.cookies import write_cookie
from imgnom.web.guards import safe_next
from imgnom.web.language import COOKIE
from imgnom.web.responses import see_other

A_YEAR_SECONDS = 365 * 86400


@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    response = see_other(safe_next(request.POST.get("next")))
    if request.POST.get("lang") in ("ko", "en"):
        write_cookie(response, COOKIE, request.POST["lang"], max_age=A_YEAR_SECONDS)
    return response
