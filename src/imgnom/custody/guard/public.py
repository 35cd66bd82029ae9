"""The door of the guard: canonical e-mail → Argon2id with a fixed salt → HMAC under the pepper (design §5)."""

import re
from datetime import datetime

from argon2.low_level import Type, hash_secret_raw

from imgnom.custody.guard.models import GuardEntry
from imgnom.custody.keys.public import keyed_digest, read_key
from imgnom.policy.text import ascii_domain, normalized

__all__ = ["add_to_guard", "canonical_email", "is_guarded", "mail_domain", "remove_from_guard"]

SALT = b"imgnom guard, fixed on purpose"
# RFC 5321: 64 octets of a name, 255 of a domain.
MAX_ADDRESS = 320
MEMORY_KIB = 64 * 1024
PASSES = 2
GENERATION = 1
# One mailbox under several domains: what every name at the first is, the same name at the second is too.
SAME_HOUSE = {
    "googlemail.com": "gmail.com",
    "hanmail.net": "daum.net",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
    "protonmail.com": "proton.me",
    "protonmail.ch": "proton.me",
    "pm.me": "proton.me",
    "ya.ru": "yandex.ru",
    "yandex.com": "yandex.ru",
    "yandex.by": "yandex.ru",
    "yandex.kz": "yandex.ru",
}
# What a provider does not look at in a name.
IGNORES = {"gmail.com": ".", "proton.me": "._-"}
# Signs that a provider takes for one another.
SAME_SIGN = {"yandex.ru": ("-", ".")}
PLAIN_NAME = re.compile(r"[^\s@\"(),:;<>\[\]\\]+")


def canonical_email(address: str) -> str:
    """The mailbox behind an address: width, case, tag and what its provider does not look at are gone.

    A tag behind a plus is taken away everywhere: a provider that knows no tags allows no plus in a name (naver.com,
    daum.net), so nothing is lost there. Domains stand as the name servers know them. Raises ValueError for what is no
    address, for a quoted name and for a number in place of a domain.
    """
    name, at, domain = normalized("NFKC", address, max_chars=MAX_ADDRESS).strip().rpartition("@")
    if not (at and PLAIN_NAME.fullmatch(name)) or domain.startswith("["):
        raise ValueError("no e-mail address")
    domain = mail_domain(domain)
    domain = SAME_HOUSE.get(domain, domain)
    name = name.casefold().split("+", 1)[0] or name.casefold()
    name = name.translate(dict.fromkeys(map(ord, IGNORES.get(domain, ""))))
    if domain in SAME_SIGN:
        name = name.replace(*SAME_SIGN[domain])
    return f"{name}@{domain}"


def mail_domain(domain: str) -> str:
    """A domain as the name servers know it: small letters, punycode. Raises ValueError."""
    return ascii_domain(domain)


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
