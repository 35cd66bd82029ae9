"""The board: each clause with its promise, its state and its evidence. Green needs evidence; nothing else gives it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import Text
from imgnom.procedures.proofs.checks import Check, all_checks
from imgnom.procedures.proofs.evidence import STALE_AFTER, UNKNOWN, Proven, code_digest, latest

# What falls with the worker: whether anybody looks, whether due work is done, whether missed work is made good.
WORKERS = ("A0.1", "A4.0", "I2")
STOPPED = Text(
    "하루 넘게 아무것도 확인하지 못했습니다: 일꾼이 멈췄습니다",
    "nothing has been checked for a day: the worker stopped",
)
NEVER = Text("아직 한 번도 확인하지 않았습니다", "nothing has been checked yet")
NOT_LATELY = Text("하루 넘게 다시 확인하지 못했습니다", "it has not been checked again for a day")
NOT_YET = Text("아직 이 점을 확인하지 않았습니다", "this has not been checked yet")
NOT_BUILT = Text("아직 만들지 않았습니다", "not built yet")
UNPROVEN = Text(
    "이 코드와 방침으로 한 예행연습이 아직 없습니다 (imgnom rehearse)",
    "not rehearsed yet with this code and policy (imgnom rehearse)",
)


# What weighs more: a promise is green only while no evidence breaks it, and none that is needed is missing.
WEIGHT = {"green": 1, "planned": 2, "red": 3}


@dataclass
class Row:
    """One clause. `evidence` holds what its state rests on, in the order in which it was found."""

    id: str
    promise: Text
    state: str = "planned"
    evidence: list[Text] = field(default_factory=list)
    checked_at: datetime | None = None

    def tell(self, words: Text, state: str, at: datetime | None) -> None:
        """Green when shown, red when broken, planned when it cannot be told."""
        before = WEIGHT[self.state] if self.evidence else 0
        if WEIGHT[state] < before:
            return
        if WEIGHT[state] > before:
            self.evidence.clear()
        self.state = state
        self.evidence.append(words)
        if at is not None:
            self.checked_at = max(filter(None, (self.checked_at, at)))


@dataclass(frozen=True)
class Board:
    rows: tuple[Row, ...]
    checked_at: datetime | None
    rehearsed_at: datetime | None

    def count(self, state: str) -> int:
        return sum(row.state == state for row in self.rows)

    def state_of(self, clause: str) -> str | None:
        return next((row.state for row in self.rows if row.id == clause), None)


def _filled(words: Text, seen: int, faults: int) -> Text:
    return Text(words.ko.format(seen=seen, faults=faults), words.en.format(seen=seen, faults=faults))


def _judged(check: Check, found: Proven | None, *, is_stale: bool) -> tuple[Text, str]:
    """What a check says for its clauses. What was not looked at, or not lately, is never green."""
    counted = found.detail.get(check.name) if found else None
    if counted is None:
        return NOT_YET, "planned"
    if counted == UNKNOWN:
        return check.unknown, "planned"
    seen, faults = map(int, counted.split("/"))
    if faults:
        return _filled(check.fails, seen, faults), "red"
    return (NOT_LATELY, "planned") if is_stale else (_filled(check.holds, seen, faults), "green")


def _tell_checks(rows: dict[str, Row], found: Proven | None, checks: Iterable[Check], *, is_stale: bool) -> None:
    for check in checks:
        words, state = _judged(check, found, is_stale=is_stale)
        for clause in check.clauses:
            if clause in rows:
                rows[clause].tell(words, state, found.at if found else None)


def read_board(*, now: datetime) -> Board:
    """The board as the evidence stands at `now`."""
    policy = policy_in_force()
    built = {c.id: Row(c.id, c.promise) for c in policy.clauses.values() if c.state == "built"}
    checks, rehearsal = latest("checks"), latest("rehearsal")
    if rehearsal is not None and rehearsal.detail.get("code") != code_digest():
        rehearsal = None
    for key, row in built.items():
        state = rehearsal.detail.get(f"clause {key}") if rehearsal else None
        if rehearsal and state:
            day = rehearsal.at.date().isoformat()
            words = (
                Text(f"{day} 예행연습에서 지켜졌습니다", f"held in the rehearsal of {day}")
                if state == "green"
                else Text(f"{day} 예행연습에서 어긋났습니다", f"broke in the rehearsal of {day}")
            )
            row.tell(words, state, rehearsal.at)
    is_stale = checks is None or now - checks.at > STALE_AFTER
    _tell_checks(built, checks, all_checks(), is_stale=is_stale)
    if is_stale:
        for key in WORKERS:
            if key in built:
                built[key].tell(STOPPED if checks else NEVER, "red", checks.at if checks else None)
    rows = []
    for clause in policy.clauses.values():
        row = built.get(clause.id) or Row(clause.id, clause.promise, evidence=[NOT_BUILT])
        if not row.evidence:
            row.evidence.append(UNPROVEN)
        rows.append(row)
    return Board(tuple(rows), checks.at if checks else None, rehearsal.at if rehearsal else None)
