"""Which policy was in force when, as it was to the letter (A0.3, S1). Rows are added, never changed.

A version is kept with its source (the digest proves it), what it declared, and the articles as people read them then,
so that it stays readable whatever the files and this program say later.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from imgnom.custody.consent.models import PolicyVersion
from imgnom.custody.outbox.public import record_act
from imgnom.policy.public import (
    SYSTEM,
    Actor,
    Policy,
    PolicyError,
    RenderedArticle,
    RenderedParagraph,
    Segment,
    earlier_policy,
    public_facts,
    render_articles,
)

LANGUAGES = ("ko", "en")


@dataclass(frozen=True)
class VersionRow:
    number: int
    digest: str
    policy_id: str
    version: str
    effective: date
    adopted_at: datetime
    until: datetime | None  # None while it is in force
    facts: dict[str, Any]
    words: dict[str, Any]
    is_intact: bool

    def articles(self, lang: str) -> tuple[RenderedArticle, ...]:
        """The articles as people read them then."""
        return tuple(
            RenderedArticle(
                article["number"], article["title"],
                tuple(
                    RenderedParagraph(tuple(p["clauses"]), tuple(Segment(*s) for s in p["segments"]), p["is_point"]) for p in article["paragraphs"]
                ),
            )
            for article in self.words["en" if lang == "en" else "ko"]
        )  # fmt: skip


def _words(policy: Policy) -> dict[str, Any]:
    return {
        lang: [
            {
                "number": article.number,
                "title": article.title,
                "paragraphs": [
                    {"clauses": p.clauses, "segments": [(s.text, s.key) for s in p.segments], "is_point": p.is_point}
                    for p in article.paragraphs
                ],
            }
            for article in render_articles(policy, lang)
        ]
        for lang in LANGUAGES
    }


def _latest() -> PolicyVersion | None:
    return PolicyVersion.objects.order_by("-number").first()


def adopt_policy(policy: Policy, *, now: datetime, by: Actor) -> bool:
    """Note the policy as the version in force from now on; True when another was before it.

    A policy that returns after another was in force comes into force anew.
    """
    latest = _latest()
    if latest is not None and latest.digest == policy.digest:
        return False
    try:
        with transaction.atomic(using="vault"):
            PolicyVersion.objects.create(
                number=latest.number + 1 if latest else 1, digest=policy.digest, policy_id=policy.id, version=policy.version,
                effective=policy.effective, adopted_at=now, carried_out=latest is None, source=dict(policy.source),
                facts=public_facts(policy), words=_words(policy),
            )  # fmt: skip
            record_act(store="vault", act="adopt_policy", clause="A0.3", by=by, now=now, policy=policy.digest)
    except IntegrityError:
        return False  # another process noted it at the same moment
    return True


def note_in_force(policy: Policy, *, now: datetime) -> bool:
    """A changed file is a new version at once; on a real site only an approved one is, so there this notes nothing."""
    return settings.IMGNOM.mode != "production" and adopt_policy(policy, now=now, by=SYSTEM)


def policy_waits(policy: Policy) -> bool:
    """Whether stored due dates do not follow this policy yet. What was approved waits for the next start of the site."""
    latest = _latest()
    if latest is None or latest.digest != policy.digest:
        return settings.IMGNOM.mode != "production"
    return not latest.carried_out


def carry_out_policy(policy: Policy, *, now: datetime) -> None:
    """Stored due dates follow this policy now, and the ledger says so."""
    latest = _latest()
    if latest is None or latest.digest != policy.digest:
        return
    with transaction.atomic(using="vault"):
        if PolicyVersion.objects.filter(number=latest.number, carried_out=False).update(carried_out=True):
            record_act(store="vault", act="carry_out_policy", clause="I1", by=SYSTEM, now=now, policy=policy.digest)


def approved_source() -> dict[str, Any] | None:
    """The version that came into force last, as it was kept."""
    latest = _latest()
    return dict(latest.source) if latest else None


def _is_intact(row: PolicyVersion) -> bool:
    """Whether what was kept still has its digest: a changed letter is seen."""
    try:
        policy = earlier_policy(row.source)
    except (PolicyError, KeyError, TypeError, ValueError):
        return False
    return policy.digest == row.digest and public_facts(policy) == row.facts


def policy_versions() -> tuple[VersionRow, ...]:
    """Newest first."""
    found = []
    until = None
    for row in PolicyVersion.objects.order_by("-number"):
        found.append(
            VersionRow(
                row.number, row.digest, row.policy_id, row.version, row.effective, row.adopted_at, until, row.facts, row.words, _is_intact(row)
            )
        )  # fmt: skip
        until = row.adopted_at
    return tuple(found)


def latest_version() -> VersionRow | None:
    versions = policy_versions()
    return versions[0] if versions else None


def version_of(digest: str) -> VersionRow | None:
    """By digest, or by its first signs where they are its alone."""
    found = [row for row in policy_versions() if row.digest.startswith(digest)] if len(digest) >= 12 else []
    return found[0] if len({row.digest for row in found}) == 1 else None
