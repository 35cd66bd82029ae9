"""Rules of A1.1: what an ID, a nickname and a password may be, and when two names are the same.

IDs are plain letters, so that nobody has to guess how one was typed. Nicknames may be written in any script; two of
them are the same when they look the same (`lookalike`). Names that seem to speak for the staff are nobody's.
"""

import re
from difflib import SequenceMatcher

from django.core.exceptions import ValidationError

from imgnom.community.members.leaked import is_leaked
from imgnom.community.members.lookalike import MAX_NAME_CHARS, hides_something, mixes_scripts, skeleton, stroke
from imgnom.community.members.reserved import SPEAKING, WORDS, reserved_word_in
from imgnom.policy.text import normalized
from imgnom.web.words import say

MIN_PASSWORD, MAX_PASSWORD = 8, 128
MAX_KEY = 160
MAX_COMPARED = 254
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890", "abcdefghijklmnopqrstuvwxyz", "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ")


def canonical_username(value: str) -> str:
    """Raises UnboundedText."""
    return normalized("NFKC", value, max_chars=MAX_NAME_CHARS).strip().casefold()


def nickname_key(value: str) -> str:
    """Two nicknames with the same key are the same to the eye."""
    return skeleton(value)


def check_username(value: str) -> str:
    canonical = canonical_username(value)
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{3,29}", canonical):
        raise ValidationError(
            say(
                ko="영문 소문자, 숫자, . _ - 로 4자에서 30자까지 적어 주세요.",
                en="Use 4 to 30 small letters, digits, and . _ -",
            )
        )
    spoken = {stroke(word) for word in (*SPEAKING, *WORDS, "administrator")}
    if stroke(canonical) in spoken or stroke(canonical.rstrip("0123456789._-")) in spoken:
        raise ValidationError(
            say(
                ko="운영진으로 보일 수 있는 아이디는 쓸 수 없습니다. 다른 것을 적어 주세요.",
                en="IDs that look like staff are not available. Choose another.",
            )
        )
    return canonical


def check_nickname(value: str) -> str:
    """The name as it will be shown: NFC, single blanks."""
    name = " ".join(normalized("NFC", value, max_chars=MAX_NAME_CHARS).split(" ")).strip()
    name = re.sub(" {2,}", " ", name)
    if not 2 <= len(name) <= 40 or any(char in '/\\@#?&<>"%' for char in name):
        raise ValidationError(
            say(ko="2자에서 40자까지, 빗금이나 @ 없이 적어 주세요.", en="Use 2 to 40 characters without slashes or @.")
        )
    if hides_something(name):
        raise ValidationError(
            say(ko="눈에 보이지 않는 글자를 빼고 적어 주세요.", en="Leave out characters that do not show.")
        )
    if mixes_scripts(name):
        raise ValidationError(
            say(
                ko="모양이 비슷한 다른 문자가 섞여 있습니다. 한 가지 문자로 적어 주세요.",
                en="Letters of different scripts that look alike are mixed. Use one script.",
            )
        )
    word = reserved_word_in(name)
    if word is not None:
        raise ValidationError(
            say(
                ko=f"운영진으로 보일 수 있는 이름은 쓸 수 없습니다. ‘{word}’ 없이 적어 주세요.",
                en=f"Names that look like staff are not available. Leave out “{word}”.",
            )
        )
    if not 1 <= len(nickname_key(name)) <= MAX_KEY:
        raise ValidationError(
            say(ko="글자나 숫자가 들어간 이름을 적어 주세요.", en="Use a name with letters or digits in it.")
        )
    return name


def _is_a_row(value: str) -> bool:
    """One key again and again, or keys side by side."""
    small = value.casefold()
    if len(set(small)) < 4:
        return True
    return any(small in row * 3 or small in row[::-1] * 3 for row in _KEYBOARD)


def _is_like(value: str, other: str) -> bool:
    if value == other:
        return True
    if len(other) < 4:
        return False
    return other in value or value in other or SequenceMatcher(None, value, other).ratio() > 0.75


def _folded(text: str) -> str:
    return normalized("NFKC", text, max_chars=MAX_NAME_CHARS).casefold()[:MAX_COMPARED]


def check_password(value: str, *, beside: tuple[str, ...]) -> None:
    """Refuse what is short, known from leaks, or like the words `beside` it. Raises ValidationError."""
    if not MIN_PASSWORD <= len(value) <= MAX_PASSWORD:
        raise ValidationError(say(ko="8자에서 128자까지 적어 주세요.", en="Use 8 to 128 characters."))
    if is_leaked(value) or _is_a_row(value):
        raise ValidationError(
            say(
                ko="새어 나간 적이 있거나 누구나 떠올리는 비밀번호입니다. 다른 것을 적어 주세요.",
                en="This password is known from leaks or the first anybody would try. Choose another.",
            )
        )
    small = _folded(value)
    words = {_folded(part) for text in beside for part in (text, text.split("@")[0])}
    if any(_is_like(small, word) for word in words - {""}):
        raise ValidationError(
            say(
                ko="아이디, 닉네임, 이메일과 다른 비밀번호를 적어 주세요.",
                en="Choose a password unlike ID, nickname and e-mail.",
            )
        )
