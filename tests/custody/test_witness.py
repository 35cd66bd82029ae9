"""A witness that is another host or a mailbox: what it saw is compared, what it alone knows is not written over, and
one that is away stops nothing and is told after a day. Real HTTP and SMTP on loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings
from django.test import Client

from imgnom.custody.ledger import witness
from imgnom.custody.ledger.models import Checkpoint, Leaf, Node, Tally
from imgnom.custody.ledger.public import (
    latest_checkpoint,
    make_checkpoint,
    sequence,
    told,
    verify_ledger,
    witness_trouble,
)
from imgnom.custody.outbox.public import record_act
from imgnom.policy.public import SYSTEM
from imgnom.site.clock import set_clock
from imgnom.site.witness import show_ledger
from tests.live import free_port

pytestmark = pytest.mark.django_db(databases="__all__")


def fill(now: datetime, count: int) -> None:
    for number in range(count):
        record_act(store="ledger", act="try", clause="A0.1", by=SYSTEM, now=now, detail={"number": number})
    sequence(now=now)
    make_checkpoint(now=now)


def rewrite(now: datetime, count: int) -> None:
    for model in (Leaf, Node, Checkpoint, Tally):
        model.objects.all().delete()
    fill(now, count)


class Host:
    """A second host that keeps one text, or every text that it was ever sent."""

    def __init__(self, *, methods: tuple[str, ...] = ("GET", "PUT"), keeps_all: bool = False) -> None:
        self.methods, self.keeps_all = methods, keeps_all
        self.held: list[str] = []
        self.asked: list[str] = []
        self.status = 0
        self.address = ""

    def handler(host: "Host") -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                host.asked.append(self.command)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                status, words = host.status or 200, ""
                if not host.status:
                    if self.command not in host.methods:
                        status = 405
                    elif self.command == "GET":
                        status, words = (200, "\n".join(host.held)) if host.held else (404, "")
                    else:
                        host.held = [*host.held, body] if host.keeps_all else [body]
                self.send_response(status)
                self.send_header("Content-Length", str(len(words.encode())))
                self.end_headers()
                self.wfile.write(words.encode())

            do_GET = do_PUT = do_POST = _answer  # noqa: N815 - names of http.server

            def log_message(self, *_: object) -> None:
                return

        return Handler


@contextmanager
def serving(host: Host) -> Iterator[Host]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), host.handler())
    host.address = f"http://127.0.0.1:{server.server_port}/ledger"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    before = settings.IMGNOM
    settings.IMGNOM = replace(before, witness=host.address)
    try:
        yield host
    finally:
        settings.IMGNOM = before
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    place = Path(settings.IMGNOM.home) / "witness.json"
    place.unlink(missing_ok=True)
    witness._next_try[0] = 0.0
    yield
    place.unlink(missing_ok=True)


@pytest.mark.clause("A0.1")
@pytest.mark.parametrize(
    ("methods", "way"), [(("GET", "PUT"), "PUT"), (("GET", "POST"), "POST"), (("PUT",), "PUT"), (("POST",), "POST")]
)
def test_a_second_host_gets_the_checkpoint_in_the_way_it_allows(
    now: datetime, methods: tuple[str, ...], way: str
) -> None:
    with serving(Host(methods=methods)) as host:
        fill(now, 3)
        assert host.asked == [], "whoever acts on the site waits for no other host"
        assert show_ledger(now=now).problem == ""
        assert host.held == [latest_checkpoint()]
        assert host.asked[-1] == way
        assert told().size == 3
        asked = len(host.asked)
        show_ledger(now=now)
        assert len(host.asked) == asked, "nothing new, nothing said"
        fill(now, 2)
        show_ledger(now=now, at_once=True)
        assert host.held == [latest_checkpoint()]
        assert verify_ledger().ok


@pytest.mark.clause("A0.1")
def test_fork_truncation_rewriting_and_rollback_are_found_by_what_another_host_saw(now: datetime) -> None:
    with serving(Host()) as host:
        fill(now, 5)
        show_ledger(now=now)
        seen = list(host.held)
        rewrite(now, 3)  # rolled back to something shorter, whatever it is
        assert "cut off: a checkpoint covers 5" in verify_ledger().problem
        shown = show_ledger(now=now, at_once=True)
        assert "has seen 5 entries" in shown.problem
        assert host.held == seen, "the witness is not written over by a ledger that lags behind it"
        rewrite(now, 5)
        assert "another root" in verify_ledger().problem
        rewrite(now, 9)  # a fork that has grown past it
        assert "not those that were signed" in verify_ledger().problem
        assert "another ledger of 5 entries" in show_ledger(now=now, at_once=True).problem
        assert host.held == seen


def test_every_checkpoint_that_another_host_lists_is_compared(now: datetime) -> None:
    with serving(Host(keeps_all=True)) as host:
        for _ in range(3):
            fill(now, 2)
            show_ledger(now=now, at_once=True)
        assert len(host.held) == 3
        assert verify_ledger().ok
        host.held[1] = host.held[1].replace("\n4\n", "\n5\n")
        problem = verify_ledger().problem
        assert "checkpoint 2 of the second host: its signature does not hold" in problem


@pytest.mark.parametrize("way", ["nobody listens", "it fails", "it refuses"])
def test_a_host_that_is_away_stops_nothing_and_is_told_after_a_day(now: datetime, client: Client, way: str) -> None:
    with serving(Host()) as host:
        host.status = {"it fails": 500, "it refuses": 403}.get(way, 0)
        if way == "nobody listens":
            settings.IMGNOM = replace(settings.IMGNOM, witness=f"http://127.0.0.1:{free_port()}/x")
        fill(now, 3)
        shown = show_ledger(now=now)
        assert shown.problem
        assert "127.0.0.1" not in shown.problem
        assert verify_ledger().ok
        assert witness_trouble(now=now + timedelta(hours=23)) == ""
        late = now + timedelta(hours=24)
        assert "has not seen the ledger since" in witness_trouble(now=late)
        set_clock(late)
        assert "증인: 있으나" in client.get("/privacy?lang=ko").content.decode()
        assert not show_ledger(now=late).at, "the next try waits its minute of real time"
        if way != "nobody listens":
            host.status = 0
            assert show_ledger(now=late, at_once=True).problem == ""
            assert witness_trouble(now=late) == ""
            assert host.held == [latest_checkpoint()]


def test_a_host_that_answers_with_something_else_is_no_witness_of_ours(now: datetime) -> None:
    with serving(Host()) as host:
        host.held = ["<html>welcome</html>"]
        fill(now, 3)
        assert "did not sign" in show_ledger(now=now).problem
        assert "its signature does not hold" in verify_ledger().problem


class Postman:
    def __init__(self) -> None:
        self.letters: list[tuple[list[str], bytes]] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        self.letters.append((list(envelope.rcpt_tos), envelope.original_content or b""))
        return "250 taken"


@pytest.mark.clause("A0.1")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_mailbox_gets_a_checkpoint_a_day_and_with_it_a_rewritten_past_is_found(now: datetime) -> None:
    postman, port, before = Postman(), free_port(), settings.IMGNOM
    settings.IMGNOM = replace(
        before, witness="mailto:witness@mail.example", mail_url=f"smtp://127.0.0.1:{port}?tls=optional"
    )
    controller = Controller(postman, hostname="127.0.0.1", port=port)
    try:
        fill(now, 4)
        assert show_ledger(now=now).problem == "the mail server is away"
        controller.start()
        show_ledger(now=now, at_once=True)
        fill(now, 1)
        show_ledger(now=now + timedelta(hours=23))
        assert len(postman.letters) == 1
        show_ledger(now=now + timedelta(hours=24))
        assert [people for people, _ in postman.letters] == [["witness@mail.example"]] * 2
    finally:
        settings.IMGNOM = before
        controller.stop()
    notes = []
    for _, content in postman.letters:
        attached = list(message_from_bytes(content, policy=default).iter_attachments())
        notes.append(attached[0].get_content())
    assert notes == [row.note for row in Checkpoint.objects.order_by("size")]
    assert verify_ledger(saved=notes[0]).ok
    rewrite(now, 9)
    assert verify_ledger().ok
    assert "not those that were signed" in verify_ledger(saved=notes[0]).problem
    assert "given by hand" in verify_ledger(saved="something").problem
