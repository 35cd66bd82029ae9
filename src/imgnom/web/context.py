"""What every page knows: who reads, in which language, and whether to ask about cookies."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from imgnom.custody.in_force import policy_in_force
from imgnom.web.words import current_language


def page(request: HttpRequest) -> dict[str, Any]:
    return {
        "lang": current_language(),
        "member": getattr(request, "member", None),
        "policy": policy_in_force(),
        "is_demo": settings.IMGNOM.mode == "demo",
        "ask_cookies": "imgnom_cookies" not in request.COOKIES and request.headers.get("Sec-GPC") != "1",
    }
