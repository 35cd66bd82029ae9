"""Nicknames that seem to speak for the site, its staff or the name shown for former members, in both languages (A1.1).

SPEAKING is found anywhere in a name. WORDS, and the labels of the policy in force, count as words of their own, alone or joined with
AFFIXES only: `supportteam` is refused, `supporter` is not. Names are compared by `stroke`, which reads homoglyphs,
digits for letters and single jamo as what they look like. A sign-up and a change of the nickname are refused;
whoever has such a nickname already keeps it.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product

from imgnom.community.members.lookalike import has_loose_jamo, jamo, letters_of, stroke, syllables_of, words_of
from imgnom.custody.in_force import policy_in_force

SPEAKING: tuple[str, ...] = (
    "admin", "imgnom", "moderator", "webmaster", "postmaster", "privacyofficer",
    "운영자", "운영진", "운영팀", "운영실", "운영주체", "운영위원", "운영담당", "관리자", "관리팀", "관리인", "책임자", "고객센터", "고객지원", "개인정보", "법정대리인",
    "게시물담당", "게시판담당", "모더레이터", "어드민", "오퍼레이터",
    "탈퇴한회원", "탈퇴회원", "탈퇴한사용자", "탈퇴사용자", "탈퇴한유저", "탈퇴유저", "탈퇴한계정", "탈퇴계정", "삭제된회원", "삭제된사용자", "삭제된계정", "떠난회원", "알수없는사용자", "알수없는회원",
    "withdrawnmember", "formermember", "deletedmember", "deleteduser", "deletedaccount", "removeduser", "removedmember", "withdrawnuser", "unknownuser", "unknownmember",
    "formeruser", "memberwholeft", "somebodywholeft", "someonewholeft", "管理者", "管理人", "管理員", "管理员", "運營者", "運営者", "运营者", "админ", "модератор", "アドミン", "モデレーター",
    "운영쟈", "관리쟈", "에드민", "애드민",
)  # fmt: skip
# Each with each: what a site calls somebody who left. The legal term 이용자 is among them.
_GONE_KO = ("탈퇴한", "탈퇴", "탈퇴된", "탈퇴처리된", "삭제된", "삭제", "떠난", "나간", "알수없는", "존재하지않는")
_PEOPLE_KO = ("회원", "사용자", "이용자", "유저", "멤버", "계정", "작성자")
_GONE_EN = ("withdrawn", "former", "deleted", "removed", "unknown", "departed", "resigned", "closed", "deactivated")
_PEOPLE_EN = ("member", "user", "account")
SPEAKING += tuple(
    gone + person
    for gone, person in (*product(_GONE_KO, _PEOPLE_KO), *product(_GONE_EN, _PEOPLE_EN))
    if gone + person not in SPEAKING
)
WORDS = (
    "officer", "system", "root", "staff", "support", "operator", "operators", "official", "privacy", "security", "helpdesk", "auditor", "guardian",
    "notice", "notices", "announcement", "announcements", "moderation", "mod", "mods", "sysop", "superuser", "anonymous", "anonymised", "dpo", "customerservice",
    "dataprotection", "deleted", "removed", "withdrawn", "leftmember", "pastmember", "manager", "management", "siteowner", "noreply", "abuse", "hostmaster", "trustandsafety", "exmember", "exuser", "nouser",
    "시스템", "공지", "공지사항", "알림", "공식", "오피셜", "스태프", "스탭", "운영", "관리", "담당자", "매니저", "감사자", "감사관", "감사인", "보호자", "안내", "익명", "익명회원", "익명사용자", "익명의회원",
    "탈퇴자", "탈퇴", "탈퇴함", "삭제됨", "알수없음", "스텝", "스탶", "스테프", "이전회원", "전회원", "옛회원", "보안", "보안팀", "지원팀", "기술지원", "지원센터", "신고센터", "상담원", "서포트", "헬프데스크", "시솝",
)  # fmt: skip
AFFIXES = (
    "the", "site", "team", "real", "true", "help", "desk", "service", "center", "centre", "account", "user", "member", "manager", "kr", "korea", "bot", "mr", "ms",
    "chief", "head", "main",
    "님", "씨", "팀", "팀장", "실", "봇", "계정", "담당", "담당자", "센터", "사이트", "총괄", "대표", "진짜", "회원", "사용자", "사항",
)  # fmt: skip
# Signs that are read as letters between letters.
_SIGNS = str.maketrans("!€£", "iel")
# Ordinary words in which a speaking one is only letters.
ORDINARY = ("badminton",)
_HANGUL = re.compile("[가-힣]")
_REPEATED = re.compile(r"(.)\1+")


def _once(text: str) -> str:
    return _REPEATED.sub(r"\1", text)


def _labels() -> tuple[str, ...]:
    """What the policy calls its staff, its system, its operator and its officer."""
    policy = policy_in_force()
    texts = [role.label for role in policy.roles.values() if role.staff or role.id == "system"]
    texts += [policy.operator["name"], policy.officer["name"]]
    return tuple(
        dict.fromkeys(re.sub(r"^the ", "", half, flags=re.IGNORECASE) for text in texts for half in (text.ko, text.en))
    )


class _Reserved:
    """The words of one policy as they are compared."""

    def __init__(self, labels: Iterable[str]) -> None:
        self.speaking = {stroke(word): word for word in SPEAKING}
        self.speaking_once = {_once(key): word for key, word in self.speaking.items() if len(_once(key)) > 3}
        self.jamo = {jamo(key): word for key, word in self.speaking.items()}
        self.words = {stroke(word): word for word in (*WORDS, *labels, *SPEAKING)}
        self.words_jamo = {jamo(key): word for key, word in self.words.items()}
        self.tokens = (*self.words, *map(stroke, AFFIXES))
        self.ordinary = tuple(map(stroke, ORDINARY))


@lru_cache(maxsize=4)
def _reserved(labels: tuple[str, ...]) -> _Reserved:
    return _Reserved(labels)


def reserved_word_in(name: str) -> str | None:
    """The word by which a name seems to speak for the site; None for an ordinary name."""
    reserved = _reserved(_labels())
    read = name.translate(_SIGNS)
    wholes = list(dict.fromkeys((stroke(name), stroke(letters_of(name)), stroke(letters_of(read)))))
    for whole in wholes:
        found = _speaking_in(whole, name, reserved)
        if found:
            return found
    for text in (*wholes, *_runs(name)):
        if text in reserved.words:
            return reserved.words[text]
    single = {stroke(word) for words in words_of(name) for word in words}
    for text in (*wholes, *single):
        found = _made_of(text, reserved)
        if found:
            return found
    return _in_jamo(name, reserved)


def _speaking_in(whole: str, name: str, reserved: _Reserved) -> str | None:
    for ordinary in reserved.ordinary:
        whole = whole.replace(ordinary, "\0")
    once = _once(whole)
    found = [word for key, word in reserved.speaking.items() if key in whole]
    found += [word for key, word in reserved.speaking_once.items() if key in once]
    return next((word for word in found if _ends_with_its_syllable(word, name)), None)


def _ends_with_its_syllable(word: str, name: str) -> bool:
    """A skeleton takes final consonants for first ones, and so finds 운영자 in 운영장군."""
    if not _HANGUL.search(word) or has_loose_jamo(name):
        return True
    syllables = syllables_of(name)
    return word in syllables or word in _once(syllables)


def _runs(name: str) -> Iterator[str]:
    """Neighbouring words of the name, written together."""
    for words in words_of(name):
        for start in range(len(words)):
            for end in range(start + 1, min(len(words), start + 6) + 1):
                yield stroke("".join(words[start:end]))


def _made_of(text: str, reserved: _Reserved) -> str | None:
    """The reserved word where the text is nothing but reserved words and affixes."""
    reached: dict[int, str | None] = {0: None}
    for at in range(len(text)):
        if at not in reached:
            continue
        for token in reserved.tokens:
            if text.startswith(token, at):
                end = at + len(token)
                reached[end] = reached.get(end) or reached[at] or reserved.words.get(token)
    return reached.get(len(text))


def _in_jamo(name: str, reserved: _Reserved) -> str | None:
    """Only for names with letters of Hangul left single, as ㅇㅜㄴ영자: whole syllables are compared as they are."""
    if not has_loose_jamo(name):
        return None
    whole = jamo(stroke(letters_of(name)))
    found = next((word for key, word in reserved.jamo.items() if key in whole), None)
    parts = {whole, *(jamo(text) for text in _runs(name))}
    return found or next((word for key, word in reserved.words_jamo.items() if key in parts), None)
