"""Rules of A1.1: what an ID, a nickname and a password may be, and when two of them are the same.

Look-alike letters (Unicode TS 39, the common Latin, Greek and Cyrillic ones) fold together, so that `аdmin` with a
Cyrillic letter is `admin`.
"""

import re
import unicodedata
from difflib import SequenceMatcher

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

from imgnom.web.words import say

_FOLD = str.maketrans("аеорсухіјѕԁɡһӏкмтвнαερτυνοι0135", "aeopcyxijsdghlkmtbhaeptuvoiolss")
RESERVED = (
    "admin", "administrator", "moderator", "officer", "imgnom", "system", "root", "staff", "support", "operator", "official", "privacy",
    "운영자", "운영진", "운영팀", "관리자", "관리팀", "책임자", "시스템", "공지", "고객센터", "탈퇴한회원",
)  # fmt: skip
MIN_PASSWORD, MAX_PASSWORD = 8, 128


def canonical_username(value: str) -> str:
    return unicodedata.normalize("NFKC", value.strip()).casefold()


def nickname_key(value: str) -> str:
    """Two nicknames with the same key are the same to the eye."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    bare = "".join(
        c for c in unicodedata.normalize("NFD", folded) if not unicodedata.combining(c) or 0x1100 <= ord(c) <= 0x11FF
    )
    return re.sub(r"[\s._\-·]+", "", unicodedata.normalize("NFC", bare).translate(_FOLD))


def check_username(value: str) -> str:
    canonical = canonical_username(value)
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{3,29}", canonical):
        raise ValidationError(
            say(
                ko="영문 소문자, 숫자, . _ - 로 4자에서 30자까지 적어 주세요.",
                en="Use 4 to 30 small letters, digits, and . _ -",
            )
        )
    if nickname_key(canonical) in RESERVED:
        raise ValidationError(
            say(ko="운영진으로 보일 수 있는 아이디는 쓸 수 없습니다.", en="IDs that look like staff are not available.")
        )
    return canonical


def check_nickname(value: str) -> str:
    name = unicodedata.normalize("NFC", value.strip())
    if not 2 <= len(name) <= 40 or any(unicodedata.category(c)[0] == "C" or c in '/\\@#?&<>"%' for c in name):
        raise ValidationError(
            say(ko="2자에서 40자까지, 빗금이나 @ 없이 적어 주세요.", en="Use 2 to 40 characters without slashes or @.")
        )
    key = nickname_key(name)
    if not key or any(word in key for word in RESERVED):
        raise ValidationError(
            say(
                ko="운영진으로 보일 수 있는 이름은 쓸 수 없습니다. 다른 이름을 적어 주세요.",
                en="Names that look like staff are not available. Choose another.",
            )
        )
    return name


def check_password(value: str, *, beside: tuple[str, ...]) -> None:
    """Refuse what is short, known from leaks, or like the other fields."""
    if not MIN_PASSWORD <= len(value) <= MAX_PASSWORD:
        raise ValidationError(say(ko="8자에서 128자까지 적어 주세요.", en="Use 8 to 128 characters."))
    try:
        CommonPasswordValidator().validate(value)
    except ValidationError:
        raise ValidationError(
            say(
                ko="새어 나간 적이 있는 비밀번호입니다. 다른 것을 적어 주세요.",
                en="This password is known from leaks. Choose another.",
            )
        ) from None
    small = value.casefold()
    for other in filter(None, (word.casefold() for text in beside for word in (text, text.split("@")[0]))):
        if small == other or (
            len(other) > 3 and (other in small or SequenceMatcher(None, small, other).ratio() > 0.75)
        ):
            raise ValidationError(
                say(
                    ko="아이디, 닉네임, 이메일과 다른 비밀번호를 적어 주세요.",
                    en="Choose a password unlike ID, nickname and e-mail.",
                )
            )
