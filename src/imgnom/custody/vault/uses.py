"""Used for what and when last, per subject, item and purpose (A2.0).

One row says when last; a look by somebody of the staff has a row of its own, so that the member sees each of them. The
rows live in the vault beside the values and go with their subject.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connections, transaction

from imgnom.custody.in_force import policy_in_force
from imgnom.custody.transactions import hold_lock
from imgnom.custody.vault.models import Correction, LastUse
from imgnom.policy.public import Actor


@dataclass(frozen=True)
class UseRow:
    item: str
    purpose: str
    role: str
    at: datetime
    by_staff: bool


# One statement: whether the subject is fenced is asked in the same breath.
_NOTE = """
INSERT INTO vault_lastuse (subject, item, purpose, role, look, at) SELECT %s, %s, %s, %s, %s, %s
WHERE NOT EXISTS (SELECT 1 FROM vault_fence WHERE subject = %s)
ON CONFLICT (subject, item, purpose, role, look) DO UPDATE SET at = excluded.at
"""


def note_uses(subjects: Iterable[str], item: str, *, purpose: str, by: Actor, now: datetime, look: str = "") -> None:
    """Noted for each subject that is not fenced; inside the caller's transaction of the vault, or in its own."""
    role = policy_in_force().roles.get(by.role)
    mark = look if role is not None and role.staff else ""
    connection = connections["vault"]
    at = connection.ops.adapt_datetimefield_value(now)
    with transaction.atomic(using="vault", savepoint=False):
        for subject in subjects:
            hold_lock("vault", f"fence of {subject}", shared=True)
            with connection.cursor() as cursor:
                cursor.execute(_NOTE, [subject, item, purpose, by.role, mark, at, subject])


def note_use(subject: str, item: str, *, purpose: str, by: Actor, now: datetime) -> None:
    """A use that opens no value: a password compared, an ID found by its index."""
    note_uses([subject], item, purpose=purpose, by=by, now=now)


def uses_of(subject: str) -> tuple[UseRow, ...]:
    """All that is noted, the newest first."""
    rows = LastUse.objects.filter(subject=subject).order_by("-at", "-id")
    return tuple(UseRow(r.item, r.purpose, r.role, r.at, bool(r.look)) for r in rows)


def corrections_of(subject: str) -> tuple[tuple[str, datetime], ...]:
    """(item, when) of each correction, the newest first."""
    return tuple(Correction.objects.filter(subject=subject).order_by("-at", "-id").values_list("item", "at"))
