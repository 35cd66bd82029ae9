"""What leaving will do, worked out before the last button and kept as the plan that is carried out (A3.0a, A7.2b)."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from imgnom.policy.periods import ends_at, last_day
from imgnom.policy.types import PERMANENT, Policy, Record, Text

Choice = Literal["keep", "anonymise", "delete"]
CHOICES: tuple[Choice, ...] = ("keep", "anonymise", "delete")
Outcome = Literal["destroyed_now", "archived", "kept", "kept_until"]


@dataclass(frozen=True)
class LeavingFacts:
    pictures: int = 0
    comments: int = 0
    private_pictures: int = 0
    sessions: int = 0
    extra_items: tuple[str, ...] = ()
    open_case: bool = False
    final_sanction: bool = False


@dataclass(frozen=True)
class Fate:
    record: str
    items: tuple[str, ...]
    outcome: Outcome
    until: date | None
    ends_at: datetime | None
    count: int | None
    reason: Text
    clause: str


@dataclass(frozen=True)
class WithdrawalPlan:
    fates: tuple[Fate, ...]
    choice: Choice
    at: datetime

    def of(self, outcome: Outcome) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.fates if fate.outcome == outcome)

    def fate_of(self, record: str) -> Fate | None:
        return next((fate for fate in self.fates if fate.record == record), None)


def applies(record: Record, facts: LeavingFacts) -> bool:
    """Whether a record that starts at leaving is made for this person at all."""
    match record.scope:
        case "everyone" | "members":
            return True
        case "open_case":
            return facts.open_case
        case "final_sanction":
            return facts.final_sanction
        case _:
            return False


def _kept(policy: Policy, record: Record, at: datetime, reason: Text) -> Fate:
    until = last_day(record, at, policy.zone)
    outcome: Outcome = "archived" if record.store == "archive" else "kept_until" if until else "kept"
    return Fate(record.id, record.items, outcome, until, ends_at(record, at, policy.zone), None, reason, record.article)


def plan_withdrawal(policy: Policy, facts: LeavingFacts, *, choice: Choice, now: datetime) -> WithdrawalPlan:
    """Every thing held of a member and what becomes of it if they leave now with this choice."""
    fates: list[Fate] = []
    records = policy.records
    identity = records["identity_after_leaving"]
    kept_apart = applies(identity, facts)
    if kept_apart:
        fates.append(_kept(policy, identity, now, _APART))
    others = [record for record in _archives(policy, facts) if record.id != identity.id]
    fates.extend(_kept(policy, record, now, _APART) for record in others)
    apart = {item for record in (*others, *((identity,) if kept_apart else ())) for item in record.items}
    held = dict.fromkeys((*identity.items, *facts.extra_items))
    at_once = ["password", *(item for item in held if item not in apart)]
    at_once += ["image_lookalike"] * bool(facts.pictures or facts.private_pictures)
    words = Text("열쇠까지 없앱니다", "destroyed together with its key")
    fates.append(
        Fate(
            "account",
            tuple(dict.fromkeys(i for i in at_once if i in policy.items)),
            "destroyed_now",
            None,
            now,
            None,
            words,
            "A4.0",
        )
    )
    words = Text("어디서나 바로 로그아웃됩니다", "signed out everywhere at once")
    fates.append(Fate("session", records["session"].items, "destroyed_now", None, now, facts.sessions, words, "A7.2b"))
    words = Text("무엇을 고르든 없앱니다", "destroyed whatever you choose")
    fates.append(
        Fate(
            "private_pictures",
            records["private_pictures"].items,
            "destroyed_now",
            None,
            now,
            facts.private_pictures,
            words,
            "A4.0",
        )
    )
    fates.append(_posts(records["posts"], facts, choice, now))
    for key in ("mail_queue", "freed_names", "access_records_member", "consent_records"):
        record = records.get(key)
        if record is not None and applies(record, facts):
            fates.append(
                _kept(policy, record, now, _NEVER_AGAIN if (key, choice) == ("freed_names", "keep") else _WHY[key])
            )
    return WithdrawalPlan(tuple(fates), choice, now)


_APART = Text(
    "분리 보관하고, 보관 목적 말고는 아무도 열지 않습니다", "kept apart and opened for nothing but what it is kept for"
)
_NEVER_AGAIN = Text(
    "아이디는 이날까지 남이 쓸 수 없습니다. 글에 남는 닉네임은 앞으로 아무도 쓸 수 없습니다",
    "nobody else gets the ID until this day; the nickname that stays on your posts is never given again",
)
_WHY = {
    "mail_queue": Text(
        "영수증 번호를 보낼 주소입니다. 편지가 나가는 즉시 없앱니다",
        "the address for the letter with your receipt; destroyed the moment it is sent",
    ),
    "freed_names": Text(
        "남이 같은 이름으로 나서지 못하게 되돌릴 수 없는 값만 둡니다",
        "only a one-way value, so that nobody else appears under the name",
    ),
    "access_records_member": Text(
        "오래된 날부터 차례로 없앱니다. 마지막 날입니다",
        "destroyed day by day, the oldest first; this is the last of them",
    ),
    "consent_records": Text("동의했다는 증거로, 누구인지 모르게 둡니다", "as proof of consent, without saying whose"),
}


def _archives(policy: Policy, facts: LeavingFacts) -> tuple[Record, ...]:
    """What this policy file keeps apart of somebody who leaves."""
    return tuple(
        record
        for record in policy.records.values()
        if record.store == "archive"
        and record.starts == "withdrawal"
        and record.state == "built"
        and applies(record, facts)
    )


def _posts(record: Record, facts: LeavingFacts, choice: Choice, now: datetime) -> Fate:
    count = facts.pictures + facts.comments
    match choice:
        case "keep":
            reason = Text("닉네임과 함께 그대로 남습니다", "stay as they are, with the nickname")
            return Fate("posts", record.items, "kept", None, None, count, reason, record.article)
        case "anonymise":
            reason = Text(
                "이름 없이 남고 글끼리 이어지지 않습니다", "stay without a name, and nothing links one to another"
            )
            return Fate("posts", record.items, "kept", None, None, count, reason, record.article)
        case "delete":
            reason = Text("모두 없앱니다", "all destroyed")
            return Fate("posts", record.items, "destroyed_now", None, now, count, reason, "A4.2")


def is_permanent(record: Record) -> bool:
    return record.period is PERMANENT
