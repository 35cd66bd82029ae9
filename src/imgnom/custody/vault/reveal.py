"""The only way to plaintext (A2.0). Who imports this stands on a list that a test holds.

Every call asks the policy: item × purpose × role × consent × restriction. First the leaf is written, in a durable
transaction of its own, then the value is opened or refused; a reading that cannot be recorded does not happen (F16).
Views of one's own page are not recorded one by one.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from imgnom.custody.consent.public import consents_of
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import open_key
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.errors import RevealRefused, ValueMissing
from imgnom.custody.vault.models import SealedValue
from imgnom.custody.vault.personal import Personal
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
    subjects: list[str], item: str, purpose: str, by: Actor, now: datetime, decision: Allow | Deny | CannotTell
) -> None:
    outcome = "revealed" if isinstance(decision, Allow) else "refused"
    with transaction.atomic(using="vault", durable=True):
        for subject in subjects:
            record_act(
                store="vault", act="reveal", clause=decision.clause, by=by, now=now, subject=subject, items=[item], purpose=purpose, outcome=outcome,
                policy=policy_in_force().digest,
            )  # fmt: skip


def reveal(subject: str, item: str, *, purpose: str, by: Actor, now: datetime, row: str = "") -> Personal:
    """One value. Raises RevealRefused, ValueMissing, KeyDestroyed, SealBroken."""
    decision = _decide(subject, item, purpose, by, now)
    own = by.role == "member" and by.token == subject
    if not own or not isinstance(decision, Allow):
        _record([subject], item, purpose, by, now, decision)
    if not isinstance(decision, Allow):
        raise RevealRefused(decision)
    held = SealedValue.objects.filter(subject=subject, item=item, row=row).first()
    if held is None:
        raise ValueMissing(item)
    return Personal(open_key(held.key_id).open(bytes(held.sealed), bound_to=bound_to(subject, item, row)).decode())


def reveal_many(
    subjects: Iterable[str], item: str, *, purpose: str, by: Actor, now: datetime
) -> dict[SubjectId, Personal]:
    """The values of those subjects for whom the policy allows it; refusals leave their leaf and are left out."""
    found: dict[SubjectId, Personal] = {}
    for subject in subjects:
        try:
            found[SubjectId(subject)] = reveal(subject, item, purpose=purpose, by=by, now=now)
        except (RevealRefused, ValueMissing):
            continue
    return found
