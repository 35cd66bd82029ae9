"""The public pages of the policy. They need no account and no cookie.

Everything shown comes from the policy file: the effective date (S1), the officer (A9.1, A9.2, A9.3), what cookies are
for, how to refuse them and what that costs (A8.2, A8.3, B2).
"""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from imgnom.custody.consent.public import policy_versions
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.ledger.public import latest_checkpoint, verifier_key
from imgnom.policy.public import public_facts, render_articles, render_terms, words_for_period
from imgnom.web.cookies import read_cookie, write_cookie
from imgnom.web.guards import safe_next
from imgnom.web.requests import Request
from imgnom.web.responses import see_other
from imgnom.web.words import current_language, say

OPTIONAL = ("analytics", "personalisation")


def _annex() -> list[dict[str, Any]]:
    policy, lang = policy_in_force(), current_language()
    rows = []
    for item in policy.items.values():
        periods = [f"{r.label.get(lang)}: {words_for_period(r.period, lang)}" for r in policy.records_of(item.id)]
        rows.append(
            {
                "item": item,
                "purposes": policy.purposes_of(item.id),
                "periods": periods,
                "planned": item.collected == "planned",
            }
        )
    return rows


def measures() -> list[str]:
    """The safety measures, read off the running settings and never from a text (A0.2)."""
    vendors = {connections[alias].settings_dict["NAME"] for alias in connections}
    lines = [
        str(say(ko=f"저장소 {len(vendors)}곳을 나누어 둡니다.", en=f"{len(vendors)} stores are kept apart.")),
        str(
            say(
                ko="개인 값은 사람마다 다른 열쇠로 AES-256-GCM으로 잠급니다.",
                en="Personal values are sealed with AES-256-GCM under a key of each person.",
            )
        ),
        str(say(ko="비밀번호는 Argon2id로 한 방향으로 바꿉니다.", en="Passwords are kept one-way with Argon2id.")),
    ]
    lines.append(
        str(
            say(ko="연결을 암호화합니다 (https).", en="Connections are encrypted (https).")
            if settings.IMGNOM.is_https
            else say(
                ko="연결을 암호화하지 않는 주소입니다 (http).", en="This address does not encrypt connections (http)."
            )
        )
    )
    inside = Path(settings.IMGNOM.keyring).is_relative_to(settings.IMGNOM.home)
    lines.append(
        str(
            say(
                ko="열쇠가 데이터와 같은 폴더에 있습니다: 시연이라서 그렇습니다.",
                en="Keys lie in the same folder as the data: this is a demo.",
            )
            if inside
            else say(ko="열쇠는 데이터와 다른 폴더에 있습니다.", en="Keys lie in another folder than the data.")
        )
    )
    return lines


@require_safe
def privacy(request: Request) -> HttpResponse:
    policy = policy_in_force()
    context = {"articles": render_articles(policy, current_language()), "annex": _annex(), "measures": measures()}
    return render(request, "publication/privacy.html", context)


@require_safe
def privacy_json(request: Request) -> HttpResponse:
    return JsonResponse(public_facts(policy_in_force()), json_dumps_params={"ensure_ascii": False})


@require_safe
def versions(request: Request) -> HttpResponse:
    return render(request, "publication/versions.html", {"versions": policy_versions()})


@require_safe
def version(request: Request, digest: str) -> HttpResponse:
    found = next((row for row in policy_versions() if row.digest == digest), None)
    if found is None:
        raise Http404
    return JsonResponse(found.facts, json_dumps_params={"ensure_ascii": False})


@require_safe
def terms(request: Request) -> HttpResponse:
    return render(request, "publication/terms.html", {"articles": render_terms(policy_in_force(), current_language())})


@require_http_methods(["GET", "HEAD", "POST"])
def cookies(request: Request) -> HttpResponse:
    if request.method == "POST":
        response = see_other(safe_next(request.POST.get("next"), "/privacy/cookies"))
        choice = request.POST.get("choice", "refuse")
        chosen = (
            OPTIONAL if choice == "accept" else [c for c in OPTIONAL if c in request.POST] if choice == "choose" else []
        )
        write_cookie(response, "imgnom_cookies", ".".join(chosen) or "none", max_age=365 * 86400)
        return response
    refused = request.headers.get("Sec-GPC") == "1"
    chosen_now = [] if refused else read_cookie(request, "imgnom_cookies").split(".")
    return render(
        request,
        "publication/cookies.html",
        {"chosen": chosen_now, "optional": OPTIONAL, "gpc": refused, "ask_cookies": False},
    )


@require_safe
def ledger_key(request: Request) -> HttpResponse:
    return HttpResponse(verifier_key(), content_type="text/plain; charset=utf-8")


@require_safe
def ledger_checkpoint(request: Request) -> HttpResponse:
    return HttpResponse(latest_checkpoint(), content_type="text/plain; charset=utf-8")


@require_safe
def gpc(request: Request) -> HttpResponse:
    return JsonResponse({"gpc": True, "lastUpdate": policy_in_force().effective.isoformat()})


@require_safe
def security_txt(request: Request) -> HttpResponse:
    expires = request.now.replace(year=request.now.year + 1, day=1).isoformat()
    return HttpResponse(
        f"Contact: mailto:{policy_in_force().officer['email'].en}\nExpires: {expires}\nPreferred-Languages: ko, en\n",
        content_type="text/plain; charset=utf-8",
    )
