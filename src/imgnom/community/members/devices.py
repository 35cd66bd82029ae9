"""Which kind of device signs in: coarse (browser, system, class), never a fingerprint (A1.2 d)."""

from datetime import datetime

from django.conf import settings

from imgnom.community.members.codes import record_end
from imgnom.community.members.models import KnownDevice, Member
from imgnom.custody.keys.public import derive, keyed_digest
from imgnom.web.devices import describe

UNKNOWN = "—"


def _digest(subject: str, agent: str) -> str:
    label = describe(agent)
    # A program that names no browser is told apart by what it calls itself.
    told = agent if label.startswith(UNKNOWN) else label
    return keyed_digest(derive(settings.SECRET_KEY.encode(), "known device"), f"{subject}\0{told}".encode()).hex()


def is_new_device(member: Member, agent: str, *, now: datetime) -> bool:
    """Whether nobody signed in to this account from such a device lately; from now on it is known."""
    row, made = KnownDevice.objects.get_or_create(
        member=member,
        digest=_digest(member.subject, agent),
        defaults={"starts_at": now, "ends_at": record_end("session", now)},
    )
    if made:
        return True
    was_over = row.ends_at <= now
    KnownDevice.objects.filter(pk=row.pk).update(starts_at=now, ends_at=record_end("session", now))
    return was_over
