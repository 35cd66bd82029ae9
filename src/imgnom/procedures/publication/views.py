"""The public pages of the policy. They need no account and no cookie."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from imgnom.custody.consent.public import policy_versions
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.ledger.public import latest_checkpoint, verifier_key, verify_ledger
from imgnom.policy.public import public_facts, render_articles, render_terms, words_for_period
from imgnom.web.beat import is_late
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


def _last_rehearsal() -> dict[str, dict[str, str]]:
    file = Path(settings.IMGNOM.home) / "rehearsal.json"
    try:
        return {row["id"]: row for row in json.loads(file.read_text(encoding="utf-8"))["clauses"]}
    except (OSError, ValueError, KeyError):
        return {}


def clause_rows(request: Request) -> list[dict[str, Any]]:
    """Green needs evidence: a rehearsal's, or the running code's own tests named in docs/clauses.md. No hand colours it."""
    policy, lang, proven = policy_in_force(), current_language(), _last_rehearsal()
    ledger = verify_ledger()
    rows = []
    for clause in policy.clauses.values():
        found = proven.get(clause.id)
        state = "planned" if clause.state == "planned" else "green"
        evidence = str(
            say(ko="아직 만들지 않았습니다", en="not built yet")
            if state == "planned"
            else say(ko="시험으로 확인합니다: docs/clauses.md", en="proved by tests: docs/clauses.md")
        )
        if found is not None:
            state, evidence = found["state"], found["evidence"]
        if clause.id == "A0.1" and not ledger.ok:
            state, evidence = "red", ledger.problem
        elif clause.id == "A0.1" and is_late(request.now):
            late = say(ko="기한이 된 일을 하루 넘게 마치지 못했습니다", en="what was due has not been done for a day")
            state, evidence = "red", str(late)
        if clause.id == "B2" and policy.settings["banner"].value == "literal":
            state, evidence = "red", str(say(ko="침묵을 동의로 칩니다", en="silence is taken as consent"))
        rows.append(
            {
                "id": clause.id,
                "state": state,
                "promise": clause.promise.get(lang),
                "evidence": evidence,
                "checked_at": request.now.isoformat(),
            }
        )
    return rows


@require_safe
def board(request: Request) -> HttpResponse:
    rows = clause_rows(request)
    counts = {state: sum(row["state"] == state for row in rows) for state in ("green", "red", "planned")}
    return render(request, "publication/board.html", {"rows": rows, "counts": counts})


@require_safe
def board_json(request: Request) -> HttpResponse:
    return JsonResponse({"clauses": clause_rows(request)}, json_dumps_params={"ensure_ascii": False})


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
