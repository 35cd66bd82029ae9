"""Which kind of answer a caller reads: the `Accept` header, parsed in bounded time and never raising."""

import random

import pytest
from django.test import RequestFactory

from imgnom.web.responses import wants_json

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def asks(accept: str | None) -> bool:
    return wants_json(RequestFactory().get("/", headers={} if accept is None else {"accept": accept}))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, False), ("", False), ("*/*", False), (BROWSER, False), ("application/json", True), ("application/json, text/plain, */*", True),
        ("application/json, */*;q=0.1", True), ("text/html, application/json;q=0.9", False), ("text/html;q=0.5, application/json;q=0.9", True),
        ("application/*", True), ("application/json;q=0", False), ("application/json;q=0.000, text/html", False), ("APPLICATION/JSON ; Q=1.0", True),
        ("application/json, text/html", True), ("text/html, application/json", False), ("application/json;version=2", False), ("application/json;q=x", True),
        ("a" * 20_000, False), ("a," * 10_000 + "application/json", False), ("/json, application/, json", False), (";;;,;;=/;q=,", False), ("text/*;q=0.1, application/json;q=0.1", True),
    ],
)  # fmt: skip
def test_json_is_answered_to_who_prefers_it(accept: str | None, expected: bool) -> None:
    assert asks(accept) is expected


def test_no_header_of_any_shape_raises() -> None:
    dice = random.Random(7)
    for _ in range(3000):
        asks("".join(dice.choice("a/*;q=0.,1 \t\"\\'\x00\xe9%") for _ in range(dice.randrange(400))))
