"""A full, read-only or locked disk: looking goes on, leaving works, nothing new is taken, and the answer says so (F6, F9).

The disk is a fake here, `os.statvfs` says what a test wants; what a store answers is real, made by its own limits.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from imgnom.community.comments.models import Comment
from imgnom.community.images.models import Image
from imgnom.community.members.models import PendingRegistration
from imgnom.community.members.public import MemberCard
from imgnom.procedures.retention.models import Withdrawal
from imgnom.site.clock import set_clock
from imgnom.site.doctor import examine
from imgnom.site.worker import Worker
from imgnom.web.room import GROWTH_BYTES, MIB, NAME, RESERVE_BYTES, give_reserve, keep_reserve, rooms
from tests.rooms.test_withdrawal import PASSWORD, jpeg, post, somebody

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
Disk = Callable[[int], None]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Says how many MiB are free, besides what the reserve holds."""
    place = Path(settings.IMGNOM.home) / NAME
    free = [1024]

    def fake(_folder: object) -> SimpleNamespace:
        given = RESERVE_BYTES if len(free) > 1 and not place.exists() else 0
        return SimpleNamespace(f_bavail=free[-1] * MIB + given, f_frsize=1)

    monkeypatch.setattr(os, "statvfs", fake)
    Path(settings.IMGNOM.media_root).mkdir(exist_ok=True)  # each test takes it away at its end
    keep_reserve()
    assert place.stat().st_size == RESERVE_BYTES
    yield free.append
    place.unlink(missing_ok=True)


@pytest.fixture
def member(now: datetime) -> MemberCard:
    set_clock(now)
    return somebody(now)


def signed_in() -> Client:
    client = Client(raise_request_exception=False)
    answer = client.post("/login", {"login": "leaver", "password": PASSWORD})
    assert answer.status_code == 303, "signing in works"
    return client


def taken_back() -> bool:
    return not (Path(settings.IMGNOM.home) / NAME).exists()


@pytest.mark.clause("A7.2b", "A3.1")
def test_with_a_full_disk_people_look_sign_in_and_leave_and_nothing_new_is_taken(
    disk: Disk, member: MemberCard, now: datetime
) -> None:
    picture = post(member, now)
    disk(0)
    stranger = Client(raise_request_exception=False)
    for page in ("/", f"/i/{picture}", f"/media/{picture}/thumbnail", "/privacy", "/signup", "/readyz"):
        assert stranger.get(page).status_code == 200, page
    assert taken_back()
    client = signed_in()
    assert client.get("/me/privacy").status_code == 200, "a value is read, and the ledger has its line"
    said = client.post(f"/i/{picture}/comments", {"body": "물이 맑습니다"})
    sent = client.post("/upload", {"title": "강가", "visibility": "public", "file": SimpleUploadedFile("a.jpg", jpeg())}, headers={"accept": "application/json"})  # fmt: skip
    joined = stranger.post("/signup", {"username": "nobody.yet"})
    for answer in (said, sent, joined):
        assert (answer.status_code, answer["Retry-After"]) == (507, "300")
    assert "회원탈퇴는 그대로 됩니다" in said.content.decode()
    assert sent.json()["error"] == 507
    assert (Comment.objects.count(), Image.objects.count(), PendingRegistration.objects.count()) == (0, 1, 0)
    left = client.post("/me/withdraw", {"content": "delete", "confirm": "yes"})
    assert left.status_code == 303
    assert stranger.get(left["Location"]).status_code == 200
    Worker().do_round()
    assert Withdrawal.objects.get().state == "done"
    assert stranger.get(f"/i/{picture}").status_code == 404


def test_the_reserve_comes_back_with_the_room_and_only_then(disk: Disk) -> None:
    disk(1)
    Worker().do_round()
    assert taken_back()
    disk(12)
    Worker().do_round()
    assert taken_back(), "it would take what others need"
    disk(900)
    Worker().do_round()
    assert not taken_back()
    (room,) = rooms()
    assert (room.reserve_bytes, room.is_short) == (RESERVE_BYTES, False)


def test_half_a_reserve_is_none(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    give_reserve()

    def full(*_given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    keep_reserve()
    assert taken_back()


def test_the_doctor_tells_how_much_is_left(disk: Disk, member: MemberCard) -> None:
    def told() -> tuple[str, str]:
        (row,) = [row for row in examine()["findings"] if row["what"].startswith("disk of")]
        return row["state"], row["words"]

    assert told() == ("ok", "1024 MiB free, 8 MiB in reserve")
    give_reserve()
    disk((GROWTH_BYTES - RESERVE_BYTES) // MIB - 1)
    assert told() == ("failure", "11 MiB free, 0 MiB in reserve; nothing new is taken until there is room again, reading and leaving go on")  # fmt: skip


@contextmanager
def _sqlite(before: str, after: str) -> Iterator[None]:
    connection.ensure_connection()
    connection.connection.execute(before)
    try:
        yield
    finally:
        connection.connection.execute(after)


@contextmanager
def _free_pages_used() -> Iterator[None]:
    """Pages that other tests left free would be used before the file grows and meets its limit."""
    with connection.cursor() as cursor:
        page_bytes = cursor.execute("PRAGMA page_size").fetchone()[0]
        free_pages = cursor.execute("PRAGMA freelist_count").fetchone()[0]
        cursor.execute("CREATE TABLE filler (content BLOB)")
        cursor.execute("INSERT INTO filler VALUES (zeroblob(%s))", [free_pages * page_bytes])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE filler")


@contextmanager
def a_store_that_is(kind: str) -> Iterator[None]:
    """The community's store, by its own means."""
    if connection.vendor == "sqlite":
        with _free_pages_used():
            pages = connection.cursor().execute("PRAGMA page_count").fetchone()[0]
            words = {
                "full": (f"PRAGMA max_page_count={pages}", "PRAGMA max_page_count=1073741823"),
                "read-only": ("PRAGMA query_only=ON", "PRAGMA query_only=OFF"),
            }
            with _sqlite(*words[kind]):
                yield
        return
    with connection.cursor() as cursor:
        if kind == "read-only":
            cursor.execute("SET default_transaction_read_only = on")
        else:
            cursor.execute(
                "CREATE FUNCTION pg_temp.full() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$;"
                "CREATE TRIGGER full_disk BEFORE INSERT ON comments_comment EXECUTE FUNCTION pg_temp.full()"
            )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute("DROP TRIGGER IF EXISTS full_disk ON comments_comment")


@pytest.mark.clause("A3.1")
@pytest.mark.parametrize(("kind", "status"), [("full", 507), ("read-only", 503)])
def test_a_store_that_takes_nothing_is_told_and_what_was_there_is_still_shown(
    disk: Disk, member: MemberCard, now: datetime, kind: str, status: int
) -> None:
    picture = post(member, now)
    client = signed_in()
    set_clock(now + timedelta(seconds=1))
    with a_store_that_is(kind):
        for turn in range(40):
            answer = client.post(f"/i/{picture}/comments", {"body": f"{turn} " + "물" * 1900})
            if answer.status_code != 303:
                break
        assert answer.status_code == status
        assert int(answer["Retry-After"]) > 0
        assert re.search("<h1>[^<]*[가-힣]", answer.content.decode())
        assert Client().get(f"/i/{picture}").status_code == 200
    assert taken_back() is (kind == "full")
    before = Comment.objects.count()
    assert client.post(f"/i/{picture}/comments", {"body": "다시"}).status_code == 303
    assert Comment.objects.count() == before + 1
