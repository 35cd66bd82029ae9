"""What a policy is made of: frozen typed objects, read from the file once and never changed.

Every object that can be published carries its words in both languages. Periods are calendar periods; a record ends
either with its last day in the policy's zone (`ends = "day"`, the first day not counted) or at an exact instant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NewType

SubjectId = NewType("SubjectId", str)


@dataclass(frozen=True)
class Text:
    ko: str
    en: str

    def get(self, lang: str) -> str:
        return self.en if lang == "en" else self.ko


@dataclass(frozen=True)
class Actor:
    """Who acts: a role of the policy and, for people, a random token that is no name."""

    role: str
    token: str | None


SYSTEM = Actor("system", None)


@dataclass(frozen=True)
class Period:
    years: int = 0
    months: int = 0
    days: int = 0
    seconds: int = 0
    text: str = ""

    def __str__(self) -> str:
        return self.text


class Permanent:
    """No end. One object, so that `is PERMANENT` reads well."""

    def __str__(self) -> str:
        return "permanent"


PERMANENT = Permanent()


@dataclass(frozen=True)
class Item:
    id: str
    label: Text
    category: str
    collected: str
    required: bool
    public: bool
    store: str
    hint: Text | None
    third_party: tuple[str, ...] = ()  # may it leave at all: S subscriber data, C log data, W contents, A if agreed
    fides: str = ""  # the same category in Fideslang's terms


@dataclass(frozen=True)
class Purpose:
    id: str
    article: str
    label: Text
    basis: str
    consent: str | None


@dataclass(frozen=True)
class Use:
    item: str
    purpose: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    id: str
    article: str
    label: Text
    items: tuple[str, ...]
    starts: str
    period: Period | Permanent | None
    scope: str
    store: str
    destroy: str
    ends: str  # "day" or "instant"
    state: str


@dataclass(frozen=True)
class Cookie:
    name: str
    label: Text
    category: str
    period: Period
    article: str


@dataclass(frozen=True)
class ConsentKind:
    id: str
    label: Text
    text: Text
    required: bool
    purpose: str | None
    refusal: Text


@dataclass(frozen=True)
class Setting:
    id: str
    value: str | int | bool
    decided_by: str
    why: str


@dataclass(frozen=True)
class Clause:
    id: str
    promise: Text
    state: Literal["built", "planned"]


@dataclass(frozen=True)
class Role:
    id: str
    label: Text
    staff: bool


@dataclass(frozen=True)
class Party:
    """A recipient or a processor: who gets what, for what, how long."""

    id: str
    name: Text
    items: tuple[str, ...]
    purpose: str
    period: str


@dataclass(frozen=True)
class Policy:
    id: str
    version: str
    digest: str
    effective: date
    zone: str
    operator: Mapping[str, Text]
    officer: Mapping[str, Text]
    items: Mapping[str, Item]
    purposes: Mapping[str, Purpose]
    uses: tuple[Use, ...]
    records: Mapping[str, Record]
    recipients: Mapping[str, Party]
    processors: Mapping[str, Party]
    cookies: Mapping[str, Cookie]
    roles: Mapping[str, Role]
    consents: Mapping[str, ConsentKind]
    settings: Mapping[str, Setting]
    clauses: Mapping[str, Clause]
    wording: Mapping[str, str]
    source: Mapping[str, Any]  # the file's own facts and words, merged: what a version is kept as

    def setting(self, name: str) -> str | int | bool:
        return self.settings[name].value

    def purposes_of(self, item: str) -> tuple[Purpose, ...]:
        return tuple(dict.fromkeys(self.purposes[use.purpose] for use in self.uses if use.item == item))

    def uses_of(self, item: str) -> tuple[Use, ...]:
        return tuple(use for use in self.uses if use.item == item)

    def records_of(self, item: str) -> tuple[Record, ...]:
        """What says how long the item is kept; what the registration form adds lives as long as the account."""
        named = tuple(record for record in self.records.values() if item in record.items)
        if named or self.items[item].collected != "registration":
            return named
        return (self.records["account"],)
