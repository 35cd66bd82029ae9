"""Random values that stand nowhere else in the world, so that a find is a leak and not a coincidence.

All values of one run begin alike, with a mark made for this run: the hunt looks for the mark in each form and then
tells by what follows whose value it is. Passwords have a mark of their own, since the site refuses those that resemble
an ID or an address.
"""

import ipaddress
import secrets
from dataclasses import dataclass, field

from imgnom.policy.public import Policy
from imgnom.site.rehearsal.hunt import Canary

_SYLLABLES = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허고노도로모보소오조초코토포호각난달람밤상정찬칼탐"
_LETTERS = "bcdfghjkmnpqrstvwxz23456789"


def _some(letters: str, count: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(count))


LATIN_MARK, PASSWORD_MARK = "k" + _some(_LETTERS, 8), "W" + _some(_LETTERS, 8)
HANGUL_MARK = _some(_SYLLABLES, 4)
# Addresses of the documentation's range (RFC 3849) with a mark of this run.
NETWORK_MARK = f"2001:db8:{secrets.randbelow(0xEFFF) + 0x1000:x}"


def latin(length: int = 16) -> str:
    return LATIN_MARK + _some(_LETTERS, max(6, length - len(LATIN_MARK)))


def hangul(length: int = 9) -> str:
    return HANGUL_MARK + _some(_SYLLABLES, max(5, length - len(HANGUL_MARK)))


def secret_word() -> str:
    return PASSWORD_MARK + "-" + _some(_LETTERS, 12)


def network_address() -> str:
    """An IPv6 address in a /64 of its own, so that limits by address meet each person alone."""
    groups = [f"{secrets.randbelow(0xEFFF) + 0x1000:x}" for _ in range(5)]
    return ":".join([NETWORK_MARK, *groups])


@dataclass
class Person:
    """One member of the rehearsal and every value that is planted for them."""

    name: str
    choice: str | None
    username: str = field(default_factory=latin)
    password: str = field(default_factory=secret_word)
    nickname: str = field(default_factory=hangul)
    mailbox: str = field(default_factory=latin)
    domain: str = field(default_factory=latin)
    agent_word: str = field(default_factory=latin)
    address: str = field(default_factory=network_address)
    title: str = field(default_factory=hangul)
    description: str = field(default_factory=lambda: hangul(12))
    alt: str = field(default_factory=lambda: hangul(10))
    tag: str = field(default_factory=latin)
    comment: str = field(default_factory=lambda: hangul(14))
    private_title: str = field(default_factory=lambda: hangul(11))
    file_name: str = field(default_factory=latin)
    extras: dict[str, str] = field(default_factory=dict)
    in_pictures: dict[str, Canary] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    private_picture: str = ""
    receipt: str = ""

    @property
    def email(self) -> str:
        return f"{self.mailbox}@{self.domain}.example"

    @property
    def agent(self) -> str:
        return f"Mozilla/5.0 (X11; Linux x86_64) Rehearsal/{self.agent_word}"

    @property
    def picture(self) -> str:
        """The first of the public ones."""
        return next(iter(self.pictures.values()), "")

    def _named(self, values: dict[str, Canary]) -> dict[str, Canary]:
        return {f"{self.name}:{what}": value for what, value in values.items()}

    def sealed(self) -> dict[str, Canary]:
        """What must never stand in plain anywhere, not even while the account lives."""
        own: dict[str, Canary] = {
            "username": self.username,
            "password": self.password,
            "mailbox": self.mailbox,
            "domain": self.domain,
            "agent": self.agent_word,
            "address": self.address,
            "address in bytes": ipaddress.ip_address(self.address).packed,
        }
        return self._named({**own, **self.extras, **self.typed})

    def hidden(self) -> dict[str, Canary]:
        """What came inside the pictures and must be gone before the first write."""
        return self._named({"file name": self.file_name, **self.in_pictures})

    def published(self) -> dict[str, Canary]:
        return self._named(
            {what: getattr(self, what) for what in ("nickname", "title", "description", "alt", "tag", "comment")}
        )

    def private(self) -> dict[str, Canary]:
        return self._named({"private title": self.private_title})

    def everything(self) -> dict[str, Canary]:
        return self.sealed() | self.hidden() | self.published() | self.private()


def make_person(name: str, choice: str | None, policy: Policy) -> Person:
    """A person with a value for every item that the registration form of this policy asks for."""
    person = Person(name, choice)
    usual = {"username", "password", "nickname", "email"}
    for number, (key, item) in enumerate(policy.items.items()):
        if item.collected == "registration" and key not in usual:
            person.extras[key] = hangul(10) if number % 2 else latin()
    return person
