"""The clause board of a rehearsal: a clause is green only while every look at it agreed with the promise.

What the policy file calls planned stays planned, whatever was seen; it can only turn red. A clause that is called built
and that nothing looked at is red.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from imgnom.policy.public import Policy


@dataclass
class Row:
    """`evidence` and `broken` count how often each was seen."""

    id: str
    promise: str
    planned: bool
    evidence: dict[str, int] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    checked_at: datetime | None = None

    @property
    def state(self) -> str:
        if self.broken:
            return "red"
        if self.planned:
            return "planned"
        return "green" if self.evidence else "red"

    @property
    def words(self) -> str:
        if not self.broken and self.planned:
            return "not built yet"
        seen = self.broken or self.evidence or {"nothing looked at it": 1}
        return "; ".join(f"{words} (×{times})" if times > 1 else words for words, times in seen.items())


class Board:
    def __init__(self, policy: Policy, *, lang: str, said: Callable[[str], None]) -> None:
        self._said = said
        self.rows = {
            key: Row(key, clause.promise.get(lang), planned=clause.state == "planned")
            for key, clause in policy.clauses.items()
        }

    def prove(self, clauses: str, ok: bool, words: str, *, at: datetime) -> bool:
        """Record one look for each clause id in `clauses` (separated by spaces)."""
        for key in clauses.split():
            row = self.rows.setdefault(key, Row(key, "", planned=False))
            seen = row.evidence if ok else row.broken
            seen[words] = seen.get(words, 0) + 1
            row.checked_at = at
        if not ok:
            self._said(f"RED {clauses}: {words}")
        return ok

    @property
    def red(self) -> set[str]:
        return {key for key, row in self.rows.items() if row.broken}

    @property
    def is_green(self) -> bool:
        return all(row.state != "red" for row in self.rows.values())

    def count(self, state: str) -> int:
        return sum(row.state == state for row in self.rows.values())

    def as_json(self) -> dict[str, object]:
        return {
            "clauses": [
                {
                    "id": row.id,
                    "state": row.state,
                    "promise": row.promise,
                    "evidence": row.words,
                    "checked_at": row.checked_at.isoformat() if row.checked_at else None,
                }
                for row in self.rows.values()
            ]
        }
