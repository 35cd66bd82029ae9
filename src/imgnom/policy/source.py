"""The files of a policy as written: facts and wording, a folder laid over all that it extends. Nothing is judged here.

A file may say `extends = "other"` (a folder beside it, a path, or the name of a bundled policy) and then holds
differences only: tables are merged, `[[uses]]` replace those of the same item and purpose, and `remove` takes away:
`remove = ["items.x", "clauses.A3.2①", "uses.email.advertising", "uses.*.advertising"]`.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from imgnom.policy.errors import PolicyError

WORDING = ("articles.ko.md", "articles.en.md", "terms.ko.md", "terms.en.md")
BUNDLED = Path(__file__).resolve().parents[3] / "policies"
MAX_BYTES = 1_000_000


@dataclass
class Source:
    """Merged facts and wording, and for each table which file said it last, so that an error can name that file."""

    file: Path
    facts: dict[str, Any]
    wording: dict[str, str]
    origins: dict[str, Path] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()

    def origin(self, key: str) -> Path:
        return self.origins.get(key, self.file)

    @property
    def digest(self) -> str:
        text = json.dumps(
            [self.facts, self.wording], ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """All that is needed to read the same policy again, with the same digest."""
        facts = json.loads(json.dumps(self.facts, ensure_ascii=False, default=str))
        return {"facts": facts, "wording": dict(self.wording)}


def source_from_json(kept: Mapping[str, Any]) -> Source:
    """The way back from `as_json`."""
    facts = dict(kept["facts"])
    effective = facts.get("effective")
    if isinstance(effective, str):
        with suppress(ValueError):  # the reader of the facts says what is wrong with it
            facts["effective"] = date.fromisoformat(effective)
    return Source(Path("policy.toml"), facts, dict(kept["wording"]))


def _text(file: Path, key: str, allowed: str) -> str:
    """UTF-8, with or without a byte order mark, with any line ends."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise PolicyError(file, key, "is larger than any policy", f"at most {MAX_BYTES} bytes")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PolicyError(file, key, f"cannot be read ({error.strerror})", allowed) from None
    except UnicodeDecodeError as error:
        raise PolicyError(file, key, f"is not UTF-8 text (byte {error.start + 1})", "a file saved as UTF-8") from None
    except ValueError:  # a NUL in the path
        raise PolicyError(str(file).replace("\0", "?"), key, "is no path", allowed) from None
    if "\0" in text:
        raise PolicyError(file, key, "holds a zero byte", "a file saved as UTF-8")
    return text


def _read(folder: Path) -> dict[str, Any]:
    file = folder / "policy.toml"
    text = _text(file, "file", "a folder that holds policy.toml")
    if not text.strip():
        raise PolicyError(file, "file", "is empty", "the facts of a policy; see the bundled policies/imgnom")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(file, "file", f"is not TOML: {error}", "TOML 1.0") from None
    except (RecursionError, ValueError):
        raise PolicyError(file, "file", "is not TOML that can be read", "TOML 1.0") from None


def _same_use(use: Any) -> tuple[Any, Any] | None:
    """What a use is replaced by; nothing where it is no use at all (the reader of the facts will say so)."""
    if not isinstance(use, dict):
        return None
    item, purpose = use.get("item"), use.get("purpose")
    return (item, purpose) if isinstance(item, str) and isinstance(purpose, str) else None


def _merge(base: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        if key == "uses" and isinstance(value, list) and isinstance(base.get(key), list):
            replaced = {_same_use(use) for use in value} - {None}
            merged[key] = [use for use in base[key] if _same_use(use) not in replaced] + value
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _merge(base[key], value)
        else:
            merged[key] = value
    return merged


def _remove_uses(facts: dict[str, Any], name: str) -> bool:
    item, _, purpose = name.partition(".")

    def is_wanted(use: Any) -> bool:
        pair = _same_use(use)
        return pair is not None and item in ("*", pair[0]) and (purpose or "*") in ("*", pair[1])

    uses = facts.get("uses")
    if not isinstance(uses, list) or not any(map(is_wanted, uses)):
        return False
    facts["uses"] = [use for use in uses if not is_wanted(use)]
    return True


def _remove(facts: dict[str, Any], dotted: str, file: Path) -> None:
    top, _, name = dotted.partition(".")
    if top == "uses" and name:
        found = _remove_uses(facts, name)
    elif not name:
        found = facts.pop(top, None) is not None
    else:
        found = _remove_from(facts.get(top), name)
    if not found:
        raise PolicyError(
            file,
            f"remove: {dotted}",
            "there is nothing of that name to remove",
            "such as items.email or uses.email.notices",
        )


def _remove_from(table: Any, name: str) -> bool:
    """A key of the table, or of a table in it. Names of clauses have dots of their own."""
    if not isinstance(table, dict):
        return False
    if name in table:
        del table[name]
        return True
    inside = [key for key in table if name.startswith(f"{key}.")]
    return any(_remove_from(table[key], name[len(key) + 1 :]) for key in inside)


def _base_of(folder: Path, name: Any, seen: tuple[Path, ...]) -> Path:
    file = folder / "policy.toml"
    allowed = "a folder beside it, a path, or a bundled policy: " + ", ".join(
        sorted(p.parent.name for p in BUNDLED.glob("*/policy.toml"))
    )
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise PolicyError(file, "extends", "must be a text", allowed)
    places = [place.resolve() for place in (folder / name, folder.parent / name, BUNDLED / name)]
    found = [place for place in places if (place / "policy.toml").is_file()]
    if not found:
        raise PolicyError(file, "extends", f"there is no policy {name!r}", allowed)
    # A copy called imgnom may extend the bundled imgnom: itself is no candidate while there is another.
    fresh = [place for place in found if place not in seen]
    if not fresh:
        raise PolicyError(file, "extends", "goes round in a circle", allowed)
    return fresh[0]


def read_source(folder: Path, seen: tuple[Path, ...] = ()) -> Source:
    """Merged facts and wording of a folder and all that it extends. Raises PolicyError."""
    try:
        folder = folder.resolve()
    except (OSError, ValueError, RuntimeError):
        raise PolicyError(
            str(folder).replace("\0", "?"), "file", "is no folder", "a folder that holds policy.toml"
        ) from None
    file = folder / "policy.toml"
    own = _read(folder)
    made = Source(file, {}, {}, folders=(folder,))
    if "extends" in own:
        base = read_source(_base_of(folder, own.pop("extends"), (*seen, folder)), (*seen, folder))
        made = Source(file, base.facts, base.wording, base.origins, (folder, *base.folders))
    removed = own.pop("remove", [])
    if not isinstance(removed, list) or not all(isinstance(name, str) for name in removed):
        raise PolicyError(file, "remove", "must be a list of names", 'such as ["items.email"]')
    for dotted in removed:
        _remove(made.facts, dotted, file)
    made.facts = _merge(made.facts, own)
    for key, value in own.items():
        made.origins[key] = file
        made.origins |= {f"{key}.{name}": file for name in (value if isinstance(value, dict) else ())}
    for name in WORDING:
        if (folder / name).exists():
            made.wording[name] = _text(folder / name, "file", "the words of the policy")
            made.origins[name] = folder / name
    return made


def policy_files(folder: Path) -> tuple[Path, ...]:
    """Every file that the policy of this folder is made of, or would be if it were there. Raises PolicyError."""
    return tuple(place / name for place in read_source(folder).folders for name in ("policy.toml", *WORDING))
