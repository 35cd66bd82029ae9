"""The language switch: a form, so that it works without script and leaves no trace in an address."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from imgnom.web.guards import safe_next
from imgnom.web.responses import see_other


@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    response = see_other(safe_next(request.POST.get("next")))
    if request.POST.get("lang") in ("ko", "en"):
        response.set_cookie(
            "imgnom_lang",
            request.POST["lang"],
            max_age=365 * 86400,
            httponly=True,
            samesite="Lax",
            secure=settings.IMGNOM.is_https,
        )
    return response
