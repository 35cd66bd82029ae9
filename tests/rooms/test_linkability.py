"""The joins of docs/linkability.md: what an observer holds after somebody left neither groups nor attributes their posts.

Two members leave and one stays. All of them post on the same three days, pictures in batches; a moderator looked at some.
"""

import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from PIL import Image as Picture

from imgnom.community.comments.models import Comment
from imgnom.community.images.models import Image
from imgnom.community.images.queries import tags_of
from imgnom.community.members.public import create_confirmed_member
from imgnom.custody.ledger.public import export_ledger, verify_ledger
from imgnom.policy.public import Actor
from imgnom.procedures.moderation.public import record_handling
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.public import run_due
from imgnom.site.clock import set_clock
from imgnom.web.paging import make_cursor, read_cursor
from imgnom.web.row_order import number_from

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
PASSWORD = "kite over the river"
SEOUL = ZoneInfo("Asia/Seoul")
NAMES = {"first": "하늘바라기", "second": "강바람", "stayer": "노을"}
LEAVERS = ("first", "second")
STORES = ("default", "logs", "vault", "archive", "keys", "ledger")
POST_ACTS = ("upload", "change_visibility", "destroy_pictures", "destroy_comments", "remove_picture", "remove_comment")
FAR = 10**6


@dataclass
class Evidence:
    """Who posted what, which nobody is told, and what observers hold."""

    author: dict[str, str] = field(default_factory=dict)  # public id or "comment <number>" → login
    subjects: dict[str, str] = field(default_factory=dict)
    instants: list[datetime] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)
    gallery: str = ""
    receipts: list[dict[str, Any]] = field(default_factory=list)
    leaves: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)
    times_of_files: set[float] = field(default_factory=set)


_KEPT: dict[str, Evidence] = {}


def jpeg(shade: int) -> bytes:
    target = io.BytesIO()
    Picture.new("RGB", (64, 48), (shade % 256, 90, 140)).save(target, "JPEG")
    return target.getvalue()


def signed_in(login: str) -> Client:
    client = Client()
    assert client.post("/login", {"login": f"{login}.x", "password": PASSWORD}).status_code == 303
    return client


def _post(found: Evidence, login: str, at: datetime, number: int) -> None:
    """Two pictures in a row and a comment, a moment apart."""
    set_clock(at)
    client = signed_in(login)
    for extra in range(2):
        moment = at + timedelta(seconds=3 * extra, microseconds=4711)
        set_clock(moment)
        found.instants.append(moment)
        sent = {
            "file": io.BytesIO(jpeg(number * 7 + extra)),
            "title": "강가",
            "tags": "river",
            "visibility": "unlisted" if extra else "public",
        }
        sent["file"].name = "a.jpg"
        made = client.post("/upload", sent, headers={"accept": "application/json"}).json()["files"][0]["id"]
        found.author[made] = login
        edited = {"title": "강가", "tags": "river", "visibility": "public"}
        assert client.post(f"/i/{made}/edit", edited).status_code == 303
    set_clock(at + timedelta(seconds=11))
    found.instants.append(at + timedelta(seconds=11))
    assert client.post(f"/i/{made}/comments", {"body": f"말 {number}"}).status_code == 303
    found.author[f"comment {Comment.objects.get(body=f'말 {number}').pk}"] = login


def _rows(alias: str) -> dict[str, list[dict[str, Any]]]:
    connection, found = connections[alias], {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith(("django_", "auth_", "sqlite_")):
                continue
            rowid = "rowid AS _rowid, " if connection.vendor == "sqlite" else ""
            cursor.execute(f"SELECT {rowid}* FROM {connection.ops.quote_name(table)}")
            names = [column[0] for column in cursor.description]
            found[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


def _live(choice: str, now: datetime, folder: Path) -> Evidence:
    found = Evidence()
    set_clock(now)
    for login, nickname in NAMES.items():
        card = create_confirmed_member(
            username=f"{login}.x", password=PASSWORD, nickname=nickname, email=f"{login}@mail.example", now=now
        )
        found.subjects[login] = card.subject
    number = 0
    for day in range(3):
        for hour, login in enumerate(NAMES):
            number += 1
            _post(found, login, now + timedelta(days=day, hours=hour, minutes=17, seconds=23), number)
    for public_id in [post for post in found.author if " " not in post]:
        record_handling(
            by=Actor("moderator", "m" * 26), place="192.0.2.0/24", act="look", what=f"picture {public_id}",
            whose=found.subjects[found.author[public_id]], now=now + timedelta(days=2, hours=9),
        )  # fmt: skip
    for hour, login in enumerate(LEAVERS):
        set_clock(now + timedelta(days=3, hours=hour, minutes=5, seconds=41))
        client = signed_in(login)
        answer = client.post("/me/withdraw", {"content": choice, "confirm": "yes"})
        assert answer.status_code == 303
        found.receipts.append(Client().get(f"{answer['Location']}.json").json())
    assert set(Withdrawal.objects.values_list("state", flat=True)) == {"done"}
    assert not run_due(now=now + timedelta(days=3, hours=9)).errors
    assert verify_ledger().ok
    set_clock(now + timedelta(days=3, hours=9))
    export_ledger(folder / "ledger")
    found.leaves = [json.loads(line) for line in (folder / "ledger" / "leaves.jsonl").read_text("utf-8").splitlines()]
    for public_id in [post for post in found.author if " " not in post]:
        found.pages[public_id] = Client().get(f"/i/{public_id}").content.decode()
    found.gallery = Client().get("/").content.decode()
    found.tables = {alias: _rows(alias) for alias in STORES}
    for alias in STORES:
        if connections[alias].vendor == "sqlite":
            name = Path(connections[alias].settings_dict["NAME"])
            files = [name.with_name(name.name + ending) for ending in ("", "-wal")]
            found.raw[alias] = b"".join(file.read_bytes() for file in files if file.exists())
    media = Path(settings.IMGNOM.media_root)
    tokens = set(Image.objects.filter(author=None).values_list("media_token", flat=True))
    found.times_of_files = {
        path.stat().st_mtime for path in media.rglob("*.*") if path.name.split(".")[0].split("-")[0] in tokens
    }
    return found


@pytest.fixture(params=["anonymise", "keep"])
def evidence(request: pytest.FixtureRequest, now: datetime, tmp_path: Path) -> Evidence:
    """Lived through once for each choice; the tests look at what was collected."""
    if request.param not in _KEPT:
        _KEPT[request.param] = _live(request.param, now, tmp_path)
    return _KEPT[request.param]


def left(found: Evidence, kind: str) -> dict[str, str]:
    """The posts of those who left, by number or public id."""
    posts = {post: login for post, login in found.author.items() if login in LEAVERS}
    if kind == "comment":
        return {post.split(" ")[1]: login for post, login in posts.items() if " " in post}
    return {post: login for post, login in posts.items() if " " not in post}


def is_a_day(instant: datetime) -> bool:
    return instant.astimezone(SEOUL).time() == datetime.min.time()


def moment(value: Any) -> datetime:
    made = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def kept_rows(found: Evidence) -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Table → (who it was, row) of the posts of those who left."""
    default = found.tables["default"]
    pictures, comments = left(found, "picture"), left(found, "comment")
    yield (
        "images_image",
        [(pictures[row["public_id"]], row) for row in default["images_image"] if row["public_id"] in pictures],
    )
    yield (
        "comments_comment",
        [(comments[str(row["id"])], row) for row in default["comments_comment"] if str(row["id"]) in comments],
    )
    of_picture = {
        row["id"]: pictures[row["public_id"]] for row in default["images_image"] if row["public_id"] in pictures
    }
    yield (
        "images_imagetag",
        [(of_picture[row["image_id"]], row) for row in default["images_imagetag"] if row["image_id"] in of_picture],
    )


# ── the public site ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A3.2①")
def test_pages_of_former_members_show_no_time_finer_than_a_day(evidence: Evidence) -> None:
    for public_id in left(evidence, "picture"):
        page = evidence.pages[public_id]
        head = page[: page.index('id="comments"')]
        assert re.findall(r'<time datetime="([^"]*)"', head), public_id
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", at) for at in re.findall(r'<time datetime="([^"]*)"', head))
    for at in re.findall(r'datetime="([^"]*)"', "".join(evidence.pages.values())):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d\+09:00)?", at), at


@pytest.mark.clause("A3.2①")
def test_numbers_on_pages_are_no_row_counts(evidence: Evidence) -> None:
    anchors = sorted(
        int(number) for page in evidence.pages.values() for number in re.findall(r'id="comment-(\d+)"', page)
    )
    assert len(anchors) == 9
    assert min(b - a for a, b in pairwise(anchors)) > FAR


# ── the ledger and receipts ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A3.2①")
def test_leaves_about_posts_share_no_token_name_or_hour(evidence: Evidence) -> None:
    tokens: Counter[str] = Counter()
    for leaf in evidence.leaves:
        tokens.update({token for token in (leaf["subject"], leaf["actor"]["token"]) if token})
    of_posts = [leaf for leaf in evidence.leaves if leaf["act"] in POST_ACTS and leaf["actor"]["role"] == "member"]
    assert len([leaf for leaf in of_posts if leaf["act"] == "upload"]) == 18
    assert len([leaf for leaf in of_posts if leaf["act"] == "change_visibility"]) == 9
    for leaf in of_posts:
        assert leaf["subject"] is None
        assert tokens[leaf["actor"]["token"]] == 1
        assert is_a_day(moment(leaf["time"]))
    told = json.dumps(evidence.leaves)
    for post in evidence.author:
        assert post.rpartition(" ")[2] not in told


@pytest.mark.clause("A3.2①", "I6")
def test_a_receipt_bears_a_token_that_stands_nowhere_else(evidence: Evidence) -> None:
    for receipt in evidence.receipts:
        leaves = [proof["leaf"] for proof in receipt["ledger"]]
        (withdrawal,) = [leaf for leaf in leaves if leaf["act"] == "withdraw"]
        assert withdrawal["actor"]["token"] is None
        assert is_a_day(moment(withdrawal["time"]))
        token = withdrawal["subject"]
        assert json.dumps(evidence.leaves).count(token) == 1
        for alias in set(STORES) - {"ledger"}:
            assert token not in repr(evidence.tables[alias]), alias
        told = json.dumps(receipt)
        assert not [subject for subject in evidence.subjects.values() if subject in told]


@pytest.mark.clause("A3.2①", "A4.1①")
def test_withdrawal_and_archive_share_no_instant(evidence: Evidence) -> None:
    moved = [leaf for leaf in evidence.leaves if leaf["act"] in ("withdraw", "archive")]
    assert len(moved) >= 4
    assert all(is_a_day(moment(leaf["time"])) for leaf in moved)


# ── copies of single stores ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A3.2①")
def test_no_column_of_the_posts_groups_them_by_author(evidence: Evidence) -> None:
    for table, rows in kept_rows(evidence):
        assert len(rows) >= 6, table
        for column in rows[0][1]:
            if column in ("author_name", "image_id", "placeholder", "bytes", "derived_bytes", "body"):
                continue  # shown by choice, or the content itself
            whose: dict[Any, list[str]] = {}
            for login, row in rows:
                whose.setdefault(row[column], []).append(login)
            groups = [logins for logins in whose.values() if len(logins) > 1]
            assert not [logins for logins in groups if len(set(logins)) == 1], (table, column)


@pytest.mark.clause("A3.2①")
def test_numbers_and_places_of_posts_do_not_neighbour(evidence: Evidence) -> None:
    for table, rows in kept_rows(evidence):
        for column, far in (("id", FAR), ("_rowid", FAR), ("position", 1000)):
            numbers = sorted(row[column] for _, row in rows if column in row)
            assert all(b - a > far for a, b in pairwise(numbers)), (table, column)
        for _, row in rows:
            assert "created_at" not in row or is_a_day(moment(row["created_at"])), table
            assert row.get("settling") is None
            assert row.get("author_id") is None
            assert not row.get("lookalike")


@pytest.mark.clause("A3.2①")
def test_the_main_store_forgot_instants_and_subjects(evidence: Evidence) -> None:
    told = repr(evidence.tables["default"])
    for login in LEAVERS:
        assert evidence.subjects[login] not in told
        assert evidence.subjects[login].encode() not in evidence.raw.get("default", b"")
    stayed = {
        at for post, at in zip(range(len(evidence.instants)), evidence.instants, strict=True) if post // 3 % 3 == 2
    }
    for at in set(evidence.instants) - stayed:
        assert at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S").encode() not in evidence.raw.get("default", b"")


@pytest.mark.clause("A3.2①", "X4")
def test_handler_records_group_no_posts_of_former_members(evidence: Evidence) -> None:
    whose = [
        row["whose"]
        for row in evidence.tables["default"]["moderation_handlerrecord"]
        if row["what"].startswith("picture ")
    ]
    assert len(whose) == 18
    of_those_who_left = [token for token in whose if token != evidence.subjects["stayer"]]
    assert len(of_those_who_left) == len(set(of_those_who_left)) == 12


@pytest.mark.clause("A3.2①", "A3.2②")
def test_access_records_of_former_members_name_nobody_and_no_act(evidence: Evidence) -> None:
    rows = evidence.tables["logs"]["visits_accessrecord"]
    assert len(rows) > 40
    assert {row["subject"] for row in rows} == {None, evidence.subjects["stayer"]}
    assert {(row["kind"], row["route"], row["status"]) for row in rows} == {("", "", 0)}
    for login in LEAVERS:
        assert evidence.subjects[login].encode() not in evidence.raw.get("logs", b"")


@pytest.mark.clause("A3.2①")
def test_keys_of_files_tell_their_day_and_lie_in_no_order(evidence: Evidence) -> None:
    rows = [row for row in evidence.tables["keys"]["keys_datakey"] if row["klass"] == "file"]
    assert len(rows) == 18
    assert all(is_a_day(moment(row["made_at"])) for row in rows)
    numbers = sorted(row["_rowid"] for row in rows if "_rowid" in row)
    assert all(b - a > FAR for a, b in pairwise(numbers))


@pytest.mark.clause("A3.2①")
def test_files_of_former_members_have_the_time_of_their_day(evidence: Evidence) -> None:
    assert evidence.times_of_files
    assert all(is_a_day(datetime.fromtimestamp(at, UTC)) for at in evidence.times_of_files)


@pytest.mark.clause("A3.2①")
def test_no_store_beside_the_keys_and_the_vault_names_a_former_member(evidence: Evidence) -> None:
    for alias in ("default", "logs", "archive"):
        for login in LEAVERS:
            assert evidence.subjects[login] not in repr(evidence.tables[alias]), alias


# ── cursors ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("listing", ["gallery", "desk"])
def test_a_cursor_is_opaque_and_belongs_to_one_list(listing: str) -> None:
    here, next_one = make_cursor(listing, 41), make_cursor(listing, 42)
    assert here == make_cursor(listing, 41)
    assert len(here) == len(next_one) == len(make_cursor(listing, 10**18))
    assert sum(a == b for a, b in zip(here, next_one, strict=True)) < len(here) // 2
    assert read_cursor(listing, here) == 41
    assert read_cursor("another", here) is None
    for wrong in (here[:-1], here + "A", here.swapcase(), "42", "", None, "가" * len(here), "=" * len(here)):
        assert read_cursor(listing, wrong) is None


# ── homes of an older version ──────────────────────────────────────────────────────────────────────────────────────


def test_migration_hides_order_and_instants_of_older_posts(now: datetime) -> None:
    set_clock(now)
    author = create_confirmed_member(
        username="first.x", password=PASSWORD, nickname="하늘바라기", email="first@mail.example", now=now
    )
    connection = connections["default"]
    MigrationExecutor(connection).migrate([("comments", "0001_initial"), ("images", "0001_initial")])
    try:
        old = (
            MigrationExecutor(connection)
            .loader.project_state([("comments", "0001_initial"), ("images", "0001_initial")])
            .apps
        )
        image, comment, tag, link = (
            old.get_model(*name.split("."))
            for name in ("images.Image", "comments.Comment", "images.Tag", "images.ImageTag")
        )
        facts = dict.fromkeys(
            (
                "bytes",
                "width",
                "height",
                "frames",
                "thumbnail_width",
                "thumbnail_height",
                "preview_width",
                "preview_height",
            ),
            1,
        )
        film, river = tag.objects.create(name="river"), tag.objects.create(name="film")
        for number in range(1, 7):
            made = image.objects.create(
                id=number, public_id=f"p{number}", media_token=f"{number}", removed=[], visibility="public", created_at=now + timedelta(seconds=number),
                author_id=author.id if number % 2 else None, **facts,
            )  # fmt: skip
            link.objects.create(image=made, tag=river)
            link.objects.create(image=made, tag=film)
            comment.objects.create(
                id=number, image=made, body=f"c{number}", author_id=made.author_id, created_at=made.created_at
            )
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    ours = Image.objects.filter(author=author.id)
    assert list(ours.order_by("position").values_list("public_id", flat=True)) == ["p1", "p3", "p5"]
    assert {at for (at,) in ours.values_list("created_at")} == {now + timedelta(seconds=number) for number in (1, 3, 5)}
    for model in (Image, Comment):
        assert all(is_a_day(row.created_at) for row in model._default_manager.filter(author=None))
        assert all(b - a > FAR for a, b in pairwise(sorted(model._default_manager.values_list("pk", flat=True))))
    for row in Comment.objects.select_related("image"):
        assert row.body[1:] == row.image.public_id[1:]
        assert row.pk == number_from("comment", int(row.body[1:]))
        assert tags_of(row.image) == ["film", "river"]
    page = Client().get("/i/p1").content.decode()
    assert "c1" in page
    assert "/t/film" in page
