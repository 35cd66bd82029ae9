"""The public pages of the policy. They need no account; the policy, its versions and the terms set no cookie either.

So the frame of those pages shows links where other pages have forms (`is_quiet`), and `?lang=` picks the language.
"""

from collections.abc import Callable
from datetime import UTC
from functools import wraps
from typing import Any

import rfc8785
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from imgnom.custody.consent.public import VersionRow, note_in_force, policy_versions, version_of
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.ledger.public import LeafUnknown, consistency_proof, latest_checkpoint, verifier_key
from imgnom.policy.public import Policy, public_facts, render_articles, render_terms
from imgnom.procedures.proofs.public import read_board
from imgnom.procedures.publication.annex import annex_of
from imgnom.procedures.publication.measures import measures_in_force
from imgnom.procedures.publication.proven import with_proofs
from imgnom.web.cookies import cookie_seconds, read_cookie, write_cookie
from imgnom.web.guards import safe_next
from imgnom.web.requests import Request
from imgnom.web.responses import invalid, see_other, wants_json
from imgnom.web.words import current_language

CHOICES = ("accept", "refuse", "choose")
OPTIONAL = ("analytics", "personalisation")

type View = Callable[..., HttpResponse]


def quiet(view: View) -> View:
    """In the language that the address asks for, if it asks for one."""

    @wraps(view)
    def spoken(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        asked = request.GET.get("lang", "")
        if asked not in ("ko", "en"):
            return view(request, *args, **kwargs)
        request.lang = asked
        with translation.override(asked):
            response = view(request, *args, **kwargs)
        response.headers["Content-Language"] = asked
        return response

    return spoken


def _quiet_page(request: HttpRequest, template: str, facts: dict[str, Any]) -> HttpResponse:
    return render(request, template, facts | {"is_quiet": True, "ask_cookies": False})


def _in_force(request: Request) -> Policy:
    """The policy, noted as a version before anybody reads it."""
    policy = policy_in_force()
    note_in_force(policy, now=request.now)
    return policy


@require_safe
@quiet
def privacy(request: Request) -> HttpResponse:
    policy, lang = _in_force(request), current_language()
    board = read_board(now=request.now)
    context = {
        "articles": with_proofs(render_articles(policy, lang), board, lang),
        "annex": annex_of(policy, lang),
        "measures": measures_in_force(now=request.now),
        "counts": {state: board.count(state) for state in ("green", "red", "planned")},
        "broken": [row for row in board.rows if row.state == "red"],
        "recipients": policy.recipients.values(),
        "processors": policy.processors.values(),
        "others": len({row.digest for row in policy_versions()} - {policy.digest}),
    }
    return _quiet_page(request, "publication/privacy.html", context)


@require_safe
def privacy_json(request: Request) -> HttpResponse:
    facts = public_facts(_in_force(request))
    return JsonResponse(facts, json_dumps_params={"ensure_ascii": False})


@require_safe
@quiet
def versions(request: Request) -> HttpResponse:
    _in_force(request)
    return _quiet_page(request, "publication/versions.html", {"versions": policy_versions()})


def _found(digest: str) -> VersionRow:
    found = version_of(digest)
    if found is None:
        raise Http404
    return found


@require_safe
@quiet
def version(request: Request, digest: str) -> HttpResponse:
    """One version as it was; its address is its digest."""
    found = _found(digest)
    if digest != found.digest:
        asked = request.GET.get("lang", "")
        query = f"?{urlencode({'lang': asked})}" if asked in ("ko", "en") else ""
        return HttpResponseRedirect(f"/privacy/versions/{found.digest}{query}")
    if wants_json(request):
        return version_json(request, digest)
    board = read_board(now=request.now)
    lang = current_language()
    context = {"version": found, "articles": with_proofs(found.articles(lang), board, lang), "policy_of": found.facts}
    return _quiet_page(request, "publication/version.html", context)


@require_safe
def version_json(request: Request, digest: str) -> HttpResponse:
    found = _found(digest)
    facts = found.facts | {"adopted_at": found.adopted_at.isoformat(), "intact": found.is_intact}
    return JsonResponse(facts, json_dumps_params={"ensure_ascii": False})


@require_safe
@quiet
def terms(request: Request) -> HttpResponse:
    return _quiet_page(
        request, "publication/terms.html", {"articles": render_terms(policy_in_force(), current_language())}
    )


def _signals_refusal(request: HttpRequest) -> bool:
    return request.headers.get("Sec-GPC") == "1"


def _chosen(request: Request) -> list[str]:
    """What this visitor's browser may be asked to keep: nothing unless they said so."""
    if _signals_refusal(request):
        return []
    return [name for name in read_cookie(request, "imgnom_cookies").split(".") if name in OPTIONAL]


def _choose(request: Request, choice: str) -> HttpResponse:
    chosen = OPTIONAL if choice == "accept" else [c for c in OPTIONAL if choice == "choose" and c in request.POST]
    response = see_other(safe_next(request.POST.get("next"), "/privacy/cookies"))
    write_cookie(response, "imgnom_cookies", ".".join(chosen) or "none", max_age=cookie_seconds("imgnom_cookies"))
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def cookies(request: Request) -> HttpResponse:
    """The register, the choice (A8.2, B1) and what refusing costs (A8.3). No choice is a refusal (B2)."""
    choice = request.POST.get("choice", "")
    if choice in CHOICES:
        return _choose(request, choice)
    register = policy_in_force().cookies.values()
    context = {
        "chosen": _chosen(request),
        "has_chosen": bool(read_cookie(request, "imgnom_cookies")),
        "optional": OPTIONAL,
        "used": {cookie.category for cookie in register},
        "gpc": _signals_refusal(request),
        "ask_cookies": False,
    }
    if request.method == "POST":
        return invalid(request, "publication/cookies.html", context | {"wrong": True})
    return render(request, "publication/cookies.html", context)


@require_safe
def ledger_key(request: Request) -> HttpResponse:
    return HttpResponse(verifier_key(), content_type="text/plain; charset=utf-8")


@require_safe
def ledger_checkpoint(request: Request) -> HttpResponse:
    return HttpResponse(latest_checkpoint(), content_type="text/plain; charset=utf-8")


@require_safe
def ledger_consistency(request: Request, size: int) -> HttpResponse:
    """For whoever kept a checkpoint of that size: the proof that nothing before it was rewritten or cut since."""
    try:
        return HttpResponse(rfc8785.dumps(consistency_proof(size)), content_type="application/json")
    except LeafUnknown:
        raise Http404 from None


@require_safe
def gpc(request: Request) -> HttpResponse:
    return JsonResponse({"gpc": True, "lastUpdate": policy_in_force().effective.isoformat()})


@require_safe
def security_txt(request: Request) -> HttpResponse:
    """RFC 9116; always good for most of a year."""
    expires = request.now.astimezone(UTC).replace(
        year=request.now.year + 1, day=1, hour=0, minute=0, second=0, microsecond=0
    )
    lines = (
        f"Contact: mailto:{policy_in_force().officer['email'].en}",
        f"Expires: {expires.strftime('%Y-%m-%dT%H:%M:%SZ')}",
        "Preferred-Languages: ko, en",
        f"Canonical: {settings.IMGNOM.base_url}/.well-known/security.txt",
    )
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")
