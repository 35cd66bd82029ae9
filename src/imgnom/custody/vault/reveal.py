"""The only way to plaintext (A2.0). Who imports this stands on a list that a test holds.

Every call asks the policy: item × purpose × role × consent × restriction. First the leaf is written, in a durable
transaction of its own, then the value is opened or refused; a reading that cannot be recorded does not happen (F16),
and one inside any store's open transaction neither. Views of one's own page are not recorded one by one: of them, as
of every other use, it is kept when the last one was.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.db import connections, transaction

from imgnom.custody.consent.public import consents_of
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import open_key
from imgnom.custody.outbox.public import record_act
from imgnom.custody.transactions import ensure_outermost
from imgnom.custody.vault.errors import RevealRefused, ValueMissing
from imgnom.custody.vault.personal import Personal
from imgnom.custody.vault.uses import note_uses
from imgnom.custody.vault.values import bound_to
from imgnom.policy.public import Actor, Allow, CannotTell, Deny, Policy, SubjectId, decide

__all__ = ["Personal", "RevealRefused", "ValueMissing", "reveal", "reveal_items", "reveal_many"]


@dataclass(frozen=True)
class _Held:
    """What stands in the vault of one item of one subject, still sealed, and whether it rests."""

    key_id: str | None
    sealed: bytes
    restricted: bool


# Written out, as all that stands in a reading's path: the ORM takes longer to compose it than a store to answer it.
_HELD = """
SELECT v.key_id, v.sealed, EXISTS (SELECT 1 FROM vault_restriction WHERE subject = %s AND item = %s)
FROM (SELECT 1) one LEFT JOIN vault_sealedvalue v ON v.subject = %s AND v.item = %s AND v.row = %s
"""


def _held(subject: str, item: str, row: str = "") -> _Held:
    with connections["vault"].cursor() as cursor:
        cursor.execute(_HELD, [subject, item, subject, item, row])
        key_id, sealed, restricted = cursor.fetchone()
    return _Held(key_id, b"" if sealed is None else bytes(sealed), bool(restricted))


def _decide(
    policy: Policy, subject: str, item: str, purpose: str, by: Actor, now: datetime, held: _Held
) -> Allow | Deny | CannotTell:
    aim = policy.purposes.get(purpose)
    # A purpose that needs no consent asks for none.
    consents = consents_of(subject) if aim is not None and aim.consent is not None else frozenset[str]()
    return decide(
        policy, item=item, purpose=purpose, role=by.role, consents=consents, restricted=held.restricted, now=now
    )


def _record(
    policy: Policy, subject: str, item: str, purpose: str, by: Actor, now: datetime, decision: Allow | Deny | CannotTell
) -> None:
    outcome = "revealed" if isinstance(decision, Allow) else "refused"
    leaf = record_act(
        store="vault", act="reveal", clause=decision.clause, by=by, now=now, subject=subject, items=[item], purpose=purpose, outcome=outcome,
        policy=policy.digest,
    )  # fmt: skip
    if isinstance(decision, Allow):
        note_uses([subject], item, purpose=purpose, by=by, now=now, look=leaf)


def _is_own_page(subject: str, by: Actor) -> bool:
    return by.role == "member" and by.token == subject


def _open(subject: str, item: str, row: str, held: _Held) -> Personal:
    if held.key_id is None:
        raise ValueMissing(item)
    return Personal(open_key(held.key_id).open(held.sealed, bound_to=bound_to(subject, item, row)).decode())


def reveal(subject: str, item: str, *, purpose: str, by: Actor, now: datetime, row: str = "") -> Personal:
    """One value. Raises RevealRefused, ValueMissing, KeyDestroyed, KeyUnknown, SealBroken, InsideTransaction."""
    ensure_outermost("a reading of a personal value")
    policy = policy_in_force()
    held = _held(subject, item, row)
    decision = _decide(policy, subject, item, purpose, by, now, held)
    if not (_is_own_page(subject, by) and isinstance(decision, Allow)):
        with transaction.atomic(using="vault", durable=True):
            _record(policy, subject, item, purpose, by, now, decision)
    else:
        note_uses([subject], item, purpose=purpose, by=by, now=now)
    if not isinstance(decision, Allow):
        raise RevealRefused(decision)
    return _open(subject, item, row, held)


def reveal_many(
    subjects: Iterable[str], item: str, *, purpose: str, by: Actor, now: datetime
) -> dict[SubjectId, Personal]:
    """The values of those subjects for whom the policy allows it and who have one, in the order asked for.

    All leaves are written first, in one transaction; refusals leave theirs and are left out. A broken seal or a key
    that nobody knows is raised, never left out.
    """
    ensure_outermost("a reading of personal values")
    policy = policy_in_force()
    asked: dict[str, tuple[_Held, Allow | Deny | CannotTell]] = {}
    for subject in dict.fromkeys(subjects):
        held = _held(subject, item)
        asked[subject] = held, _decide(policy, subject, item, purpose, by, now, held)
    with transaction.atomic(using="vault", durable=True):
        for subject, (_, decision) in asked.items():
            if not (_is_own_page(subject, by) and isinstance(decision, Allow)):
                _record(policy, subject, item, purpose, by, now, decision)
    found: dict[SubjectId, Personal] = {}
    for subject, (held, decision) in asked.items():
        if isinstance(decision, Allow):
            with suppress(ValueMissing):
                found[SubjectId(subject)] = _open(subject, item, "", held)
    return found


def reveal_items(subject: str, items: Iterable[str], *, purpose: str, by: Actor, now: datetime) -> dict[str, Personal]:
    """A subject's values of these items, those that it has, in the order asked for; all leaves first, in one transaction.

    Raises what `reveal` raises, but for what is missing; one item refused, and none is opened.
    """
    ensure_outermost("a reading of personal values")
    policy = policy_in_force()
    asked: dict[str, tuple[_Held, Allow | Deny | CannotTell]] = {}
    for item in dict.fromkeys(items):
        held = _held(subject, item)
        asked[item] = held, _decide(policy, subject, item, purpose, by, now, held)
    with transaction.atomic(using="vault", durable=True):
        for item, (_, decision) in asked.items():
            if _is_own_page(subject, by) and isinstance(decision, Allow):
                note_uses([subject], item, purpose=purpose, by=by, now=now)
            else:
                _record(policy, subject, item, purpose, by, now, decision)
    for _, decision in asked.values():
        if not isinstance(decision, Allow):
            raise RevealRefused(decision)
    found: dict[str, Personal] = {}
    for item, (held, _) in asked.items():
        with suppress(ValueMissing):
            found[item] = _open(subject, item, "", held)
    return found
