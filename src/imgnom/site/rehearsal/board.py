"""The clause board of a rehearsal: a clause is green only while every look at it agreed with the promise."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from imgnom.policy.public import Policy


@dataclass
class Row:
    id: str
    promise: str
    planned: bool
    evidence: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    checked_at: datetime | None = None

    @property
    def state(self) -> str:
        if self.broken:
            return "red"
        if self.evidence:
            return "green"
        return "planned" if self.planned else "red"


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
            (row.evidence if ok else row.broken).append(words)
            row.checked_at = at
        if not ok:
            self._said(f"RED {clauses}: {words}")
        return ok

    @property
    def is_green(self) -> bool:
        return all(row.state != "red" for row in self.rows.values())

    def as_json(self) -> dict[str, object]:
        return {
            "clauses": [
                {
                    "id": row.id,
                    "state": row.state,
                    "promise": row.promise,
                    "evidence": "; ".join(row.broken or row.evidence)
                    or ("not built yet" if row.planned else "nothing looked at it"),
                    "checked_at": row.checked_at.isoformat() if row.checked_at else None,
                }
                for row in self.rows.values()
            ]
        }
