"""The door of consents."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from imgnom.custody.consent.models import Consent
from imgnom.custody.consent.versions import (
    VersionRow,
    adopt_policy,
    approved_source,
    carry_out_policy,
    latest_version,
    note_in_force,
    policy_versions,
    policy_waits,
    version_of,
)
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.outbox.public import record_act
from imgnom.policy.public import Actor, ends_at

__all__ = [
    "ConsentRow", "VersionRow", "adopt_policy", "approved_source", "carry_out_policy", "consent_history", "consents_of", "destroy_due_consents",
    "due_consents", "forget_consents", "latest_version", "note_in_force", "policy_versions", "policy_waits", "pseudonymise_consents", "recompute_consents", "record_consent", "subjects_with_consents", "version_of",
]  # fmt: skip


@dataclass(frozen=True)
class ConsentRow:
    kind: str
    given: bool
    at: datetime
    way: str
    text_digest: str


def record_consent(subject: str, kind: str, *, given: bool, way: str, by: Actor, now: datetime) -> None:
    """One act of consent, with the digest of the very words that were shown. Staff never give it for somebody."""
    policy = policy_in_force()
    words = policy.consents[kind].text
    digest = hashlib.sha256(f"{words.ko}\n{words.en}".encode()).hexdigest()
    with transaction.atomic(using="vault"):
        Consent.objects.create(
            subject=subject, kind=kind, given=given, text_digest=digest, policy_digest=policy.digest, way=way, at=now
        )
        act = "give_consent" if given else "withdraw_consent"
        record_act(
            store="vault", act=act, clause="A2.3", by=by, now=now, subject=subject, purpose=kind, policy=policy.digest
        )


def consents_of(subject: str) -> frozenset[str]:
    """The kinds to which the subject agrees now."""
    latest: dict[str, bool] = {}
    for row in Consent.objects.filter(subject=subject).order_by("at", "id"):
        latest[row.kind] = row.given
    return frozenset(kind for kind, given in latest.items() if given)


def consent_history(subject: str) -> tuple[ConsentRow, ...]:
    rows = Consent.objects.filter(subject=subject).order_by("-at", "-id")
    return tuple(ConsentRow(r.kind, r.given, r.at, r.way, r.text_digest) for r in rows)


def pseudonymise_consents(subject: str, *, now: datetime) -> datetime | None:
    """The rows stay as proof under a fresh random token, until the end of their period; returns that end."""
    policy = policy_in_force()
    record = policy.records.get("consent_records")
    end = ends_at(record, now, policy.zone) if record else now
    Consent.objects.filter(subject=subject).update(subject=secrets.token_hex(13), starts_at=now, ends_at=end)
    return end


def recompute_consents() -> int:
    """After a change of the policy: new ends of what those who left agreed to; how many rows changed."""
    policy = policy_in_force()
    record = policy.records.get("consent_records")
    changed = 0
    if record is not None:
        starts = Consent.objects.filter(starts_at__isnull=False).values_list("starts_at", flat=True).distinct()
        for start in [start for start in starts if start is not None]:
            end = ends_at(record, start, policy.zone)
            changed += Consent.objects.filter(starts_at=start).exclude(ends_at=end).update(ends_at=end)
    return changed


def forget_consents(subject: str) -> int:
    """Of somebody who never became a member: there is nothing to prove. Returns how many went."""
    return Consent.objects.filter(subject=subject).delete()[0]


def subjects_with_consents() -> set[str]:
    """Everybody whose consents hang on an account, and not yet on a period."""
    return set(Consent.objects.filter(starts_at=None).values_list("subject", flat=True).distinct())


def due_consents(*, now: datetime) -> int:
    return Consent.objects.filter(ends_at__lte=now).count()


def destroy_due_consents(*, now: datetime) -> int:
    return Consent.objects.filter(ends_at__lte=now).delete()[0]
