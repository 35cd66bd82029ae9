"""The only way to plaintext (A2.0). Who imports this stands on a list that a test holds.

Every call asks the policy: item × purpose × role × consent × restriction. First the leaf is written, in a durable
transaction of its own, then the value is opened or refused; a reading that cannot be recorded does not happen (F16),
and one inside any store's open transaction neither. Views of one's own page are not recorded one by one: of them, as
of every other use, it is kept when the last one was.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from django.db import transaction

from imgnom.custody.consent.public import consents_of
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import open_key
from imgnom.custody.outbox.public import record_act
from imgnom.custody.transactions import ensure_outermost
from imgnom.custody.vault.errors import RevealRefused, ValueMissing
from imgnom.custody.vault.models import SealedValue
from imgnom.custody.vault.personal import Personal
from imgnom.custody.vault.uses import note_uses
from imgnom.custody.vault.values import bound_to, is_restricted
from imgnom.policy.public import Actor, Allow, CannotTell, Deny, SubjectId, decide

__all__ = ["Personal", "RevealRefused", "ValueMissing", "reveal", "reveal_many"]


def _decide(subject: str, item: str, purpose: str, by: Actor, now: datetime) -> Allow | Deny | CannotTell:
    return decide(
        policy_in_force(),
        item=item,
        purpose=purpose,
        role=by.role,
        consents=consents_of(subject),
        restricted=is_restricted(subject, item),
        now=now,
    )


def _record(
    subject: str, item: str, purpose: str, by: Actor, now: datetime, decision: Allow | Deny | CannotTell
) -> None:
    outcome = "revealed" if isinstance(decision, Allow) else "refused"
    leaf = record_act(
        store="vault", act="reveal", clause=decision.clause, by=by, now=now, subject=subject, items=[item], purpose=purpose, outcome=outcome,
        policy=policy_in_force().digest,
    )  # fmt: skip
    if isinstance(decision, Allow):
        note_uses([subject], item, purpose=purpose, by=by, now=now, look=leaf)


def _is_own_page(subject: str, by: Actor) -> bool:
    return by.role == "member" and by.token == subject


def _open(subject: str, item: str, row: str) -> Personal:
    held = SealedValue.objects.filter(subject=subject, item=item, row=row).first()
    if held is None:
        raise ValueMissing(item)
    return Personal(open_key(held.key_id).open(bytes(held.sealed), bound_to=bound_to(subject, item, row)).decode())


def reveal(subject: str, item: str, *, purpose: str, by: Actor, now: datetime, row: str = "") -> Personal:
    """One value. Raises RevealRefused, ValueMissing, KeyDestroyed, KeyUnknown, SealBroken, InsideTransaction."""
    ensure_outermost("a reading of a personal value")
    decision = _decide(subject, item, purpose, by, now)
    if not (_is_own_page(subject, by) and isinstance(decision, Allow)):
        with transaction.atomic(using="vault", durable=True):
            _record(subject, item, purpose, by, now, decision)
    else:
        note_uses([subject], item, purpose=purpose, by=by, now=now)
    if not isinstance(decision, Allow):
        raise RevealRefused(decision)
    return _open(subject, item, row)


def reveal_many(
    subjects: Iterable[str], item: str, *, purpose: str, by: Actor, now: datetime
) -> dict[SubjectId, Personal]:
    """The values of those subjects for whom the policy allows it and who have one, in the order asked for.

    All leaves are written first, in one transaction; refusals leave theirs and are left out. A broken seal or a key
    that nobody knows is raised, never left out.
    """
    ensure_outermost("a reading of personal values")
    decisions = {subject: _decide(subject, item, purpose, by, now) for subject in dict.fromkeys(subjects)}
    with transaction.atomic(using="vault", durable=True):
        for subject, decision in decisions.items():
            if not (_is_own_page(subject, by) and isinstance(decision, Allow)):
                _record(subject, item, purpose, by, now, decision)
    found: dict[SubjectId, Personal] = {}
    for subject, decision in decisions.items():
        if isinstance(decision, Allow):
            with suppress(ValueMissing):
                found[SubjectId(subject)] = _open(subject, item, "")
    return found
