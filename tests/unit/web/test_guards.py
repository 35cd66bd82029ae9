"""Where `next` may lead, and what a program is told instead of being led anywhere."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from imgnom.web.guards import login_required_page, role_required, safe_next, step_up_required, way_back
from imgnom.web.language import language_of
from imgnom.web.responses import wants_json

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
JSON = {"accept": "application/json"}


@pytest.mark.clause("A5.0")
@pytest.mark.parametrize(
    "trick",
    [
        "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "javascript:alert(1)",
        "data:text/html,x", "/\t/evil.example", "/\n/evil.example", " /x", "evil", "", None, "/x\r\nSet-Cookie: a=b", "/a\\b",
        "http:evil.example", "//[::1", "/ x",
    ],
)  # fmt: skip
def test_a_next_of_another_place_is_dropped(trick: str | None) -> None:
    assert safe_next(trick, "/home") == "/home"


@pytest.mark.parametrize("good", ["/", "/i/abc", "/search?q=%EC%82%B0&after=3", "/@%ED%95%98%EB%8A%98"])
def test_a_next_of_this_site_is_kept(good: str) -> None:
    assert safe_next(good) == good


def test_the_way_back_keeps_the_question_and_never_leads_to_an_address_for_forms(settings: Settings) -> None:
    settings.IMGNOM = replace(settings.IMGNOM, base_url="https://imgnom.example")
    ask = RequestFactory()
    assert way_back(ask.get("/search?q=%EC%82%B0")) == "/search?q=%EC%82%B0"
    assert (
        way_back(ask.post("/i/x/comments", headers={"referer": "https://imgnom.example/i/x?after=3"})) == "/i/x?after=3"
    )
    assert way_back(ask.post("/i/x/comments", headers={"referer": "https://evil.example/i/x"})) == "/"
    assert way_back(ask.post("/i/x/comments")) == "/"


def ask(*, member: Any = None, session: dict[str, Any] | None = None, path: str = "/me/privacy", **headers: str) -> Any:
    request = RequestFactory().get(path, headers=headers)
    request.member, request.session, request.now = member, session or {}, NOW  # type: ignore[attr-defined]
    return request


def page(request: Any) -> HttpResponse:
    return HttpResponse("inside")


MEMBER = SimpleNamespace(role="member", pk=1)
STAFF = SimpleNamespace(role="moderator", pk=2)
PROVEN = {"step_up_at": NOW.isoformat()}


@pytest.mark.clause("A7.2b")
def test_a_browser_is_led_and_a_program_is_told() -> None:
    led = login_required_page(page)(ask())
    assert (led.status_code, led["Location"]) == (302, "/login?next=/me/privacy")
    told = login_required_page(page)(ask(**JSON))
    assert (told.status_code, json.loads(told.content)["error"]) == (401, 401)
    assert told["Content-Type"] == "application/json"


@pytest.mark.clause("A7.2b")
def test_a_sensitive_page_asks_a_browser_for_proof_and_tells_a_program() -> None:
    led = step_up_required(page)(ask(member=MEMBER, path="/me/records?after=3"))
    assert (led.status_code, led["Location"]) == (302, "/step-up?next=/me/records%3Fafter%3D3")
    told = step_up_required(page)(ask(member=MEMBER, **JSON))
    assert (told.status_code, json.loads(told.content)) == (403, {"error": 403, "needs": "step_up"})
    assert step_up_required(page)(ask(member=MEMBER, session=PROVEN, **JSON)).content == b"inside"
    assert step_up_required(page)(ask(**JSON)).status_code == 401


@pytest.mark.clause("I10")
def test_the_desk_asks_for_role_and_second_factor_in_both_tongues() -> None:
    desk = role_required("moderator")(page)
    led = desk(ask(member=STAFF, path="/desk"))
    assert (led.status_code, led["Location"]) == (302, "/login/second-factor?next=/desk")
    told = desk(ask(member=STAFF, **JSON))
    assert (told.status_code, json.loads(told.content)["needs"]) == (403, "second_factor")
    assert desk(ask(member=MEMBER, **JSON)).status_code == 403
    assert desk(ask(**JSON)).status_code == 401
    assert desk(ask(member=STAFF, session={"second_factor": True})).content == b"inside"


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        ("application/json", True),
        ("application/json, */*;q=0.1", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_who_reads_json_sooner_than_a_page(accept: str, json_wanted: bool) -> None:
    assert wants_json(RequestFactory().get("/", headers={"accept": accept} if accept else {})) is json_wanted
    assert wants_json(RequestFactory().get("/api/v1/images")) is True


@pytest.mark.clause("I11")
@pytest.mark.parametrize(
    ("header", "lang"),
    [
        ("", "ko"), ("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("en-GB,en;q=0.9", "en"), ("en;q=0.4,ko;q=0.6", "ko"), ("fr", "ko"),
        ("fr,en;q=0.5", "en"), ("*", "ko"), ("en;q=0", "ko"), ("\x00garbage;;q=", "ko"), ("x" * 5000, "ko"),
    ],
)  # fmt: skip
def test_korean_first_unless_the_browser_asks_for_english(header: str, lang: str) -> None:
    assert language_of(RequestFactory().get("/", headers={"accept-language": header})) == lang
