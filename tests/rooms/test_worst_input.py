"""The worst text at every address, in every field, parameter, header, cookie and file name costs next to nothing (D3).

Addresses come from the URL table, fields from the pages, parameters from the source. A request may cost 50 ms of CPU more
than its twin with a plain value in the same place; one that seems to cost more is asked again, and the least counts.
"""

import ast
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from django.test import Client

from imgnom.web.request_limits import bound
from tests.rooms import test_access_matrix as matrix
from tests.rooms.test_access_matrix import World, routes
from tests.rooms.test_odd_shapes import ENDS, FORM, PARTS, fields_of

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
world = matrix.world
SOURCE = Path(__file__).resolve().parents[2] / "src" / "imgnom"

ALLOWED_SECONDS = 0.050
TRIES = 6
# What repeats, in the order in which it would hurt most.
ALPHABETS = {
    "disordered marks": "\u0315\u0300", "marks of one class": "\u0301", "marks in characters": "\u0344\u0f73\uff9e\u0315", "Hangul in pieces": "\u1100\u1161\u11a8",
    "letters that grow": "\ufdfa", "letters with three marks": "\u1f82", "letters that fold to more": "\u0390İß", "digits": "9", "digits of another script": "९", "dots": ".",
    "labels": "가.", "commas": ",", "slashes": "/", "signs of escapes": "%", "blanks": " ", "blank lines": "\n", "at signs": "@", "quotes": '"', "semicolons": ";",
    "two letters": "ab", "one letter": "a", "Hangul": "가", "ampersands of HTML": "&#x41;", "hyphens": "-", "beyond the BMP": "😀", "wildcards": "%_", "brackets": "[(",
}  # fmt: skip
LONGEST_TARGET = 64_000  # of a request line that the web server takes
LENGTHS = (127, 253, 999, 4_999, 19_999, 100_000)
HEADERS = (
    "accept", "accept-language", "user-agent", "referer", "origin", "cookie", "x-forwarded-for", "if-none-match", "if-modified-since", "range", "host",
    "content-type", "x-csrftoken", "accept-encoding", "forwarded", "sec-fetch-site", "x-anything",
)  # fmt: skip
MANY = {
    "media ranges": "a/b;q=0.1,", "ranges with parameters": 'text/html;a="b;c";d=e,', "languages": "aa-aa-aa;q=0.1,", "proxies": "127.0.0.1,", "cookies": "a=b;",
    "entity tags": 'W/"a",', "semicolons": ";", "quotes": '"', "Latin letters": "\xe9", "commas": ",", "digits": "9", "blanks and tabs": " \t", "a colon": ":",
}  # fmt: skip
CHARSETS = ("punycode", "idna", "utf-7", "unicode_escape", "no-such-" + "x" * 400, "utf-16")


type Sent = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Case:
    what: str
    route: str
    method: str
    worst: Callable[[], Sent]  # the address and what is sent; made only when it is sent
    plain: Sent  # of the twin

    def __str__(self) -> str:
        return f"{self.method} /{self.route}: {self.what}"


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgnom.web.throttle._bump", lambda *_a, **_k: (1, 1.0))


@pytest.fixture(autouse=True)
def _log_keeps_no_request() -> Iterator[None]:
    """Each refusal is logged with its request, and pytest keeps the records of a test: there may be a million."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def site(world: World) -> World:
    """As behind `site/wsgi.py`: the environment is bounded before Django makes a request of it."""
    for client in world.clients.values():
        client.handler = _bounded(client.handler)  # type: ignore[assignment]
    return world


def _bounded(inner: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def handler(environ: dict[str, Any]) -> Any:
        bound(environ)
        return inner(environ)

    return handler


def _client(site: World, route: str) -> Client:
    return site.clients["officer" if route.startswith("desk") else "owner"]


def _cost(site: World, case: Case, address: str, sent: dict[str, Any]) -> tuple[float, int]:
    client = _client(site, case.route)
    headers = {"X-CSRFToken": client.cookies["imgnom_csrf"].value} | sent.get("headers", {})
    extra = {name: value for name, value in sent.items() if name != "headers"}
    began = time.thread_time()
    status = client.generic(case.method, address, headers=headers, **extra).status_code
    return time.thread_time() - began, status


def faults(site: World, cases: Iterable[Case]) -> list[str]:
    wrong, twins, routes_seen = [], {}, set()
    for case in cases:
        routes_seen.add(case.route)
        worst = case.worst()
        spent, status = _cost(site, case, *worst)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            wrong.append(f"{case}: {status}")
        if spent < ALLOWED_SECONDS:
            continue
        twin = (case.method, case.route)
        if twin not in twins:
            twins[twin] = min(_cost(site, case, *case.plain)[0] for _ in range(3))
        for _ in range(TRIES):
            spent = min(spent, _cost(site, case, *worst)[0])
            if spent < twins[twin] + ALLOWED_SECONDS:
                break
        else:
            wrong.append(f"{case}: {1000 * (spent - twins[twin]):.0f} ms more than its twin")
    assert len(routes_seen) > 10
    return wrong


def some(cases: Iterator[Case], every: int) -> Iterator[Case]:
    """All of them with EVERY_SHAPE; else one in `every`, which a prime spreads over places and alphabets."""
    return cases if os.environ.get("EVERY_SHAPE") else islice(cases, 0, None, every)


def repeated(unit: str, length: int) -> str:
    return (unit * (length // len(unit) + 1))[:length]


TEXTS = [(f"{length} characters of {name}", unit, length) for name, unit in ALPHABETS.items() for length in LENGTHS]


@cache
def names_read(where: str) -> set[str]:
    """The names that the source reads from `request.GET` or `request.POST`."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Call | ast.Subscript) else ""
            found |= set(re.findall(rf"request\.{where}(?:\.get|\.getlist)?[\[(]'(\w+)'", text))
    return found


def paths() -> Iterator[tuple[str, str, str]]:
    """(what, route, parameter)"""
    for route in routes():
        for parameter in re.findall(r"<\w+:(\w+)>", route):
            yield f"path parameter {parameter}", route, parameter


def of_paths(site: World) -> Iterator[Case]:
    for what, route, parameter in paths():
        for text, unit, length in TEXTS:

            def worst(route: str = route, parameter: str = parameter, unit: str = unit, length: int = length) -> Sent:
                values = site.values | {parameter: quote(repeated(unit, length), safe="")[:LONGEST_TARGET]}
                return site.address(route, **values), {}

            yield Case(f"{what}, {text}", route, "GET", worst, (site.address(route), {}))


def of_questions(site: World) -> Iterator[Case]:
    for route in routes():
        address = site.address(route)
        for name in sorted(names_read("GET")):
            for text, unit, length in TEXTS:

                def worst(address: str = address, name: str = name, unit: str = unit, length: int = length) -> Sent:
                    return address, {"QUERY_STRING": f"{name}={quote_plus(repeated(unit, length))}"[:LONGEST_TARGET]}

                yield Case(f"?{name}=, {text}", route, "GET", worst, (address, {"QUERY_STRING": f"{name}=a"}))


def forms() -> list[str]:
    return [route for route, rule in matrix.MATRIX.items() if rule.post is not None and route not in ENDS]


def of_fields(site: World) -> Iterator[Case]:
    every = sorted({*fields_of(site), *names_read("POST")})
    for route in forms():
        address = site.address(route)
        for text, unit, length in TEXTS:
            for names in (*((name,) for name in every), every):

                def worst(
                    address: str = address, names: Sequence[str] = names, unit: str = unit, length: int = length
                ) -> Sent:
                    value = quote_plus(repeated(unit, length if len(names) == 1 else min(length, 999)))
                    return address, form("&".join(f"{name}={value}" for name in names))

                plain = address, form("&".join(f"{name}=a" for name in names))
                yield Case(f"{names[0] if len(names) == 1 else 'every field'}, {text}", route, "POST", worst, plain)


def form(data: str | bytes, kind: str = FORM) -> dict[str, Any]:
    return {"data": data.encode() if isinstance(data, str) else data, "content_type": kind}


def of_headers(site: World) -> Iterator[Case]:
    for route in routes():
        address = site.address(route)
        for name in HEADERS:
            for what, unit in MANY.items():
                for length in (400, 1_000, 8_000, 30_000):

                    def worst(address: str = address, name: str = name, unit: str = unit, length: int = length) -> Sent:
                        value = repeated(unit, length)
                        return address, {"content_type": value} if name == "content-type" else {
                            "headers": {name: value}
                        }

                    yield Case(f"{name}, {length} characters of {what}", route, "GET", worst, (address, {}))


def of_cookies(site: World) -> Iterator[Case]:
    for route in routes():
        address = site.address(route)
        for cookie in ("imgnom_session", "imgnom_csrf", "imgnom_lang", "imgnom_cookies", "anything"):
            for what, unit in MANY.items():

                def worst(address: str = address, cookie: str = cookie, unit: str = unit) -> Sent:
                    return address, {"headers": {"cookie": f"{cookie}={repeated(unit, 8000)}"}}

                yield Case(f"cookie {cookie}, {what}", route, "GET", worst, (address, {}))


def part(disposition: bytes, content: bytes = b"x") -> bytes:
    return b"--line\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n" + content + b"\r\n"


def parts_with(raw: bytes) -> bytes:
    one = (b'name="file"; filename="%s"' % raw, b'name="%s"' % raw, b"name=a; filename*=idna''%s" % raw)
    return b"".join(map(part, one)) * 120 + b"--line--\r\n"


def foreign(charset: str) -> bytes:
    named = (f"name=\"a\"; filename*={charset}{n}''a".encode() for n in range(300))
    return b"".join(map(part, named)) + b"--line--\r\n"


def of_parts(site: World) -> Iterator[Case]:
    wholes = {
        "deep JSON": b"[",
        "a long number": b"9",
        "empty fields": b"&",
        "line breaks": b"\r\n",
        "dashes": b"--line\r\n",
    }
    for route in forms():
        address = site.address(route)
        plain = address, form(part(b'name="file"; filename="a"') + b"--line--\r\n", PARTS)
        bodies: list[tuple[str, Callable[[], dict[str, Any]]]] = [
            (f"names of parts, {text}", partial(lambda unit, length: form(parts_with(repeated(unit, length).replace("\n", " ").encode()[:900]), PARTS), unit, length))
            for text, unit, length in TEXTS if length <= 999
        ]  # fmt: skip
        for charset in CHARSETS:
            bodies += [
                (f"parts in {charset[:20]}", partial(lambda charset: form(foreign(charset), PARTS), charset)),
                (f"a form in {charset[:20]}", partial(form, b"a=" + b"ab-" * 60_000, f"{FORM}; charset={charset}")),
                (f"a part in {charset[:20]}", partial(form, part(b'name="a"', b"ab-" * 60_000) + b"--line--\r\n", f"{PARTS}; charset={charset}")),
            ]  # fmt: skip
        for what, unit in wholes.items():
            for kind in ("application/json", FORM, PARTS):
                bodies.append(
                    (
                        f"{what} as {kind[:30]}",
                        partial(lambda unit, kind: form(unit * (250_000 // len(unit)), kind), unit, kind),
                    )
                )
        for what, body in bodies:
            yield Case(what, route, "POST", partial(lambda address, body: (address, body()), address, body), plain)
        for charset in CHARSETS:
            asked = {"QUERY_STRING": "q=" + "ab-" * 2_500, "content_type": f"{FORM}; charset={charset}"}
            yield Case(
                f"a question in {charset[:20]}", route, "GET", partial(lambda *sent: sent, address, asked), plain
            )


KINDS: dict[str, tuple[Callable[[World], Iterator[Case]], int]] = {
    "paths": (of_paths, 41), "questions": (of_questions, 2003), "fields": (of_fields, 2207), "headers": (of_headers, 601), "cookies": (of_cookies, 67), "parts": (of_parts, 43),
}  # fmt: skip


@pytest.mark.clause("C2")
def test_worst_input_costs_no_more_than_its_plain_twin(site: World) -> None:
    wrong = []
    for make, every in KINDS.values():
        wrong += faults(site, some(make(site), every))
    assert wrong == []


def test_worst_input_is_sent_to_every_parameter_that_the_source_reads() -> None:
    assert {"q", "after", "before", "next", "number", "show", "i"} <= names_read("GET")
    assert {"code", "which", "press", "content", "choice", "lang", "next"} <= names_read("POST")
    assert {parameter for _, _, parameter in paths()} >= {"name", "nickname", "public_id", "token", "digest", "number"}


TOWER = "e" + "\u0315\u0300" * 9_000


@pytest.mark.clause("C2")
@pytest.mark.parametrize(("lang", "words"), [("ko", "부호"), ("en", "combining marks")])
def test_login_refuses_a_run_of_marks_at_its_field(lang: str, words: str) -> None:
    for name, other in (("login", "password"), ("password", "login")):
        page = Client(headers={"accept-language": lang}).post(
            "/login", {name: "e" + "\u0315\u0300" * 16, other: "plain value"}
        )
        assert page.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
        told = re.search(rf'name="{name}".*?<p class="error".*?</p>', page.content.decode(), re.DOTALL)
        assert told is not None
        assert words in told[0]


@pytest.mark.clause("C2")
def test_a_text_that_is_far_too_long_is_refused_at_its_field_and_the_others_are_kept(site: World) -> None:
    body = form(f"description={quote_plus(TOWER)}&title=kept+title&alt=kept+alt")
    address = site.address("i/<str:public_id>/edit")
    client = site.clients["owner"]
    token = {"X-CSRFToken": client.cookies["imgnom_csrf"].value}
    page = client.generic("POST", address, headers=token, **body)
    assert page.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    text = page.content.decode()
    assert "kept title" in text
    assert "kept alt" in text
    assert TOWER in text, "what was typed is still there to be shortened"


@pytest.mark.clause("C2")
@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("/t/" + "a" * 201, {}, 404), ("/t/" + quote("e" + "\u0315\u0300" * 16), {}, 404), ("/t/" + "a" * 2_100, {}, 414), ("/?q=" + "a" * 9_000, {}, 414),
        ("/search?q=" + quote("e" + "\u0315\u0300" * 16), {}, 400), ("/", {"cookie": "a=" + "b" * 9_000}, 431), ("/", {"host": "a" * 300}, 400),
        ("/", {"accept": "a" * 20_000}, 200), ("/", {"accept": "," * 20_000}, 200), ("/login?next=" + "/a" * 2_000, {"accept": "x" * 20_000}, 200),
        ("/me/privacy", {"accept": "a" * 20_000}, 302), ("/", {"referer": "http://" + "\xe9" * 5_000}, 200), ("/", {"range": "bytes=" + "9" * 9_000}, 200),
    ],
)  # fmt: skip
def test_addresses_and_headers_have_a_maximum_length(address: str, headers: dict[str, str], status: int) -> None:
    client = Client(raise_request_exception=False, headers={"accept-language": "en"})
    client.handler = _bounded(client.handler)  # type: ignore[assignment]
    page = client.get(address, headers=headers)
    assert page.status_code == status
    if status in (414, 431):
        assert ("too long" if status == 414 else "cookies") in page.content.decode()


def test_a_body_in_another_alphabet_is_refused_before_it_is_decoded() -> None:
    client = Client(raise_request_exception=False)
    client.handler = _bounded(client.handler)  # type: ignore[assignment]
    for charset in ("punycode", '"idna"', "utf-7", "UTF-16"):
        assert (
            client.generic("POST", "/login", b"login=a", content_type=f"{FORM}; charset={charset}").status_code == 400
        )
    for charset in ("utf-8", '"UTF-8"'):
        assert (
            client.generic("POST", "/login", b"login=a", content_type=f"{FORM}; charset={charset}").status_code == 422
        )
