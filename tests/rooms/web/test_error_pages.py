"""Error pages: the right status from wherever it was raised, words that are true, and nothing of anybody in them."""

import logging
import re

import pytest
from django.test import Client, RequestFactory
from pytest_django import Settings

from imgnom.web import context, errors, middleware
from tests.rooms.web.broken_site import CANARY, Sheltered

pytestmark = pytest.mark.django_db(databases="__all__")
SITE = "tests.rooms.web.broken_site"
FIRST = "imgnom.web.middleware.ScrubbedErrors"
# In front of everything, in the middle, and as the last before the view.
PLACES = ["imgnom.site.clock.StampNow", "imgnom.web.middleware.ChosenLanguage", None]


@pytest.fixture(autouse=True)
def _broken(settings: Settings) -> None:
    settings.ROOT_URLCONF = SITE


def visitor(**headers: str) -> Client:
    return Client(raise_request_exception=False, headers=headers)


def with_cookie(*, enforce: bool) -> Client:
    """Without the form cookie the check refuses before it reads the body."""
    client = Client(enforce_csrf_checks=enforce, raise_request_exception=False)
    client.get("/login")
    return client


def put(settings: Settings, name: str, before: str | None) -> None:
    stack = list(settings.MIDDLEWARE)
    stack.insert(stack.index(before) if before else len(stack), f"{SITE}.{name}")
    settings.MIDDLEWARE = stack


@pytest.mark.clause("A5.0")
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("bad", 400), ("suspicious", 400), ("unreadable", 400), ("forbidden", 403), ("missing", 404), ("large", 413),
        ("often", 429), ("broken", 500), ("locked", 503), ("database", 500),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_whatever_a_page_raises_the_answer_tells_nothing_of_anybody(
    kind: str, status: int, lang: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = visitor(**{"accept-language": lang}).post(f"/break/{kind}/seonwoo.l?q={CANARY}", {"secret": CANARY})
    text = answer.content.decode()
    assert answer.status_code == status
    assert bool(re.search("<h1>[^<]*[가-힣]", text)) is (lang == "ko")
    assert f'<html lang="{lang}">' in text
    for told in (text, caplog.text, str(answer.headers)):
        assert "CANARY" not in told
        assert "seonwoo" not in told
        assert "/break/" not in told.replace("/break/broken/<str:name>", "").replace(
            "/break/locked/<str:name>", ""
        ).replace("/break/database/<str:name>", "")


@pytest.mark.clause("A5.0")
def test_the_log_of_a_breakdown_names_type_and_route_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    visitor().get("/break/broken/seonwoo.l")
    ours = [record for record in caplog.records if record.name == "imgnom.web"]
    assert [record.getMessage() for record in ours] == ["unhandled Sheltered at /break/broken/<str:name>"]
    assert ours[0].exc_info is None
    assert not [record for record in caplog.records if record.levelno >= logging.CRITICAL]


@pytest.mark.parametrize("before", PLACES)
def test_too_many_raised_in_middleware_is_429_with_the_time_to_wait(settings: Settings, before: str | None) -> None:
    put(settings, "RaisesTooMany", before)
    answer = visitor().get("/")
    assert answer.status_code == 429
    assert answer["Retry-After"] == "150"
    assert "3분" in answer.content.decode()


@pytest.mark.parametrize("before", PLACES)
def test_a_breakdown_in_middleware_is_a_plain_500(
    settings: Settings, before: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    put(settings, "RaisesSheltered", before)
    answer = visitor(**{"accept-language": "en"}).get("/me/privacy")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()
    assert "CANARY" not in answer.content.decode() + caplog.text
    assert "unhandled Sheltered at no route" in caplog.text


@pytest.mark.parametrize("before", PLACES)
def test_a_broken_connection_in_middleware_is_a_400(settings: Settings, before: str | None) -> None:
    put(settings, "RaisesUnreadable", before)
    assert visitor().get("/").status_code == 400


def test_a_body_too_large_for_the_form_check_is_413() -> None:
    client = with_cookie(enforce=True)
    answer = client.post("/form", b"a=" + b"x" * 1_100_000, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413
    assert "저장하지 않았습니다" in answer.content.decode()


def test_too_many_fields_are_413() -> None:
    client = with_cookie(enforce=True)
    body = "&".join(f"f{n}=1" for n in range(500))
    assert client.post("/form", body, content_type="application/x-www-form-urlencoded").status_code == 413


@pytest.mark.parametrize("enforce", [True, False], ids=["read by the form check", "read by the page"])
def test_a_torn_multipart_body_is_400(enforce: bool) -> None:
    client = with_cookie(enforce=enforce)
    answer = client.post("/form", b"--torn", content_type="multipart/form-data")
    assert answer.status_code == 400


def test_a_foreign_host_is_400() -> None:
    assert visitor().get("/", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.clause("A5.0")
def test_a_form_from_elsewhere_is_refused_and_told_what_to_do() -> None:
    client = Client(enforce_csrf_checks=True, headers={"accept-language": "ko"})
    answer = client.post("/logout")
    text = answer.content.decode()
    assert answer.status_code == 403
    assert "아무것도 바꾸지 않았습니다" in text
    assert "새로 고친 뒤" in text
    assert "CSRF" not in text


def test_a_refused_method_is_a_page_with_words_and_its_allow_header() -> None:
    answer = visitor(**{"accept-language": "en"}).put("/search")
    assert answer.status_code == 405
    assert "GET" in answer["Allow"]
    assert "Nothing was done" in answer.content.decode()
    assert int(answer["Content-Length"]) == len(answer.content)
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503])
def test_every_status_has_its_page(status: int) -> None:
    answer = visitor().get(f"/status/{status}")
    assert answer.status_code == status
    assert f"오류 번호 {status}" in " ".join(answer.content.decode().split())
    assert answer["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(("kind", "status"), [("missing", 404), ("often", 429), ("broken", 500), ("large", 413)])
def test_a_program_gets_json(kind: str, status: int) -> None:
    answer = visitor(accept="application/json").get(f"/break/{kind}/x")
    assert answer.status_code == status
    body = answer.json()
    assert body["error"] == status
    assert body["message"]
    assert "CANARY" not in str(body)
    assert "Accept" in answer["Vary"]


def test_a_missing_page_keeps_change_and_withdrawal_within_one_click() -> None:
    text = visitor().get("/nowhere").content.decode()
    assert 'href="/privacy"' in text
    broken = visitor().get("/break/broken/x").content.decode()
    assert 'href="/me/privacy/edit"' in broken
    assert 'href="/me/withdraw"' in broken


class TestNothingLeftStanding:
    """The 500 page when policy, database and even its template are gone."""

    @pytest.fixture(autouse=True)
    def _no_policy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone() -> object:
            raise Sheltered(CANARY)

        monkeypatch.setattr(context, "policy_in_force", gone)
        monkeypatch.setattr(middleware, "policy_in_force", gone)

    def test_it_comes_without_policy(self) -> None:
        answer = visitor().get("/")
        assert answer.status_code == 500
        assert "우리 쪽에서 고장이 났습니다" in answer.content.decode()

    def test_it_asks_no_database(self, django_assert_num_queries: object) -> None:
        request = RequestFactory().get("/me/privacy")
        with django_assert_num_queries(0):  # type: ignore[operator]
            answer = errors.server_error(request)
        assert answer.status_code == 500
        assert "<h1>" in answer.content.decode()

    def test_words_are_left_when_the_template_is_gone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone(*_: object) -> str:
            raise Sheltered(CANARY)

        monkeypatch.setattr(errors, "render_to_string", gone)
        answer = errors.server_error(RequestFactory().get("/", headers={"accept-language": "en"}))
        assert answer.status_code == 500
        assert "Something broke on our side" in answer.content.decode()
        assert "CANARY" not in answer.content.decode()
