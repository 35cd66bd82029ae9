"""The door of the guard: canonical e-mail → Argon2id with a fixed salt → HMAC under the pepper (design §5)."""

import unicodedata
from datetime import datetime

from argon2.low_level import Type, hash_secret_raw

from imgnom.custody.guard.models import GuardEntry
from imgnom.custody.keys.public import keyed_digest, read_key

__all__ = ["add_to_guard", "canonical_email", "is_guarded", "remove_from_guard"]

SALT = b"imgnom guard, fixed on purpose"
MEMORY_KIB = 64 * 1024
PASSES = 2
GENERATION = 1
# Providers that deliver name+tag to name, and those that ignore dots in the name.
IGNORES_DOTS = {"gmail.com"}
SAME_HOUSE = {"googlemail.com": "gmail.com", "hanmail.net": "daum.net"}


def canonical_email(address: str) -> str:
    """The mailbox behind an address: width, case, tag and (where the provider ignores them) dots removed.

    Raises ValueError for what is no address.
    """
    name, at, domain = unicodedata.normalize("NFKC", address.strip()).rpartition("@")
    if not (name and at and domain):
        raise ValueError("no e-mail address")
    domain = domain.lower().rstrip(".").encode("idna").decode()
    domain = SAME_HOUSE.get(domain, domain)
    name = name.casefold().split("+", 1)[0] or name.casefold()
    if domain in IGNORES_DOTS:
        name = name.replace(".", "")
    return f"{name}@{domain}"


def _digest(canonical: str) -> str:
    slow = hash_secret_raw(
        canonical.encode(), SALT, time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1, hash_len=32, type=Type.ID
    )
    return keyed_digest(read_key(f"pepper-{GENERATION}"), slow).hex()


def add_to_guard(canonical: str, *, case: str, now: datetime) -> None:
    """The mailbox cannot join again while the case stands; saying it twice changes nothing."""
    GuardEntry.objects.get_or_create(
        digest=_digest(canonical), generation=GENERATION, case=case, defaults={"added_at": now}
    )


def is_guarded(canonical: str) -> bool:
    """The slow hash is always computed, so that the time tells nothing."""
    return GuardEntry.objects.filter(digest=_digest(canonical)).exists()


def remove_from_guard(case: str) -> int:
    return GuardEntry.objects.filter(case=case).delete()[0]
