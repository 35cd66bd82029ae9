"""/demo and /outbox: only in demo mode, where nobody's real data lives."""

from datetime import datetime
from email import message_from_bytes
from email import policy as mail_policy
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from imgnom.community.members.public import sign_in_as_demo
from imgnom.policy.public import add_period, parse_period
from imgnom.site.clock import now, set_clock
from imgnom.site.demo.photographs import sample_photograph
from imgnom.site.demo.prepare import read_cast
from imgnom.web.requests import Request
from imgnom.web.responses import see_other

STEPS = {"day": "P1D", "months": "P3M", "years": "P5Y"}


@require_safe
def story(request: HttpRequest) -> HttpResponse:
    cast = [{"login": login, **facts} for login, facts in read_cast().items()]
    file: Path | None = settings.IMGNOM.clock_file
    frozen = file is not None and file.exists()
    return render(request, "site/demo.html", {"cast": cast, "clock": now(), "frozen": frozen})


@require_POST
def sign_in(request: Request) -> HttpResponse:
    login = request.POST.get("login", "")
    if login not in read_cast():
        raise Http404
    sign_in_as_demo(request, login=login)
    return see_other("/desk" if read_cast()[login]["role"] != "member" else "/")


def _moved(instant: datetime, step: str) -> datetime:
    return instant + (add_period(instant.date(), parse_period(STEPS[step])) - instant.date())


@require_POST
def turn_clock(request: HttpRequest) -> HttpResponse:
    step = request.POST.get("step", "")
    if step not in STEPS:
        raise Http404
    set_clock(_moved(now(), step))
    return see_other("/demo")


@require_safe
def photograph(request: HttpRequest) -> HttpResponse:
    sample = sample_photograph()
    response = HttpResponse(sample.content, content_type="image/jpeg")
    response["Content-Disposition"] = f'attachment; filename="{sample.name}"'
    return response


def _letters() -> list[Path]:
    folder = Path(settings.IMGNOM.outbox)
    return sorted(folder.glob("*.eml"), key=lambda file: file.stat().st_mtime, reverse=True) if folder.exists() else []


@require_safe
def outbox(request: HttpRequest) -> HttpResponse:
    letters = []
    for file in _letters()[:100]:
        letter = message_from_bytes(file.read_bytes(), policy=mail_policy.default)
        letters.append({"name": file.stem, "to": letter["To"], "subject": letter["Subject"], "date": letter["Date"]})
    return render(request, "site/outbox.html", {"letters": letters})


@require_safe
def letter(request: HttpRequest, name: str) -> HttpResponse:
    file = next((file for file in _letters() if file.stem == name), None)
    if file is None:
        raise Http404
    message = message_from_bytes(file.read_bytes(), policy=mail_policy.default)
    body = message.get_body(("plain",))
    return render(
        request,
        "site/letter.html",
        {
            "subject": message["Subject"],
            "to": message["To"],
            "date": message["Date"],
            "body": body.get_content() if body else "",
        },
    )
