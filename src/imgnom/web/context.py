"""What every page knows: who reads, in which language, where, and whether to ask about cookies."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from imgnom.custody.in_force import policy_in_force
from imgnom.web.cookies import read_cookie
from imgnom.web.csrf import form_token
from imgnom.web.guards import way_back
from imgnom.web.words import current_language


def page(request: HttpRequest) -> dict[str, Any]:
    return {
        "lang": current_language(),
        "csrf_token": SimpleLazyObject(lambda: form_token(request)),
        "member": getattr(request, "member", None),
        "policy": policy_in_force(),
        "is_demo": settings.IMGNOM.mode == "demo",
        "way_back": way_back(request),
        "ask_cookies": not read_cookie(request, "imgnom_cookies") and request.headers.get("Sec-GPC") != "1",
    }
