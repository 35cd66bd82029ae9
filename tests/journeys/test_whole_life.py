"""A browser against the real demo site: look, sign in with one press, upload, leave, read the receipt; no page breaks its CSP."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

BROWSER = os.environ.get("IMGNOM_TEST_BROWSER", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("IMGNOM_")}
    environ |= {"IMGNOM_HOME": str(tmp_path_factory.mktemp("demo")), "PYTHONPATH": "src"}
    server = subprocess.Popen(
        [sys.executable, "-m", "imgnom", "serve", "--demo", "--port", str(port)],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=2).close()
            break
        except OSError:
            time.sleep(0.2)
    yield address
    server.terminate()
    server.wait(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(
        locale="ko-KR", java_script_enabled=request.param, viewport={"width": 390, "height": 844}
    )
    opened = context.new_page()
    problems: list[str] = []
    opened.on(
        "console",
        lambda message: (
            problems.append(message.text) if message.type == "error" and "Content Security" in message.text else None
        ),
    )
    yield opened
    assert problems == []
    context.close()


@pytest.mark.clause("A7.2b", "I6", "A8.3")
def test_somebody_looks_uploads_leaves_and_holds_a_receipt(
    site: str, page: Page, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    page.goto(f"{site}/demo")
    login = "haneul" if "no-script" not in request.node.name else "noeul"
    page.locator(f'button[value="{login}"]').click()
    page.goto(f"{site}/upload")
    sample = tmp_path / "sample.jpg"
    sample.write_bytes(urllib.request.urlopen(f"{site}/demo/photograph.jpg").read())
    page.set_input_files("input[type=file]", str(sample))
    page.fill("#id_title", "여행")
    page.locator("#upload-form button").click()
    if "no-script" in request.node.name:
        page.wait_for_url("**/i/*")
    else:
        page.locator("#upload-list a").wait_for()
    page.goto(f"{site}/me/withdraw")
    page.check('input[value="delete"]')
    page.check('input[name="confirm"]')
    page.locator("button.final").click()
    page.wait_for_url("**/receipt/*")
    assert "탈퇴 확인서" in page.inner_text("h1")


@pytest.mark.clause("I11")
@pytest.mark.parametrize(
    "path", ["/", "/privacy", "/privacy/board", "/privacy/cookies", "/signup", "/login", "/demo", "/terms"]
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_public_pages_have_no_accessibility_violation(site: str, browser: Browser, path: str, scheme: str) -> None:
    context = browser.new_context(
        locale="ko-KR", color_scheme=scheme, viewport={"width": 1280, "height": 900}, bypass_csp=True
    )  # type: ignore[arg-type]
    opened = context.new_page()
    opened.goto(site + path)
    # As tall as the page: what the banner happens to cover is not small, it is further down.
    opened.set_viewport_size({"width": 1280, "height": opened.evaluate("document.documentElement.scrollHeight")})
    results = Axe().run(opened, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    context.close()
    found = [(v["id"], v["nodes"][0]["html"][:120]) for v in results.response["violations"]]
    assert found == []


@pytest.mark.parametrize("path", ["/", "/privacy", "/privacy/board", "/signup", "/demo"])
def test_nothing_scrolls_sideways_on_a_small_phone(site: str, browser: Browser, path: str) -> None:
    context = browser.new_context(locale="ko-KR", viewport={"width": 320, "height": 700})
    opened = context.new_page()
    opened.goto(site + path)
    wide = opened.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert wide <= 320


@pytest.mark.clause("A7.1", "A7.2a", "A7.2b")
def test_the_menu_of_a_phone_leads_to_change_to_withdrawal_and_out(site: str, page: Page) -> None:
    page.goto(f"{site}/demo")
    page.locator("form[action='/demo/sign-in'] button").first.click()
    page.goto(f"{site}/nowhere")
    page.locator(".menu summary").click()
    for path in ("/me/privacy/edit", "/me/withdraw"):
        assert page.locator(f".menu a[href='{path}']").is_visible()
    page.locator(".menu form[action='/logout'] button").click()
    page.wait_for_url(f"{site}/")
    assert page.locator(".topbar a[href='/signup']").is_visible()
