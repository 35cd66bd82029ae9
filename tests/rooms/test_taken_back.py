"""What was taken back is gone at every door at once, and no cache between us and the reader is led astray (threats A3, H2–H4)."""

import re
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from imgnom.community.images.models import Image
from imgnom.community.images.public import set_tags
from tests.rooms.members.people import PASSWORD
from tests.rooms.test_access_matrix import enter, hang, join, visitor

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
SIZES = ("thumbnail", "preview", "original")
TITLE = "감나무 아래"


def post(client: Client, address: str, **fields: str) -> Any:
    return client.post(address, fields, headers={"X-CSRFToken": client.cookies["imgnom_csrf"].value})


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


@pytest.fixture
def owner(now: datetime) -> Client:
    from imgnom.site.clock import set_clock

    set_clock(now)
    card = join("owner.one", "은수", now)
    picture = hang(card, now, "public")
    Image.objects.filter(public_id=picture).update(title=TITLE)
    set_tags(Image.objects.get(), "persimmon")
    return enter(visitor(), "owner.one", PASSWORD)


def doors(name: str) -> dict[str, str]:
    """Every address that shows the picture or speaks of it, and what of it stands there."""
    pages = dict.fromkeys(("/", "/t/persimmon", "/search?q=감나무", "/@은수"), TITLE)
    return pages | {f"/i/{name}": TITLE} | dict.fromkeys((f"/media/{name}/{size}" for size in SIZES), "")


@pytest.mark.clause("A7.1", "A2.1")
@pytest.mark.parametrize("how", ["hidden", "deleted", "left"])
def test_what_a_stranger_saw_they_see_no_more_not_even_with_the_mark_of_what_they_have(owner: Client, how: str) -> None:
    name = Image.objects.get().public_id
    stranger, marks = visitor(), {}
    for address, words in doors(name).items():
        answer = stranger.get(address)
        assert answer.status_code == 200, address
        assert words in body_of(answer).decode(errors="replace")
        marks[address] = answer.get("ETag", "")
    assert all(marks[f"/media/{name}/{size}"] for size in SIZES), "the look is not blind"

    acts = {
        "hidden": (f"/i/{name}/edit", {"title": TITLE, "visibility": "private"}),
        "deleted": (f"/i/{name}/delete", {}),
        "left": ("/me/withdraw", {"content": "delete", "confirm": "yes"}),
    }
    assert post(owner, acts[how][0], **acts[how][1]).status_code == 303
    for address, words in doors(name).items():
        answer = stranger.get(address, headers={"if-none-match": marks[address]} if marks[address] else {})
        if words and not address.startswith("/i/"):
            assert answer.status_code == (404 if (address, how) == ("/@은수", "left") else 200), address
            assert TITLE not in answer.content.decode().replace(f'value="{TITLE}', ""), address
        else:
            assert answer.status_code == 404, address


@pytest.mark.clause("A1.2")
def test_a_page_of_ones_own_under_a_name_that_a_cache_would_keep_is_no_page(owner: Client) -> None:
    kept = owner.get("/me/privacy")
    assert kept.status_code in (200, 302)
    assert "no-store" in kept["Cache-Control"]
    for address in (
        "/me/privacy/x.css", "/me/privacy.css", "/me/privacy;x.css", "/me/privacy%2Fx.css", "/me/privacy%00.css", "/me/privacy%3Fx.css", "/me/privacy/%2e%2e/x.js",
        "/me/records/style.css", "/me/privacy%0a.css", "/ME/privacy", "/static/..%2fme/privacy",
    ):  # fmt: skip
        answer = owner.get(address)
        assert answer.status_code == 404, address
        assert "은수" not in body_of(answer).decode(errors="replace"), address


@pytest.mark.clause("A1.2")
def test_what_a_proxy_may_not_know_of_changes_no_page(owner: Client) -> None:
    """A header that is no part of a cache's key must not reach what everybody else is then shown."""
    plain = visitor().get("/privacy/cookies")
    for header in ("x-forwarded-host", "x-forwarded-proto", "x-forwarded-server", "x-original-url", "x-rewrite-url", "x-host", "forwarded",
                   "x-http-method-override", "x-forwarded-prefix", "x-script-name"):  # fmt: skip
        value = "host=evil.example" if header == "forwarded" else "evil.example"
        answer = visitor().get("/privacy/cookies", headers={header: value})
        assert answer.status_code == plain.status_code == 200
        token = re.compile(rb'(?:value|content)="[A-Za-z0-9]{64}"|nonce-\S+')
        assert token.sub(b"", answer.content) == token.sub(b"", plain.content), header
        assert "evil.example" not in str(answer.headers)


@pytest.mark.clause("A2.1")
def test_ten_thousand_ranges_of_a_file_are_the_file_once(owner: Client) -> None:
    name = Image.objects.get().public_id
    whole = body_of(visitor().get(f"/media/{name}/original"))
    for ranges in (
        "bytes=" + ",".join(f"{n}-{n + 1}" for n in range(10_000)),
        "bytes=0-,0-,0-",
        "bytes=5-1",
        "bytes=-0",
        "lines=1-2",
    ):
        answer = visitor().get(f"/media/{name}/original", headers={"range": ranges})
        assert answer.status_code in (200, 206, 416)
        assert len(body_of(answer)) <= len(whole)
