"""Comments: flat, paged by cursor, one's own to edit and delete, kept once, cleaned like every word."""

import io
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from PIL import Image as Picture

from imgnom.community.comments.models import Comment
from imgnom.community.comments.public import delete_comments, keep_comments, remove_comment_by_staff, write_comment
from imgnom.community.images.public import upload_file
from imgnom.community.members.models import Member
from imgnom.community.members.public import MemberCard, create_confirmed_member
from imgnom.custody.outbox.models import Outbox
from imgnom.policy.public import Actor
from imgnom.site.clock import set_clock

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

PASSWORD = "kite over the river"
STAFF = Actor("moderator", "m" * 16)


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
    client = Client()
    first = Member.objects.order_by("pk").first()
    assert first
    login = f"member{card.id - first.pk}.x"
    assert client.post("/login", {"login": login, "password": PASSWORD}).status_code == 303
    return client


def hang(by: MemberCard, now: datetime, visibility: str = "public") -> str:
    target = io.BytesIO()
    Picture.new("RGB", (32, 24), (40, 90, 140)).save(target, "PNG")
    return upload_file(
        content=target.getvalue(), title="강가", description="", alt="", tags="", visibility=visibility, by_member=by.id,
        subject=by.subject, now=now,
    ).public_id  # fmt: skip


def said(page: Any) -> list[str]:
    return re.findall(r'<p class="said" dir="auto">(.*?)</p>', page.content.decode(), re.DOTALL)


@pytest.mark.clause("A2.1")
def test_a_comment_stands_with_its_author_and_time(cast: Callable[[str], MemberCard], now: datetime) -> None:
    picture, client = hang(cast("은수"), now), signed_in(cast("노을"))
    assert "아직 댓글이 없습니다" in Client().get(f"/i/{picture}").content.decode()
    answer = client.post(f"/i/{picture}/comments", {"body": "  빛이\r\n좋네요 👨‍👩‍👧 שלום  "})
    assert answer.status_code == 303
    assert answer["Location"] == f"/i/{picture}#comments"
    page = Client().get(f"/i/{picture}")
    assert said(page) == ["빛이\n좋네요 👨‍👩‍👧 שלום"]
    text = page.content.decode()
    assert 'href="/@%EB%85%B8%EC%9D%84"><b dir="auto">노을</b>' in text
    assert "2026-11-22 12:00" in text
    assert "댓글 1" in text
    assert 'action="/comments/' not in text
    assert 'action="/comments/' in client.get(f"/i/{picture}").content.decode()


@pytest.mark.clause("A2.1")
def test_talk_is_paged_from_its_newest_end(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    picture = hang(author, now)
    for number in range(120):
        write_comment(image_id=picture, body=f"말 {number}", by_member=author.id, now=now)
    address, seen = f"/i/{picture}", []
    for turn in range(3):
        page = Client().get(address)
        seen = said(page) + seen
        assert ("가장 새로운 댓글 보기" in page.content.decode()) == (turn > 0)
        earlier = re.search(r'href="(\?before=[\w-]+)#comments"', page.content.decode())
        assert bool(earlier) == (turn < 2)
        address = f"/i/{picture}{earlier[1]}" if earlier else ""
    assert seen == [f"말 {number}" for number in range(120)]
    assert said(Client().get(f"/i/{picture}", {"before": "x"})) == [f"말 {number}" for number in range(70, 120)]


@pytest.mark.clause("A2.1", "C2")
@pytest.mark.parametrize("body", ["", "   ", "\u202e\u2066", "\x00\x07"])
def test_nothing_is_no_comment(cast: Callable[[str], MemberCard], now: datetime, body: str) -> None:
    author = cast("은수")
    picture = hang(author, now)
    answer = signed_in(author).post(f"/i/{picture}/comments", {"body": body})
    assert answer.status_code == 422
    assert 'id="id_body_error"' in answer.content.decode()
    assert not Comment.objects.exists()


@pytest.mark.clause("A2.1", "C2")
def test_what_is_too_long_is_refused_and_not_lost(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    picture, client = hang(author, now), signed_in(author)
    answer = client.post(f"/i/{picture}/comments", {"body": "길" * 2001})
    assert answer.status_code == 422
    assert "길" * 2001 in answer.content.decode()
    assert not Comment.objects.exists()
    assert client.post(f"/i/{picture}/comments", {"body": "길\r\n" * 999 + "끝끝"}).status_code == 303
    assert len(Comment.objects.get().body) == 2000


@pytest.mark.clause("A2.1")
def test_signs_that_turn_a_line_around_are_dropped(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    picture = hang(author, now)
    signed_in(author).post(f"/i/{picture}/comments", {"body": "a\u202eb\u2067c\u2069d\ufeffe\x1bf"})
    assert Comment.objects.get().body == "abcdef"


@pytest.mark.clause("C2")
def test_the_same_press_twice_leaves_one_comment(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author, other = cast("은수"), cast("노을")
    picture, client = hang(author, now), signed_in(author)
    assert client.post(f"/i/{picture}/comments", {"body": "좋네요"}).status_code == 303
    assert client.post(f"/i/{picture}/comments", {"body": "좋네요 "}).status_code == 409
    assert Comment.objects.count() == 1
    assert signed_in(other).post(f"/i/{picture}/comments", {"body": "좋네요"}).status_code == 303
    assert client.post(f"/i/{hang(author, now)}/comments", {"body": "좋네요"}).status_code == 303
    set_clock(now + timedelta(minutes=1))
    assert client.post(f"/i/{picture}/comments", {"body": "좋네요"}).status_code == 303
    assert Comment.objects.count() == 4


@pytest.mark.clause("A2.1", "C2")
def test_ones_own_comment_is_changed_and_deleted_once(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    picture, client = hang(author, now), signed_in(author)
    comment = write_comment(image_id=picture, body="처음", by_member=author.id, now=now)
    assert "처음" in client.get(f"/comments/{comment.pk}/edit").content.decode()
    long = client.post(f"/comments/{comment.pk}/edit", {"body": "길" * 2001})
    assert long.status_code == 422
    assert "길" * 2001 in long.content.decode()
    answer = client.post(f"/comments/{comment.pk}/edit", {"body": "나중\u202e"})
    assert answer.status_code == 303
    assert answer["Location"] == f"/i/{picture}#comment-{comment.pk}"
    assert said(Client().get(f"/i/{picture}")) == ["나중"]
    assert client.get(f"/comments/{comment.pk}/delete").status_code == 405
    assert client.post(f"/comments/{comment.pk}/delete").status_code == 303
    assert not Comment.objects.exists()
    assert Outbox.objects.filter(payload__contains="destroy_comments").count() == 1
    assert client.post(f"/comments/{comment.pk}/delete").status_code == 409
    assert client.get(f"/comments/{comment.pk}/edit").status_code == 404


@pytest.mark.clause("A2.1", "C2")
def test_somebody_elses_comment_is_nobodys_business(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author, other = cast("은수"), cast("노을")
    picture = hang(author, now)
    comment = write_comment(image_id=picture, body="내 말", by_member=author.id, now=now)
    for client, status in ((signed_in(other), 404), (Client(), 302)):
        assert client.get(f"/comments/{comment.pk}/edit").status_code == status
        assert client.post(f"/comments/{comment.pk}/edit", {"body": "x"}).status_code == status
        assert client.post(f"/comments/{comment.pk}/delete").status_code == status
    assert Comment.objects.get().body == "내 말"
    assert Client().post(f"/i/{picture}/comments", {"body": "x"}).status_code == 302
    assert Client(headers={"accept": "application/json"}).post(f"/i/{picture}/comments").status_code == 401


@pytest.mark.clause("A2.1", "C2")
def test_nobody_comments_what_they_may_not_see(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author, other = cast("은수"), cast("노을")
    client = signed_in(other)
    assert client.post(f"/i/{hang(author, now, 'private')}/comments", {"body": "x"}).status_code == 404
    assert client.post("/i/none/comments", {"body": "x"}).status_code == 404
    assert client.post(f"/i/{hang(author, now, 'unlisted')}/comments", {"body": "x"}).status_code == 303


@pytest.mark.clause("C2")
def test_too_many_comments_are_held_back(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author = cast("은수")
    picture, client = hang(author, now), signed_in(author)
    answers = [client.post(f"/i/{picture}/comments", {"body": f"말 {n}"}).status_code for n in range(61)]
    assert answers == [303] * 60 + [429]


@pytest.mark.clause("A2.1")
def test_what_staff_removed_tells_its_author_why(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author, other = cast("은수"), cast("노을")
    picture = hang(author, now)
    comment = write_comment(image_id=picture, body="지나친 말", by_member=other.id, now=now)
    assert remove_comment_by_staff(comment.pk, reason="남을 깎아내림", by=STAFF, now=now)
    for client in (Client(), signed_in(author)):
        text = client.get(f"/i/{picture}").content.decode()
        assert "운영진이 내린 댓글입니다" in text
        assert "지나친 말" not in text
        assert "남을 깎아내림" not in text
    own = signed_in(other)
    assert "남을 깎아내림" in own.get(f"/i/{picture}").content.decode()
    assert own.get(f"/comments/{comment.pk}/edit").status_code == 403
    assert own.post(f"/comments/{comment.pk}/edit", {"body": "다시"}).status_code == 403
    assert own.post(f"/comments/{comment.pk}/delete").status_code == 303
    assert not Comment.objects.exists()


@pytest.mark.clause("A3.2①")
def test_names_of_those_who_left(cast: Callable[[str], MemberCard], now: datetime) -> None:
    author, left, gone = cast("은수"), cast("노을"), cast("바다")
    picture = hang(author, now)
    write_comment(image_id=picture, body="남긴 말", by_member=left.id, now=now)
    write_comment(image_id=picture, body="이름 없는 말", by_member=gone.id, now=now)
    keep_comments(left.id, "노을")
    keep_comments(gone.id, "")
    page = Client().get(f"/i/{picture}")
    assert said(page) == ["남긴 말", "이름 없는 말"]
    assert '<b dir="auto">노을</b>' in page.content.decode()
    assert 'href="/@%EB%85%B8%EC%9D%84"' not in page.content.decode()
    assert "<b>탈퇴한 회원</b>" in page.content.decode()
    assert delete_comments(author.id, now=now, by=STAFF) == 0
