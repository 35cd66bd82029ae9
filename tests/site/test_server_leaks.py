"""What the real server could tell by accident: its process's secrets, a line in its log, a header it trusted."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import Site, free_port, running

from imgnom.site.supervisor import web_command

pytestmark = pytest.mark.xdist_group("server-leaks")
SECRET = "planted-secret-4711"
# Names of the usual kind, and names that look like parts of a request.
PLANTED = (
    "AWS_SECRET_ACCESS_KEY",
    "DATABASE_PASSWORD",
    "HTTP_PROXY",
    "HTTP_AUTHORIZATION",
    "SERVER_TOKEN",
    "REQUEST_KEY",
    "REMOTE_USER",
    "CONTENT_KEY",
    "wsgi.secret",
)
CANARY = "canary-seonwoo-4712"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("leaks") / "home"
    with running(home, IMGNOM_MODE="rehearsal") as one:
        yield one


@pytest.fixture
def telling(site: Site) -> Iterator[Site]:
    """The same web server on the same home, with secrets in its environment and a page that shows request.META."""
    port = free_port()
    planted = dict.fromkeys(PLANTED, SECRET) | {
        "DJANGO_SETTINGS_MODULE": "tests.site.meta_settings",
        "PYTHONPATH": f"{ROOT}:{ROOT}/src",
    }
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = subprocess.Popen(
            web_command(listener, {}),
            cwd=ROOT,
            env=site.environ | planted,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
    try:
        one = Site(site.home, port, site.environ)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if b" 200 " in get(one, "/healthz")[:20]:
                    break
            except OSError:
                time.sleep(0.1)
        yield one
    finally:
        server.terminate()
        server.wait(timeout=20)


ROOT = str(Path(__file__).resolve().parents[2])


def ask(site: Site, head: bytes, body: bytes = b"") -> bytes:
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as line:
        line.sendall(head + b"\r\n\r\n" + body)
        answer = b""
        while part := line.recv(65536):
            answer += part
    return answer


def get(site: Site, path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{site.port}", "Connection: close", *headers]
    return ask(site, "\r\n".join(lines).encode())


def log_of(site: Site) -> str:
    return (site.home.parent / f"{site.home.name}.log").read_text(encoding="utf-8", errors="replace")


@pytest.mark.clause("A4.2", "I9")
def test_nothing_of_the_process_rides_along_with_a_request(telling: Site) -> None:
    answer = get(telling, "/healthz/meta", "Authorization: Bearer mine", "Accept: application/json")
    facts = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert facts["HTTP_AUTHORIZATION"] == "'Bearer mine'", "the page shows what a request really carries"
    assert SECRET not in json.dumps(facts)
    assert not [
        name for name in facts if name.startswith(("IMGNOM", "DJANGO", "PATH_", "HOME", "AWS")) and name != "PATH_INFO"
    ]
    assert SECRET not in get(telling, "/").decode()
    assert "HTTP_PROXY" not in facts


@pytest.mark.clause("A1.2")
def test_whatever_is_sent_the_log_keeps_one_line_per_event_and_nothing_of_it(site: Site) -> None:
    before = len(log_of(site))
    forged = "2026-01-01 00:00:00,000 ERROR forged"
    for path in (
        f"/i/{CANARY}%0d%0a{forged.replace(' ', '%20')}", f"/search?q={CANARY}%1b%5b2J", f"/@{CANARY}%00", "/i/%ff%fe", f"/%0a{CANARY}",
        f"/login?next=//{CANARY}", f"/me/privacy?email={CANARY}@mail.example",
    ):  # fmt: skip
        get(
            site,
            path,
            f"User-Agent: {CANARY}\x1b[31m",
            f"Referer: http://x/{CANARY}",
            f"Cookie: imgnom_session={CANARY}; x={CANARY}",
            f"X-Note: {CANARY}",
        )
    get(site, "/", f"Host: {CANARY}.example")
    ask(site, f"GET / HTTP/1.1\r\nHost: {CANARY}.example\r\nConnection: close".encode())
    ask(
        site,
        f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nConnection: close\r\nContent-Length: {22 + 2 * len(CANARY)}\r\nContent-Type: text/plain".encode(),
        f"login={CANARY}&password={CANARY}".ljust(22 + 2 * len(CANARY)).encode(),
    )
    ask(
        site,
        f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary={CANARY}\r\nContent-Length: 9".encode(),
        b"--torn---",
    )
    ask(site, f"BREW /{CANARY} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nConnection: close".encode())
    written = log_of(site)[before:]
    assert CANARY not in written
    assert "forged" not in written
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", written)
    for line in written.splitlines():
        assert re.match(r"(\d{4}-\d\d-\d\d |\[|imgnom)", line), line
    assert b" 200 " in get(site, "/healthz")[:20]


@pytest.mark.clause("A5.0")
def test_a_foreign_host_is_refused_and_comes_back_in_no_answer(site: Site) -> None:
    port = site.port
    for head in (
        "GET / HTTP/1.1\r\nHost: evil.example", f"GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1:{port}", f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}@evil.example",
        "GET /reset HTTP/1.1\r\nHost: evil.example:80",
    ):  # fmt: skip
        answer = ask(site, f"{head}\r\nConnection: close".encode())
        assert b"evil.example" not in answer
        assert answer[9:12] in (b"400", b"200"), answer[:40]
        assert b"Set-Cookie" not in answer or b"evil" not in answer
    answer = ask(site, b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close")
    assert answer[9:12] == b"400"
    for name in ("X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL"):
        answer = get(site, "/privacy", f"{name}: evil.example")
        assert answer[9:12] == b"200"
        assert b"evil.example" not in answer


@pytest.mark.clause("A5.0")
def test_a_request_that_two_readers_could_read_differently_is_refused(site: Site) -> None:
    host = f"Host: 127.0.0.1:{site.port}"
    both = f"POST /login HTTP/1.1\r\n{host}\r\nConnection: close\r\nContent-Length: 4\r\nTransfer-Encoding: chunked".encode()
    assert ask(site, both, b"0\r\n\r\nGET /x HTTP/1.1\r\n\r\n").count(b"HTTP/1.1 ") <= 1
    twice = f"POST /login HTTP/1.1\r\n{host}\r\nConnection: close\r\nContent-Length: 4\r\nContent-Length: 5".encode()
    assert ask(site, twice, b"abcde")[9:12] == b"400"
