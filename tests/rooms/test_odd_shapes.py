"""Whatever is sent in whatever shape, the answer is a clear refusal and never an error of the site's (threats U11, D3, D4, A6).

Addresses come from the URL table, field names from the pages themselves, so that a form of tomorrow is tried tomorrow.
The throttle is out of the way: it would answer before the form does.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from imgnom.community.members.models import Member
from tests.rooms import test_access_matrix as matrix
from tests.rooms.test_access_matrix import World, routes

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
world = matrix.world

FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data; boundary=line"
# These end the session, the member or the thing; `test_access_matrix` presses them.
ENDS = ("logout", "me/withdraw", *matrix.ONCE)
# What a field never means; as text, before any encoding.
ODD = {
    "nothing": "",
    "a NUL": "a\0b",
    "a line break": "a\r\nSet-Cookie: x=1",
    "a direction mark": "\u202e\u2066gnp.exe",
    "digits of another script": "１２３",
    "a huge number": "9" * 400,
    "a negative number": "-1",
    "a number beyond the store": str(2**63),
    "markup": "'\"><svg onload=alert(1)>{{7*7}}{%load%}",
    "a path": "../../../../etc/passwd",
    "an address": "javascript:alert(1)//https://evil.example",
    "SQL": "1' OR '1'='1'; DROP TABLE x; --",
    "a format": "%s%n{0}$(id)`id`",
    "a letter of four bytes, joined": "👩‍👩‍👧‍👦" * 50,
    "combining marks": "e" + "\u0301" * 3000,
    "very long": "가" * 40_000,
}
# Bytes that are no text.
RAW = {"not UTF-8": "%ff%fe", "a lone surrogate": "%ed%a0%80", "a broken escape": "%zz%", "overlong": "%c0%af"}
HEADERS = (
    {"accept": "*/*;q=x, application/json"}, {"accept": "a" * 5000}, {"accept-language": "ko;q=9,,;;en-" + "a" * 4000}, {"range": "bytes=0-,5-2,-"},
    {"if-none-match": '"' + "x" * 4000}, {"if-modified-since": "Feb 31"}, {"cookie": "imgnom_session=; imgnom_csrf=x; imgnom_cookies=\x01; =;;a"},
    {"x-forwarded-for": "1, ::, 999.1.1.1, " * 50}, {"x-http-method-override": "DELETE"}, {"referer": "http://[::1"}, {"origin": "null"},
    {"user-agent": "é\u00ff" * 200}, {"sec-fetch-site": "what"},
)  # fmt: skip


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgnom.web.throttle.count", lambda *_a, **_k: 0)


def fields_of(world: World) -> list[str]:
    """The names of every field on any page that somebody may see, and those that scripts and forgers send."""
    names = {"file", "id", "is_staff", "role", "owner", "state", "_method"}
    for route in routes():
        for person in ("owner", "officer"):
            page = world.ask(person, "GET", world.address(route))
            if page.status_code == HTTPStatus.OK and not page.streaming:
                names |= set(re.findall('name="([a-z_0-9]+)"', page.content.decode(errors="replace")))  # type: ignore[attr-defined]
    return sorted(names - {"csrfmiddlewaretoken", "robots", "viewport"})  # the right token comes with each


def bodies(names: list[str]) -> Iterator[tuple[str, str, bytes]]:
    """(what, content type, body)."""
    for what, value in ODD.items():
        yield what, FORM, urlencode(dict.fromkeys(names, value)).encode()
    for what, escaped in RAW.items():
        yield what, FORM, "&".join(f"{name}={escaped}" for name in names).encode()
    yield "raw bytes", FORM, b"&".join(name.encode() + b"=\xff\x00\xfe" for name in names)
    yield "each field fifty times", FORM, urlencode([(name, n) for name in names for n in range(50)]).encode()
    yield "a list where a word is meant", FORM, urlencode({f"{name}[]": "x" for name in names}).encode()
    yield "another alphabet", f"{FORM}; charset=utf-16", "content=delete".encode("utf-16")
    yield "an alphabet that is none", f"{FORM}; charset=no-such", b"content=delete"
    yield "JSON", "application/json", json.dumps({name: [{"a": None}] for name in names}).encode()
    yield "deep JSON", "application/json", b"[" * 20_000
    yield "no type", "", b"content=delete"
    yield "parts without a boundary", "multipart/form-data", b"--x\r\n"
    yield "parts with an endless boundary", f"multipart/form-data; boundary={'b' * 500}", b"--x\r\n"
    yield "parts cut off", PARTS, b'--line\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\nabc'
    yield "parts that never began", PARTS, b"\r\n" * 1000
    head = b"--line\r\nContent-Disposition: form-data; "
    yield "files where words are meant", PARTS, b"".join(head + f'name="{n}"; filename="x"\r\n\r\nx\r\n'.encode() for n in names) + b"--line--\r\n"  # fmt: skip
    yield "words where files are meant", PARTS, head + b'name="file"\r\n\r\nx\r\n--line--\r\n'
    yield "a part without a name", PARTS, head + b'filename="x"\r\n\r\nx\r\n--line--\r\n'
    yield "a part in base64 that is none", PARTS, head + b'name="file"; filename="x"\r\nContent-Transfer-Encoding: base64\r\n\r\n=x=\r\n--line--\r\n'  # fmt: skip
    yield "a name in another manner", PARTS, head + b"name*=utf-16''%ff; filename*=no''%00%ff\r\n\r\nx\r\n--line--\r\n"
    yield "a header without an end", PARTS, b"--line\r\nContent-Disposition: " + b"a" * 20_000


def some_of[T](things: Iterable[T], turn: int) -> list[T]:
    """Every fifth, beginning elsewhere at each address; all of them with EVERY_SHAPE."""
    every = list(things)
    return every if os.environ.get("EVERY_SHAPE") else every[turn % 5 :: 5]


def send(world: World, route: str, method: str, address: str, **more: Any) -> int:
    """The status for whoever sees most there."""
    client = world.clients["officer" if route.startswith("desk") else "owner"]
    headers = {"X-CSRFToken": client.cookies["imgnom_csrf"].value} | more.pop("headers", {})
    return client.generic(method, address, headers=headers, **more).status_code


def who_may_what() -> list[tuple[Any, ...]]:
    return list(Member.objects.order_by("pk").values_list("pk", "subject", "role", "state"))


@pytest.mark.clause("C2", "A7.1")
def test_a_body_of_any_shape_is_answered_and_gives_nobody_a_right(world: World) -> None:
    names, before, wrong, seen = fields_of(world), who_may_what(), [], Counter[int]()
    assert {"file", "body", "content", "nickname", "reason", "code", "agree_terms"} <= set(names), "the forms were seen"
    for turn, (route, rule) in enumerate(matrix.MATRIX.items()):
        if rule.post is None or route in ENDS:
            continue
        for what, kind, body in some_of(bodies(names), turn):
            status = send(world, route, "POST", world.address(route), data=body, content_type=kind)
            seen[status] += 1
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                wrong.append(f"POST /{route}, {what}: {status}")
    assert wrong == []
    assert seen[422] > seen.total() // 3, "most of it reached a form"
    assert who_may_what() == before


@pytest.mark.clause("C2")
def test_an_address_and_a_question_of_any_shape_is_answered(world: World) -> None:
    wrong = []
    names = sorted({*fields_of(world), "after", "before", "q", "next", "show", "i", "page"})
    values = {what: quote(value[:3000], safe="") for what, value in ODD.items()} | RAW
    for turn, route in enumerate(routes()):
        for what, value in some_of(values.items(), turn):
            place = re.sub(r"<\w+:\w+>", lambda _found, value=value: value or "%20", route)  # type: ignore[misc]
            asked = "&".join(f"{name}={value}" for name in names)
            for address, extra in ((f"/{place}", {}), (world.address(route), {"QUERY_STRING": asked})):
                status = send(world, route, "GET", address, **extra)
                if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    wrong.append(f"GET {address[:60]} {'asked ' if extra else ''}with {what}: {status}")
    assert wrong == []


@pytest.mark.clause("C2")
def test_headers_of_any_shape_are_answered(world: World) -> None:
    wrong = []
    for turn, route in enumerate(routes()):
        for headers in some_of(HEADERS, turn):
            status = send(world, route, "GET", world.address(route), headers=headers)
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                wrong.append(f"GET /{route} with {headers}: {status}")
    assert wrong == []
