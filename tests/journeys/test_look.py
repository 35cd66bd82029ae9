"""Every page as people meet it: read by axe in both themes, both languages, on phone and desk; narrow; by keyboard alone.

The pages are found, not listed: each address of the site without a variable part, and whatever the pages link to, one
of each kind, as a visitor, a member and two of the staff. A page that is added tomorrow is looked at tomorrow.
"""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from django.urls.exceptions import Resolver404
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    FileChooser,
    Page,
    Request,
    Route,
    TimeoutError,  # noqa: A004 - its name there
    sync_playwright,
)

from tests.journeys.test_whole_life import BROWSER, FLAGS
from tests.live import Site, running

pytestmark = pytest.mark.xdist_group("look")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
ROLES = {"visitor": None, "member": "haneul", "moderator": "moderator", "officer": "officer"}
# Theme, width and language: each page is read in one of the eight and in its opposite, in turn.
LOOKS = [
    (theme, width, locale) for theme in ("light", "dark") for width in (390, 1280) for locale in ("ko-KR", "en-GB")
]
# Opening these changes who is signed in, or hands out a file.
LEFT_OUT = re.compile(r"^/(logout|demo/|media/|static/|me/withdraw/pictures|me/export|outbox/)|\.(json|zip|atom|txt)$")
MISSING = "/no-such-page"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("look") / "home", "--demo", IMGNOM_MODE="demo") as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield opened
        opened.close()


def cast(site: Site) -> dict[str, dict[str, str]]:
    return dict(json.loads((site.home / "demo-cast.json").read_text(encoding="utf-8")))


def login_of(site: Site, role: str) -> str | None:
    if role == "visitor":
        return None
    return next(login for login, facts in cast(site).items() if facts["role"] == role)


def signed_in(site: Site, browser: Browser, role: str) -> Any:
    """The cookies of somebody who is signed in, and who has answered the cookie banner."""
    context = browser.new_context(locale="ko-KR")
    page = context.new_page()
    page.goto(f"{site.address}/demo")
    login = login_of(site, role)
    if login:
        page.locator(f'button[value="{login}"]').click()
        page.wait_for_load_state()
        page.locator('.banner button[value="refuse"]').click()
        page.wait_for_load_state()
    state = context.storage_state()
    context.close()
    return state


def plain_routes() -> Iterator[str]:
    def walk(patterns: list[Any], before: str) -> Iterator[str]:
        for found in patterns:
            route = before + str(found.pattern)
            if isinstance(found, URLResolver):
                yield from walk(found.url_patterns, route)
            elif isinstance(found, URLPattern) and "<" not in route:
                yield f"/{route}"

    return walk(get_resolver("imgnom.site.urls").url_patterns, "")


def kind_of(path: str) -> str:
    try:
        return resolve(path, "imgnom.site.urls").route
    except Resolver404:
        return re.sub(r"/[^/]*\d[^/]*$", "/*", path)


def pages_of(site: Site, context: BrowserContext) -> list[str]:
    """One address of each kind of page that this visitor can open."""
    waiting, seen, pages = ["/", "/demo", *plain_routes()], set[str](), []
    while waiting:
        address = waiting.pop(0)
        path = urlsplit(address).path
        if LEFT_OUT.search(path) or kind_of(path) in seen:
            continue
        seen.add(kind_of(path))
        answer = context.request.get(site.address + address, max_redirects=0, timeout=20_000)
        if answer.status != 200 or not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        pages.append(address)
        waiting += [unescape(found) for found in re.findall(r'<a\b[^>]*\bhref="(/[^"#]*)', answer.text())]
    return pages


class Watch:
    """Whatever a page must not do: complain, break its CSP, ask another host."""

    def __init__(self, page: Page, site: Site) -> None:
        self.problems: list[str] = []
        self.allowed = ""
        self._host = urlsplit(site.address).netloc
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"error in a script: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not (self.allowed and self.allowed in message.text):
            self.problems.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and parts.netloc != self._host:
            self.problems.append(f"asked another host: {parts.netloc}")


# What sticks out of the page to the right, outside of areas that scroll by themselves.
STICKS_OUT = """() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  const scrolls = (e) => e && (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  return [...document.body.querySelectorAll("*")]
    .filter((e) => e.getBoundingClientRect().right > wide + 1 && !scrolls(e.parentElement))
    .slice(0, 3).map((e) => e.outerHTML.slice(0, 60));
}"""


def violations(page: Page) -> list[str]:
    results = Axe().run(page, options={"runOnly": RULES})
    assert results.response["passes"], "axe has looked at something"
    return [f"{v['id']}: {v['nodes'][0]['html'][:100]}" for v in results.response["violations"]]


@pytest.mark.clause("I11", "A5.0")
@pytest.mark.parametrize("role", list(ROLES))
def test_every_page_can_be_read_by_everybody(site: Site, browser: Browser, role: str) -> None:
    state = signed_in(site, browser, role)
    crawler = browser.new_context(storage_state=state, locale="ko-KR")
    pages = pages_of(site, crawler)
    crawler.close()
    least = {"visitor": 14, "member": 22, "moderator": 10, "officer": 10}[role]
    assert len(pages) >= least, pages
    if role != "visitor":
        # What a visitor sees as well has been read as a visitor; the picture's page and the gallery show more to a member.
        crawler = browser.new_context(locale="ko-KR")
        known = {kind_of(urlsplit(address).path) for address in pages_of(site, crawler)} - {"", "i/<str:public_id>"}
        crawler.close()
        pages = [address for address in pages if kind_of(urlsplit(address).path) not in known]
    if role in ("moderator", "officer"):
        pages = [address for address in pages if address.startswith("/desk")]
    assert pages
    found: list[tuple[str, str, list[str]]] = []
    for turn, look in enumerate(LOOKS):
        mine = [address for place, address in enumerate([*pages, MISSING]) if turn in (place % 8, 7 - place % 8)]
        theme, width, locale = look
        context = browser.new_context(
            storage_state=state, color_scheme=theme, locale=locale, viewport={"width": width, "height": 844}
        )  # type: ignore[arg-type]
        page = context.new_page()
        watch = Watch(page, site)
        for address in mine:
            watch.allowed = "status of 404" if address == MISSING else ""
            page.goto(site.address + address)
            # As tall as the page: what a bar at the lower edge happens to cover is not small, it is further down.
            page.set_viewport_size({"width": width, "height": page.evaluate("document.documentElement.scrollHeight")})
            wrong = violations(page)
            assert page.evaluate("document.documentElement.lang") == locale[:2]
            for narrow in (320, 640):
                page.set_viewport_size({"width": narrow, "height": 700})
                wrong += [f"sticks out at {narrow} px: {element}" for element in page.evaluate(STICKS_OUT)]
            page.set_viewport_size({"width": width, "height": 844})
            wrong += watch.problems
            watch.problems.clear()
            if wrong:
                found.append((f"{theme} {width} {locale}", address, wrong))
        context.close()
    assert not found, "\n".join(f"{look} {address}: {wrong}" for look, address, wrong in found)[:4000]


@pytest.fixture
def desk(site: Site, browser: Browser) -> Iterator[Page]:
    """A member at a desk; complaints of the page fail the test."""
    context = browser.new_context(
        storage_state=signed_in(site, browser, "member"), locale="ko-KR", viewport={"width": 1280, "height": 900}
    )
    page = context.new_page()
    watch = Watch(page, site)
    watch.allowed = "Failed to load resource"
    yield page
    assert watch.problems == []
    context.close()


def tab_to(page: Page, selector: str, *, most: int = 80) -> None:
    """Press Tab until the wanted control has the focus, and see each time that the focus shows."""
    for _ in range(most):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
              const e = document.activeElement, s = getComputedStyle(e), ring = (e.closest(".find, .drop, .choice, .copy") ?? e);
              return e === document.body || s.boxShadow !== "none" || s.outlineStyle !== "none" || getComputedStyle(ring).borderColor !== "";
            }"""
        )
        assert seen, page.evaluate("document.activeElement.outerHTML.slice(0, 120)")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"Tab never came to {selector}")


def choose_by_key(page: Page) -> FileChooser:
    """The dialog that Space opens. A loaded machine may miss that it opened, so the key is pressed again."""
    for _ in range(4):
        try:
            with page.expect_file_chooser(timeout=8000) as chosen:
                page.keyboard.press("Space")
        except TimeoutError:
            continue
        return chosen.value
    raise AssertionError("Space opens no dialog for files")


@pytest.mark.clause("I11")
def test_by_keyboard_alone_from_the_skip_link_to_a_comment(site: Site, desk: Page, tmp_path: Path) -> None:
    sample = tmp_path / "sample.jpg"
    sample.write_bytes(desk.request.get(f"{site.address}/demo/photograph.jpg").body())
    desk.goto(site.address)
    desk.keyboard.press("Tab")
    assert desk.evaluate("document.activeElement.className") == "skip"
    desk.keyboard.press("Enter")
    assert desk.evaluate("document.activeElement.id") == "main"
    desk.goto(site.address)
    tab_to(desk, '.topbar a[href="/upload"]')
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/upload")
    tab_to(desk, "#upload-form input[type=file]")
    choose_by_key(desk).set_files(str(sample))
    if not desk.locator(".file").count():
        tab_to(desk, "#upload-form button:not([type=button])")
        desk.keyboard.press("Enter")
    desk.locator('.file[data-state="done"] a').wait_for()
    desk.evaluate("document.querySelector('h1').scrollIntoView(); document.activeElement.blur()")
    tab_to(desk, ".file a")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/i/*")
    tab_to(desk, 'textarea[name="body"]')
    desk.keyboard.type("키보드만으로 남깁니다")
    tab_to(desk, 'form:has(textarea[name="body"]) button')
    desk.keyboard.press("Enter")
    desk.get_by_text("키보드만으로 남깁니다").wait_for()


@pytest.mark.clause("I11")
def test_the_menu_closes_with_escape_and_gives_the_focus_back(site: Site, desk: Page) -> None:
    desk.goto(site.address)
    tab_to(desk, ".menu > summary")
    desk.keyboard.press("Enter")
    assert desk.locator(".menu ul").is_visible()
    desk.keyboard.press("Tab")
    desk.keyboard.press("Escape")
    assert not desk.locator(".menu ul").is_visible()
    assert desk.evaluate("document.activeElement.tagName") == "SUMMARY"
    desk.keyboard.press("Enter")
    desk.mouse.click(600, 600)
    assert not desk.locator(".menu ul").is_visible()


@pytest.mark.clause("I11")
def test_enter_does_not_send_a_form_while_a_syllable_is_being_composed(site: Site, desk: Page) -> None:
    desk.goto(f"{site.address}/search")
    box = desk.locator(".topbar input[name=q]")
    box.focus()
    keyboard = desk.context.new_cdp_session(desk)
    keyboard.send("Input.imeSetComposition", {"text": "산", "selectionStart": 1, "selectionEnd": 1})
    desk.keyboard.press("Enter")
    assert urlsplit(desk.url).query == ""
    assert desk.evaluate("document.readyState") == "complete"
    # The key that some browsers send right after the syllable closed: not composing any more, but with its key code.
    stopped = box.evaluate(
        "(e) => !e.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', keyCode: 229, bubbles: true, cancelable: true }))"
    )
    assert stopped
    keyboard.send("Input.insertText", {"text": "산"})
    # The script lets go one turn after the syllable closed; a key as quick as that is still the syllable's.
    desk.evaluate("() => new Promise((done) => setTimeout(done, 10))")
    with desk.expect_navigation():
        desk.keyboard.press("Enter")
    assert "q=" in urlsplit(desk.url).query


@pytest.mark.clause("A1.1", "I11")
def test_a_password_can_be_shown_counted_and_is_hidden_again_when_sent(site: Site, browser: Browser) -> None:
    context = browser.new_context(locale="ko-KR")
    page = context.new_page()
    page.goto(f"{site.address}/signup")
    box, button = page.locator("#id_password1"), page.locator("[data-secret] button").first
    box.fill("연날리기 river")
    assert "10자" in page.inner_text("[data-counted]")
    assert box.get_attribute("type") == "password"
    button.click()
    assert (box.get_attribute("type"), button.get_attribute("aria-pressed")) == ("text", "true")
    sent: list[str] = []
    page.expose_function("note", lambda kind: sent.append(kind))
    page.evaluate(
        "document.addEventListener('submit', (e) => { e.preventDefault(); note(document.querySelector('#id_password1').type); })"
    )
    page.locator("main form button:not([type=button])").last.click()
    page.wait_for_timeout(50)
    assert sent == ["password"]
    context.close()


@pytest.mark.clause("I11")
def test_after_a_wrong_answer_the_summary_has_the_focus_and_leads_to_the_field(site: Site, browser: Browser) -> None:
    context = browser.new_context(locale="ko-KR")
    page = context.new_page()
    page.goto(f"{site.address}/reset")
    page.locator("main form button:not([type=button])").last.click()
    page.locator(".errors").wait_for()
    assert page.evaluate("document.activeElement.className") == "errors"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "id_login"
    described = page.locator("#id_login").get_attribute("aria-describedby")
    assert page.locator(f"#{described}").is_visible()
    context.close()


# Uploading


def answer(files: list[dict[str, object]] | None = None, **body: object) -> str:
    return json.dumps({"files": files} if files is not None else body)


UP = {"name": "a.jpg", "id": "abc", "page_url": "/i/abc", "removed": ["place"], "error": None}


def choose(page: Page, *files: tuple[str, bytes]) -> None:
    page.set_input_files(
        "#upload-form input[type=file]",
        [{"name": name, "mimeType": "image/jpeg", "buffer": content} for name, content in files],
    )
    if not page.locator(".file").count():
        page.locator("#upload-form button:not([type=button])").last.click()


@pytest.fixture
def uploading(site: Site, desk: Page) -> Page:
    desk.goto(f"{site.address}/upload")
    return desk


def reply(page: Page, status: int, body: str, **headers: str) -> None:
    page.route(
        "**/upload",
        lambda route: (
            route.fulfill(status=status, body=body, headers={"Content-Type": "application/json"} | headers)
            if route.request.method == "POST"
            else route.continue_()
        ),
    )


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (201, answer([UP]), "지운 것: 촬영 위치(GPS)"),
        (201, answer([{**UP, "removed": ["of-next-year"]}]), "지운 것: 그 밖의 숨은 정보"),
        (201, answer([{**UP, "removed": []}]), "숨은 정보가 없었습니다"),
        (201, answer([{"id": "abc", "page_url": "/i/abc"}]), "숨은 정보가 없었습니다"),
        (201, answer([]), "올리지 못했습니다"),
        (201, "null", "올리지 못했습니다"),
        (200, "<html>", "올리지 못했습니다"),
        (415, answer([{**UP, "id": None, "error": "사진만 받습니다."}]), "사진만 받습니다."),
        (413, answer(error=413, message="x"), "크기를 넘었습니다"),
        (422, answer(errors={"title": [{"message": "제목이 너무 깁니다.", "code": "max"}]}), "제목이 너무 깁니다."),
        (401, answer(error=401), "로그인이 끝났습니다"),
        (500, "<html>", "올리지 못했습니다"),
    ],
)
def test_every_answer_to_an_upload_is_told_at_its_own_line(uploading: Page, status: int, body: str, shown: str) -> None:
    reply(uploading, status, body)
    choose(uploading, ("a.jpg", b"x" * 100))
    uploading.locator(f'.file[data-state="{"done" if status == 201 and "abc" in body else "failed"}"]').wait_for()
    assert shown in uploading.inner_text(".file .doing")
    assert uploading.locator(".file progress").is_hidden()


def test_too_many_uploads_say_how_long_to_wait(uploading: Page) -> None:
    reply(uploading, 429, answer(error=429), **{"Retry-After": "37"})
    choose(uploading, ("a.jpg", b"x"))
    uploading.locator('.file[data-state="paused"]').wait_for()
    assert "37초" in uploading.inner_text(".file .doing")


def test_an_empty_file_is_refused_before_it_is_sent(uploading: Page) -> None:
    asked: list[str] = []
    uploading.route("**/upload", lambda route: (asked.append(route.request.method), route.abort())[1])
    choose(uploading, ("empty.jpg", b""))
    uploading.locator('.file[data-state="failed"]').wait_for()
    assert "빈 파일" in uploading.inner_text(".file .doing")
    assert asked == []


def test_a_lost_connection_goes_on_by_itself_or_at_a_press(uploading: Page) -> None:
    tries: list[int] = []

    def first_lost(route: Route) -> None:
        tries.append(1)
        if len(tries) in (1, 2):
            route.abort("connectionreset")
        else:
            route.fulfill(status=201, body=answer([UP]), content_type="application/json")

    uploading.route("**/upload", first_lost)
    choose(uploading, ("a.jpg", b"x" * 100))
    uploading.locator('.file[data-state="paused"]').wait_for()
    assert "저절로 올립니다" in uploading.inner_text(".file .doing")
    uploading.get_by_role("button", name="이어서 올리기").click()
    uploading.wait_for_function("document.querySelector('.file').dataset.state === 'paused'")
    while len(tries) < 2:
        uploading.wait_for_timeout(20)
    uploading.locator('.file[data-state="paused"]').wait_for()
    uploading.evaluate("window.dispatchEvent(new Event('online'))")
    uploading.locator('.file[data-state="done"]').wait_for()


def test_an_upload_can_be_paused_while_waiting_and_while_sent(uploading: Page) -> None:
    held: list[Route] = []
    is_open: list[bool] = []

    def hold_or_take(route: Route) -> None:
        if is_open:
            route.fulfill(status=201, body=answer([UP]), content_type="application/json")
        else:
            held.append(route)

    uploading.route("**/upload", hold_or_take)
    choose(uploading, *((f"{n}.jpg", b"x" * 10) for n in range(4)))
    uploading.locator('.file[data-state="waiting"]').first.get_by_role("button", name="잠시 멈추기").click()
    uploading.locator('.file[data-state="busy"]').first.get_by_role("button", name="잠시 멈추기").click()
    uploading.locator('.file[data-state="paused"]').nth(1).wait_for()
    assert uploading.locator('.file[data-state="busy"]').count() == 2, "the next one moves up"
    assert uploading.evaluate("document.activeElement.textContent").startswith("이어서 올리기")
    uploading.evaluate("window.dispatchEvent(new Event('online'))")
    assert uploading.locator('.file[data-state="paused"]').count() == 2, "who paused goes on when they say so"
    uploading.locator('.file[data-state="paused"]').first.get_by_role("button", name="이어서 올리기").click()
    assert uploading.locator('.file[data-state="paused"]').count() == 1
    is_open.append(True)
    for route in held:
        try:
            route.fulfill(status=201, body=answer([UP]), content_type="application/json")
        except Exception:  # noqa: BLE001 - the paused one is gone
            continue
    uploading.locator('.file[data-state="done"]').nth(2).wait_for()


def test_uploads_can_be_cancelled_while_waiting_and_while_sent(uploading: Page) -> None:
    held: list[Route] = []
    uploading.route("**/upload", lambda route: held.append(route))
    choose(uploading, *((f"{n}.jpg", b"x" * 10) for n in range(4)))
    assert uploading.locator('.file[data-state="busy"]').count() == 2, "two at a time"
    assert uploading.locator('.file[data-state="waiting"]').count() == 2
    uploading.locator('.file[data-state="waiting"] button').last.click()
    uploading.locator('.file[data-state="busy"]').first.get_by_role("button", name="그만두기").click()
    uploading.locator('.file[data-state="failed"]').nth(1).wait_for()
    assert uploading.locator('.file[data-state="failed"]').count() == 2
    assert uploading.locator('.file[data-state="busy"]').count() == 2, "the next one moves up"
    uploading.locator('.file[data-state="failed"]').first.get_by_role("button", name="목록에서 빼기").click()
    assert uploading.locator(".file").count() == 3
    for route in held:
        try:
            route.fulfill(status=201, body=answer([UP]), content_type="application/json")
        except Exception:  # noqa: BLE001 - the cancelled one is gone
            continue
    uploading.locator('.file[data-state="done"]').nth(1).wait_for()
    uploading.wait_for_function(
        "document.querySelector('[role=status].sr-only').textContent.includes('2장을 올렸습니다')"
    )


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_pictures_are_dropped_and_pasted(uploading: Page, how: str) -> None:
    reply(uploading, 201, answer([UP]))
    uploading.evaluate(
        """(how) => {
          const carried = new DataTransfer();
          carried.items.add(new File(["x"], "one.png", { type: "image/png" }));
          carried.items.add(new File(["y"], "two.png", { type: "image/png" }));
          document.body.dispatchEvent(how === "drop"
            ? new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true }));
        }""",
        how,
    )
    uploading.locator('.file[data-state="done"]').nth(1).wait_for()
    assert uploading.locator(".file .name").all_inner_texts() == ["one.png", "two.png"]


def test_a_file_name_is_text_and_never_markup(uploading: Page) -> None:
    reply(uploading, 201, answer([{**UP, "removed": ["<img src=x>"]}]))
    choose(uploading, ("<img src=x onerror=alert(1)>.jpg", b"x"))
    uploading.locator('.file[data-state="done"]').wait_for()
    assert uploading.locator('.file img[src="x"]').count() == 0
    assert "<img src=x onerror=alert(1)>.jpg" in uploading.inner_text(".file")


@pytest.mark.clause("I11")
def test_pictures_come_without_moving_the_page(site: Site, desk: Page) -> None:
    desk.goto(site.address)
    first = desk.locator(".tile a").first.get_attribute("href")
    for address in ("/", first):
        desk.goto(f"{site.address}{address}")
        desk.wait_for_load_state("networkidle")
        moved = desk.evaluate(
            """() => new Promise((done) => {
              let sum = 0;
              new PerformanceObserver((list) => { for (const e of list.getEntries()) sum += e.value; })
                .observe({ type: "layout-shift", buffered: true });
              setTimeout(() => done(sum), 100);
            })"""
        )
        assert moved < 0.02, address


@pytest.mark.clause("A0.1", "I11")
def test_every_patch_of_the_board_can_be_hit_in_any_font_and_size(site: Site, browser: Browser) -> None:
    """24 px by 24 px at least, and none over another: whatever fonts a machine has, and however small somebody sets them."""
    context = browser.new_context(locale="ko-KR")
    page = context.new_page()
    page.goto(f"{site.address}/privacy/board")
    small = """([font, size]) => {
      document.documentElement.style.fontSize = `${size}%`;
      document.body.style.fontFamily = font;
      const boxes = [...document.querySelectorAll("main .quilt a, main .clause, main .chip")].map((e) => [e, e.getBoundingClientRect()]);
      const over = ([a, x], [b, y]) => a !== b && x.left < y.right && y.left < x.right && x.top < y.bottom && y.top < x.bottom;
      return boxes.filter((one) => one[1].width < 24 || one[1].height < 24 || boxes.some((other) => over(one, other)))
        .map(([e, box]) => `${e.outerHTML.slice(0, 60)} ${box.width}x${box.height}`);
    }"""
    for width in (320, 390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        for font in ("serif", "monospace", "sans-serif"):
            for size in (50, 80, 100, 200):
                assert page.evaluate(small, [font, size]) == [], (width, font, size)
        if width <= 390:
            assert page.evaluate("document.documentElement.scrollWidth") <= width, "not even at twice the size"
    context.close()
