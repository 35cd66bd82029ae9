"""The line in front of the sandbox, and each member's storage: fair among members, bounded, and told."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import close_old_connections, connections
from django.test import Client

from imgnom.community.images import line, take_in, views
from imgnom.community.images.errors import Busy, OneAtATime, StorageFull
from imgnom.community.images.line import turn
from imgnom.community.images.models import Image
from imgnom.community.images.public import delete_one, remove_by_staff, storage_of, upload_file
from imgnom.community.images.quota import size_words
from imgnom.community.images.take_in import files_of, media_path
from imgnom.community.members.public import MemberCard, create_confirmed_member
from imgnom.policy.public import SYSTEM
from imgnom.site.clock import set_clock
from tests import files

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

PASSWORD = "kite over the river"


def joined(name: str, now: datetime) -> MemberCard:
    return create_confirmed_member(
        username=f"{name}.x", password=PASSWORD, nickname=name, email=f"{name}@mail.example", now=now
    )


@pytest.fixture
def author(now: datetime) -> MemberCard:
    set_clock(now)
    return joined("eunsu", now)


def browser_of(name: str, language: str = "en") -> Client:
    browser = Client(headers={"accept-language": language})
    assert browser.post("/login", {"login": f"{name}.x", "password": PASSWORD}).status_code == 303
    return browser


@pytest.fixture
def client(author: MemberCard) -> Client:
    return browser_of("eunsu")


def send(client: Client, *contents: bytes, json: bool = True) -> Any:
    parts = [
        b'--line\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + one + b"\r\n"
        for one in contents
    ]
    headers = {"accept": "application/json"} if json else {}
    body = b"".join(parts) + b"--line--\r\n"
    return client.generic("POST", "/upload", body, content_type="multipart/form-data; boundary=line", headers=headers)


PHOTO = files.saved(files.drawn(), "JPEG")


# ── the line ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Crowd:
    """Callers in threads of their own, each of whom holds a turn until told to let go."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self._let_go: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def come(self, name: str, who: str) -> None:
        let_go = self._let_go[name] = threading.Event()

        def wait_and_hold() -> None:
            with turn(who, wait_seconds=20):
                self.served.append(name)
                let_go.wait(20)

        thread = threading.Thread(target=wait_and_hold)
        self._threads.append(thread)
        before = self.came()
        thread.start()
        until(lambda: self.came() > before)

    def done(self, name: str) -> None:
        until(lambda: name in self.served)
        before = self.tickets()
        self._let_go[name].set()
        until(lambda: self.tickets() < before)

    @staticmethod
    def tickets() -> int:
        with line._line() as found:
            return int(found.execute("SELECT COUNT(*) FROM tickets").fetchone()[0])

    @staticmethod
    def came() -> int:
        """How many tickets there ever were."""
        with line._line() as found:
            return int(found.execute("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence").fetchone()[0])

    def end(self) -> None:
        for event in self._let_go.values():
            event.set()
        for thread in self._threads:
            thread.join()


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def crowd(home: Path) -> Iterator[Crowd]:
    made = Crowd()
    yield made
    made.end()


@pytest.mark.clause("A2.1")
def test_one_member_never_holds_both_slots(crowd: Crowd) -> None:
    crowd.come("a1", "a")
    crowd.come("a2", "a")
    crowd.come("b1", "b")
    until(lambda: len(crowd.served) == 2)
    assert crowd.served == ["a1", "b1"], "the second slot is for somebody else"
    crowd.done("a1")
    until(lambda: "a2" in crowd.served)


@pytest.mark.clause("A2.1")
def test_free_slot_goes_to_the_member_served_longest_ago(crowd: Crowd) -> None:
    for name in ("a1", "b1", "a2", "b2", "c1"):
        crowd.come(name, name[0])
    until(lambda: len(crowd.served) == 2)
    crowd.done("a1")
    until(lambda: len(crowd.served) == 3)
    assert crowd.served[2] == "c1", "who was never served comes before who came earlier"
    crowd.done("b1")
    until(lambda: len(crowd.served) == 4)
    assert crowd.served[3] == "a2"


@pytest.mark.clause("A2.1")
def test_line_has_a_last_place_and_a_longest_wait(crowd: Crowd) -> None:
    for number in range(line.PLACES):
        crowd.come(f"m{number}", f"m{number}")
    with pytest.raises(Busy) as error, turn("another", wait_seconds=20):
        pass
    assert not isinstance(error.value, OneAtATime)
    crowd.done("m0")
    before = crowd.tickets()
    with pytest.raises(Busy), turn("another", wait_seconds=0):
        pass
    assert crowd.tickets() == before, "who gives up leaves the line"


@pytest.mark.clause("A2.1")
def test_second_place_of_a_member_is_for_a_short_line(crowd: Crowd) -> None:
    for name in ("a1", "a2", "b1"):
        crowd.come(name, name[0])
    with pytest.raises(OneAtATime), turn("a", wait_seconds=20):
        pass
    for name in ("c1", "d1"):
        crowd.come(name, name[0])
    with pytest.raises(OneAtATime), turn("b", wait_seconds=20):
        pass
    crowd.come("e1", "e")


@pytest.mark.clause("A2.1")
def test_line_begins_anew_after_its_file_was_damaged(home: Path) -> None:
    with turn("a", wait_seconds=1):
        pass
    (home / "cache" / "line.sqlite3").write_bytes(b"no database" * 1000)
    with turn("a", wait_seconds=1):
        assert Crowd.tickets() == 1


HOLDER = """
import os, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "imgnom.site.settings"
import django
django.setup()
from imgnom.community.images.line import turn
with turn(sys.argv[1], wait_seconds=5):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.clause("A2.1")
def test_slots_are_shared_by_processes_and_freed_by_their_death(crowd: Crowd, home: Path) -> None:
    environ = os.environ | {"IMGNOM_HOME": str(home), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with ExitStack() as stack:
        holders = []
        for who in ("a", "b"):
            holder = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", HOLDER, who], stdout=subprocess.PIPE, env=environ)
            )
            stack.callback(holder.kill)
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            holders.append(holder)
        crowd.come("c1", "c")
        time.sleep(3 * line.LOOK_SECONDS)
        assert crowd.served == []
        holders[0].kill()
        holders[0].wait()
        until(lambda: crowd.served == ["c1"])


@pytest.mark.clause("A2.1")
def test_ticket_that_stands_still_holds_up_nobody(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "STILL_SECONDS", 0.2)
    crowd.come("a1", "a")
    crowd.come("b1", "b")
    until(lambda: len(crowd.served) == 2)
    line._join("somebody whose process is stopped")
    crowd.come("c1", "c")
    crowd.done("a1")
    until(lambda: "c1" in crowd.served)
    with line._line() as found:
        found.execute(
            "UPDATE tickets SET began = ? WHERE began IS NOT NULL", [time.monotonic() - line.LONGEST_SECONDS - 1]
        )
    crowd.come("d1", "d")
    until(lambda: "d1" in crowd.served)


@pytest.mark.clause("A2.1")
def test_other_members_upload_while_one_sends_costly_files(
    author: MemberCard, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three files of one member at once: one is opened, one waits, one is told to come again; somebody else's is taken."""
    joined("minji", now)
    monkeypatch.setattr(take_in, "WAIT_SECONDS", 20.0)
    real, begun, go_on = take_in.decode, threading.Event(), threading.Event()
    costly = files.gif_with_canaries()

    def slow(content: bytes, kind: str, **more: Any) -> Any:
        if kind == "gif":
            begun.set()
            go_on.wait(20)
        return real(content, kind, **more)

    monkeypatch.setattr(take_in, "decode", slow)
    hers, others = [browser_of("eunsu") for _ in range(3)], browser_of("minji")

    def send_and_close(browser: Client) -> Any:
        try:
            return send(browser, costly)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(send_and_close, hers[0])
        assert begun.wait(20)
        second = pool.submit(send_and_close, hers[1])
        until(lambda: Crowd.tickets() == 2)
        third = send(hers[2], costly)
        assert (third.status_code, third["Retry-After"]) == (429, views.LINE_SECONDS)
        assert "one at a time" in third.json()["files"][0]["error"]
        assert send(others, PHOTO).status_code == 201
        go_on.set()
        assert first.result().status_code == second.result().status_code == 201


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize(("language", "words"), [("en", "waiting line is full"), ("ko", "대기 줄이 가득")])
def test_full_line_is_told_on_the_page_and_waited_for_once(
    author: MemberCard, monkeypatch: pytest.MonkeyPatch, language: str, words: str
) -> None:
    asked = []

    def full(who: str, *, wait_seconds: float) -> Any:
        asked.append(who)
        raise Busy

    monkeypatch.setattr(take_in, "turn", full)
    browser = browser_of("eunsu", language)
    answer = send(browser, PHOTO, PHOTO, PHOTO, json=False)
    assert (answer.status_code, answer["Retry-After"]) == (503, views.LINE_SECONDS)
    assert answer.content.decode().count(words) == 3
    assert len(asked) == 1
    page = browser.get("/upload").content.decode()
    assert {"en": "processed one at a time", "ko": "한 번에 한 장씩 순서대로"}[language] in page


@pytest.mark.clause("A2.1")
def test_request_with_many_costly_files_gives_its_thread_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "REQUEST_SECONDS", -1.0)
    answer = send(client, PHOTO, PHOTO)
    assert (answer.status_code, answer["Retry-After"]) == (503, views.LINE_SECONDS)
    assert not Image.objects.exists()


# ── storage ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def limit(size: int) -> None:
        monkeypatch.setattr(settings, "IMGNOM", replace(settings.IMGNOM, member_storage_bytes=size))

    return limit


def taken(client: Client, content: bytes = PHOTO) -> Image:
    answer = send(client, content)
    assert answer.status_code == 201, answer.content
    return Image.objects.get(public_id=answer.json()["files"][0]["id"])


def on_disk(image: Image) -> int:
    shown = [path for path in files_of(image.media_token) if path.suffix != ".sealed"]
    return image.bytes + sum(path.stat().st_size for path in shown if path.exists())


@pytest.mark.clause("A2.1")
def test_storage_counts_originals_and_display_sizes_and_is_freed_at_once(
    client: Client, author: MemberCard, now: datetime
) -> None:
    assert storage_of(author.id).used == 0
    first, second, moving = taken(client), taken(client), taken(client, files.gif_with_canaries())
    assert storage_of(author.id).used == sum(map(on_disk, (first, second, moving)))
    delete_one(first, now=now, by=SYSTEM)
    assert storage_of(author.id).used == on_disk(second) + on_disk(moving)
    remove_by_staff(second.public_id, reason="a reason", by=SYSTEM, now=now)
    assert storage_of(author.id).used == on_disk(moving)


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ("Not enough storage", "Delete pictures")), ("ko", ("저장 공간이 부족해", "삭제하면"))],
)
def test_full_storage_is_answered_413_with_use_and_way_out(
    client: Client, author: MemberCard, limited: Callable[[int], None], language: str, words: tuple[str, ...]
) -> None:
    size = on_disk(taken(client))
    limited(2 * size - 1)
    browser, before = browser_of("eunsu", language), set(Path(settings.IMGNOM.media_root).rglob("*"))
    answer = send(browser, PHOTO)
    assert answer.status_code == 413
    [facts] = answer.json()["files"]
    assert facts["storage"] == {"used_bytes": size, "limit_bytes": 2 * size - 1}
    page = send(browser, PHOTO, json=False)
    assert page.status_code == 413
    for said in (facts["error"], page.content.decode()):
        assert all(word in said for word in (*words, size_words(size), size_words(2 * size - 1)))
    left = {path for path in set(Path(settings.IMGNOM.media_root).rglob("*")) - before if path.is_file()}
    assert left == set(), "nothing of it stays on the disk"
    assert Image.objects.count() == 1


@pytest.mark.clause("A2.1")
def test_full_storage_is_known_before_a_file_is_opened(
    client: Client, limited: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(on_disk(taken(client)))
    monkeypatch.setattr(take_in, "decode", lambda *_, **__: pytest.fail("it was opened"))
    assert send(client, PHOTO).status_code == 413


@pytest.mark.clause("A2.1")
def test_parallel_uploads_do_not_pass_the_limit(
    client: Client, author: MemberCard, now: datetime, limited: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are opened before the first one is written: the last check decides."""
    size = on_disk(taken(client))
    limited(3 * size)
    made, together = take_in.decode(PHOTO, "jpeg"), threading.Barrier(6)

    def at_once(*_: Any, **__: Any) -> Any:
        connections.close_all()  # whoever waits holds none
        together.wait(20)
        return made

    monkeypatch.setattr(take_in, "made_of", at_once)

    def upload(_number: int) -> str:
        close_old_connections()
        try:
            upload_file(
                content=PHOTO, title="", description="", alt="", tags="", visibility="public", by_member=author.id, now=now
            )  # fmt: skip
        except StorageFull:
            return "full"
        finally:
            connections.close_all()
        return "taken"

    with ThreadPoolExecutor(6) as pool:
        found = sorted(pool.map(upload, range(6)))
    assert found == ["full"] * 4 + ["taken"] * 2
    assert storage_of(author.id).used == 3 * size


@pytest.mark.clause("A2.1")
def test_display_sizes_that_are_made_again_are_counted_again(client: Client, author: MemberCard) -> None:
    image = taken(client)
    Image.objects.filter(pk=image.pk).update(
        derived_bytes=0
    )  # as in a home whose display sizes were not there to be measured
    for size in take_in.SIZES:
        for shown_as in take_in.FORMATS:
            media_path("derived", image.media_token, size, shown_as).unlink()
    assert client.get(f"/media/{image.public_id}/preview").status_code == 200
    assert storage_of(author.id).used == on_disk(image)


@pytest.mark.clause("A2.1")
def test_existing_homes_get_their_display_sizes_measured(client: Client, author: MemberCard) -> None:
    from importlib import import_module

    from django.apps import apps

    image = taken(client)
    Image.objects.update(derived_bytes=0)
    with connections["default"].schema_editor() as editor:
        import_module("imgnom.community.images.migrations.0005_image_derived_bytes").measure(apps, editor)
    assert storage_of(author.id).used == on_disk(image)


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("path", ["/upload", "/me/privacy"])
def test_use_of_storage_is_shown_in_both_languages(client: Client, author: MemberCard, path: str) -> None:
    taken(client)
    used = size_words(storage_of(author.id).used)
    for language, words in (("en", f"Storage: {used} of 2 GB used"), ("ko", f"저장 공간: 2 GB 중 {used} 사용")):
        page = client.get(path, headers={"accept-language": language}).content.decode()
        assert words in page
        assert page.count('<label for="storage-used">') == 1
        assert '<meter id="storage-used"' in page


def test_sizes_are_written_as_file_managers_write_them() -> None:
    sizes = {
        0: "0 KB",
        999 * 1024: "999 KB",
        1024**2: "1 MB",
        3 * 1024**2 // 2: "1.5 MB",
        2 * 1024**3: "2 GB",
        1024**4: "1 TB",
    }
    assert {size: size_words(size) for size in sizes} == sizes
