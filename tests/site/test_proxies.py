"""nginx and Caddy, configured as docs/operating.md prints it, in front of a real site: `benchmarks/proxies.py` reads the page."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from benchmarks.proxies import PROXIES, connect, is_here, proxied
from tests.files import MARK, jpeg_with_canaries
from tests.live import free_port, running

from imgnom.site.rehearsal.visitor import Visitor

pytestmark = pytest.mark.xdist_group("proxies")
AGENT = "Mozilla/5.0 (X11; Linux x86_64) ProxyCanary/1"
CODE = re.compile(r"(?<!\d)(\d{6})(?!\d)")
SECONDS = 40


@dataclass
class Front:
    """A site behind a proxy, and a member's browser that talks to the site itself."""

    port: int
    folder: Path
    member: Visitor

    def ask(self, head: str, body: bytes = b"", *, address: str = "127.0.0.1") -> bytes:
        lines = [*head.splitlines(), f"Host: localhost:{self.port}", "Connection: close"]
        with connect(self.port, address) as line:
            line.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            answer = b""
            with suppress(OSError):
                while part := line.recv(65536):
                    answer += part
        return answer

    @property
    def cookie(self) -> str:
        return "Cookie: " + "; ".join(f"{name}={value}" for name, value in self.member.cookies.items())

    def temporary_files(self) -> list[Path]:
        return [path for path in (self.folder / "tmp").rglob("*") if path.is_file()]


def wait_for_code(outbox: Path) -> str:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for mail in outbox.glob("*.eml"):
            letter = message_from_bytes(mail.read_bytes(), policy=default).get_body(("plain",))
            if letter is not None and (code := CODE.search(letter.get_content())):
                return code[1]
        time.sleep(0.1)
    raise AssertionError("no code came")


@pytest.fixture(scope="module", params=PROXIES)
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    proxy: str = request.param
    if not is_here(proxy):
        pytest.skip(f"{proxy} or openssl is not installed")
    folder, port = tmp_path_factory.mktemp(proxy), free_port()
    variables = {
        "IMGNOM_BASE_URL": f"https://localhost:{port}",
        "IMGNOM_TRUSTED_PROXIES": "127.0.0.1",
        "IMGNOM_CLIENT_SECONDS": "2",
    }
    with running(folder / "home", IMGNOM_MODE="rehearsal", **variables) as site:
        member = Visitor(site.port, agent=AGENT)
        form = {
            "age_group": "14_or_older", "username": "bora", "password1": "purple-otter-lamp-93", "nickname": "보라",
            "email": "bora@mail.example", "agree_terms": "on", "agree_privacy": "on",
        }  # fmt: skip
        assert member.post("/signup", form).status == 303
        assert member.post("/signup/confirm", {"code": wait_for_code(site.home / "outbox")}).status == 303
        with proxied(proxy, folder / "proxy", site_port=site.port, port=port):
            yield Front(port, folder / "proxy", member)


def test_pages_come_through_with_the_headers_of_the_site(front: Front) -> None:
    answer = front.ask("GET / HTTP/1.1")
    assert b" 200 " in answer[:20]
    assert b"strict-transport-security: max-age=31536000" in answer.lower()
    assert b" 200 " in front.ask("HEAD /static/web/site.css HTTP/1.1")[:20]
    assert front.ask("GET / HTTP/1.1\nX-A: " + "a" * 60_000)[9:12] in (b"400", b"431", b"494"), (
        "header blocks end somewhere"
    )


def test_client_address_is_the_clients_and_not_what_it_claims(front: Front) -> None:
    page = f"GET /me/records HTTP/1.1\nX-Forwarded-For: 203.0.113.5\nUser-Agent: {AGENT}\n{front.cookie}"
    deadline, told = time.monotonic() + SECONDS, b""
    while b"127.0.5.7" not in told:
        assert time.monotonic() < deadline, told[-2000:]
        told = front.ask(page, address="127.0.5.7")
        time.sleep(0.3)
    assert b"203.0.113.5" not in told


def test_uploads_reach_no_temporary_folder_of_the_proxy(front: Front) -> None:
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', front.member.get("/upload").text)
    assert token
    picture = jpeg_with_canaries() + MARK * 200_000
    body = (
        f'--line\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{token[1]}\r\n'
        '--line\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    ).encode() + picture + b"\r\n--line--\r\n"  # fmt: skip
    found, end = list[Path](), threading.Event()

    def look() -> None:
        while not end.is_set():
            found.extend(front.temporary_files())
            time.sleep(0.002)

    looking = threading.Thread(target=look)
    looking.start()
    head = f"POST /upload HTTP/1.1\nAccept: application/json\nContent-Type: multipart/form-data; boundary=line\nContent-Length: {len(body)}\n"
    answer = front.ask(f"{head}Origin: https://localhost:{front.port}\n{front.cookie}", body)
    assert b" 201 " in answer[:20], answer[:300]
    refused = front.ask(head.strip(), body)
    assert refused[9:12] in (b"401", b""), refused[:300]
    end.set()
    looking.join()
    assert not found
    for path in front.folder.rglob("*"):
        assert not path.is_file() or MARK not in path.read_bytes()


def test_slow_sender_behind_the_proxy_is_closed(front: Front) -> None:
    head = f"POST /login HTTP/1.1\r\nHost: localhost:{front.port}\r\nContent-Length: 1000000\r\n\r\n"
    with connect(front.port) as line:
        line.sendall(head.encode())
        deadline, is_open = time.monotonic() + SECONDS, True
        while is_open:
            assert time.monotonic() < deadline
            try:
                line.sendall(b"a")
                line.settimeout(0.3)
                is_open = bool(line.recv(65536)) and False
            except TimeoutError:
                continue
            except OSError:
                is_open = False
    assert b" 200 " in front.ask("GET /healthz HTTP/1.1")[:20]
