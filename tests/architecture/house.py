"""The source as the rules see it: modules, templates, and the order of floors and rooms that pyproject.toml declares.

A `House` can be read from any folder, so that every rule can be shown a spoilt one.
"""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

WITH_ROOMS = ("custody", "community", "procedures")


class Place(NamedTuple):
    """A floor, and the room on it where the floor has rooms."""

    floor: str
    room: str = ""


@dataclass(frozen=True)
class Module:
    path: str  # below src/imgnom, as custody/vault/reveal.py
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def place(self) -> Place:
        return place_of(self.path)

    @cached_property
    def imports(self) -> list[str]:
        """Every imported name with its module, wherever the import stands."""
        found: list[str] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                found.extend(f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Import):
                found.extend(alias.name for alias in node.names)
        return found

    def strings(self) -> Iterator[tuple[int, str]]:
        """String constants that are not documentation."""
        documentation = {
            id(node.body[0].value)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
                yield node.lineno, node.value

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """(dotted name of what is called, the call)"""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), node


def place_of(path: str) -> Place:
    parts = path.split("/")
    return Place(parts[0], parts[1]) if parts[0] in WITH_ROOMS and len(parts) > 2 else Place(parts[0])


class House:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = root / "src" / "imgnom"
        facts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
        self.rules: Mapping[str, Any] = facts["imgnom"]["house"]
        contracts = {contract["id"]: contract for contract in facts["importlinter"]["contracts"]}
        self.floors: list[str] = contracts["floors"]["layers"]
        self.rooms: dict[str, list[str]] = {floor: contracts[floor]["layers"] for floor in WITH_ROOMS}

    def _read(self, pattern: str) -> Iterator[Module]:
        for path in sorted(self.source.rglob(pattern)):
            yield Module(path.relative_to(self.source).as_posix(), path.read_text(encoding="utf-8"))

    @cached_property
    def modules(self) -> list[Module]:
        return [module for module in self._read("*.py") if "/migrations/" not in module.path]

    @cached_property
    def migrations(self) -> list[Module]:
        return [module for module in self._read("*.py") if "/migrations/0" in module.path]

    @cached_property
    def templates(self) -> list[Module]:
        return [template for template in self._read("*.html") if "/templates/" in template.path]

    @cached_property
    def folders(self) -> list[Place]:
        """Every room folder there is."""
        return [
            Place(floor, folder.name)
            for floor in WITH_ROOMS
            for folder in sorted((self.source / floor).iterdir())
            if folder.is_dir() and folder.name not in ("__pycache__", "migrations", "templates", "static")
        ]

    @cached_property
    def labels(self) -> dict[str, Place]:
        """Django's app labels are the names of rooms and of the two floors without rooms."""
        return {place.room: place for place in self.folders} | {"web": Place("web"), "site": Place("site")}

    @cached_property
    def libraries(self) -> dict[str, Place]:
        """Tag libraries by name."""
        return {Path(module.path).stem: module.place for module in self.modules if "/templatetags/" in module.path}

    def may_use(self, one: Place, other: Place) -> bool:
        """Whether an import from one place to the other would point down."""
        if one == other:
            return True
        if one.floor != other.floor:
            return self.floors.index(one.floor) < self.floors.index(other.floor)
        order = self.rooms.get(one.floor, [])
        if one.room not in order or other.room not in order:
            return False
        return order.index(one.room) < order.index(other.room)

    def exceptions(self, rule: str) -> Mapping[str, str]:
        """What pyproject.toml lets pass, with its reason."""
        found: Mapping[str, str] = self.rules.get(rule, {})
        return found


TAG = re.compile(r"\{%-?\s*(\w+)\s+(.*?)\s*-?%\}", re.DOTALL)


def tags(template: Module, *names: str) -> Iterator[tuple[str, str]]:
    """(name, the rest) of the template's tags."""
    for match in TAG.finditer(template.text):
        if match[1] in names:
            yield match[1], match[2]
