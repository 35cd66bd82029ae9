"""Names that speak for the site are refused at sign-up and change; who has one keeps it (A1.1)."""

from datetime import datetime
from pathlib import Path

import pytest
from django.test import Client

from imgnom.community.members.models import Member
from imgnom.community.members.public import nickname_key
from tests.rooms.members.people import FIELDS, code_for, join

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


@pytest.mark.clause("A1.1")
def test_reserved_nickname_is_refused_at_signup_and_change(home: Path, now: datetime) -> None:
    for name in ("게시물 담당", "Former Member", "ㅇㅜㄴ영자", "supportteam"):
        answer = Client().post("/signup", FIELDS | {"nickname": name})
        assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["nickname"]), name
    client = join(home, now)
    for name in ("탈퇴한 회원", "🅰🅳🅼🅸🅽", "감사자", "The Privacy Officer"):
        answer = client.post("/me/privacy/edit", {"nickname": name, "email": FIELDS["email"]})
        assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["nickname"]), name


@pytest.mark.clause("A1.1")
@pytest.mark.parametrize(
    "name",
    [
        "탈퇴한 이용자", "탈퇴 멤버", "삭제된 이용자", "알 수 없는 이용자", "떠난 사용자", "이전 회원", "former account", "Departed User", "Closed Account",
        "adm!n", "Manager", "Site Management", "管理员", "Модератор", "모더레이터 アドミン", "스테프", "관리쟈",
    ],
)  # fmt: skip
def test_further_names_of_staff_and_former_members_are_refused(home: Path, name: str) -> None:
    answer = Client().post("/signup", FIELDS | {"nickname": name})
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["nickname"])


@pytest.mark.clause("A1.1")
@pytest.mark.parametrize(
    "name", ["Unknown Pleasures", "은영자", "윤영자", "떠나는 사람", "R!chard", "완전회원", "이용자의 하루"]
)
def test_ordinary_names_near_reserved_ones_are_taken(home: Path, name: str) -> None:
    assert Client().post("/signup", FIELDS | {"nickname": name}).status_code == 303


@pytest.mark.clause("A7.1")
def test_member_with_a_nickname_reserved_later_keeps_it(home: Path, now: datetime) -> None:
    client = join(home, now)
    Member.objects.update(nickname="감사자", nickname_key=nickname_key("감사자"))
    changed = {"nickname": "감사자", "email": "new@mail.example"}
    assert client.post("/me/privacy/edit", changed)["Location"] == "/me/privacy/edit?confirm=email"
    code = code_for(home, now, "new@mail.example")
    assert client.post("/me/privacy/edit", {"code": code}).status_code == 303
    assert client.get("/@감사자").status_code == 200
