"""The annex to the articles (처리 항목표): every item of the policy file, why, on which basis, until when, who sees it (A0.2).

Items processed with consent and without stand apart, as the law asks; what is only announced is said to be so.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from imgnom.policy.public import (
    Item,
    Period,
    Policy,
    Record,
    Text,
    words_for_period,
    words_for_start,
)

BASES = {
    "consent": Text("동의", "consent"),
    "contract": Text("계약", "contract"),
    "legitimate_interest": Text("정당한 이익", "legitimate interest"),
    "law": Text("법률", "law"),
    "guardian": Text("법정대리인의 동의", "guardian's consent"),
}
SCOPES = {
    "visitors": Text("방문자", "visitors"),
    "final_sanction": Text("이용제한이 확정된 사람", "people under a final restriction"),
    "open_case": Text("불량 이용 사건이 열린 사람", "people with an open misuse case"),
    "nobody": Text("아무에게도 두지 않음", "kept of nobody"),
}
STORES = {
    "default": Text("게시판", "community"),
    "logs": Text("접속 기록", "access records"),
    "vault": Text("분리 저장소", "vault"),
    "archive": Text("분리보관", "archive"),
    "keys": Text("열쇠", "keys"),
    "ledger": Text("처리 기록", "ledger"),
    "media": Text("사진 파일", "picture files"),
    "browser": Text("방문자의 브라우저", "the visitor's browser"),
}
DESTROYED = {
    "key": Text("열쇠를 없애고 지움", "key destroyed, rows deleted"),
    "row": Text("지우고 덮어씀", "deleted and overwritten"),
    "file": Text("파일까지 지움", "files deleted"),
    "secret": Text("비밀값을 없앰", "secret destroyed"),
    "none": Text("개인을 알 수 없어 남김", "stays, says nothing of a person"),
}
LEAVES = {
    "S": Text("법이 정한 요청의 이용자 정보", "subscriber data on a lawful request"),
    "C": Text("법원의 허가", "a court's permit"),
    "W": Text("영장", "a warrant"),
    "A": Text("미리 동의한 곳", "whom the member agreed to"),
}
NEVER_LEAVES = Text("나가지 않음", "never")
GROUPS = (
    ("consent", Text("동의를 받아 다루는 항목", "Processed with consent")),
    ("without", Text("동의 없이 다루는 항목", "Processed without consent")),
    ("planned", Text("아직 아무것도 모으지 않는 항목", "Announced, and not collected by anything yet")),
    ("never", Text("저장하지 않는 것", "Never stored")),
)


@dataclass(frozen=True)
class Purpose:
    label: str
    basis: str
    clause: str


@dataclass(frozen=True)
class Row:
    id: str
    label: str
    category: str
    purposes: tuple[Purpose, ...]
    kept: tuple[str, ...]
    seen_by: str
    leaves: str
    store: str


@dataclass(frozen=True)
class Group:
    title: str
    rows: tuple[Row, ...]


def _kept(policy: Policy, record: Record, lang: str) -> str:
    words = words_for_period(record.period, lang)
    if isinstance(record.period, Period):
        start = words_for_start(record.starts, lang)
        words = f"{start} {words}" if lang == "ko" else f"{words} {start}"
    scope = SCOPES.get(record.scope)
    whose = f" ({scope.get(lang)})" if scope else ""
    return f"{record.label.get(lang)}: {words}{whose} · {DESTROYED[record.destroy].get(lang)}"


def _cookies(policy: Policy, lang: str) -> Iterable[str]:
    for cookie in policy.cookies.values():
        yield f"{cookie.name}: {words_for_period(cookie.period, lang)}"


def _row(policy: Policy, item: Item, lang: str) -> Row:
    uses = policy.uses_of(item.id)
    roles = dict.fromkeys(role for use in uses for role in use.roles if role != "system")
    seen_by = ", ".join(policy.roles[role].label.get(lang) for role in roles)
    nobody = "아무도 (기계만)" if lang == "ko" else "nobody (the machine only)"
    kept = tuple(_kept(policy, record, lang) for record in policy.records_of(item.id))
    if item.store == "browser":
        kept = (*kept, *_cookies(policy, lang))
    return Row(
        id=item.id,
        label=item.label.get(lang),
        category=item.category,
        purposes=tuple(
            Purpose(p.label.get(lang), BASES[p.basis].get(lang), p.article) for p in policy.purposes_of(item.id)
        ),
        kept=kept,
        seen_by=seen_by or (nobody if uses else ""),
        leaves=", ".join(LEAVES[way].get(lang) for way in item.third_party) or NEVER_LEAVES.get(lang),
        store=STORES[item.store].get(lang),
    )


def _group_of(policy: Policy, item: Item) -> str:
    if item.collected in ("planned", "never"):
        return item.collected
    return "consent" if any(p.basis in ("consent", "guardian") for p in policy.purposes_of(item.id)) else "without"


def annex_of(policy: Policy, lang: str) -> tuple[Group, ...]:
    """All items, each once, in the order of the file."""
    grouped = {
        key: tuple(_row(policy, item, lang) for item in policy.items.values() if _group_of(policy, item) == key)
        for key, _ in GROUPS
    }
    return tuple(Group(title.get(lang), grouped[key]) for key, title in GROUPS if grouped[key])
