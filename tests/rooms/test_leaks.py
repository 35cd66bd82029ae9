"""A page that breaks anywhere tells nothing, and what a browser sends along is kept nowhere.

Nothing of ours is replaced: the store or the template engine fails under a real page, at its first, middle and last
step, with a canary in the form, the address, the cookies, the headers and the failure's own words and locals.
"""

import base64
import io
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core import signals
from django.db import DataError, OperationalError, connections
from django.http import HttpRequest
from django.template.base import Template
from django.test import Client
from django.views.debug import ExceptionReporter, get_exception_reporter_class
from pytest_django import Settings

from imgnom.community.comments.public import write_comment
from imgnom.community.members.public import create_staff, deliver_mail
from imgnom.policy.public import SYSTEM
from imgnom.procedures.retention.models import Withdrawal
from imgnom.site.clock import set_clock
from imgnom.web.logs import OneLine
from imgnom.web.middleware import HEADERS
from tests.rooms.test_access_matrix import (
    MATRIX,
    World,
    adopt_policy,
    enter,
    hang,
    join,
    policy_in_force,
    visitor,
    with_factor,
)

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
CANARY = "canary-hidden-90ad"
SENT = {
    "User-Agent": f"{CANARY}-agent", "Referer": f"http://testserver/{CANARY}-referer", "X-Note": f"{CANARY}-header", "Authorization": f"Bearer {CANARY}",
    "X-Forwarded-For": f"{CANARY}-for", "X-Forwarded-Host": f"{CANARY}.example", "Accept-Language": f"en, {CANARY}", "Origin": "http://testserver",
}  # fmt: skip
WORDS = {
    "reason": CANARY, "login": CANARY, "password": CANARY, "username": CANARY, "password1": CANARY, "nickname": CANARY, "email": f"{CANARY}@mail.example",
    "code": CANARY, "title": CANARY, "description": CANARY, "alt": CANARY, "tags": CANARY, "body": CANARY, "next": f"/{CANARY}", "content": CANARY,
    "visibility": "public", "age_group": "14_or_older", "agree_terms": "on", "agree_privacy": "on", "unknown": CANARY,
}  # fmt: skip
NEVER_BROKEN = ("healthz",)


class StoreAway(Exception):
    """As a driver would fail: its words and its locals hold what was asked for."""


class Breaks:
    """Fails the step with this number, of all stores together; counts while there is none."""

    def __init__(self, at: int | None, kind: type[Exception]) -> None:
        self.at, self.kind, self.seen = at, kind, 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.seen += 1
        if self.at is not None and self.seen >= self.at:
            found = {"row": CANARY, "params": (CANARY, params)}  # stands in the frame, as in a real driver
            raise self.kind(f"{CANARY} in {found}") from StoreAway(CANARY)
        return execute(sql, params, many, context)

    def over(self) -> ExitStack:
        stack = ExitStack()
        for alias in connections:
            stack.enter_context(connections[alias].execute_wrapper(self))
        return stack


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """Everything that any logger says at any level, with tracebacks as a careless handler would print them."""
    target = io.StringIO()
    handler = logging.StreamHandler(target)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield target
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def small(now: datetime) -> World:
    """An owner, an officer and nobody, and one thing behind every address."""
    set_clock(now)
    adopt_policy(policy_in_force(), now=now, by=SYSTEM)
    owner = join("owner.one", "은수", now)
    made = create_staff(login="the-officer", role="officer", now=now)
    gone = join("left.one", "떠난이", now)
    leaving = enter(visitor(), "left.one", "kite over the river")
    token = {"X-CSRFToken": leaving.cookies["imgnom_csrf"].value}
    receipt = leaving.post("/me/withdraw", {"content": "delete", "confirm": "yes"}, headers=token)["Location"]
    assert gone.id
    clients = {
        "anonymous": visitor(),
        "owner": enter(visitor(), "owner.one", "kite over the river"),
        "officer": enter(visitor(), made.login, made.password),
    }
    with_factor(clients["officer"], made.totp_secret)
    shown = hang(owner, now, "public")
    comment = write_comment(image_id=shown, body="hello", by_member=owner.id, now=now)
    certificate = Withdrawal.objects.get().certificates[0]
    values = {
        "public_id": shown, "shown": shown, "comment_id": str(comment.pk), "number": receipt.rpartition("/")[2], "certificate_number": certificate,
        "digest": policy_in_force().digest, "nickname": "은수", "name": "river", "token": made.enrolment_path.rpartition("/")[2], "size": "1",
    }  # fmt: skip
    for client in clients.values():
        client.cookies["note"] = f"{CANARY}-cookie"
    return World(now, clients, {}, values)


def ask(world: World, person: str, method: str, route: str) -> Any:
    address = world.address(route) + f"?q={CANARY}&next=/{CANARY}&show={CANARY}"
    return world.ask(person, method, address, body=WORDS, headers=SENT)


def content_of(answer: Any) -> str:
    raw = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return str(raw.decode("utf-8", "replace"))


def silent(answer: Any, capture: io.StringIO, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Where the canary came out."""
    out = capsys.readouterr()
    places = {
        "page": content_of(answer), "headers": str(list(answer.items())), "cookies": answer.cookies.output(), "log": capture.getvalue(),
        "stderr": out.err, "stdout": out.out,
    }  # fmt: skip
    capture.seek(0)
    capture.truncate()
    return [place for place, text in places.items() if CANARY in text]


def pages() -> list[tuple[str, str, str]]:
    found = []
    for route, rule in MATRIX.items():
        if route in NEVER_BROKEN:
            continue
        person = (
            "officer"
            if route.startswith("desk")
            else "anonymous"
            if route.startswith("staff") or rule.get == {}
            else "owner"
        )
        found += [(route, method, person) for method in ("GET", "POST") if (rule.get if method == "GET" else rule.post)]
    return found


@pytest.mark.clause("A5.0", "A2.0")
def test_wherever_the_store_fails_nobody_is_told_anything(
    small: World, told: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: list[str] = []
    broken = 0
    for route, method, person in pages():
        with (count := Breaks(None, DataError)).over():
            first = ask(small, person, method, route)
        if first.status_code < 400 and method == "POST" and route == "logout":
            small.clients[person] = enter(visitor(), "owner.one", "kite over the river")
            small.clients[person].cookies["note"] = f"{CANARY}-cookie"
        silent(first, told, capsys)  # what a page says when all is well is its own business
        for at in sorted({1, max(1, count.seen // 2), max(1, count.seen)}):
            for kind in (StoreAway, OperationalError):
                with (breaks := Breaks(at, kind)).over():
                    answer = ask(small, person, method, route)
                out = silent(answer, told, capsys)
                if answer.status_code < 500:
                    out = [place for place in out if place in ("log", "stderr", "stdout")]
                broken += answer.status_code >= 500
                wrong += [
                    f"{method} /{route} at step {at} of {count.seen}, {kind.__name__}: {place} of {answer.status_code}"
                    for place in out
                ]
                assert breaks.seen or answer.status_code < 500
    assert wrong == []
    assert broken > 100, "the pages did break"


@pytest.mark.clause("A5.0", "A2.0")
def test_wherever_a_template_fails_nobody_is_told_anything(
    small: World, told: io.StringIO, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(self: Template, context: Any) -> str:
        secret = {"form": CANARY, "context": context}
        raise StoreAway(f"{CANARY} {secret['form']}")

    wrong: list[str] = []
    broken = 0
    with monkeypatch.context() as patch:
        patch.setattr(Template, "render", breaks)
        for route, method, person in pages():
            answer = ask(small, person, method, route)
            broken += answer.status_code >= 500
            wrong += [
                f"{method} /{route}: {place}"
                for place in silent(answer, told, capsys)
                if answer.status_code >= 500 or place in ("log", "stderr")
            ]
    assert wrong == []
    assert broken > 25


@pytest.mark.clause("A2.0")
def test_whoever_reports_a_breakdown_gets_no_value(small: World) -> None:
    """An error reporter hangs on Django's signal and asks Django's reporter class: it learns a type."""
    reports: list[str] = []

    def report(sender: object, request: HttpRequest | None = None, **_: object) -> None:
        import sys

        reporter = get_exception_reporter_class(request)(request, *sys.exc_info())
        reports.append(reporter.get_traceback_text() + reporter.get_traceback_html())
        assert isinstance(reporter, ExceptionReporter)

    signals.got_request_exception.connect(report)
    try:
        with Breaks(2, StoreAway).over():
            assert ask(small, "owner", "POST", "i/<str:public_id>/comments").status_code == 500
    finally:
        signals.got_request_exception.disconnect(report)
    assert CANARY not in "".join(reports)


def stored(home: Path) -> list[str]:
    """Where the canary stands: in the bytes of any file of the home, plain or base64, and in opened sessions."""
    needles = [
        CANARY.encode(),
        CANARY.encode("utf-16-le"),
        *(base64.b64encode(b"x" * lead + CANARY.encode())[4:-4] for lead in (0, 1, 2)),
    ]
    places = [
        path.relative_to(home).as_posix()
        for path in home.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]
    return places + ["session" for session in Session.objects.all() if CANARY in str(session.get_decoded())]


@pytest.mark.clause("A1.2", "A4.2")
def test_what_a_browser_sends_along_is_kept_nowhere_in_plain(small: World, home: Path, now: datetime) -> None:
    for route, rule in MATRIX.items():
        for person in small.clients:
            if rule.get:
                ask(small, person, "GET", route)
            # A form that is refused for its token leaves nothing of its fields.
            small.ask(
                person,
                "POST",
                small.address(route),
                body=WORDS,
                token=False,
                headers={k: v for k, v in SENT.items() if k != "Origin"},
            )
    deliver_mail(now=now)
    assert stored(home) == []
    # And the look would have seen it.
    (home / "tmp").mkdir(exist_ok=True)
    (home / "tmp" / "note").write_text(f"x{CANARY}", encoding="utf-8")
    assert stored(home) == ["tmp/note"]
    (home / "tmp" / "note").unlink()


@pytest.mark.clause("A1.2", "A1.1")
def test_fields_that_nobody_asked_for_are_dropped(small: World, home: Path, now: datetime) -> None:
    extra = {
        "birth": CANARY,
        "is_staff": CANARY,
        "role": "officer",
        "state": CANARY,
        "subject": CANARY,
        "author": CANARY,
        "removed_reason": CANARY,
        "vault_email": CANARY,
    }
    for route, rule in MATRIX.items():
        if rule.post is None or route in ("logout", "i/<str:public_id>/delete", "comments/<int:comment_id>/delete"):
            continue
        person = "officer" if route.startswith("desk") else "owner"
        small.ask(person, "POST", small.address(route), body=rule.body | extra)
    from imgnom.community.members.models import Member

    assert sorted(Member.objects.values_list("role", flat=True)) == ["member", "officer"]
    assert stored(home) == []


# Headers


@pytest.mark.clause("A5.0")
def test_every_answer_carries_the_headers_of_its_kind(small: World) -> None:
    wrong = []
    for route, rule in MATRIX.items():
        for person in small.clients:
            for method in ("GET", "PUT") if route == "logout" else ("GET", "POST", "PUT"):
                answer = small.ask(person, method, small.address(route), body=rule.body)
                facts = {name: answer.get(name, "") for name in HEADERS}
                if route.startswith("media/"):
                    expected = {"Content-Security-Policy": "sandbox"} if answer.status_code == 200 else {}
                    if answer.status_code == 200 and method != "GET":
                        wrong.append(f"{method} /{route}")
                else:
                    expected = HEADERS
                wrong += [
                    f"{method} /{route} by {person}: {name}={facts[name]!r}"
                    for name, value in expected.items()
                    if value not in facts[name]
                ]
                policy = answer["Content-Security-Policy"]
                if "unsafe" in policy or "http:" in policy or "*" in policy or "default-src 'none'" not in policy:
                    wrong.append(f"{method} /{route}: {policy}")
                kept = answer.get("Cache-Control", "")
                is_private = person != "anonymous" and not route.startswith("media/")
                if (
                    is_private or route.startswith(("me/", "desk", "receipt", "login", "signup", "reset", "staff"))
                ) and "no-store" not in kept:
                    wrong.append(f"{method} /{route} by {person}: {kept}")
                if "public" in kept and not route.startswith("media/"):
                    wrong.append(f"{method} /{route} by {person}: {kept}")
                if answer.get("Content-Type", "").startswith("text/html") and not {"Cookie", "Accept-Language"} <= set(
                    re.split(r",\s*", answer["Vary"])
                ):
                    wrong.append(f"{method} /{route} by {person}: Vary {answer['Vary']}")
    assert wrong == []


@pytest.mark.clause("A5.0")
def test_only_a_site_on_https_tells_browsers_to_stay_there(settings: Settings) -> None:
    assert not Client().get("/terms").has_header("Strict-Transport-Security")
    settings.IMGNOM = replace(settings.IMGNOM, base_url="https://imgnom.example")
    settings.ALLOWED_HOSTS = ["testserver"]
    for path in ("/terms", "/none", "/me/privacy"):
        assert "max-age=31536000" in Client().get(path, secure=True)["Strict-Transport-Security"], path


# Logs


@pytest.mark.clause("A1.2")
@pytest.mark.parametrize(
    "trick", ["\r\nforged", "\x1b[2J", '","level":"x', "\x00", "\u2028forged", "\x85forged", "\u202eforged"]
)
def test_one_event_is_one_line(trick: str) -> None:
    record = logging.LogRecord("imgnom", logging.WARNING, __file__, 1, "seen %s", (trick,), None)
    try:
        raise StoreAway(CANARY)
    except StoreAway:
        import sys

        record.exc_info = sys.exc_info()
    line = OneLine("%(levelname)s %(message)s").format(record)
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    assert CANARY not in line
