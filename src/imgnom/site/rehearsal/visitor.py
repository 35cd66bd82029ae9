"""A browser's half of HTTP for the rehearsal: cookies, forms with their token, no script, no redirects followed."""

import http.client
import json
import re
import secrets
import urllib.parse
from dataclasses import dataclass
from email.message import Message
from html import unescape
from http.cookies import SimpleCookie
from typing import Any

TIMEOUT_SECONDS = 60
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    content: bytes

    @property
    def text(self) -> str:
        return unescape(self.content.decode("utf-8", "replace"))

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    def json(self) -> Any:
        return json.loads(self.content)


class Visitor:
    """One browser. `address` is where it says to be, by the words of a proxy."""

    def __init__(self, port: int, *, agent: str, language: str = "ko", address: str = "") -> None:
        self._port = port
        self._agent = agent
        self._address = address
        self._language = language
        self.cookies: dict[str, str] = {}

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        sent = {"User-Agent": self._agent, "Accept-Language": self._language, "Accept": "text/html"} | (headers or {})
        if self._address:
            sent["X-Forwarded-For"] = self._address
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        for line in response.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return Answer(response.status, response.headers, content)

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def _token(self, page: str) -> str:
        found = TOKEN.search(self.get(page).text)
        return found.group(1) if found else ""

    def post(self, path: str, fields: dict[str, str], *, page: str | None = None, **headers: str) -> Answer:
        """Send a form as its page would: the token is read from `page` first (by default the same path)."""
        values = {"csrfmiddlewaretoken": self._token(page or path)} | fields
        return self._ask(
            "POST",
            path,
            urllib.parse.urlencode(values).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"}
            | {n.replace("_", "-"): v for n, v in headers.items()},
        )

    def upload(self, fields: dict[str, str], files: list[tuple[str, bytes]], *, path: str = "/upload") -> Answer:
        edge = secrets.token_hex(16)
        parts = []
        for name, value in ({"csrfmiddlewaretoken": self._token(path)} | fields).items():
            parts.append(f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
        for name, content in files:
            head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n'
            parts.append(head.encode() + content + b"\r\n")
        body = b"".join(parts) + f"--{edge}--\r\n".encode()
        return self._ask(
            "POST", path, body, {"Content-Type": f"multipart/form-data; boundary={edge}", "Accept": "application/json"}
        )
