"""Which of the things held are due at an instant (A3.0a, A3.0b, A4.0). Pure: ten years are tried in a second."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from imgnom.policy.errors import PolicyError
from imgnom.policy.periods import ends_at
from imgnom.policy.types import Policy


@dataclass(frozen=True)
class Held:
    record: str
    ref: str
    starts_at: datetime


@dataclass(frozen=True)
class RetentionPlan:
    due: tuple[tuple[Held, datetime], ...]
    upcoming: tuple[tuple[Held, datetime], ...]
    permanent: tuple[Held, ...]


def plan_retention(policy: Policy, held: Iterable[Held], *, at: datetime) -> RetentionPlan:
    """Split what is held into due, upcoming and without end. Raises PolicyError for a record nobody declared."""
    due: list[tuple[Held, datetime]] = []
    upcoming: list[tuple[Held, datetime]] = []
    permanent: list[Held] = []
    for thing in held:
        record = policy.records.get(thing.record)
        if record is None:
            raise PolicyError("policy.toml", f"records.{thing.record}", "something is held that no record declares")
        end = ends_at(record, thing.starts_at, policy.zone)
        if end is None:
            permanent.append(thing)
        elif end <= at:
            due.append((thing, end))
        else:
            upcoming.append((thing, end))
    by_end = lambda pair: (pair[1], pair[0].ref)  # noqa: E731
    return RetentionPlan(tuple(sorted(due, key=by_end)), tuple(sorted(upcoming, key=by_end)), tuple(permanent))
