"""/demo and /outbox: only in demo mode, where nobody's real data lives."""

import time
from datetime import datetime, timedelta
from email import message_from_bytes
from email import policy as mail_policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from imgnom.community.members.public import canonical_username, member_by_subject, sign_in_as_demo
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.vault.public import find_subject
from imgnom.policy.public import add_period, parse_period, words_for_period
from imgnom.site.clock import now_or_highest, set_clock
from imgnom.site.demo.photographs import sample_photograph
from imgnom.site.demo.prepare import read_cast
from imgnom.web.beat import read_beat
from imgnom.web.errors import plain
from imgnom.web.requests import Request
from imgnom.web.responses import see_other
from imgnom.web.words import current_language

# What is kept for three months is kept through the last day; the long steps lead to the morning after it.
STEPS = {"day": "P1D", "months": "P3M1D", "years": "P5Y1D"}
LAST_YEAR = 2999
# A moved clock brings its work at once; the page waits for it, so that the receipt next door already says so.
CATCH_UP_SECONDS = 15.0
# The worker's own round of due work comes every ten minutes; within that it is not behind.
ROUND = timedelta(minutes=11)
MAX_LETTERS = 100


def _moved(instant: datetime, step: str) -> datetime:
    return instant + (add_period(instant.date(), parse_period(STEPS[step])) - instant.date())


def _has_caught_up(instant: datetime, *, within: timedelta) -> bool:
    beat = read_beat()
    return beat is not None and instant - beat.done_at <= within


def _is_here(login: str) -> bool:
    """Whether this one of the cast has not left; trying to leave is what a demo is for."""
    subject = find_subject("username", canonical_username(login))
    return subject is not None and member_by_subject(subject) is not None


def _people() -> dict[str, dict[str, str]]:
    return {login: facts for login, facts in read_cast().items() if _is_here(login)}


@require_safe
def story(request: Request) -> HttpResponse:
    people = [{"login": login, **facts} for login, facts in _people().items()]
    file: Path | None = settings.IMGNOM.clock_file
    context = {
        "members": [one for one in people if one["role"] == "member"],
        "staff": [one for one in people if one["role"] != "member"],
        "clock": request.now,
        "frozen": file is not None and file.exists(),
        "turns": [(step, _moved(request.now, step)) for step in STEPS] if request.now.year < LAST_YEAR - 5 else [],
        "caught_up": _has_caught_up(request.now, within=ROUND),
        "session": words_for_period(policy_in_force().records["session"].period, current_language()),
    }
    return render(request, "site/demo.html", context)


@require_POST
def sign_in(request: Request) -> HttpResponse:
    login = request.POST.get("login", "")
    facts = _people().get(login)
    if facts is None:
        raise Http404
    sign_in_as_demo(request, login=login)
    return see_other("/desk" if facts["role"] != "member" else "/")


@require_POST
def turn_clock(request: Request) -> HttpResponse:
    """Forward; the answer comes when the worker has done what fell due meanwhile."""
    step, at = request.POST.get("step", ""), now_or_highest()
    if step not in STEPS:
        raise Http404
    if at.year >= LAST_YEAR - 5:
        return plain(request, 409)
    instant = _moved(at, step)
    set_clock(instant)
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while not _has_caught_up(instant, within=timedelta(0)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return see_other("/demo")


@require_safe
def photograph(request: HttpRequest) -> HttpResponse:
    sample = sample_photograph()
    response = HttpResponse(sample.content, content_type="image/jpeg")
    response["Content-Disposition"] = f'attachment; filename="{sample.name}"'
    return response


def _letters() -> list[Path]:
    """Newest first: a letter's name counts the moments."""
    return sorted(Path(settings.IMGNOM.outbox).glob("*.eml"), key=lambda file: file.name, reverse=True)


def _read(file: Path) -> dict[str, object]:
    letter: EmailMessage = message_from_bytes(file.read_bytes(), policy=mail_policy.default)
    body = letter.get_body(("plain",))
    return {
        "name": file.stem,
        "to": letter["To"],
        "subject": letter["Subject"],
        "date": parsedate_to_datetime(str(letter["Date"])),
        "body": body.get_content() if body else "",
    }


@require_safe
def outbox(request: HttpRequest) -> HttpResponse:
    files = _letters()
    context = {"letters": [_read(file) for file in files[:MAX_LETTERS]], "more": max(0, len(files) - MAX_LETTERS)}
    return render(request, "site/outbox.html", context)


@require_safe
def letter(request: HttpRequest, name: str) -> HttpResponse:
    file = next((file for file in _letters() if file.stem == name), None)
    if file is None:
        raise Http404
    return render(request, "site/letter.html", {"letter": _read(file)})
