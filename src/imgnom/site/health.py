"""/healthz: the process answers. /readyz: requests can be served, that is stores, keyring and policy are there."""

from concurrent.futures import ThreadPoolExecutor

from django.db import connections
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import check_keyring


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"ok": True})


def _answers(alias: str) -> bool:
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
        return False
    return True


def _answers_elsewhere(alias: str) -> bool:
    """In a thread of its own, with a connection that goes back to the pool."""
    try:
        return _answers(alias)
    finally:
        connections[alias].close()


def _readiness() -> dict[str, bool]:
    aliases = list(connections)
    if any(connections[alias].vendor == "postgresql" for alias in aliases):
        with ThreadPoolExecutor(len(aliases)) as asked:  # servers that are away are waited for together
            parts = dict(zip(aliases, asked.map(_answers_elsewhere, aliases), strict=True))
    else:
        parts = {alias: _answers(alias) for alias in aliases}
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
