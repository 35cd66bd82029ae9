"""How acts, results and roles are told on the desk."""

from imgnom.custody.in_force import policy_in_force
from imgnom.web.words import current_language, say

ACTS = {
    "look": say(ko="봄", en="looked"),
    "search": say(ko="찾음", en="searched"),
    "remove": say(ko="내림", en="removed"),
    "download": say(ko="내려받음", en="downloaded"),
    "open": say(ko="열려고 함", en="tried to open"),
    "sign in": say(ko="로그인", en="signed in"),
    "sign out": say(ko="로그아웃", en="signed out"),
    "second factor": say(ko="두 번째 확인", en="second factor"),
}
RESULTS = {
    "done": say(ko="됨", en="done"),
    "refused": say(ko="거절", en="refused"),
    "failed": say(ko="틀림", en="failed"),
    "missing": say(ko="없음", en="not there"),
    "twice": say(ko="이미 내려짐", en="gone before"),
    "begun": say(ko="시작함", en="begun"),
    "invalid": say(ko="까닭 없음", en="no reason"),
}
KINDS = {"picture": say(ko="사진", en="picture"), "comment": say(ko="댓글", en="comment")}
THINGS = {
    "desk": say(ko="운영실", en="the desk"),
    "handler records": say(ko="취급 기록", en="handler records"),
    "account": say(ko="자기 계정", en="own account"),
}
CHANGES = {"granted": say(ko="받음", en="granted"), "ended": say(ko="끝남", en="ended")}


def act_words(act: str) -> str:
    return str(ACTS.get(act, act))


def result_words(result: str) -> str:
    return str(RESULTS.get(result, result))


def what_words(what: str) -> str:
    kind, _, key = what.partition(" ")
    return f"{KINDS[kind]} {key}" if kind in KINDS and key else str(THINGS.get(what, what))


def change_words(change: str) -> str:
    return str(CHANGES.get(change, change))


def role_words(role: str) -> str:
    found = policy_in_force().roles.get(role)
    return found.label.get(current_language()) if found else role
