"""From `policy.toml` and its wording to a Policy. Nothing is guessed: what is unknown, missing or dangling is refused.

Every refusal is a PolicyError that names the file (of several laid over each other, the one that said it), the key,
and what is allowed there. `source.py` reads the files; `engine.py` knows what the machine needs of them.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from imgnom.policy import engine
from imgnom.policy import types as t
from imgnom.policy.errors import PolicyError
from imgnom.policy.periods import parse_period
from imgnom.policy.source import Source, read_source, source_from_json
from imgnom.policy.wording import check_wording, fill_text

COLLECTED = (
    "registration",
    "consultation",
    "application",
    "automatic",
    "staff",
    "upload",
    "comment",
    "system",
    "planned",
    "never",
)
STORES = ("default", "logs", "vault", "archive", "keys", "ledger", "media", "browser")
SCOPES = ("everyone", "members", "visitors", "final_sanction", "open_case", "nobody")
BASES = ("contract", "consent", "legitimate_interest", "law", "guardian")
STARTS = (
    "registration", "confirmation", "login", "record", "upload", "comment", "withdrawal", "final_sanction", "consent_withdrawal",
    "close", "decision", "issue", "use", "appointment", "queue", "look", "notice", "request", "visit",
)  # fmt: skip
DESTROY = ("key", "row", "file", "secret", "none")
COOKIE_CATEGORIES = ("necessary", "preference", "analytics", "personalisation")
THIRD_PARTY = ("S", "C", "W", "A")
IDENTIFIER = re.compile(r"[a-z][A-Za-z0-9_]{0,39}")
MAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
PREFIXES = ("pd:", "dpv:", "imgnom:")
MAX_YEARS = 100
TOP = {
    "id", "version", "effective", "zone", "operator", "officer", "items", "purposes", "uses", "records",
    "recipients", "processors", "cookies", "roles", "consents", "settings", "clauses",
}  # fmt: skip
TOP_WORDS = ", ".join(sorted(TOP | {"extends", "remove"}))
KINDS = {str: "a text", bool: "true or false", int: "a whole number", list: "a list", dict: "a table", date: "a date"}
BOTH_LANGUAGES = '{ ko = "…", en = "…" }'


def _kind_of(value: Any) -> str:
    if isinstance(value, datetime):
        return "a date with a time"
    return next((words for kind, words in KINDS.items() if type(value) is kind), f"a {type(value).__name__}")


class _Table:
    """One table of the file, read key by key; what is left over at the end was not allowed."""

    def __init__(self, file: Path, key: str, table: Any) -> None:
        if not isinstance(table, dict):
            raise PolicyError(file, key, f"must be a table, not {_kind_of(table)}", f"[{key}]")
        self.file, self.key, self.rest = file, key, dict(table)
        self.known: list[str] = []

    def fail(self, name: str, problem: str, allowed: str) -> PolicyError:
        return PolicyError(self.file, f"{self.key}.{name}" if self.key else name, problem, allowed)

    def take(self, name: str, kind: type, default: Any = ...) -> Any:
        self.known.append(name)
        if name not in self.rest:
            if default is ...:
                raise self.fail(name, "is missing", KINDS[kind])
            return default
        value = self.rest.pop(name)
        if type(value) is not kind:
            raise self.fail(name, f"must be {KINDS[kind]}, not {_kind_of(value)}", KINDS[kind])
        if isinstance(value, str):
            self._ensure_words(name, value)
        return value

    def _ensure_words(self, name: str, value: str) -> None:
        if not value.strip():
            raise self.fail(name, "is empty", "a text")
        if _CONTROL.search(value):
            raise self.fail(name, "holds a sign that cannot be printed", "a text in one line")

    def choose(self, name: str, allowed: tuple[str, ...], default: Any = ...) -> str:
        value = self.take(name, str, default)
        if value not in allowed:
            raise self.fail(name, f"{value!r} is not known", ", ".join(allowed))
        return str(value)

    def text(self, name: str, default: Any = ...) -> Any:
        value = self.take(name, dict, default)
        if value is default:
            return default
        if set(value) != {"ko", "en"} or not all(isinstance(v, str) and v.strip() for v in value.values()):
            raise self.fail(name, "must have words in both languages and nothing else", BOTH_LANGUAGES)
        for lang in ("ko", "en"):
            self._ensure_words(f"{name}.{lang}", value[lang])
        return t.Text(value["ko"], value["en"])

    def names(self, name: str, known: Mapping[str, Any] | tuple[str, ...], default: Any = ...) -> tuple[str, ...]:
        values = self.take(name, list, default)
        for place, value in enumerate(values):
            if not isinstance(value, str) or value not in known:
                raise self.fail(name, f"{value!r} is not declared", ", ".join(sorted(known)))
            if value in values[:place]:
                raise self.fail(name, f"{value!r} stands there twice", "each once")
        return tuple(values)

    def period(self, name: str, default: Any = ...) -> t.Period | None:
        raw = self.take(name, str, default)
        if raw is None:
            return None
        try:
            period = parse_period(raw)
        except ValueError as error:
            raise self.fail(name, str(error), "an ISO 8601 period such as P3M, or permanent") from None
        if period.years + period.months / 12 + period.days / 365 + period.seconds / 31_536_000 > MAX_YEARS:
            raise self.fail(name, f"{raw!r} is longer than {MAX_YEARS} years", f"at most P{MAX_YEARS}Y, or permanent")
        return period

    def done(self) -> None:
        if self.rest:
            name = min(self.rest)
            raise self.fail(name, "is not a key of this table", ", ".join(dict.fromkeys(self.known)))


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source, self.facts = source, source.facts
        self.is_kept = False
        unknown = sorted(set(self.facts) - TOP)
        if unknown:
            raise PolicyError(source.origin(unknown[0]), unknown[0], "is not a key of a policy", TOP_WORDS)

    def fail(self, key: str, problem: str, allowed: str) -> PolicyError:
        table = ".".join(key.split(".")[:2])
        return PolicyError(self.source.origin(table if table in self.source.origins else key), key, problem, allowed)

    def _tables(self, name: str, *, free_names: bool = False) -> list[tuple[str, _Table]]:
        tables = self.facts.get(name, {})
        if not isinstance(tables, dict):
            raise self.fail(name, f"must be a table of tables, not {_kind_of(tables)}", f"[{name}.…]")
        for key in tables:
            if not free_names and not IDENTIFIER.fullmatch(key):
                raise self.fail(
                    f"{name}.{key}", "is no identifier", "a small letter, then letters, digits and _, at most 40"
                )
        return [
            (key, _Table(self.source.origin(f"{name}.{key}"), f"{name}.{key}", table)) for key, table in tables.items()
        ]

    def header(self) -> tuple[str, str, date, str]:
        keys = ("id", "version", "effective", "zone")
        table = _Table(self.source.file, "", {key: self.facts[key] for key in keys if key in self.facts})
        made = table.take("id", str), table.take("version", str), table.take("effective", date), table.take("zone", str)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", made[0]):
            raise table.fail("id", f"{made[0]!r} is no name", "letters, digits, dots and dashes, at most 63")
        if len(made[1]) > 32:
            raise table.fail("version", "is too long", "at most 32 characters")
        try:
            ZoneInfo(made[3])
        except (ValueError, OSError, LookupError):
            raise table.fail("zone", f"{made[3]!r} is no time zone", "such as Asia/Seoul") from None
        return made

    def clauses(self) -> dict[str, t.Clause]:
        made = {}
        for key, table in self._tables("clauses", free_names=True):
            if not re.fullmatch(r"[ABSIXC]\d+(?:\.\d+)?[①-⑨]?[a-h]?(?:\.\d)?", key):
                raise self.fail(f"clauses.{key}", "is no clause id", "such as A3.1 or A3.2②")
            made[key] = t.Clause(key, table.text("promise"), table.choose("state", ("built", "planned")))  # type: ignore[arg-type]
            table.done()
        self.known_clauses = made
        return made

    def _article(self, table: _Table) -> str:
        article = str(table.take("article", str))
        if article not in self.known_clauses:
            raise table.fail(
                "article", f"{article!r} names no clause", ", ".join(self.known_clauses) or "[clauses] is empty"
            )
        return article

    def items(self) -> dict[str, t.Item]:
        made = {}
        for key, table in self._tables("items"):
            item = t.Item(
                key, table.text("label"), table.take("category", str), table.choose("collected", COLLECTED),
                table.take("required", bool, False), table.take("public", bool, False), table.choose("store", STORES), table.text("hint", None),
                table.names("third_party", THIRD_PARTY, []), table.take("fides", str, ""),
            )  # fmt: skip
            if not item.category.startswith(PREFIXES) or len(item.category.partition(":")[2].strip()) == 0:
                raise table.fail("category", f"{item.category!r} has no known prefix", ", ".join(PREFIXES))
            table.done()
            made[key] = item
        for key, (collected, store) in engine.ITEMS.items():
            if key not in made:
                raise self.fail(f"items.{key}", "is missing: the machine keeps it", f"[items.{key}]")
            if (made[key].collected, made[key].store) != (collected, store):
                raise self.fail(
                    f"items.{key}", "is not what the machine does", f'collected = "{collected}", store = "{store}"'
                )
        for key in engine.REGISTRATION_ITEMS:
            if not made[key].required:
                raise self.fail(f"items.{key}.required", "is what registration is built on", "true")
        for item in made.values():
            self._ensure_kept_as_told(item)
        return made

    def _ensure_kept_as_told(self, item: t.Item) -> None:
        """Raises PolicyError for an item that is shown, or laid down, as no code does it."""
        if item.public != (item.id in engine.PUBLIC_ITEMS):
            raise self.fail(f"items.{item.id}.public", "is not what the machine does", str(not item.public).lower())
        if item.collected == "registration" and item.id not in engine.ITEMS and item.store != "vault":
            raise self.fail(f"items.{item.id}.store", "is not where registration lays it", "vault")

    def consents(self) -> dict[str, t.ConsentKind]:
        made = {}
        for key, table in self._tables("consents"):
            made[key] = t.ConsentKind(
                key, table.text("label"), table.text("text"), table.take("required", bool), table.take("purpose", str, None), table.text("refusal"),
            )  # fmt: skip
            table.done()
        for key in engine.REQUIRED_CONSENTS:
            if key not in made or not made[key].required:
                raise self.fail(f"consents.{key}", "is what registration is built on", "required = true")
        return made

    def purposes(self, consents: Mapping[str, t.ConsentKind]) -> dict[str, t.Purpose]:
        made = {}
        for key, table in self._tables("purposes"):
            consent = table.take("consent", str, None)
            if consent is not None and consent not in consents:
                raise table.fail("consent", f"{consent!r} is not declared", ", ".join(sorted(consents)))
            purpose = t.Purpose(key, self._article(table), table.text("label"), table.choose("basis", BASES), consent)
            table.done()
            if purpose.article.startswith(engine.CONSENTED_CLAUSE):
                optional = sorted(name for name, kind in consents.items() if not kind.required)
                if purpose.basis != "consent" or consent not in optional:
                    raise table.fail(
                        "consent", "marketing rests on a consent of its own that may be refused", ", ".join(optional)
                    )
            made[key] = purpose
        for key in engine.PURPOSES:
            if key not in made:
                raise self.fail(
                    f"purposes.{key}", "is missing: the machine reads values for it", "[purposes." + key + "]"
                )
        for kind in consents.values():
            if kind.purpose is not None and kind.purpose not in made:
                raise self.fail(
                    f"consents.{kind.id}.purpose", f"{kind.purpose!r} is not declared", ", ".join(sorted(made))
                )
        return made

    def roles(self) -> dict[str, t.Role]:
        made = {}
        for key, table in self._tables("roles"):
            made[key] = t.Role(key, table.text("label"), table.take("staff", bool, False))
            table.done()
        for key in engine.ROLES:
            if key not in made:
                raise self.fail(f"roles.{key}", "is missing: people and machine act in it", "[roles." + key + "]")
        return made

    def uses(
        self, items: Mapping[str, t.Item], purposes: Mapping[str, t.Purpose], roles: Mapping[str, t.Role]
    ) -> tuple[t.Use, ...]:
        listed = self.facts.get("uses", [])
        if not isinstance(listed, list):
            raise self.fail("uses", f"must be a list of tables, not {_kind_of(listed)}", "[[uses]]")
        made: dict[tuple[str, str], t.Use] = {}
        for number, raw in enumerate(listed):
            table = _Table(self.source.origin("uses"), f"uses[{number}]", raw)
            item, purpose = table.take("item", str), table.take("purpose", str)
            if item not in items:
                raise table.fail("item", f"{item!r} is not declared", ", ".join(sorted(items)))
            if purpose not in purposes:
                raise table.fail("purpose", f"{purpose!r} is not declared", ", ".join(sorted(purposes)))
            named = table.names("roles", roles)
            if not named:
                raise table.fail("roles", "names nobody", ", ".join(sorted(roles)))
            table.done()
            if (item, purpose) in made:
                raise table.fail("item", f"{item!r} for {purpose!r} stands there twice", "each pair once")
            made[item, purpose] = t.Use(item, purpose, named)
        for role, needed in (("system", engine.SYSTEM_USES), ("member", engine.OWN_USES)):
            for item, purpose in needed:
                if (item, purpose) not in made or role not in made[item, purpose].roles:
                    raise self.fail(
                        f"uses.{item}.{purpose}",
                        f"must let the role {role} read it: the machine works by it",
                        f'[[uses]] item = "{item}", purpose = "{purpose}", roles = ["{role}", …]',
                    )
        used = {item for item, _ in made}
        for item in items.values():
            if item.collected != "never" and item.id not in used:
                raise self.fail(
                    f"items.{item.id}", "is declared but nothing says what for", f'[[uses]] with item = "{item.id}"'
                )
        return tuple(made.values())

    def _record(self, key: str, table: _Table, items: Mapping[str, t.Item]) -> t.Record:
        permanent = table.rest.get("period") == "permanent"
        if permanent:
            table.rest.pop("period")
            table.known.append("period")
        period = t.PERMANENT if permanent else table.period("period", None)
        record = t.Record(
            key, self._article(table), table.text("label"), table.names("items", items), table.choose("starts", STARTS), period,
            table.choose("scope", SCOPES), table.choose("store", STORES), table.choose("destroy", DESTROY),
            table.choose("ends", ("day", "instant"), "day"), table.choose("state", ("built", "planned"), "built"),
        )  # fmt: skip
        table.done()
        if not record.items:
            raise table.fail("items", "names nothing", ", ".join(sorted(items)))
        if isinstance(period, t.Period) and period.seconds and record.ends != "instant":
            raise table.fail("ends", "a period of hours or minutes ends at an instant", "instant")
        self._ensure_carried_out(record, table)
        return record

    def _ensure_carried_out(self, record: t.Record, table: _Table) -> None:
        wheel = engine.RECORDS.get(record.id)
        if wheel is None:
            if record.state != "planned":
                raise table.fail("state", "nothing carries this record out yet", "planned")
            return
        scopes = engine.SCOPES.get(record.id, engine.SCOPES_OTHERWISE)
        for name, allowed in (
            ("starts", wheel.starts), ("store", wheel.stores), ("destroy", wheel.destroy), ("ends", wheel.ends), ("scope", scopes),
        ):  # fmt: skip
            if getattr(record, name) not in allowed:
                raise table.fail(name, f"{getattr(record, name)!r} is not what the machine does", ", ".join(allowed))
        kinds: dict[str, type] = {"needed": t.Period, "none": type(None), "permanent": t.Permanent}
        if wheel.period in kinds and not isinstance(record.period, kinds[wheel.period]):
            words = {
                "needed": "an ISO 8601 period such as P3M",
                "none": "no period: it ends with the membership",
                "permanent": "permanent",
            }
            raise table.fail("period", "is not what the machine does", words[wheel.period])

    def records(self, items: Mapping[str, t.Item], uses: tuple[t.Use, ...]) -> dict[str, t.Record]:
        made = {key: self._record(key, table, items) for key, table in self._tables("records")}
        for key in engine.RECORDS:
            if key not in made:
                raise self.fail(f"records.{key}", "is missing: the machine works by it", "[records." + key + "]")
        kept = {item for record in made.values() for item in record.items}
        for item in items.values():
            if item.id not in kept and item.store != "browser" and item.collected not in ("registration", "never"):
                raise self.fail(
                    f"items.{item.id}",
                    "is declared but nothing says how long it is kept",
                    "a [records.…] that names it",
                )
        moved = {use.item for use in uses if use.purpose == "retention" and "system" in use.roles}
        for record in made.values():
            for name in record.items if record.store == "archive" and record.state == "built" else ():
                if name not in moved:
                    raise self.fail(
                        f"records.{record.id}.items", f"{name!r} moves to the archive, but nothing lets the system read it for that",
                        f'[[uses]] item = "{name}", purpose = "retention", roles = ["system"]',
                    )  # fmt: skip
        return made

    def cookies(self) -> dict[str, t.Cookie]:
        made = {}
        for key, table in self._tables("cookies"):
            category = table.choose("category", COOKIE_CATEGORIES)
            period = table.period("period")
            assert period is not None
            made[key] = t.Cookie(key, table.text("label"), category, period, self._article(table))
            table.done()
        for key in () if self.is_kept else engine.COOKIES:
            if key not in made or made[key].category != "necessary":
                raise self.fail(f"cookies.{key}", "is missing: pages cannot work without it", 'category = "necessary"')
        return made

    def settings(self) -> dict[str, t.Setting]:
        made = {}
        for key, table in self._tables("settings"):
            allowed = engine.SETTINGS.get(key)
            if allowed is None:
                raise self.fail(f"settings.{key}", "is no setting", ", ".join(engine.SETTINGS))
            if "value" not in table.rest:
                raise table.fail("value", "is missing", engine.allowed_words(allowed))
            value = table.rest.pop("value")
            if not engine.is_allowed(value, allowed):
                raise table.fail("value", f"{value!r} is not what the machine does", engine.allowed_words(allowed))
            table.known.append("value")
            made[key] = t.Setting(key, value, table.take("decided_by", str), table.take("why", str))
            table.done()
        for key, allowed in engine.SETTINGS.items():
            if key not in made:
                raise self.fail(f"settings.{key}", "is missing", engine.allowed_words(allowed))
        return made

    def parties(self, name: str, items: Mapping[str, t.Item]) -> dict[str, t.Party]:
        made = {}
        for key, table in self._tables(name):
            made[key] = t.Party(
                key,
                table.text("name"),
                table.names("items", items),
                table.take("purpose", str),
                table.take("period", str),
            )
            table.done()
        return made

    def people(self, name: str, needed: tuple[str, ...]) -> dict[str, t.Text]:
        """Who runs the site (Q2), and the officer with a name and an address that letters reach (A9.1, A9.2, A9.3)."""
        table = _Table(self.source.origin(name), name, self.facts.get(name, {}))
        made = {}
        for key in list(table.rest):
            value = table.rest[key]
            if isinstance(value, str):
                word = table.take(key, str)
                made[key] = t.Text(word, word)
            else:
                made[key] = self._both(table, key)
        for key in needed:
            if key not in made:
                raise table.fail(key, "is missing: people must know whom to ask", "a text")
        for key in ("email", "contact"):
            for value in (made[key].ko, made[key].en) if key in needed else ():
                if not MAIL.fullmatch(value):
                    raise table.fail(
                        key, f"{value!r} is no address that a letter can be sent to", "such as privacy@example.org"
                    )
        return made

    def _both(self, table: _Table, key: str) -> t.Text:
        if not isinstance(table.rest[key], dict):
            raise table.fail(key, "must have words", f"a text, or {BOTH_LANGUAGES}")
        text: t.Text = table.text(key)
        return text


def _build(source: Source, *, is_kept: bool = False) -> t.Policy:
    reader = _Reader(source)
    reader.is_kept = is_kept
    key, version, effective, zone = reader.header()
    clauses = reader.clauses()
    items, consents, roles = reader.items(), reader.consents(), reader.roles()
    for name in consents.keys() & items.keys():
        raise reader.fail(
            f"consents.{name}", "has the name of an item; both would be one field of the form", "another name"
        )
    purposes = reader.purposes(consents)
    uses = reader.uses(items, purposes, roles)
    policy = t.Policy(
        id=key, version=version, digest=source.digest, effective=effective, zone=zone,
        operator=reader.people("operator", ("name", "contact")), officer=reader.people("officer", ("name", "email")),
        items=items, purposes=purposes, uses=uses, records=reader.records(items, uses), recipients=reader.parties("recipients", items),
        processors=reader.parties("processors", items), cookies=reader.cookies(), roles=roles, consents=consents,
        settings=reader.settings(), clauses=clauses, wording=source.wording, source=source.as_json(),
    )  # fmt: skip
    policy = replace(policy, clauses={name: _filled(policy, clause, reader) for name, clause in clauses.items()})
    check_wording(policy, source.origins, source.file)
    return policy


def _filled(policy: t.Policy, clause: t.Clause, reader: _Reader) -> t.Clause:
    """The board's promises take their figures from the facts like every other sentence."""
    file, key = reader.source.origin(f"clauses.{clause.id}"), f"clauses.{clause.id}.promise"
    words = [fill_text(policy, clause.promise.get(lang), lang, file, key) for lang in ("ko", "en")]
    return replace(clause, promise=t.Text(*words))


def load_policy(folder: Path) -> t.Policy:
    """Read a policy folder whole. Raises PolicyError with file, key and what is allowed."""
    return _build(read_source(Path(folder)))


def policy_from_source(kept: Mapping[str, Any]) -> t.Policy:
    """A policy as it was kept (`Policy.source`), whatever the files say by now. Raises PolicyError."""
    return _build(source_from_json(kept))


def earlier_policy(kept: Mapping[str, Any]) -> t.Policy:
    """A version that was adopted before: it need not name the cookies that this version of imgnom has come to need.

    The files do, so that their digest differs and production asks for their approval. Raises PolicyError.
    """
    return _build(source_from_json(kept), is_kept=True)
