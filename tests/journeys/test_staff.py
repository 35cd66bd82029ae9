"""Staff in a real browser: appointed by command, enrolled by link, at the desk by keyboard; the owner reads why.

And words that would like to be code, everywhere a person can write, on every page of everybody.
"""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pyotp
import pytest
from PIL import Image as Picture
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.journeys.test_look import LEFT_OUT, Watch, kind_of, pages_of, signed_in, violations
from tests.journeys.test_whole_life import BROWSER, FLAGS
from tests.live import Site, running

pytestmark = pytest.mark.xdist_group("staff")
PASSWORD = "a garden by the sea"
HOSTILE = (
    "\"'><script>tell('script')</script><img src=x onerror=tell('img')><svg onload=tell('svg')>{{ 7*7 }}{% now 'Y' %}"
    "<a href=javascript:tell('a')>a</a><iframe srcdoc=\"<script>parent.tell('frame')</script>\"></iframe>]]>--><!--"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("staff") / "home", "--demo", IMGNOM_MODE="demo") as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield opened
        opened.close()


def jpeg() -> bytes:
    target = io.BytesIO()
    Picture.new("RGB", (640, 420), (140, 90, 40)).save(target, "JPEG")
    return target.getvalue()


def post(context: BrowserContext, site: Site, path: str, **more: object) -> int:
    """A form of ours, sent as a program with the page's token would."""
    page = context.request.get(f"{site.address}/privacy/cookies").text()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    answer = context.request.post(
        site.address + path, headers={"X-CSRFToken": token[1], "Accept": "text/html"}, max_redirects=0, **more
    )  # type: ignore[arg-type]
    return answer.status


def as_member(site: Site, browser: Browser, **more: object) -> BrowserContext:
    return browser.new_context(storage_state=signed_in(site, browser, "member"), locale="ko-KR", **more)  # type: ignore[arg-type]


@pytest.mark.clause("I10", "X4", "A2.1")
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_from_the_command_to_a_removal_that_its_owner_can_read(
    site: Site, browser: Browser, tmp_path: Path, script: bool
) -> None:
    member = as_member(site, browser)
    title = f"골목 {'하나' if script else '둘'}"
    sample = {"name": "alley.jpg", "mimeType": "image/jpeg", "buffer": jpeg()}
    assert post(member, site, "/upload", multipart={"file": sample, "title": title, "visibility": "public"}) == 303

    login = f"desk-{'one' if script else 'two'}"
    made = json.loads(site.command("staff", "add", "--login", login, "--role", "moderator", "--json").stdout)
    context = browser.new_context(locale="ko-KR", java_script_enabled=script, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    watch = Watch(page, site)
    page.goto(made["enrolment_url"])
    assert page.locator("main svg path").first.bounding_box()["width"] > 100  # type: ignore[index]
    secret = page.inner_text("main code").strip()
    page.fill("#id_password1", PASSWORD)
    page.fill("#id_code", pyotp.TOTP(secret).now())
    page.locator("main form button:not([type=button])").last.click()
    page.wait_for_url("**/login")
    watch.allowed = "status of 404"
    assert page.goto(made["enrolment_url"]).status == 404  # type: ignore[union-attr]
    watch.allowed = ""
    page.goto(f"{site.address}/desk")
    page.fill("#id_login", login)
    page.fill("#id_password", PASSWORD)
    page.locator("main form button:not([type=button])").last.click()
    page.wait_for_url("**/login/second-factor*")
    # The code of the enrolment is used up; the next half minute brings another.
    page.fill("#id_code", pyotp.TOTP(secret).at(__import__("time").time() + 30))
    page.locator("main form button:not([type=button])").last.click()
    page.wait_for_url("**/desk")
    if page.locator('.banner button[value="refuse"]').count():
        page.locator('.banner button[value="refuse"]').click()
    page.goto(f"{site.address}/desk?show=pictures")
    first = page.locator(".queue-row").first
    assert title in first.inner_text()
    if script:
        first.focus()
        page.keyboard.press("j")
        page.wait_for_url("**/desk/picture/*#list")
        assert page.evaluate("document.activeElement.getAttribute('aria-current')") == "true"
        page.keyboard.press("k")
        page.get_by_role("heading", level=1, name=title).wait_for()
        page.keyboard.press("e")
        assert page.evaluate("document.activeElement.id") == "id_reason"
        page.keyboard.type("jk 얼굴이 나온 사람이 부탁했습니다")
        page.set_viewport_size({"width": 1280, "height": page.evaluate("document.documentElement.scrollHeight")})
        assert violations(page) == []
    else:
        first.click()
        page.locator("#id_reason").fill("jk 얼굴이 나온 사람이 부탁했습니다")
    number = page.url.partition("/desk/picture/")[2].partition("?")[0]
    page.locator("#remove button").click()
    page.wait_for_url("**/desk")
    assert title not in page.inner_text(".queue")
    page.goto(f"{site.address}/desk?show=removed")
    assert title in page.inner_text(".queue")
    assert watch.problems == []
    context.close()

    mine = member.new_page()
    mine.goto(f"{site.address}/i/{number}")
    assert "얼굴이 나온 사람이 부탁했습니다" in mine.inner_text("main")
    assert mine.locator(f'img[src*="{number}"]').count() == 0
    member.close()
    stranger = browser.new_context()
    assert stranger.request.get(f"{site.address}/i/{number}").status == 404
    assert stranger.request.get(f"{site.address}/media/{number}/preview").status == 404
    stranger.close()


def heard(page: Page) -> list[str]:
    """Anything that ran: a call to us, a box, a new address."""
    found: list[str] = []
    page.expose_function("tell", lambda what: found.append(what))
    page.on("dialog", lambda box: (found.append(box.message), box.dismiss()))
    return found


@pytest.mark.clause("A2.1")
def test_words_that_would_like_to_be_code_are_words_everywhere(site: Site, browser: Browser) -> None:
    """With the CSP switched off: the escaping alone must hold, and the policy stays the second wall."""
    member = as_member(site, browser)
    name = {"name": f"{HOSTILE[:80]}.jpg", "mimeType": "image/jpeg", "buffer": jpeg()}
    words = {
        "title": HOSTILE[:190],
        "description": HOSTILE,
        "alt": HOSTILE,
        "tags": "<script>tell('tag')</script> \"onload=tell(1)",
        "visibility": "public",
    }
    for _ in range(3):
        assert post(member, site, "/upload", multipart={"file": name} | words) == 303
    crawl = member.request.get(f"{site.address}/").text()
    ids = re.findall(r'<a href="/i/([\w-]{11})"', crawl)[:3]
    for number in ids:
        assert post(member, site, f"/i/{number}/comments", form={"body": f"{HOSTILE} {number}"}) == 303
    nickname = "은수\u202e'`${7*7}"
    changed = post(member, site, "/me/privacy/edit", form={"nickname": nickname, "email": "haneul@mail.example"})
    assert changed in (303, 422)
    moderator = browser.new_context(storage_state=signed_in(site, browser, "moderator"), bypass_csp=True)
    assert post(moderator, site, f"/desk/remove/picture/{ids[2]}", form={"reason": HOSTILE[:490]}) == 303
    comment = re.search(r"/desk/comment/(\d+)", moderator.request.get(f"{site.address}/desk?show=comments").text())
    assert comment
    assert post(moderator, site, f"/desk/remove/comment/{comment[1]}", form={"reason": HOSTILE[:490]}) == 303
    ran: list[str] = []
    looked = 0
    for role in ("visitor", "member", "moderator", "officer"):
        context = browser.new_context(storage_state=signed_in(site, browser, role), bypass_csp=True, locale="ko-KR")
        page = context.new_page()
        found = heard(page)
        extra = [f"/i/{number}" for number in ids] + [
            "/t/" + quote("<script>tell('tag')</script>", safe=""),
            "/search?q=" + quote(HOSTILE[:90]),
        ]
        if role in ("moderator", "officer"):
            extra += [
                f"/desk/picture/{ids[0]}",
                f"/desk/picture/{ids[2]}",
                "/desk?show=removed",
                "/desk?q=" + quote(HOSTILE[:90]),
            ]
        kinds = pages_of(site, context)
        for address in [*extra, *kinds]:
            if LEFT_OUT.search(address.partition("?")[0]):
                continue
            page.goto(site.address + address)
            looked += 1
            ran += [f"{role} {kind_of(address)}: {what}" for what in found]
            found.clear()
            assert "49" not in re.sub(r"moderator-[0-9a-f]+", "", page.title()), (
                "sums are words, too; a login may hold any figure"
            )
            assert (
                page.locator(
                    "main script, main iframe, main [onerror], main [onload], main a[href^='javascript']"
                ).count()
                == 0
            ), address
        context.close()
    assert ran == []
    assert looked > 60
    # The same scripts do run where nothing escapes them: the ear is not deaf.
    page = browser.new_context(bypass_csp=True).new_page()
    found = heard(page)
    page.goto(f"{site.address}/terms")
    page.evaluate(
        "(words) => { const e = document.createElement('div'); document.body.append(e); e.innerHTML = words; }",
        "<img src=x onerror=tell('img')>",
    )
    page.wait_for_timeout(300)
    assert found == ["img"]
    member.close()
    moderator.close()
