"""The published pages: the policy with its proofs, annex and measures; cookies; terms; what programs read."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.test import Client

from imgnom.community.members.public import registration_fields
from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import render_articles, render_terms, words_for_period
from imgnom.procedures.publication.measures import measures_in_force
from tests.conftest import NOON

pytestmark = pytest.mark.django_db(databases="__all__")
QUIET = (
    "/privacy",
    "/privacy.json",
    "/privacy/versions",
    "/terms",
    "/.well-known/gpc.json",
    "/.well-known/security.txt",
)


def text_of(content: bytes) -> str:
    """What a reader reads: without markup, one space between words."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", content.decode())).split())


@pytest.mark.clause("A0.2")
@pytest.mark.parametrize("path", QUIET)
def test_the_policy_is_read_without_account_and_without_any_cookie(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 200
    assert not answer.cookies
    assert b"csrfmiddlewaretoken" not in answer.content, "no form of the frame asks for a cookie"


@pytest.mark.clause("A0.2", "I11")
@pytest.mark.parametrize("path", ["/privacy", "/privacy/versions", "/terms"])
def test_the_address_alone_picks_the_language(path: str) -> None:
    korean, english = Client().get(f"{path}?lang=ko"), Client().get(f"{path}?lang=en")
    assert b'<html lang="ko"' in korean.content
    assert b'<html lang="en"' in english.content
    assert english["Content-Language"] == "en"
    assert b'href="?lang=ko"' in english.content
    assert Client().get(f"{path}?lang=xx").status_code == 200
    assert Client().get(path).content.count(b"<form") == 1, "only the search"


@pytest.mark.clause("A0.1", "A0.2")
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_every_sentence_of_the_policy_stands_with_a_badge_of_the_boards_colour(lang: str) -> None:
    content = Client().get(f"/privacy?lang={lang}").content
    page = content.decode()
    policy = policy_in_force()
    shown = text_of(content)
    squeezed = shown.replace(" ", "")
    for article in render_articles(policy, lang):
        assert article.title.replace(" ", "") in squeezed
        for paragraph in article.paragraphs:
            assert paragraph.text.replace(" ", "") in squeezed
            for segment in paragraph.segments:
                if segment.key:
                    assert f'<span class="fact" title="{segment.key}">' in page
    board = Client().get("/privacy/board.json").json()["clauses"]
    marks = {"green": "holds", "red": "broken", "planned": "planned"}
    for row in board:
        if row["id"][0] not in "ASB":
            continue
        anchors = re.findall(rf'id="{re.escape(row["id"])}"', page)
        assert len(anchors) == 1, f"{row['id']} has one place to lead to"
        colours = set(re.findall(rf'data-state="(\w+)" href="/privacy/board#{re.escape(row["id"])}"', page))
        assert colours == {marks[row["state"]]}


@pytest.mark.clause("A0.2")
def test_the_page_has_a_table_of_contents_whose_links_all_lead_somewhere() -> None:
    page = Client().get("/privacy").content.decode()
    targets = set(re.findall(r'href="#([^"]+)"', page)) - {"main"}
    assert {"annex", "others", "measures", "article-1", "article-9"} <= targets
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert targets <= set(ids)
    assert len(ids) == len(set(ids))


@pytest.mark.clause("A0.2", "A1.0")
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_the_annex_lists_every_item_once_with_purpose_basis_period_and_who_sees_it(lang: str) -> None:
    page = Client().get(f"/privacy?lang={lang}").content.decode()
    policy = policy_in_force()
    for item in policy.items.values():
        rows = re.findall(rf'<tr id="item-{item.id}">(.*?)</tr>', page, re.DOTALL)
        assert len(rows) == 1
        row = text_of(rows[0].encode())
        assert item.label.get(lang) in row
        assert item.category in row
        for purpose in policy.purposes_of(item.id):
            assert purpose.label.get(lang) in row
            assert purpose.article in row
        for record in policy.records_of(item.id):
            assert record.label.get(lang) in row
            assert words_for_period(record.period, lang) in row
    titles = re.findall(r"<h3>(.*?) <small>(\d+)</small>", page)
    assert sum(int(count) for _, count in titles) == len(policy.items)
    assert len(titles) == 4


# ── safety measures: read from what runs ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def measured() -> Any:
    return lambda title: next(m for m in measures_in_force(now=NOON) if m.title == title)


@pytest.mark.clause("A0.2")
def test_measures_say_what_runs_and_not_what_somebody_wrote(settings: Any, measured: Any, tmp_path: Any) -> None:
    assert not measured("연결").is_kept
    assert "http)" in measured("연결").words
    assert not measured("열쇠").is_kept
    settings.IMGNOM = replace(settings.IMGNOM, base_url="https://gallery.example", keyring=tmp_path)
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    assert measured("연결").is_kept
    assert "https" in measured("연결").words
    assert measured("열쇠").is_kept
    settings.SESSION_COOKIE_SECURE = False
    assert not measured("연결").is_kept
    assert measured("비밀번호").is_kept
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    assert not measured("비밀번호").is_kept
    assert "md5" in measured("비밀번호").words
    assert "증인: 없음" in measured("처리 기록").words
    assert not measured("처리 기록").is_kept
    assert (measured("백업").words, measured("백업").is_kept) == ("아직 백업한 적이 없습니다.", False)
    settings.IMGNOM = replace(settings.IMGNOM, home=tmp_path)
    for days, is_kept in ((0, True), (3, False)):
        made = NOON - timedelta(days=days)
        (tmp_path / "last-backup.json").write_text(json.dumps({"folder": "x", "at": made.isoformat()}))
        assert (f"{made:%Y-%m-%d}" in measured("백업").words, measured("백업").is_kept) == (True, is_kept)
    page = Client().get("/privacy").content.decode()
    assert "md5" in page


# ── /privacy.json = form ∪ columns ∪ cookies ─────────────────────────────────────────────────────────────────────────


def held_by_the_machine() -> set[str]:
    """Every item that the form asks for, that a column is marked with, or that a cookie carries."""
    found = set(registration_fields())
    for model in apps.get_models(include_auto_created=True):
        found |= {item for items in getattr(model, "personal", {}).values() for item in items.split()}
    if policy_in_force().cookies:
        found.add("necessary_cookies")
    return found | SEALED_TOGETHER


# What lies sealed in one column with other items, or in the files of its account.
SEALED_TOGETHER = {"device_information", "second_factor", "staff_account", "receipt"}


def published_as_collected() -> set[str]:
    facts = Client().get("/privacy.json").json()
    return {key for key, item in facts["items"].items() if item["collected"] not in ("planned", "never")}


@pytest.mark.clause("A0.2", "A1.0", "A8.0")
def test_the_items_published_are_exactly_those_of_form_columns_and_cookies() -> None:
    assert published_as_collected() == held_by_the_machine()


@pytest.mark.clause("A0.2", "A1.0")
@pytest.mark.parametrize("change", ["an item that nothing holds", "a column that is not published"])
def test_any_difference_between_them_is_seen(settings: Any, tmp_path: Any, monkeypatch: Any, change: str) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    facts = 'extends = "imgnom"\n'
    if change == "an item that nothing holds":
        facts += '[items.shoe]\nlabel = { ko = "신", en = "shoe" }\ncategory = "pd:Size"\ncollected = "automatic"\nstore = "browser"\n'
        facts += '[[uses]]\nitem = "shoe"\npurpose = "statistics"\nroles = ["system"]\n'
    (folder / "policy.toml").write_text(facts, encoding="utf-8")
    if change == "a column that is not published":
        model = apps.get_model("comments", "Comment")
        monkeypatch.setattr(model, "personal", model.personal | {"body": "shoe"})
    settings.IMGNOM = replace(settings.IMGNOM, policy=folder)
    assert published_as_collected() != held_by_the_machine()


@pytest.mark.clause("A0.2")
def test_the_policy_for_machines_carries_every_table_and_no_secret() -> None:
    facts = Client().get("/privacy.json").json()
    policy = policy_in_force()
    for table in ("items", "purposes", "records", "cookies", "roles", "consents", "settings", "clauses"):
        assert facts[table].keys() == getattr(policy, table).keys()
    assert facts["digest"] == policy.digest
    assert facts["records"]["identity_after_leaving"]["period"] == "P3M"
    assert facts["uses"]
    assert "source" not in facts
    assert str(django_settings.SECRET_KEY) not in str(facts)


# ── cookies ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("B1")
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_the_banner_asks_with_three_ways_of_the_same_weight(lang: str) -> None:
    page = Client().get("/", headers={"Accept-Language": lang}).content.decode()
    banner = re.search(r'<form class="banner".*?</form>', page, re.DOTALL)
    assert banner
    ways = re.findall(r"<(button|a) class=\"([^\"]*)\"", banner[0])
    assert [classes for _, classes in ways] == ["btn"] * 3
    assert "csrfmiddlewaretoken" in banner[0]


@pytest.mark.clause("A8.1", "A8.2", "B1", "B2")
@pytest.mark.parametrize(
    ("form", "kept"),
    [
        ({"choice": "accept"}, "analytics.personalisation"), ({"choice": "refuse"}, "none"), ({"choice": "choose"}, "none"),
        ({"choice": "choose", "analytics": "on"}, "analytics"), ({"choice": "choose", "personalisation": "on", "shoe": "on"}, "personalisation"),
        ({"choice": "refuse", "analytics": "on"}, "none"),
    ],
)  # fmt: skip
def test_the_choice_is_kept_as_it_was_made_without_account_or_script(form: dict[str, str], kept: str) -> None:
    client = Client()
    answer = client.post("/privacy/cookies", form | {"next": "/terms"})
    assert (answer.status_code, answer["Location"]) == (303, "/terms")
    assert set(answer.cookies) == {"imgnom_cookies"}
    cookie = answer.cookies["imgnom_cookies"]
    assert cookie.value == kept
    assert cookie["max-age"] == 365 * 86_400
    assert cookie["httponly"]
    page = client.get("/privacy/cookies").content.decode()
    checked = re.findall(r'name="(\w+)" checked', page)
    assert checked == [name for name in kept.split(".") if name != "none"]
    assert 'class="banner"' not in client.get("/").content.decode()


@pytest.mark.clause("B1", "B2")
@pytest.mark.parametrize("form", [{}, {"choice": ""}, {"choice": "maybe"}, {"analytics": "on"}])
def test_what_is_no_choice_is_wrong_input_and_keeps_nothing(form: dict[str, str]) -> None:
    answer = Client().post("/privacy/cookies", form)
    assert answer.status_code == 422
    assert "imgnom_cookies" not in answer.cookies
    assert b'role="alert"' in answer.content


@pytest.mark.clause("A8.2", "B1")
def test_a_choice_from_another_site_is_refused_and_leads_nowhere_else() -> None:
    assert Client(enforce_csrf_checks=True).post("/privacy/cookies", {"choice": "accept"}).status_code == 403
    answer = Client().post("/privacy/cookies", {"choice": "refuse", "next": "https://elsewhere.example/"})
    assert answer["Location"] == "/privacy/cookies"


@pytest.mark.clause("A8.1", "A8.2")
def test_a_signal_of_refusal_counts_more_than_a_cookie_that_allows() -> None:
    client = Client()
    client.post("/privacy/cookies", {"choice": "accept"})
    page = client.get("/privacy/cookies", headers={"Sec-GPC": "1"}).content.decode()
    assert not re.findall(r'name="\w+" checked', page)
    assert "GPC" in page
    assert 'class="banner"' not in Client().get("/", headers={"Sec-GPC": "1"}).content.decode()
    assert Client().get("/.well-known/gpc.json").json()["gpc"] is True


@pytest.mark.clause("A8.0", "A8.2", "A8.3")
@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("ko", ("로그인", "Safari", "Firefox", "도구 > 인터넷 옵션")),
        ("en", ("signing in", "Safari", "Firefox", "Tools > Internet Options")),
    ],
)
def test_the_cookie_page_lists_every_cookie_what_refusing_costs_and_todays_ways(
    lang: str, words: tuple[str, ...]
) -> None:
    page = text_of(Client().get("/privacy/cookies", headers={"Accept-Language": lang}).content)
    for cookie in policy_in_force().cookies.values():
        assert cookie.name in page
        assert cookie.label.get(lang) in page
        assert words_for_period(cookie.period, lang) in page
    assert all(word in page for word in words)


@pytest.mark.clause("A8.0")
def test_the_choice_lives_as_long_as_the_file_says(settings: Any, tmp_path: Any) -> None:
    (tmp_path / "policy.toml").write_text(
        'extends = "imgnom"\n[cookies.imgnom_cookies]\nperiod = "P6M"\n', encoding="utf-8"
    )
    settings.IMGNOM = replace(settings.IMGNOM, policy=tmp_path)
    assert Client().post("/privacy/cookies", {"choice": "refuse"}).cookies["imgnom_cookies"]["max-age"] == 180 * 86_400


# ── terms and the small files ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_the_terms_are_those_of_the_policy_folder(lang: str) -> None:
    shown = text_of(Client().get(f"/terms?lang={lang}").content).replace(" ", "")
    for article in render_terms(policy_in_force(), lang):
        assert article.title.replace(" ", "") in shown
        assert all(paragraph.text.replace(" ", "") in shown for paragraph in article.paragraphs)


def test_security_txt_names_the_officer_and_does_not_expire_soon() -> None:
    lines = dict(
        line.split(": ", 1) for line in Client().get("/.well-known/security.txt").content.decode().splitlines()
    )
    assert lines["Contact"] == f"mailto:{policy_in_force().officer['email'].en}"
    assert re.fullmatch(r"\d{4}-\d\d-01T00:00:00Z", lines["Expires"])
    assert lines["Canonical"] == f"{django_settings.IMGNOM.base_url}/.well-known/security.txt"
