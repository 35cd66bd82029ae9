"""Who gets which answer where: every address of the site × every method × everybody (C2, threats A1, A2, C4).

The addresses come from the URL table. One that is not in `MATRIX` fails, so a page that is added tomorrow has to say
tomorrow who may open it. Each line says what the contract says, not what the code happens to do.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyotp
import pytest
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from imgnom.community.comments.models import Comment
from imgnom.community.comments.public import write_comment
from imgnom.community.images.models import Image
from imgnom.community.images.public import upload_file
from imgnom.community.members.models import Member
from imgnom.community.members.public import MemberCard, create_confirmed_member, create_staff
from imgnom.custody.consent.public import adopt_policy
from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import SYSTEM
from imgnom.procedures.moderation.models import HandlerRecord
from imgnom.procedures.retention.models import Withdrawal
from imgnom.site.clock import set_clock
from tests.rooms.test_life import jpeg

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
PASSWORD = "kite over the river"
STAFF = ("moderator", "officer", "administrator", "auditor")
# `half` is staff without the second factor; `left` holds the session of a member who has left since.
PEOPLE = ("anonymous", "left", "member", "owner", "half", *STAFF)
LOGIN, FACTOR = "302 /login", "302 /login/second-factor"


@dataclass(frozen=True)
class Rule:
    """What each of `PEOPLE` gets. Whoever is not named gets what `member` gets; `left` is nobody: always `anonymous`.

    An answer is a status, with the start of the place it leads to where that matters. `post` is sent with a right
    token and `body`; where it is None, only looking is allowed and the answer is 405.
    """

    get: dict[str, str] | None
    post: dict[str, str] | None = None
    body: dict[str, str] = field(default_factory=dict)

    def answer(self, method: str, person: str) -> str:
        told = self.get if method in ("GET", "HEAD") else self.post if method == "POST" else None
        if told is None:
            return "405"
        if person == "left":
            person = "anonymous"
        if person == "half" and "half" not in told:  # nobody is signed in yet
            answer = told.get("anonymous") or told["member"]
            return FACTOR if answer == LOGIN else answer
        return told.get(person) or told["member"]


def everybody(status: str) -> dict[str, str]:
    return {"anonymous": status, "member": status}


def signed_in(status: str) -> dict[str, str]:
    return {"anonymous": LOGIN, "member": status}


def owners(status: str) -> dict[str, str]:
    """Somebody else's thing is not there."""
    return {"anonymous": LOGIN, "member": "404", "owner": status}


def staff(status: str, *roles: str, others: str = "403") -> dict[str, str]:
    told = {"anonymous": LOGIN, "member": "403", "half": FACTOR} | dict.fromkeys(STAFF, others)
    return told | dict.fromkeys(roles, status)


KEEPERS = ("moderator", "officer", "administrator")
OPEN = Rule(everybody("200"))
PRIVATE = {"anonymous": "404", "member": "404", "owner": "200"}

FORM = Rule(everybody("200"), everybody("422"))
MATRIX: dict[str, Rule] = {
    "healthz": OPEN,
    "readyz": OPEN,
    "language": Rule(None, everybody("303 /"), {"lang": "en"}),
    # members
    "signup": FORM,
    "signup/confirm": FORM,
    "login": FORM,
    "login/second-factor": Rule(
        signed_in("200") | {"half": "200"}, signed_in("422") | {"half": "422"}, {"code": "000000"}
    ),
    "logout": Rule(None, everybody("303 /")),
    "step-up": Rule(signed_in("200"), signed_in("422")),
    "me/password": Rule(signed_in("200"), signed_in("422")),
    "me/sessions": Rule(signed_in("200"), signed_in("303 /me/sessions")),
    "reset": FORM,
    "reset/confirm": FORM,
    "staff/enrol/<str:token>": FORM,
    # rights and leaving
    "me/privacy": Rule(signed_in("200")),
    "me/privacy/edit": Rule(signed_in("200"), signed_in("422")),
    "me/consents": Rule(signed_in("200"), signed_in("303 /me/consents")),
    "me/export": Rule(signed_in("200")),
    "me/records": Rule(signed_in("200")),
    "me/withdraw": Rule(signed_in("200"), signed_in("422")),
    "me/withdraw/pictures.zip": Rule(signed_in("200")),
    "receipt": OPEN,
    "receipt/<str:number>.json": OPEN,
    "receipt/<str:number>.svg": OPEN,
    "receipt/<str:number>": OPEN,
    "receipt/<str:number>/certificate/<str:certificate_number>.json": OPEN,
    # the desk
    "desk": Rule(staff("200", *KEEPERS, others="303 /desk/records")),
    "desk/records": Rule(staff("200", "officer", "auditor"), staff("422", "officer", "auditor")),
    "desk/<str:kind>/<str:key>": Rule(staff("200", *KEEPERS)),
    "desk/remove/<str:kind>/<str:key>": Rule(None, staff("422", *KEEPERS)),
    # what is published
    "privacy": OPEN,
    "privacy.json": OPEN,
    "privacy/versions": OPEN,
    "privacy/versions/<str:digest>": OPEN,
    "privacy/versions/<str:digest>.json": OPEN,
    "privacy/cookies": Rule(everybody("200"), everybody("303 /privacy/cookies"), {"choice": "refuse"}),
    "privacy/board": OPEN,
    "privacy/board.json": OPEN,
    "privacy/ledger/key": OPEN,
    "privacy/ledger/checkpoint": OPEN,
    "privacy/ledger/consistency/<int:size>": OPEN,
    "terms": OPEN,
    ".well-known/gpc.json": OPEN,
    ".well-known/security.txt": OPEN,
    # pictures and comments; the picture is private, the comment stands under a public one
    "": OPEN,
    "upload": Rule(signed_in("200"), signed_in("422")),
    "upload/done": Rule(signed_in("404")),
    "t/<str:name>": OPEN,
    "@<str:nickname>": OPEN,
    "search": OPEN,
    "i/<str:public_id>": Rule(PRIVATE),
    "i/<str:public_id>/edit": Rule(owners("200"), owners("422"), {"visibility": "nobody"}),
    "i/<str:public_id>/comments": Rule(None, owners("422")),
    "i/<str:public_id>/delete": Rule(owners("200"), owners("303 /")),
    "media/<str:public_id>/thumbnail": Rule(PRIVATE),
    "media/<str:public_id>/preview": Rule(PRIVATE),
    "media/<str:public_id>/original": Rule(PRIVATE),
    "comments/<int:comment_id>/edit": Rule(owners("200"), owners("422")),
    "comments/<int:comment_id>/delete": Rule(None, owners("303 /i/")),
}
# A second press of the same button finds nothing left to do (C2).
ONCE = ("i/<str:public_id>/delete", "comments/<int:comment_id>/delete")
TRICKS = ("no token", "another's token", "a foreign page", "a method in a header", "plain text")
OTHER_METHODS = ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


def routes() -> Iterator[str]:
    def walk(patterns: list[URLPattern | URLResolver], lead: str) -> Iterator[str]:
        for one in patterns:
            route = lead + str(one.pattern)
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns, route)
            else:
                yield route

    return walk(get_resolver().url_patterns, "")


@dataclass
class World:
    """Everybody signed in, and one thing behind every address."""

    now: datetime
    clients: dict[str, Client]
    passwords: dict[str, tuple[str, str]]
    values: dict[str, str]

    def address(self, route: str, **other: str) -> str:
        values = (
            self.values | ({"key": self.values["shown"], "kind": "picture"} if route.startswith("desk") else {}) | other
        )
        return "/" + re.sub(r"<\w+:(\w+)>", lambda found: values[found[1]], route)

    def ask(self, person: str, method: str, address: str, *, token: bool = True, **more: Any) -> HttpResponseBase:
        client = self.clients[person]
        headers = {"X-CSRFToken": client.cookies["imgnom_csrf"].value} if token else {}
        headers |= more.pop("headers", {})
        if method == "POST":
            return client.post(address, more.pop("body", {}), headers=headers, **more)
        return client.generic(method, address, headers=headers, **more)


def visitor() -> Client:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False, headers={"accept-language": "en"})
    assert client.get("/login").status_code == 200
    return client


def enter(client: Client, login: str, password: str) -> Client:
    token = client.cookies["imgnom_csrf"].value
    answer = client.post("/login", {"login": login, "password": password}, headers={"X-CSRFToken": token})
    assert answer.status_code == 303
    return client


def join(login: str, nickname: str, now: datetime) -> MemberCard:
    return create_confirmed_member(
        username=login, password=PASSWORD, nickname=nickname, email=f"{login}@mail.example", now=now
    )


def hang(owner: MemberCard, now: datetime, visibility: str) -> str:
    words = {"title": "t", "description": "d", "alt": "a", "tags": "river"}
    return upload_file(
        content=jpeg(), by_member=owner.id, subject=owner.subject, visibility=visibility, now=now, **words
    ).public_id  # fmt: skip


@pytest.fixture
def world(now: datetime) -> World:
    set_clock(now)
    adopt_policy(policy_in_force(), now=now, by=SYSTEM)
    cards = {
        who: join(f"{who}.one", nick, now) for who, nick in (("member", "노을"), ("owner", "은수"), ("left", "떠난이"))
    }
    clients = {"anonymous": visitor()}
    passwords = {who: (f"{who}.one", PASSWORD) for who in cards}
    for who in cards:
        clients[who] = enter(visitor(), *passwords[who])
    for role in (*STAFF, "half"):
        made = create_staff(login=f"the-{role}", role="officer" if role == "half" else role, now=now)
        passwords[role] = (made.login, made.password)
        clients[role] = enter(visitor(), made.login, made.password)
        if role != "half":
            with_factor(clients[role], made.totp_secret)
            passwords[f"factor of {role}"] = (made.login, made.totp_secret)
    old = Client()
    enter_with = {"login": "left.one", "password": PASSWORD}
    assert old.post("/login", enter_with).status_code == 303
    assert old.post("/me/withdraw", {"content": "delete", "confirm": "yes"}).status_code == 303
    gone = Withdrawal.objects.get()
    shown, private = hang(cards["owner"], now, "public"), hang(cards["owner"], now, "private")
    comment = write_comment(image_id=shown, body="hello", by_member=cards["owner"].id, now=now)
    link = create_staff(login="the-new-one", role="moderator", now=now).enrolment_path
    values = {
        "public_id": private, "shown": shown, "comment_id": str(comment.pk), "number": gone.number, "certificate_number": gone.certificates[0],
        "digest": policy_in_force().digest, "nickname": "은수", "name": "river", "token": link.rpartition("/")[2], "size": "1",
    }  # fmt: skip
    return World(now, clients, passwords, values)


def told(answer: HttpResponseBase) -> str:
    return f"{answer.status_code} {answer.get('Location', '')}".strip()


@pytest.mark.clause("C2")
def test_every_address_of_the_site_is_in_the_matrix() -> None:
    found = list(routes())
    assert len(found) == len(set(found))
    assert set(found) == set(MATRIX), "say who may open a new page; take a page away that is gone"


def differences(world: World, method: str, ask: Callable[[str, str, Rule], HttpResponseBase]) -> list[str]:
    """Every line of the matrix asked by everybody, what ends a session or a thing last of all."""
    wrong = []
    for route, rule in MATRIX.items():
        for person in sorted(PEOPLE, key=lambda one: one == "owner"):
            answer, wanted = ask(route, person, rule), rule.answer(method, person)
            if not told(answer).startswith(wanted):
                wrong.append(f"{method} /{route} by {person}: {told(answer)}, not {wanted}")
    return wrong


@pytest.mark.clause("C2", "A7.1", "I10")
def test_everybody_who_looks_gets_the_answer_of_the_contract(world: World) -> None:
    for method in ("GET", "HEAD"):

        def ask(route: str, person: str, rule: Rule, method: str = method) -> HttpResponseBase:
            return world.ask(person, method, world.address(route))

        assert differences(world, method, ask) == []


@pytest.mark.clause("C2", "A7.1", "I10")
def test_everybody_who_acts_gets_the_answer_of_the_contract(world: World) -> None:
    def ask(route: str, person: str, rule: Rule) -> HttpResponseBase:
        address = world.address(route)
        answer = world.ask(person, "POST", address, body=rule.body)
        if route == "logout" and person in world.passwords:
            assert world.ask(person, "GET", "/me/records").status_code == 302, "signed out"
            if person != "left":
                world.clients[person] = enter(visitor(), *world.passwords[person])
                if person in STAFF:
                    with_factor(world.clients[person], world.passwords[f"factor of {person}"][1])
        if route in ONCE and person == "owner":
            assert world.ask(person, "POST", address).status_code == 409
        return answer

    assert differences(world, "POST", ask) == []
    assert not Comment.objects.exists()
    assert [image.public_id for image in Image.objects.all()] == [world.values["shown"]]


def with_factor(client: Client, secret: str) -> None:
    """The code of this half minute, which counts once: also for who has used it just now."""
    Member.objects.update(last_totp_step=0)
    token = {"X-CSRFToken": client.cookies["imgnom_csrf"].value}
    assert client.post("/login/second-factor", {"code": pyotp.TOTP(secret).now()}, headers=token).status_code == 303


@pytest.mark.clause("C2")
def test_a_method_that_is_not_meant_is_refused(world: World) -> None:
    for method in OTHER_METHODS:

        def ask(route: str, person: str, rule: Rule, method: str = method) -> HttpResponseBase:
            return world.ask(person, method, world.address(route))

        assert differences(world, method, ask) == []


def everything() -> tuple[Any, ...]:
    return (
        list(Image.objects.order_by("pk").values()), list(Comment.objects.order_by("pk").values()),
        list(Member.objects.order_by("pk").values("subject", "nickname", "password", "role", "state", "session_epoch")),
    )  # fmt: skip


@pytest.mark.clause("C2")
def test_a_form_that_is_not_from_our_page_changes_nothing(world: World) -> None:
    other = visitor().cookies["imgnom_csrf"].value
    before = everything()

    def ask(trick: str, person: str, address: str, rule: Rule) -> HttpResponseBase:
        match trick:
            case "no token":
                return world.ask(person, "POST", address, token=False, body=rule.body)
            case "another's token":
                return world.ask(person, "POST", address, body=rule.body, headers={"X-CSRFToken": other})
            case "a foreign page":
                return world.ask(person, "POST", address, body=rule.body, headers={"Origin": "https://evil.example"})
            case "plain text":
                client = world.clients[person]
                return client.post(address, '{"reason":"x"}', content_type="text/plain")
            case _:
                return world.ask(
                    person, "GET", address, headers={"X-HTTP-Method-Override": "POST", "X-HTTP-Method": "POST"}
                )

    wrong = []
    for trick in TRICKS:
        for route, rule in MATRIX.items():
            for person in PEOPLE:
                answer = ask(trick, person, world.address(route), rule)
                wanted = rule.answer("GET", person) if trick == "a method in a header" else "403"
                if not told(answer).startswith(wanted):
                    wrong.append(f"{trick}: /{route} by {person}: {told(answer)}, not {wanted}")
    assert wrong == []
    assert everything() == before


@pytest.mark.clause("C2")
def test_a_program_is_told_in_json_and_led_nowhere(world: World) -> None:
    wrong = []
    for route, rule in MATRIX.items():
        for method in ("GET", "POST"):
            for person, led, wanted in (("anonymous", LOGIN, 401), ("left", LOGIN, 401), ("half", FACTOR, 403)):
                if rule.answer(method, person) != led:
                    continue
                headers = {"Accept": "application/json"}
                answer = world.ask(person, method, world.address(route), body=rule.body, headers=headers)
                is_json = answer["Content-Type"] == "application/json"
                if answer.status_code != wanted or not is_json or answer.has_header("Location"):
                    wrong.append(f"{method} /{route} by {person}: {told(answer)}, not {wanted}")
    assert wrong == []


def bare(answer: HttpResponseBase, *ids: str) -> tuple[Any, ...]:
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
    text = content.decode()
    for value in ids:
        text = text.replace(value, "ID")
    text = re.sub(r'(name="csrfmiddlewaretoken" value=")[^"]*', r"\1", text)
    headers = dict(answer.items())
    if "Location" in headers:
        for value in ids:
            headers["Location"] = headers["Location"].replace(value, "ID")
    return answer.status_code, sorted(headers.items()), text


@pytest.mark.clause("C2", "A2.1")
def test_a_private_thing_of_somebody_else_looks_like_no_thing_at_all(world: World) -> None:
    nothing = {"public_id": secrets.token_urlsafe(8), "comment_id": str(int(world.values["comment_id"]) + 1)}
    seen = 0
    for route, rule in MATRIX.items():
        if not re.search("public_id|comment_id", route):
            continue
        for method in ("GET", "HEAD", "POST"):
            for person in PEOPLE:
                if person == "owner":
                    continue
                real, none = world.address(route), world.address(route, **nothing)
                one = world.ask(person, method, real, body=rule.body)
                other = world.ask(person, method, none, body=rule.body)
                assert bare(one, real) == bare(other, none), (route, method, person)
                seen += 1
    assert seen > 180


@pytest.mark.clause("C2", "X4")
def test_a_role_too_low_is_recorded_each_time(world: World) -> None:
    HandlerRecord.objects.all().delete()
    count = 0
    for route, rule in MATRIX.items():
        for method in ("GET", "POST"):
            for person in PEOPLE:
                if rule.answer(method, person) != "403":
                    continue
                assert world.ask(person, method, world.address(route)).status_code == 403
                count += 1
    assert count > 10
    assert HandlerRecord.objects.filter(result="refused").count() == HandlerRecord.objects.count() == count


@pytest.mark.clause("C2", "A7.2b")
def test_leaving_twice_has_one_effect(now: datetime) -> None:
    set_clock(now)
    join("member.one", "노을", now)
    first, second = Client(), Client()
    assert first.post("/login", {"login": "member.one", "password": PASSWORD}).status_code == 303
    second.cookies["imgnom_session"] = first.cookies["imgnom_session"].value
    leave = {"content": "delete", "confirm": "yes"}
    assert first.post("/me/withdraw", leave).status_code == 303
    assert told(second.post("/me/withdraw", leave)).startswith(LOGIN)
    assert Withdrawal.objects.count() == 1


STRAY = (
    "/me/x.css", "/me/privacy/x.css", "/desk/x.css", "/me/records/", "/me%2Fx.css", "/demo", "/outbox", "/admin", "/static/x.css", "/media/x", "/i/",
    "/@", "/me/privacy%0A", "/receipt/none.css", "/comments/-1/delete", "/i/%00", "/desk/picture/a/b",
)  # fmt: skip


@pytest.mark.clause("C2")
def test_an_unknown_address_is_404_for_everybody_and_kept_by_nobody(world: World) -> None:
    wrong = []
    for path in STRAY:
        for person in PEOPLE:
            answer = world.ask(person, "GET", path)
            if answer.status_code != 404 or (path[:4] != "/sta" and "no-store" not in answer["Cache-Control"]):
                wrong.append(f"{path} by {person}: {told(answer)}, {answer.get('Cache-Control')}")
    assert wrong == []


@pytest.mark.clause("C2")
def test_no_field_of_any_form_breaks_on_a_character_that_a_store_does_not_take(world: World) -> None:
    """PostgreSQL takes no text with U+0000; lone surrogates are no text anywhere."""
    wrong = []
    for route, rule in MATRIX.items():
        for person in ("anonymous", "member", "administrator"):
            body = dict.fromkeys(rule.body, "a\x00b") | {"next": "/\0", "login": "\0", "password": "\0", "q": "\0"}
            answer = world.ask(person, "POST", world.address(route) + "?q=%00&after=%00&lang=%00%ED%A0%80", body=body)
            if answer.status_code >= 500:
                wrong.append(f"POST /{route} by {person}: {told(answer)}")
    assert wrong == []
