"""The policy in force, and what hangs on it when it changes.

In demo, rehearsal and development that is the folder IMGNOM_POLICY names, read again as soon as one of its files (or of
the files it extends) changes; a file that no longer holds together leaves the last one in force, and `trouble` tells.
In production it is the version that the operator approved, as it was kept: a file changed under a running site changes
nothing, and `serve` refuses to start on one that nobody approved (`ensure_approved`).
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Model, QuerySet

from imgnom.policy.public import Policy, PolicyError, earlier_policy, ends_at, load_policy, policy_files

log = logging.getLogger(__name__)


class PolicyUnapproved(Exception):
    """The files of a real site say something else than what was approved. The text is the one line an operator reads."""


type Stamps = tuple[tuple[str, int, int], ...]
# The kept source of the version approved last, or nothing on a site that has none yet.
type Approved = Callable[[], Mapping[str, Any] | None]


@dataclass(frozen=True)
class _Held:
    named: str
    stamps: Stamps
    policy: Policy
    trouble: str = ""


_lock = threading.Lock()
_held: _Held | None = None
_approved: Approved | None = None


def register_approved(lookup: Approved) -> None:
    """The room that keeps the versions hands in how to find the approved one."""
    global _approved  # noqa: PLW0603 - one store of versions per site
    _approved = lookup


def _stamps(files: Iterable[str]) -> Stamps:
    """By name, without a Path: a page asks for the policy some dozen times."""
    found = []
    for file in files:
        try:
            facts = os.stat(file)  # noqa: PTH116 - a tenth of the cost
        except OSError:
            found.append((file, 0, -1))
        else:
            found.append((file, facts.st_mtime_ns, facts.st_size))
    return tuple(found)


def _again(held: _Held, stamps: Stamps) -> _Held:
    """The changed files, or what was in force with the trouble that they have."""
    folder = Path(held.named)
    try:
        policy = load_policy(folder)
    except PolicyError as error:
        log.error("the changed policy does not hold together and is not taken: %s", error)  # noqa: TRY400 - one line says it
        return _Held(held.named, stamps, held.policy, str(error))
    return _Held(held.named, _stamps(map(str, policy_files(folder))), policy)


def _first(named: str) -> _Held:
    folder = Path(named)
    approved = approved_policy() if settings.IMGNOM.mode == "production" else None
    if approved is not None:
        return _Held(named, (), approved)
    policy = load_policy(folder)
    return _Held(named, _stamps(map(str, policy_files(folder))), policy)


def policy_in_force() -> Policy:
    """The parsed policy. Raises PolicyError if there never was one that holds together."""
    global _held  # noqa: PLW0603 - one policy per process
    named = str(settings.IMGNOM.policy)
    held = _held
    if held is not None and held.named == named:
        if settings.IMGNOM.mode == "production":
            return held.policy
        stamps = _stamps(name for name, _, _ in held.stamps)
        if stamps == held.stamps:
            return held.policy
        with _lock:
            _held = _again(held, stamps)
            return _held.policy
    with _lock:
        _held = _first(named)
        return _held.policy


def trouble() -> str:
    """Why the files on disk are not what is in force, in one line; nothing when they are."""
    policy = policy_in_force()
    if settings.IMGNOM.mode != "production":
        return _held.trouble if _held is not None else ""
    try:
        ensure_approved(load_policy(Path(settings.IMGNOM.policy)), approved=policy)
    except (PolicyError, PolicyUnapproved) as error:
        return str(error)
    return ""


def approved_policy() -> Policy | None:
    """The version that came into force last on this site, if it has one."""
    kept = _approved() if _approved is not None else None
    return None if kept is None else earlier_policy(kept)


def ensure_approved(policy: Policy, *, approved: Policy | None) -> None:
    """In production, refuse files that say something else than the version approved last. Raises PolicyUnapproved."""
    if settings.IMGNOM.mode == "production" and approved is not None and approved.digest != policy.digest:
        short = policy.digest[:12]
        raise PolicyUnapproved(
            f"{settings.IMGNOM.policy}: this policy (version {short}) is not the approved one ({approved.digest[:12]}). "
            f"`imgnom policy diff` shows what changed, `imgnom policy approve {short}` approves exactly that."
        )


def recompute_ends(rows: QuerySet[Any], record: str, *, start: str = "starts_at") -> int:
    """After a change of the policy: every stored end of these rows from its start, by the period now in force.

    Rows without an end keep none. Returns how many ends moved.
    """
    policy = policy_in_force()
    moved: list[Model] = []
    for row in rows.filter(ends_at__isnull=False, **{f"{start}__isnull": False}).iterator(chunk_size=2000):
        end = ends_at(policy.records[record], getattr(row, start), policy.zone)
        if end is not None and end != row.ends_at:
            row.ends_at = end
            moved.append(row)
    rows.model._default_manager.using(rows.db).bulk_update(moved, ["ends_at"], batch_size=500)
    return len(moved)
