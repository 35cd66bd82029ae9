"""From `policy.toml` and its wording to a Policy. Nothing is guessed: what is unknown, missing or dangling is refused.

A file may say `extends = "other"` (a folder beside it, or a path) and then holds differences only: tables are merged,
`[[uses]]` replace those of the same item and purpose, `remove = ["items.x", …]` takes keys away.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from imgnom.policy import types as t
from imgnom.policy.errors import PolicyError
from imgnom.policy.periods import parse_period

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
)
STORES = ("default", "logs", "vault", "archive", "keys", "ledger", "media", "browser")
SCOPES = ("everyone", "members", "visitors", "final_sanction", "open_case", "nobody")
BASES = ("contract", "consent", "legitimate_interest", "law", "guardian")
STARTS = (
    "registration", "confirmation", "login", "record", "upload", "comment", "withdrawal", "final_sanction", "consent_withdrawal",
    "close", "decision", "issue", "use", "appointment", "queue", "look", "notice", "request", "visit",
)  # fmt: skip
COOKIE_CATEGORIES = ("necessary", "preference", "analytics", "personalisation")
WORDING = ("articles.ko.md", "articles.en.md", "terms.ko.md", "terms.en.md")
IDENTIFIER = re.compile(r"[a-z][A-Za-z0-9_]{0,39}")
TOP = {
    "id", "version", "effective", "zone", "extends", "remove", "operator", "officer", "items", "purposes", "uses", "records",
    "recipients", "processors", "cookies", "roles", "consents", "settings", "clauses",
}  # fmt: skip


def _read(folder: Path) -> dict[str, Any]:
    file = folder / "policy.toml"
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(
            file, "file", f"cannot be read ({error.strerror})", "a folder that holds policy.toml"
        ) from None
    except UnicodeDecodeError:
        raise PolicyError(file, "file", "is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(file, "file", f"is not TOML: {error}") from None


def _merge(base: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        if key == "uses":
            replaced = {(use.get("item"), use.get("purpose")) for use in value}
            merged[key] = [
                use for use in base.get(key, []) if (use.get("item"), use.get("purpose")) not in replaced
            ] + list(value)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _merge(base[key], value)
        else:
            merged[key] = value
    return merged


def _remove(facts: dict[str, Any], dotted: str, file: Path) -> None:
    *path, last = dotted.split(".")
    place: Any = facts
    for step in path:
        place = place.get(step) if isinstance(place, dict) else None
    if not isinstance(place, dict) or last not in place:
        raise PolicyError(file, f"remove: {dotted}", "there is nothing of that name to remove")
    del place[last]


def _gather(folder: Path, seen: tuple[Path, ...] = ()) -> tuple[dict[str, Any], dict[str, str]]:
    """Merged facts and wording of a folder and all that it extends."""
    folder = folder.resolve()
    file = folder / "policy.toml"
    if folder in seen:
        raise PolicyError(file, "extends", "goes round in a circle")
    own = _read(folder)
    facts: dict[str, Any] = {}
    wording: dict[str, str] = {}
    if "extends" in own:
        name = own["extends"]
        if not isinstance(name, str):
            raise PolicyError(file, "extends", "must be a text", "a folder, or the name of a bundled policy")
        bundled = Path(__file__).resolve().parents[3] / "policies" / name
        base = next((p for p in (folder / name, folder.parent / name, bundled) if (p / "policy.toml").is_file()), None)
        if base is None:
            raise PolicyError(
                file, "extends", f"there is no policy {name!r}", "a folder, or the name of a bundled policy"
            )
        facts, wording = _gather(base, (*seen, folder))
    removed = own.pop("remove", [])
    facts = _merge(facts, {key: value for key, value in own.items() if key != "extends"})
    for dotted in removed:
        _remove(facts, str(dotted), file)
    for name in WORDING:
        if (folder / name).is_file():
            wording[name] = (folder / name).read_text(encoding="utf-8")
    return facts, wording


class _Table:
    """One table of the file, read key by key; what is left over at the end was not allowed."""

    def __init__(self, file: Path, key: str, table: Any) -> None:
        if not isinstance(table, dict):
            raise PolicyError(file, key, "must be a table")
        self.file, self.key, self.rest = file, key, dict(table)

    def fail(self, name: str, problem: str, allowed: str = "") -> PolicyError:
        return PolicyError(self.file, f"{self.key}.{name}", problem, allowed)

    def take(self, name: str, kind: type, default: Any = ...) -> Any:
        if name not in self.rest:
            if default is ...:
                raise self.fail(name, "is missing", kind.__name__)
            return default
        value = self.rest.pop(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.fail(name, f"must be {kind.__name__}, not {type(value).__name__}")
        return value

    def choose(self, name: str, allowed: tuple[str, ...], default: Any = ...) -> str:
        value = self.take(name, str, default)
        if value not in allowed:
            raise self.fail(name, f"{value!r} is not known", ", ".join(allowed))
        return str(value)

    def text(self, name: str, default: Any = ...) -> t.Text:
        value = self.take(name, dict, default if default is ... else None)
        if value is None:
            return default  # type: ignore[no-any-return]
        if set(value) != {"ko", "en"} or not all(isinstance(v, str) and v.strip() for v in value.values()):
            raise self.fail(name, "must have words in both languages", '{ ko = "…", en = "…" }')
        return t.Text(value["ko"], value["en"])

    def names(self, name: str, known: Mapping[str, Any], default: Any = ...) -> tuple[str, ...]:
        values = self.take(name, list, default)
        for value in values:
            if value not in known:
                raise self.fail(name, f"{value!r} is not declared", ", ".join(sorted(known)))
        return tuple(values)

    def done(self) -> None:
        if self.rest:
            raise self.fail(sorted(self.rest)[0], "is not a key of this table")


class _Reader:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "policy.toml"
        self.facts, self.wording = _gather(folder)
        unknown = set(self.facts) - TOP
        if unknown:
            raise PolicyError(self.file, sorted(unknown)[0], "is not a key of a policy", ", ".join(sorted(TOP)))

    def _tables(self, name: str, *, free_names: bool = False) -> list[tuple[str, _Table]]:
        tables = self.facts.get(name, {})
        if not isinstance(tables, dict):
            raise PolicyError(self.file, name, "must be a table of tables")
        for key in tables:
            if not free_names and not IDENTIFIER.fullmatch(key):
                raise PolicyError(
                    self.file, f"{name}.{key}", "is no identifier", "small letters, digits and _, at most 40"
                )
        return [(key, _Table(self.file, f"{name}.{key}", table)) for key, table in tables.items()]

    def _article(self, table: _Table) -> str:
        article = str(table.take("article", str))
        if not re.fullmatch(r"[ABSIX]\d+(?:\.\d+)?[a-d①-⑨]?[a-h]?(?:①|②|③|④)?", article):
            raise table.fail("article", f"{article!r} names no clause", "such as A3.1 or A3.2②")
        return article

    def items(self) -> dict[str, t.Item]:
        made = {}
        for key, table in self._tables("items"):
            made[key] = t.Item(
                key, table.text("label"), table.take("category", str), table.choose("collected", COLLECTED),
                table.take("required", bool, False), table.take("public", bool, False), table.choose("store", STORES), table.text("hint", None),
            )  # fmt: skip
            if not made[key].category.startswith(("pd:", "dpv:", "imgnom:")):
                raise table.fail("category", f"{made[key].category!r} has no known prefix", "pd:, dpv:, imgnom:")
            table.done()
        return made

    def consents(self) -> dict[str, tuple[t.ConsentKind, _Table]]:
        made = {}
        for key, table in self._tables("consents"):
            made[key] = (
                t.ConsentKind(key, table.text("label"), table.text("text"), table.take("required", bool), table.take("purpose", str, None), table.text("refusal")),
                table,
            )  # fmt: skip
            table.done()
        return made

    def purposes(self, consents: Mapping[str, Any]) -> dict[str, t.Purpose]:
        made = {}
        for key, table in self._tables("purposes"):
            consent = table.take("consent", str, None)
            if consent is not None and consent not in consents:
                raise table.fail("consent", f"{consent!r} is not declared", ", ".join(sorted(consents)))
            made[key] = t.Purpose(key, self._article(table), table.text("label"), table.choose("basis", BASES), consent)
            table.done()
        return made

    def roles(self) -> dict[str, t.Role]:
        made = {}
        for key, table in self._tables("roles"):
            made[key] = t.Role(key, table.text("label"), table.take("staff", bool, False))
            table.done()
        return made

    def uses(
        self, items: Mapping[str, t.Item], purposes: Mapping[str, t.Purpose], roles: Mapping[str, t.Role]
    ) -> tuple[t.Use, ...]:
        made = []
        for number, raw in enumerate(self.facts.get("uses", [])):
            table = _Table(self.file, f"uses[{number}]", raw)
            item, purpose = table.take("item", str), table.take("purpose", str)
            if item not in items:
                raise table.fail("item", f"{item!r} is not declared", ", ".join(sorted(items)))
            if purpose not in purposes:
                raise table.fail("purpose", f"{purpose!r} is not declared", ", ".join(sorted(purposes)))
            named = table.names("roles", roles)
            if not named:
                raise table.fail("roles", "names nobody")
            made.append(t.Use(item, purpose, named))
            table.done()
        used = {use.item for use in made}
        for item in items.values():
            if item.collected != "planned" and item.id not in used:
                raise PolicyError(self.file, f"items.{item.id}", "is collected but no [[uses]] says what for")
        return tuple(made)

    def records(self, items: Mapping[str, t.Item]) -> dict[str, t.Record]:
        made = {}
        for key, table in self._tables("records"):
            period: t.Period | t.Permanent | None = None
            raw = table.take("period", str, None)
            if raw == "permanent":
                period = t.PERMANENT
            elif raw is not None:
                try:
                    period = parse_period(raw)
                except ValueError as error:
                    raise table.fail("period", str(error), "an ISO 8601 period, or permanent") from None
            made[key] = t.Record(
                key, self._article(table), table.text("label"), table.names("items", items), table.choose("starts", STARTS), period,
                table.choose("scope", SCOPES), table.choose("store", STORES), table.choose("destroy", ("key", "row", "file", "secret", "none")),
                table.choose("ends", ("day", "instant"), "day"), table.choose("state", ("built", "planned"), "built"),
            )  # fmt: skip
            if isinstance(period, t.Period) and period.seconds and made[key].ends != "instant":
                raise table.fail("ends", "a period of hours or minutes ends at an instant", "instant")
            table.done()
        return made

    def rest(self) -> dict[str, Any]:
        cookies, settings, clauses = {}, {}, {}
        for key, table in self._tables("cookies"):
            cookies[key] = t.Cookie(
                key,
                table.text("label"),
                table.choose("category", COOKIE_CATEGORIES),
                table.take("period", str),
                self._article(table),
            )
            table.done()
        for key, table in self._tables("settings"):
            value = table.rest.pop("value", None)
            if not isinstance(value, str | int | bool):
                raise table.fail("value", "is missing", "a text, a number, true or false")
            settings[key] = t.Setting(key, value, table.take("decided_by", str), table.take("why", str))
            table.done()
        for key, table in self._tables("clauses", free_names=True):
            clauses[key] = t.Clause(key, table.text("promise"), table.choose("state", ("built", "planned")))  # type: ignore[arg-type]
            table.done()
        for name, low, high in (
            ("without_delay_days", 1, 10),
            ("rejoin_wait_days", 0, 3650),
            ("policy_lead_days", 7, 365),
        ):
            if name not in settings:
                raise PolicyError(self.file, f"settings.{name}", "is missing")
            value = settings[name].value
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise PolicyError(
                    self.file, f"settings.{name}.value", f"{value!r} is out of bounds", f"{low} to {high}"
                )
        return {"cookies": cookies, "settings": settings, "clauses": clauses}

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
        table = _Table(self.file, name, self.facts.get(name, {}))
        made = {}
        for key in list(table.rest):
            value = table.rest[key]
            made[key] = t.Text(value, value) if isinstance(value, str) and value.strip() else table.text(key)
        for key in needed:
            if key not in made:
                raise PolicyError(self.file, f"{name}.{key}", "is missing: people must know whom to ask")
        return made

    def header(self) -> tuple[str, str, date, str]:
        table = _Table(
            self.file, "policy", {k: self.facts[k] for k in ("id", "version", "effective", "zone") if k in self.facts}
        )
        key, version, effective, zone = (
            table.take("id", str),
            table.take("version", str),
            table.take("effective", date),
            table.take("zone", str),
        )
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise PolicyError(self.file, "zone", f"{zone!r} is no time zone", "such as Asia/Seoul") from None
        return key, version, effective, zone


def _digest(facts: Mapping[str, Any], wording: Mapping[str, str]) -> str:
    text = json.dumps([facts, wording], ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def load_policy(folder: Path) -> t.Policy:
    """Read a policy folder whole. Raises PolicyError with file, key and what is allowed."""
    reader = _Reader(folder)
    key, version, effective, zone = reader.header()
    items = reader.items()
    consents = {name: kind for name, (kind, _) in reader.consents().items()}
    purposes = reader.purposes(consents)
    for kind in consents.values():
        if kind.purpose is not None and kind.purpose not in purposes:
            raise PolicyError(
                reader.file,
                f"consents.{kind.id}.purpose",
                f"{kind.purpose!r} is not declared",
                ", ".join(sorted(purposes)),
            )
    roles = reader.roles()
    uses = reader.uses(items, purposes, roles)
    records = reader.records(items)
    policy = t.Policy(
        id=key, version=version, digest=_digest(reader.facts, reader.wording), effective=effective, zone=zone,
        operator=reader.people("operator", ("name", "contact")), officer=reader.people("officer", ("name", "email")),
        items=items, purposes=purposes, uses=uses, records=records, recipients=reader.parties("recipients", items),
        processors=reader.parties("processors", items), roles=roles, consents=consents, wording=reader.wording, **reader.rest(),
    )  # fmt: skip
    from imgnom.policy.wording import check_wording

    check_wording(policy, reader.file.parent)
    return policy
