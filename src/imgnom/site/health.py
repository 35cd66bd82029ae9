"""/healthz: the process answers. /readyz: requests can be served, that is stores, keyring and policy are there."""

from django.db import connections
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import check_keyring


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"ok": True})


def _readiness() -> dict[str, bool]:
    parts: dict[str, bool] = {}
    for alias in connections:
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT 1")
            parts[alias] = True
        except Exception:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
            parts[alias] = False
    for name, look in (("keyring", check_keyring), ("policy", policy_in_force)):
        try:
            look()
            parts[name] = True
        except Exception:  # noqa: BLE001
            parts[name] = False
    return parts


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Only whether requests can be served: no figures, no names of machines."""
    parts = _readiness()
    ready = all(parts.values())
    response = JsonResponse({"ready": ready, "parts": parts}, status=200 if ready else 503)
    response["Cache-Control"] = "no-store"
    return response
