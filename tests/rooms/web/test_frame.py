"""What stands around every page: headers, cookies, language, menus, fields."""

import html
import re
from dataclasses import replace
from datetime import datetime
from typing import cast

import pytest
from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from pytest_django import Settings

from imgnom.community.members.public import create_confirmed_member
from imgnom.site.clock import set_clock
from imgnom.web import fragments
from imgnom.web.cookies import read_cookie, write_cookie
from imgnom.web.middleware import NoNulCharacters, OnlyDeclaredCookies, SecurityHeaders
from imgnom.web.requests import Request
from imgnom.web.templatetags.web import copy_box, error_summary, field_row, picture

pytestmark = pytest.mark.django_db(databases="__all__")
PASSWORD = "kite over the river"


@pytest.fixture(autouse=True)
def _time_stands_still(now: datetime) -> None:
    set_clock(now)


@pytest.fixture
def https(settings: Settings) -> Settings:
    settings.IMGNOM = replace(settings.IMGNOM, base_url="https://imgnom.example")
    settings.ALLOWED_HOSTS = ["imgnom.example", "testserver"]
    return settings


def member(now: datetime) -> Client:
    create_confirmed_member(
        username="seonwoo.l", password=PASSWORD, nickname="하늘바라기", email="seonwoo@mail.example", now=now
    )
    client = Client()
    assert client.post("/login", {"login": "seonwoo.l", "password": PASSWORD}).status_code == 303
    return client


# Cookies


@pytest.mark.clause("A5.0", "A8.0")
def test_on_https_our_cookies_carry_host_prefix_and_secure(https: Settings) -> None:
    answer = Client().post("/language", {"lang": "en", "next": "/"}, secure=True)
    cookie = answer.cookies["__Host-imgnom_lang"]
    assert (cookie["secure"], cookie["path"], cookie["domain"], cookie["httponly"]) == (True, "/", "", True)
    assert "imgnom_lang" not in answer.cookies
    choice = Client().post("/privacy/cookies", {"choice": "refuse"}, secure=True)
    assert choice.cookies["__Host-imgnom_cookies"].value == "none"


@pytest.mark.clause("A5.0", "A8.0")
def test_on_https_a_cookie_without_the_prefix_is_not_read(https: Settings) -> None:
    planted, own = Client(), Client()
    planted.cookies["imgnom_lang"] = "en"
    planted.cookies["imgnom_cookies"] = "analytics"
    own.cookies["__Host-imgnom_lang"] = "en"
    own.cookies["__Host-imgnom_cookies"] = "none"
    refused, taken = planted.get("/", secure=True).content.decode(), own.get("/", secure=True).content.decode()
    assert '<html lang="ko">' in refused
    assert 'action="/privacy/cookies"' in refused, "a planted choice is no choice"
    assert '<html lang="en">' in taken
    assert 'action="/privacy/cookies"' not in taken


@pytest.mark.clause("A8.0")
def test_on_http_the_plain_name_stands_on_both_sides() -> None:
    client = Client()
    answer = client.post("/language", {"lang": "en", "next": "/terms"})
    assert (answer.status_code, answer["Location"]) == (303, "/terms")
    assert not answer.cookies["imgnom_lang"]["secure"]
    assert '<html lang="en">' in client.get("/terms").content.decode()


@pytest.mark.clause("A8.1")
def test_a_planted_choice_lets_no_optional_cookie_out(https: Settings) -> None:
    def page(request: HttpRequest) -> HttpResponse:
        response = HttpResponse("x")
        write_cookie(response, "imgnom_taste", "mountains", max_age=60)
        return response

    request = RequestFactory().get("/", secure=True)
    request.COOKIES = {"imgnom_cookies": "personalisation"}
    assert read_cookie(request, "imgnom_cookies") == ""
    assert not OnlyDeclaredCookies(page)(request).cookies  # type: ignore[arg-type]


# Language


@pytest.mark.clause("I11")
def test_the_language_switch_keeps_the_question() -> None:
    client = Client()
    text = client.get("/search?q=%EC%82%B0&after=7").content.decode()
    form = re.search(r'action="/language">.*?name="next" value="([^"]*)"', text, re.DOTALL)
    assert form is not None
    back = html.unescape(form[1])
    assert back == "/search?q=%EC%82%B0&after=7"
    answer = client.post("/language", {"lang": "en", "next": back})
    assert answer["Location"] == back


@pytest.mark.clause("I11")
@pytest.mark.parametrize("trick", ["//evil.example", "https://evil.example", "/\\evil.example", "/\n/evil.example"])
def test_the_language_switch_leads_nowhere_else(trick: str) -> None:
    assert Client().post("/language", {"lang": "en", "next": trick})["Location"] == "/"


@pytest.mark.clause("I11")
def test_the_language_switch_takes_forms_only_and_known_languages_only() -> None:
    assert Client().get("/language").status_code == 405
    assert not Client().post("/language", {"lang": "<b>", "next": "/"}).cookies


@pytest.mark.clause("A5.0")
def test_worded_pages_say_what_they_differ_by_and_pictures_do_not() -> None:
    answer = Client().get("/privacy")
    assert {"Accept-Language", "Cookie"} <= {name.strip() for name in answer["Vary"].split(",")}
    assert answer["Content-Language"] == "ko"

    def picture_bytes(request: HttpRequest) -> HttpResponse:
        return HttpResponse(b"RIFF", content_type="image/webp")

    response = SecurityHeaders(picture_bytes)(RequestFactory().get("/media/x/preview"))  # type: ignore[arg-type]
    assert not response.has_header("Vary")


@pytest.mark.clause("A5.0")
@pytest.mark.parametrize("path", ["/", "/login", "/nowhere", "/healthz", "/static/web/site.css"])
def test_every_answer_carries_the_strict_headers(path: str) -> None:
    answer = Client().get(path)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "trusted-types 'none'" in policy
    assert "unsafe" not in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    answer.close()


# The frame


@pytest.mark.clause("A7.1", "A7.2b")
def test_change_and_withdrawal_are_one_click_from_every_page_of_a_member(now: datetime) -> None:
    client = member(now)
    for path in ("/", "/privacy", "/privacy/board", "/terms", "/upload", "/me/privacy", "/search?q=x", "/nowhere"):
        text = client.get(path).content.decode()
        foot = text[text.index("<footer") :]
        assert 'href="/me/privacy/edit"' in foot, path
        assert 'href="/me/withdraw"' in foot, path
    assert 'href="/me/withdraw"' not in Client().get("/").content.decode()


@pytest.mark.clause("A0.1")
@pytest.mark.parametrize("path", ["/", "/login", "/nowhere", "/privacy"])
def test_the_policy_and_its_board_stand_in_every_footer(path: str) -> None:
    text = Client().get(path).content.decode()
    foot = text[text.index("<footer") :]
    assert re.search(r'<a class="first" href="/privacy"', foot)
    assert 'href="/privacy/board"' in foot
    assert 'href="/terms"' in foot


def links(text: str, area: str) -> dict[str, str]:
    part = re.search(rf"<{area}.*?</nav>", text, re.DOTALL)
    assert part is not None
    return dict(re.findall(r'<a href="([^"]+)" aria-current="(\w+)"', part[0]))


@pytest.mark.clause("I11")
def test_menus_say_where_one_is(now: datetime) -> None:
    client = member(now)
    assert links(client.get("/").content.decode(), 'nav class="tabbar"') == {"/": "page"}
    assert links(client.get("/privacy/board").content.decode(), 'nav class="tabbar"') == {"/privacy/board": "page"}
    assert links(client.get("/me/privacy").content.decode(), 'nav class="tabbar"') == {"/me/privacy": "true"}
    assert links(client.get("/privacy/board").content.decode(), "header") == {"/privacy/board": "page"}
    assert links(client.get("/terms").content.decode(), "header") == {}


@pytest.mark.clause("B1")
def test_the_banner_comes_from_the_floor_above_and_goes_with_a_choice() -> None:
    assert fragments.templates_at("after_main") == ("publication/_cookie_banner.html",)
    client = Client()
    assert 'name="choice" value="refuse"' in client.get("/").content.decode()
    client.post("/privacy/cookies", {"choice": "refuse", "next": "/"})
    assert 'name="choice" value="refuse"' not in client.get("/").content.decode()


# Fields


class Sheet(forms.Form):
    nickname = forms.CharField(label="닉네임", max_length=5, error_messages={"required": "적어 주세요."})
    secret = forms.CharField(label="비밀번호", widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}))
    agree = forms.BooleanField(label="동의")
    age = forms.ChoiceField(label="나이", choices=[("a", "만 14세 이상"), ("b", "미만")], widget=forms.RadioSelect)

    def clean_nickname(self) -> str:
        raise forms.ValidationError(["첫째 까닭", "둘째 까닭"])


def row(form: Sheet, name: str) -> str:
    form.fields["nickname"].why = "이름을 달려고"  # type: ignore[attr-defined]
    return render_to_string("web/components/field.html", field_row(form[name]))


@pytest.mark.clause("I11")
def test_every_error_has_an_id_of_its_own_and_its_control_names_it() -> None:
    text = row(Sheet({"nickname": "긴이름"}), "nickname")
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    control = re.search(r"<input[^>]*>", text)
    assert control is not None
    described = re.search(r'aria-describedby="([^"]+)"', control[0])
    assert described is not None
    assert described[1].split() == ["id_nickname_error", "id_nickname_error_2", "id_nickname_why"]
    assert set(described[1].split()) <= set(ids)
    assert 'aria-invalid="true"' in control[0]


@pytest.mark.clause("I11")
def test_a_field_without_error_is_not_called_wrong() -> None:
    text = row(Sheet(), "nickname")
    assert "aria-invalid" not in text
    assert "data-invalid" not in text
    assert 'aria-describedby="id_nickname_why"' in text


def test_a_password_can_be_shown_only_where_script_runs_and_is_never_written_back() -> None:
    text = row(Sheet({"secret": "kite over the river"}), "secret")
    assert "kite over the river" not in text
    assert re.search(r"<button[^>]*\bhidden\b", text)
    assert 'type="button"' in text
    assert "data-counted" in text


@pytest.mark.clause("I11")
def test_radio_buttons_are_one_group_with_a_name() -> None:
    text = row(Sheet({}), "age")
    assert "<fieldset" in text
    assert "<legend" in text
    assert 'aria-describedby="id_age_error"' in text
    assert 'id="id_age_error"' in text


@pytest.mark.clause("I11")
def test_the_summary_leads_to_each_field_and_takes_the_focus() -> None:
    form = Sheet({"nickname": "긴이름"})
    text = render_to_string("web/components/error_list.html", error_summary(form))
    targets = re.findall(r'href="#([^"]+)"', text)
    assert targets == ["id_nickname", "id_nickname", "id_secret", "id_agree", "id_age_0"]
    everything = "".join(row(form, name) for name in form.fields)
    for target in targets:
        assert f'id="{target}"' in everything
    assert 'role="alert"' in text
    assert "autofocus" in text
    assert 'tabindex="-1"' in text


def test_no_summary_without_an_error() -> None:
    assert render_to_string("web/components/error_list.html", error_summary(Sheet())).strip() == ""


def test_a_value_to_copy_can_be_taken_by_hand() -> None:
    text = render_to_string("web/components/copy.html", copy_box("link", 'x"><script>', "이 사진의 주소"))
    assert "readonly" in text
    assert "<script>" not in text
    assert re.search(r"<button[^>]*\bhidden\b", text)
    assert 'aria-label="이 사진의 주소"' in text


def test_a_picture_keeps_its_room_before_it_comes() -> None:
    shown = picture("/media/x/preview", 1200, 800, placeholder="AAAA" * 12, alt='"><script>')
    text = render_to_string("web/components/picture.html", shown)
    assert 'width="1200" height="800"' in text
    assert text.count("<rect") == 7
    assert "<script>" not in text
    assert "style=" not in text


def test_a_question_loses_its_nul_and_no_address_has_one() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    layer = NoNulCharacters(view)
    asked = cast(Request, RequestFactory().get("/search?q=a%00b&q=c&%00=1"))
    layer.process_view(asked, view, (), {"public_id": "a"})
    assert dict(asked.GET.lists()) == {"q": ["ab", "c"], "": ["1"]}
    with pytest.raises(Http404):
        layer.process_view(asked, view, (), {"public_id": "a\0"})
