"""The pages of pictures: lists, search, one picture, upload, editing, deleting, and how files are served."""

import io
import re
from collections.abc import Callable
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image as Picture

from imgnom.community.comments.public import Comment, write_comment
from imgnom.community.images.forms import PictureForm
from imgnom.community.images.models import Image, ImageTag, Tag
from imgnom.community.images.public import embed_of, remove_by_staff, upload_file
from imgnom.community.images.text import one_line, several_lines, tag_names
from imgnom.community.images.words import KINDS, removed_words
from imgnom.community.members.models import Member
from imgnom.community.members.public import MemberCard, create_confirmed_member
from imgnom.policy.public import Actor
from imgnom.site.clock import set_clock
from imgnom.web.paging import make_cursor
from imgnom.web.row_order import next_position

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

PASSWORD = "kite over the river"
STAFF = Actor("moderator", "m" * 16)
HOSTILE = "\"><img src=x onerror=alert(1)>]](x) `*_'&amp; \\ )"
OVERRIDES = "\u202e\u2066\u2069\u202d"


@pytest.fixture(autouse=True)
def _time_stands_still(now: datetime) -> None:
    set_clock(now)


@pytest.fixture
def cast(now: datetime) -> Callable[[str], MemberCard]:
    def make(nickname: str) -> MemberCard:
        login = f"member{Member.objects.count()}.x"
        return create_confirmed_member(
            username=login, password=PASSWORD, nickname=nickname, email=f"{login}@mail.example", now=now
        )

    return make


def signed_in(card: MemberCard) -> Client:
    client = Client(headers={"accept-language": "en"})
    login = f"member{card.id - Member.objects.order_by('pk').first().pk}.x"  # type: ignore[union-attr]
    assert client.post("/login", {"login": login, "password": PASSWORD}).status_code == 303
    return client


def jpeg(*, hidden: bool = True, size: tuple[int, int] = (64, 48)) -> bytes:
    target = io.BytesIO()
    exif = Picture.Exif()
    if hidden:
        exif[0x013B] = "ARTISTCANARY"
        exif.get_ifd(0x8825)[1] = "N"
    Picture.new("RGB", size, (40, 90, 140)).save(target, "JPEG", **({"exif": exif} if hidden else {}))
    return target.getvalue()


def hang(by: MemberCard, now: datetime, **words: str) -> Image:
    fields = {"title": "강가", "description": "", "alt": "", "tags": "", "visibility": "public"} | words
    taken = upload_file(content=jpeg(), by_member=by.id, subject=by.subject, now=now, **fields)
    return Image.objects.get(public_id=taken.public_id)


def rows(by: MemberCard, now: datetime, count: int, **fields: Any) -> list[Image]:
    """Many pictures without their files, for lists."""
    facts = {
        "format": "jpeg", "bytes": 1, "width": 4, "height": 3, "frames": 1, "thumbnail_width": 4, "thumbnail_height": 3, "preview_width": 4,
        "preview_height": 3, "removed": [], "placeholder": "", "created_at": now, "description": "", "alt": "", "visibility": "public",
    }  # fmt: skip
    first = next_position(Image, now)
    made = [
        Image(public_id=f"{by.id}r{n:05d}", media_token=f"{by.id:08d}{n:024d}", author_id=by.id, **{"title": f"t{n}", "position": first + n} | facts | fields)
        for n in range(count)
    ]  # fmt: skip
    return Image.objects.bulk_create(made)


def send(client: Client, *files: tuple[str, bytes], json: bool = True, **fields: str) -> Any:
    handles = []
    for name, content in files:
        handle = io.BytesIO(content)
        handle.name = name
        handles.append(handle)
    headers = {"accept": "application/json"} if json else {}
    return client.post("/upload", {"file": handles, **fields}, headers=headers)


def shown_ids(answer: Any) -> list[str]:
    return re.findall(r'<a href="/i/([\w-]+)"><span class="cap"', answer.content.decode())


# ── lists ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A2.1")
def test_an_empty_site_says_what_will_be_here() -> None:
    page = Client().get("/")
    assert page.status_code == 200
    assert "아직 조각이 없습니다" in page.content.decode()
    assert 'href="/upload"' in page.content.decode()


@pytest.mark.clause("A2.1")
def test_pages_of_the_gallery_show_each_picture_once_and_lead_back(
    cast: Callable[[str], MemberCard], now: datetime
) -> None:
    made = rows(cast("은수"), now, 95)
    address, seen, pages = "/", [], 0
    while address:
        page = Client().get(address)
        seen += shown_ids(page)
        pages += 1
        assert ("가장 새로운 사진" in page.content.decode()) == (pages > 1)
        following = re.search(r'href="(\?after=[\w-]+)" rel="next"', page.content.decode())
        address = f"/{unescape(following[1])}" if following else ""
    assert pages == 3
    assert seen == [image.public_id for image in reversed(made)]


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("cursor", ["x", "-1", "９９", "9" * 40, "' OR 1=1", "%00"])
def test_a_cursor_that_is_none_begins_at_the_newest(
    cast: Callable[[str], MemberCard], now: datetime, cursor: str
) -> None:
    made = rows(cast("은수"), now, 2)
    assert shown_ids(Client().get("/", {"after": cursor})) == [made[1].public_id, made[0].public_id]


@pytest.mark.clause("A2.1")
def test_a_page_past_the_end_is_a_page(cast: Callable[[str], MemberCard], now: datetime) -> None:
    made = rows(cast("은수"), now, 1)
    page = Client().get("/", {"after": make_cursor("gallery", made[0].position)})
    assert page.status_code == 200
    assert "여기까지입니다" in page.content.decode()


@pytest.mark.clause("A2.1")
def test_a_tile_holds_its_room_before_its_bytes_come(cast: Callable[[str], MemberCard], now: datetime) -> None:
    image = hang(cast("은수"), now, title="달항아리", alt="흰 항아리")
    html = Client().get("/").content.decode()
    tile = re.search(r'<li class="tile".*?</li>', html, re.DOTALL)[0]  # type: ignore[index]
    assert f'width="{image.thumbnail_width}" height="{image.thumbnail_height}"' in tile
    assert 'data-r="1.35"' in tile
    assert re.search(r'<rect [^>]*fill="#[0-9a-f]{6}"', tile)
    assert 'alt="흰 항아리"' in tile
    assert "달항아리" in tile


@pytest.mark.clause("A2.1")
def test_lists_show_only_what_everybody_may_see(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    words = {"title": "숨은고래", "description": "숨은고래", "tags": "숨은고래"}
    shown = hang(author, now, **words)
    for visibility in ("unlisted", "private"):
        hang(author, now, **words, visibility=visibility)
    removed = hang(author, now, **words)
    remove_by_staff(removed.public_id, reason="남의 사진", by=STAFF, now=now)
    own = signed_in(author)
    for client in (Client(), own):
        for path in ("/", "/t/숨은고래", f"/@{quote('은수')}", "/search?q=숨은고래"):
            assert shown_ids(client.get(path)) == [shown.public_id], path
    for show, count in (("unlisted", 1), ("private", 1), ("removed", 1)):
        assert len(shown_ids(own.get(f"/@{quote('은수')}?show={show}"))) == count
        assert shown_ids(Client().get(f"/@{quote('은수')}?show={show}")) == [shown.public_id]
    assert own.get(f"/@{quote('은수')}?show=anything").status_code == 404


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("달항", True), ("항아리", True), ("백자", True), ("어두운 바닥", True), ("달항 백자", True), ("달항 없는말", False), ("#백자", True),
        ("MOON", True), ("은수", True), ("@은수", True), ("%", False), ("_", False), ("'", False), ("", False), ("   ", False),
    ],
)  # fmt: skip
def test_search_finds_words_of_title_description_tags_and_author(
    cast: Callable[[str], MemberCard], now: datetime, asked: str, found: bool
) -> None:
    image = hang(cast("은수"), now, title="달항아리 moon jar", description="어두운 바닥에 놓인", tags="백자 그릇")
    assert shown_ids(Client().get("/search", {"q": asked})) == ([image.public_id] if found else [])


@pytest.mark.clause("A2.1")
def test_search_finds_hangul_typed_in_pieces(cast: Callable[[str], MemberCard], now: datetime) -> None:
    import unicodedata

    image = hang(cast("은수"), now, title="달항아리")
    pieces = unicodedata.normalize("NFD", "달항")
    assert pieces != "달항"
    assert shown_ids(Client().get("/search", {"q": pieces})) == [image.public_id]


@pytest.mark.clause("A1.1")
def test_search_never_looks_into_what_members_keep_to_themselves(
    cast: Callable[[str], MemberCard], now: datetime
) -> None:
    author = cast("은수")
    hang(author, now)
    for value in ("member0.x", "mail.example", author.subject):
        page = Client().get("/search", {"q": value})
        assert shown_ids(page) == []


@pytest.mark.clause("A2.1")
def test_search_from_one_address_is_limited() -> None:
    client = Client()
    answers = [client.get("/search", {"q": "x"}).status_code for _ in range(122)]
    assert answers[:120] == [200] * 120
    assert answers[-1] == 429


@pytest.mark.clause("A2.1", "A7.2b")
def test_a_members_page_is_there_while_the_member_is(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    hang(author, now)
    assert Client().get(f"/@{quote('은수')}").status_code == 200
    assert Client().get(f"/@{quote('없는 사람')}").status_code == 404
    assert Client().get("/@%00").status_code == 404
    client = signed_in(author)
    assert client.post("/me/withdraw", {"content": "keep", "confirm": "yes"}).status_code == 303
    assert Client().get(f"/@{quote('은수')}").status_code == 404
    assert shown_ids(Client().get("/search", {"q": "은수"})) == []
    assert "은수" in Client().get("/").content.decode()


@pytest.mark.clause("A2.1")
def test_tags_are_read_in_any_case(cast: Callable[[str], MemberCard], now: datetime) -> None:
    image = hang(cast("은수"), now, tags="#Film,필름 film")
    assert list(ImageTag.objects.order_by("place").values_list("tag__name", flat=True)) == ["film", "필름"]
    assert shown_ids(Client().get("/t/FILM")) == [image.public_id]
    assert shown_ids(Client().get("/t/none")) == []


# ── cost ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Queries:
    """How many statements one request sends to all stores, those of the access record apart."""

    def __init__(self) -> None:
        self.captures = {alias: CaptureQueriesContext(connections[alias]) for alias in connections}

    def __enter__(self) -> Self:
        for capture in self.captures.values():
            capture.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for capture in self.captures.values():
            capture.__exit__(None, None, None)

    @property
    def statements(self) -> list[str]:
        found = (query["sql"] for capture in self.captures.values() for query in capture.captured_queries)
        return [sql for sql in found if not sql.startswith(("BEGIN", "COMMIT", "SET LOCAL"))]


@pytest.fixture
def without_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """The access record is another room's cost and has its own tests."""
    monkeypatch.setattr(
        "imgnom.community.visits.middleware.RecordVisit.__call__", lambda self, request: self.get_response(request)
    )


@pytest.mark.usefixtures("without_records")
@pytest.mark.parametrize("count", [3, 90])
@pytest.mark.clause("A2.1")
def test_a_list_takes_few_queries_however_much_there_is(
    cast: Callable[[str], MemberCard], now: datetime, count: int
) -> None:
    author = cast("은수")
    made = rows(author, now, count)
    tag = Tag.objects.create(name="film")
    ImageTag.objects.bulk_create([ImageTag(image=image, tag=tag) for image in made])
    middle = made[count // 2].position
    for client in (Client(), signed_in(author)):
        for path in ("/", f"/?after={make_cursor('gallery', middle)}", f"/@{quote('은수')}", "/t/film", "/search?q=t1"):
            with Queries() as queries:
                assert client.get(path).status_code == 200
            assert 1 <= len(queries.statements) <= 6, (path, queries.statements)
            assert not any("OFFSET" in statement for statement in queries.statements)


@pytest.mark.usefixtures("without_records")
@pytest.mark.parametrize("count", [0, 3, 300])
@pytest.mark.clause("A2.1")
def test_a_picture_takes_few_queries_however_much_was_said(
    cast: Callable[[str], MemberCard], now: datetime, count: int
) -> None:
    author = cast("은수")
    image = rows(author, now, 5)[2]
    Comment.objects.bulk_create(
        [Comment(image=image, author_id=author.id, body=f"c{n}", created_at=now, position=n + 1) for n in range(count)]
    )
    for client in (Client(), signed_in(author)):
        with Queries() as queries:
            page = client.get(f"/i/{image.public_id}")
        assert page.content.decode().count('class="remark"') == min(count, 50)
        assert len(queries.statements) <= 6, queries.statements


# ── one picture ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A2.1")
def test_neighbours_follow_the_gallery_and_the_author(cast: Callable[[str], MemberCard], now: datetime) -> None:
    one, two = cast("은수"), cast("노을")
    first, second, third = hang(one, now), hang(two, now), hang(one, now)
    hidden = hang(one, now, visibility="unlisted")
    page = Client().get(f"/i/{second.public_id}").content.decode()
    assert f'href="/i/{third.public_id}" rel="prev"' in page
    assert f'href="/i/{first.public_id}" rel="next"' in page
    page = Client().get(f"/i/{third.public_id}").content.decode()
    assert 'rel="prev"' not in page
    assert f'<a href="/i/{first.public_id}">' in page
    assert hidden.public_id not in page
    page = Client().get(f"/i/{hidden.public_id}").content.decode()
    assert 'rel="prev"' not in page
    assert 'rel="next"' not in page


@pytest.mark.clause("A2.1")
def test_who_may_see_what_and_what_is_kept_of_it(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author, other = cast("은수"), cast("노을")
    own, stranger = signed_in(author), signed_in(other)
    unlisted, private = hang(author, now, visibility="unlisted"), hang(author, now, visibility="private")
    page = Client().get(f"/i/{unlisted.public_id}")
    assert page.status_code == 200
    assert page["X-Robots-Tag"] == "noindex"
    assert '<meta name="robots" content="noindex">' in page.content.decode()
    for client in (Client(), stranger):
        for path in ("", "/edit", "/delete"):
            assert client.get(f"/i/{private.public_id}{path}").status_code in (404, 302 if path else 404)
        for size in ("thumbnail", "preview", "original"):
            assert client.get(f"/media/{private.public_id}/{size}").status_code == 404
    page = own.get(f"/i/{private.public_id}")
    assert page.status_code == 200
    assert page["Cache-Control"] == "private, no-store"
    public = hang(author, now)
    assert "noindex" not in Client().get(f"/i/{public.public_id}").content.decode()
    assert "X-Robots-Tag" not in Client().get(f"/i/{public.public_id}")


@pytest.mark.clause("A2.1", "C2")
def test_what_staff_removed_is_shown_to_its_owner_with_the_reason(
    cast: Callable[[str], MemberCard], now: datetime
) -> None:
    author, other = cast("은수"), cast("노을")
    image = hang(author, now)
    remove_by_staff(image.public_id, reason="얼굴이 나온 사람이 원합니다", by=STAFF, now=now)
    assert "얼굴이 나온 사람이 원합니다" in signed_in(author).get(f"/i/{image.public_id}").content.decode()
    for client in (Client(), signed_in(other)):
        assert client.get(f"/i/{image.public_id}").status_code == 404
        assert client.get(f"/media/{image.public_id}/preview").status_code == 404
    own = signed_in(author)
    for size in ("thumbnail", "preview", "original"):
        assert own.get(f"/media/{image.public_id}/{size}").status_code == 404, "the files are gone for the owner too"
    assert own.get(f"/i/{image.public_id}/edit").status_code == 403
    assert f"/media/{image.public_id}" not in own.get(f"/i/{image.public_id}").content.decode()
    assert f"/media/{image.public_id}" not in own.get(f"/@{quote('은수')}?show=removed").content.decode()


@pytest.mark.clause("A2.1")
def test_lines_to_copy_are_escaped_for_where_they_go(cast: Callable[[str], MemberCard], now: datetime) -> None:
    image = hang(cast("은수"), now, alt=HOSTILE + "\nsecond line", title="t")
    lines = embed_of(image)
    assert lines["html"].count("<") == 3
    assert lines["html"].count('"') == 10
    assert f"{HOSTILE} second line" in unescape(lines["html"])
    assert "\n" not in lines["markdown"]
    inner = re.fullmatch(r"\[!\[((?:\\.|[^\\\[\]])*)\]\(([^()\s]+)\)\]\(([^()\s]+)\)", lines["markdown"])
    assert inner
    assert re.sub(r"\\(.)", r"\1", inner[1]) == f"{HOSTILE} second line"
    assert not re.search(r"(?<!\\)[\[\]()<>`*_]", inner[1])
    assert lines["bbcode"] == f"[url={inner[3]}][img]{inner[2]}[/img][/url]"
    page = Client().get(f"/i/{image.public_id}").content.decode()
    for line in lines.values():
        assert line in [unescape(value) for value in re.findall(r'readonly value="([^"]*)"', page)]


@pytest.mark.clause("A2.1")
def test_nothing_that_somebody_wrote_becomes_markup(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    image = hang(author, now, title=hostile, description=hostile, alt=hostile, tags="<b>")
    write_comment(image_id=image.public_id, body=hostile, by_member=author.id, now=now)
    client = signed_in(author)
    for path in (
        "/",
        f"/i/{image.public_id}",
        f"/i/{image.public_id}/edit",
        f"/i/{image.public_id}/delete",
        "/search?q=" + quote(hostile),
    ):
        page = client.get(path).content.decode()
        assert "alert(1)" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page


@pytest.mark.clause("A2.1")
def test_a_picture_without_words_still_says_something(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    for title, alt, expected in (("", "", "설명이 없는 사진"), ("강", "", "강"), ("강", "넓은 강", "넓은 강")):
        image = hang(author, now, title=title, alt=alt)
        assert f'alt="{expected}" fetchpriority' in Client().get(f"/i/{image.public_id}").content.decode()


@pytest.mark.clause("A2.1")
def test_every_kind_of_hidden_data_has_its_words() -> None:
    from imgnom.community.images import strip

    written = "".join(path.read_text() for path in Path(strip.__file__).parent.glob("*.py"))
    kinds = set(re.findall(r'(?:removed|kinds)\.add\("(\w+)"', written)) | {"camera", "description"}
    assert len(kinds) > 3
    assert kinds <= set(KINDS)
    assert removed_words(["something-new", "place"]) == [str(KINDS["place"]), str(KINDS["other"])]
    assert removed_words([]) == []


# ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("size", ["thumbnail", "preview", "original"])
def test_files_are_served_under_our_own_type_and_known_again(
    cast: Callable[[str], MemberCard], now: datetime, size: str
) -> None:
    image = hang(cast("은수"), now)
    path = f"/media/{image.public_id}/{size}"
    served = Client().get(path)
    body = b"".join(served.streaming_content) if served.streaming else served.content  # type: ignore[attr-defined]
    assert served["Content-Type"] == ("image/jpeg" if size == "original" else "image/webp")
    assert served["X-Content-Type-Options"] == "nosniff"
    assert served["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert served["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert served["Cache-Control"] == "public, max-age=60"
    assert served["Content-Disposition"].startswith("attachment" if size == "original" else "inline")
    assert image.media_token[:8] not in served["ETag"]
    assert Picture.open(io.BytesIO(body)).size
    if size == "original":
        assert int(served["Content-Length"]) == len(body)
    for known in (served["ETag"], f"W/{served['ETag']}", f'"x", {served["ETag"]}', "*"):
        again = Client().get(path, headers={"if-none-match": known})
        assert again.status_code == 304
        assert not again.content
        assert again["ETag"] == served["ETag"]
    assert Client().get(path, headers={"if-none-match": '"x"'}).status_code == 200
    assert Client().head(path).status_code == 200


@pytest.mark.clause("A2.1")
def test_a_private_file_is_never_kept_by_a_browser(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    image = hang(author, now)
    shared = Client().get(f"/media/{image.public_id}/preview")["ETag"]
    own = signed_in(author)
    own.post(f"/i/{image.public_id}/edit", {"visibility": "private"})
    served = own.get(f"/media/{image.public_id}/preview", headers={"if-none-match": shared})
    assert served.status_code == 200
    assert served["Cache-Control"] == "private, no-store"
    assert served["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "ETag" not in served
    assert Client().get(f"/media/{image.public_id}/preview", headers={"if-none-match": shared}).status_code == 404


# ── upload ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A2.1")
def test_the_answer_for_programs_is_the_contracts(cast: Callable[[str], MemberCard]) -> None:
    client = signed_in(cast("은수"))
    answer = send(client, ("내 사진.jpg", jpeg()), title="강", alt="넓은 강", tags="#강, 물", visibility="unlisted")
    assert answer.status_code == 201
    [facts] = answer.json()["files"]
    assert set(answer.json()) == {"files"}
    assert set(facts) == {"name", "id", "page_url", "urls", "embed", "removed", "error"}
    assert set(facts["urls"]) == {"thumbnail", "preview", "original"}
    assert set(facts["embed"]) == {"html", "markdown", "bbcode"}
    assert facts["name"] == "내 사진.jpg"
    assert facts["error"] is None
    assert {"place", "camera"} <= set(facts["removed"])
    assert facts["page_url"] == f"{settings.IMGNOM.base_url}/i/{facts['id']}"
    for url in facts["urls"].values():
        assert Client().get(url.removeprefix(settings.IMGNOM.base_url)).status_code == 200
    image = Image.objects.get()
    assert (image.title, image.alt, image.visibility) == ("강", "넓은 강", "unlisted")
    assert sorted(Tag.objects.values_list("name", flat=True)) == ["강", "물"]


@pytest.mark.clause("A2.1")
def test_one_refused_file_answers_with_its_own_status(
    cast: Callable[[str], MemberCard], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(cast("은수"))
    monkeypatch.setattr("imgnom.community.images.views.MAX_BYTES", 4000)
    for content, status in ((b"%PDF-1.4", 415), (b"\xff\xd8\xff\xe0junk", 422), (b"x" * 4001, 413)):
        answer = send(client, ("a.jpg", content))
        assert answer.status_code == status
        [facts] = answer.json()["files"]
        assert facts["error"]
        assert facts["id"] is None
        assert facts["removed"] == []
        page = send(client, ("a.jpg", content), json=False)
        assert page.status_code == status
        assert facts["error"] in page.content.decode()
    assert not Image.objects.exists()


@pytest.mark.clause("A2.1")
def test_several_files_are_answered_one_by_one(cast: Callable[[str], MemberCard]) -> None:
    client = signed_in(cast("은수"))
    answer = send(client, ("good.jpg", jpeg()), ("bad.jpg", b"%PDF-1.4"), ("good2.jpg", jpeg()))
    assert answer.status_code == 201
    assert [(f["name"], bool(f["id"]), bool(f["error"])) for f in answer.json()["files"]] == [
        ("good.jpg", True, False), ("bad.jpg", False, True), ("good2.jpg", True, False),
    ]  # fmt: skip
    assert send(client, ("a", b"%PDF-1.4"), ("b", b"<svg/>")).status_code == 415
    assert send(client, ("a", b"%PDF-1.4"), ("b", b"\xff\xd8\xff\xe0junk")).status_code == 422
    assert Image.objects.count() == 2


@pytest.mark.clause("A2.1")
def test_without_script_each_file_is_told_what_was_removed(cast: Callable[[str], MemberCard]) -> None:
    author = cast("은수")
    client = signed_in(author)
    one = send(client, ("a.jpg", jpeg()), json=False)
    assert one.status_code == 303
    assert re.fullmatch(r"/i/[\w-]+", one["Location"])
    assert "place (GPS)" in client.get(one["Location"]).content.decode()
    many = send(client, ("a.jpg", jpeg()), ("b.jpg", jpeg(hidden=False)), json=False, title="둘")
    assert many.status_code == 303
    page = client.get(many["Location"]).content.decode()
    assert "place (GPS)" in page
    assert "Nothing was hidden" in page
    assert page.count("data-copy") == 2
    assert signed_in(cast("노을")).get(many["Location"]).status_code == 404
    mixed = send(client, ("a.jpg", jpeg()), ("b.pdf", b"%PDF-1.4"), json=False)
    assert mixed.status_code == 422
    assert "place (GPS)" in mixed.content.decode()
    assert "b.pdf" in mixed.content.decode()
    assert "촬영 위치(GPS)" in client.get(one["Location"], headers={"accept-language": "ko"}).content.decode()


@pytest.mark.clause("A2.1", "C2")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "가" * 201),
        ("description", "가" * 5001),
        ("alt", "가" * 1001),
        ("tags", " ".join(f"tag{n}" for n in range(21))),
        ("tags", "가" * 41),
        ("visibility", "friends"),
    ],
)
def test_wrong_words_are_named_and_nothing_is_uploaded(
    cast: Callable[[str], MemberCard], field: str, value: str
) -> None:
    client = signed_in(cast("은수"))
    answer = send(client, ("a.jpg", jpeg()), **{field: value})
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]
    page = send(client, ("a.jpg", jpeg()), json=False, **{field: value})
    assert page.status_code == 422
    assert f"#id_{field}" in page.content.decode()
    assert not Image.objects.exists()


@pytest.mark.clause("A2.1", "C2")
def test_an_upload_without_a_file_or_a_login_is_refused(cast: Callable[[str], MemberCard]) -> None:
    client = signed_in(cast("은수"))
    answer = send(client, title="x")
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == ["file"]
    assert send(client, json=False).status_code == 422
    assert send(Client(), ("a.jpg", jpeg())).status_code == 401
    assert send(Client(), ("a.jpg", jpeg()), json=False).status_code == 302
    assert Client(headers={"accept": "application/json"}).get("/upload").status_code == 401


@pytest.mark.clause("C2")
def test_uploading_too_much_is_held_back(cast: Callable[[str], MemberCard], monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(cast("은수"))
    answers = [send(client, *[("a", b"%PDF")] * 40).status_code for _ in range(8)]
    assert answers == [415] * 7 + [429]


@pytest.mark.clause("C2")
def test_nothing_is_done_without_the_forms_token(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    image = hang(author, now)
    client = Client(enforce_csrf_checks=True)
    client.cookies = signed_in(author).cookies
    assert client.get("/upload").status_code == 200
    for path in (
        "/upload",
        f"/i/{image.public_id}/edit",
        f"/i/{image.public_id}/delete",
        f"/i/{image.public_id}/comments",
    ):
        assert client.post(path, {"body": "x", "title": "y"}).status_code == 403
    assert Image.objects.get().title == image.title


# ── words ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A2.1")
def test_words_are_kept_without_what_turns_or_breaks_a_line() -> None:
    family, flag, hebrew = "👨‍👩‍👧", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "שלום \u200fעולם"
    assert one_line(f" a{OVERRIDES}b\x00\x07\x1b[1m\r\nc\u2028d ") == "ab[1m c d"
    assert one_line(family) == family
    assert one_line(flag) == flag
    assert one_line(hebrew) == hebrew
    assert one_line("\u1103\u1161\u11af") == "달"
    assert several_lines("a\r\nb\rc\n\n\n\n\nd\x85e") == "a\nb\nc\n\nd\ne"
    assert tag_names(" #Film,film　필름/사진 ..  a#b ") == ("film", "필름", "사진", "a", "b")


@pytest.mark.clause("A2.1")
def test_a_text_of_the_full_length_fits_though_browsers_send_two_signs_for_a_line_end() -> None:
    form = PictureForm({"description": "가" + "\r\n나" * 2499, "visibility": "public"})
    assert form.is_valid()
    assert len(form.cleaned_data["description"]) == 4999
    assert PictureForm({"title": f"{OVERRIDES}gpj.exe", "tags": "#가  ＃나"}).is_valid()


# ── editing and deleting ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.clause("A2.1")
def test_the_owner_changes_the_words_and_who_may_see(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    image, client = hang(author, now, tags="강 물"), signed_in(author)
    path = f"/i/{image.public_id}/edit"
    assert 'value="강 물"' in client.get(path).content.decode()
    answer = client.post(
        path,
        {
            "title": f"새{OVERRIDES} 제목",
            "alt": "새 글",
            "description": "a\r\nb",
            "tags": "불",
            "visibility": "unlisted",
        },
    )
    assert answer.status_code == 303
    image.refresh_from_db()
    assert (image.title, image.alt, image.description, image.visibility) == ("새 제목", "새 글", "a\nb", "unlisted")
    assert list(Tag.objects.values_list("name", flat=True)) == ["불"]
    wrong = client.post(path, {"title": "가" * 201, "description": "아직 적던 글", "visibility": "public"})
    assert wrong.status_code == 422
    assert "아직 적던 글" in wrong.content.decode()
    assert client.post(path, {"visibility": "friends"}).status_code == 422
    image.refresh_from_db()
    assert (image.title, image.visibility) == ("새 제목", "unlisted")


@pytest.mark.clause("A2.1", "C2")
def test_somebody_elses_picture_cannot_be_touched(cast: Callable[[str], MemberCard], now: datetime) -> None:
    image, stranger = hang(cast("은수"), now), signed_in(cast("노을"))
    for path in ("edit", "delete"):
        assert stranger.get(f"/i/{image.public_id}/{path}").status_code == 404
        assert stranger.post(f"/i/{image.public_id}/{path}", {"title": "x"}).status_code == 404
        assert Client().post(f"/i/{image.public_id}/{path}").status_code == 302
        assert stranger.post(f"/i/none/{path}").status_code == 404
    image.refresh_from_db()
    assert image.title == "강가"


@pytest.mark.clause("A2.1", "A4.2")
def test_deleting_a_picture_leaves_nothing_of_it_and_happens_once(
    cast: Callable[[str], MemberCard], now: datetime, home: Path
) -> None:
    author, other = cast("은수"), cast("노을")
    image, client = hang(author, now, title="CANARYTITLE", tags="canarytag"), signed_in(author)
    write_comment(image_id=image.public_id, body="CANARYSAID", by_member=other.id, now=now)
    files = [path for path in (home / "media").rglob("*") if path.is_file()]
    assert len(files) == 5
    assert "1" in client.get(f"/i/{image.public_id}/delete").content.decode()
    answer = client.post(f"/i/{image.public_id}/delete")
    assert answer.status_code == 303
    assert not [path for path in (home / "media").rglob("*") if path.is_file()]
    assert not Image.objects.exists()
    assert not Comment.objects.exists()
    assert not Tag.objects.exists()
    for path in (f"/i/{image.public_id}", f"/media/{image.public_id}/preview", f"/media/{image.public_id}/original"):
        assert client.get(path).status_code == 404
    assert client.post(f"/i/{image.public_id}/delete").status_code == 409
    assert client.get(f"/i/{image.public_id}/delete").status_code == 404
    assert signed_in(author).post(f"/i/{image.public_id}/delete").status_code == 404


@pytest.mark.clause("A2.1")
def test_a_comment_that_comes_while_its_picture_goes_leaves_nothing_half_done(
    cast: Callable[[str], MemberCard], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgnom.community.comments import public as comments

    author = cast("은수")
    image, real, calls = hang(author, now), comments.delete_one, []

    def late(picture: Image, **kwargs: Any) -> None:
        if not calls:
            Comment.objects.create(image_id=picture.pk, author_id=author.id, body="late", created_at=now, position=1)
        calls.append(1)
        real(picture, **kwargs)

    monkeypatch.setattr(comments, "delete_one", late)
    assert signed_in(author).post(f"/i/{image.public_id}/delete").status_code == 303
    assert len(calls) == 2
    assert not Comment.objects.exists()
    assert not Image.objects.exists()


@pytest.mark.clause("A2.1", "A4.2")
def test_what_a_process_keeps_of_a_page_never_outlives_a_change(
    cast: Callable[[str], MemberCard], now: datetime
) -> None:
    author, other = cast("은수"), cast("노을")
    image, own = hang(author, now, title=""), signed_in(author)
    comment = write_comment(image_id=image.public_id, body="처음 말", by_member=other.id, now=now)
    for language, words in (("ko", "제목 없음"), ("en", "untitled"), ("ko", "제목 없음")):
        assert words in Client(headers={"accept-language": language}).get("/").content.decode()
    assert "처음 말" in Client().get(f"/i/{image.public_id}").content.decode()
    own.post(f"/i/{image.public_id}/edit", {"title": "새 제목", "visibility": "public"})
    assert "새 제목" in Client().get("/").content.decode()
    Member.objects.filter(pk=author.id).update(nickname="다른이름")
    page = Client().get("/").content.decode()
    assert "다른이름" in page
    assert "은수" not in page
    Comment.objects.filter(pk=comment.pk).update(removed_reason="거친 말")
    page = Client().get(f"/i/{image.public_id}").content.decode()
    assert "처음 말" not in page
    assert "거친 말" not in page
    assert "거친 말" in signed_in(other).get(f"/i/{image.public_id}").content.decode()
    own.post(f"/i/{image.public_id}/edit", {"title": "새 제목", "visibility": "private"})
    assert "새 제목" not in Client().get("/").content.decode()
