"""Documents cannot drift: every variable, command, option and dependency stands in its page, and nothing else does."""

import argparse
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

import pytest

from imgnom.community.images import jail, limits
from imgnom.community.images.decode import WALL_SECONDS
from imgnom.site.cli import _parser
from imgnom.site.environment import STORES, variable_of_store
from imgnom.web.uploads import MAX_FILE_BYTES
from tests.architecture.house import House

ROOT = Path(__file__).resolve().parents[2]
OPERATING = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
VARIABLE = re.compile(r"IMGNOM_[A-Z][A-Z_]*[A-Z]")


def _variables_of_the_code() -> set[str]:
    files = [
        ROOT / "run",
        *(ROOT / "src").rglob("*.py"),
        *(ROOT / "tools").rglob("*.py"),
        *(ROOT / "tests").glob("*.py"),
    ]
    named = {name for file in files for name in VARIABLE.findall(file.read_text(encoding="utf-8"))}
    return named | {variable_of_store(store) for store in STORES}


def test_every_variable_is_documented_and_every_documented_one_exists() -> None:
    documented, known = set(VARIABLE.findall(OPERATING)), _variables_of_the_code()
    documented -= {f"{name}_FILE" for name in known} - known  # each may come from a file
    assert documented == known


def _commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in _parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _acts(parser: argparse.ArgumentParser) -> list[str]:
    return [str(act) for action in parser._actions if action.dest == "act" for act in action.choices or ()]


@pytest.mark.parametrize(("verb", "parser"), list(_commands()), ids=lambda one: one if isinstance(one, str) else "")
def test_every_command_and_option_is_documented(verb: str, parser: argparse.ArgumentParser) -> None:
    rows = [line for line in OPERATING.splitlines() if re.match(rf"\| [^|]*`{verb}\b", line)]
    assert rows
    for act in _acts(parser):
        assert any(f"`{verb} {act}`" in row for row in rows), act
    for action in parser._actions:
        if action.help != argparse.SUPPRESS and verb not in ("backup", "restore"):
            for option in action.option_strings:
                assert option in ("-h", "--help", "--json") or any(option in row for row in rows), option


def test_no_command_is_documented_that_is_none() -> None:
    known = dict(_commands())
    for line in OPERATING.partition("## Commands")[2].partition("## Variables")[0].splitlines():
        for name in re.findall(r"`([^`]+)`", line.partition("|")[2].partition("|")[0]):
            words = name.split()
            if words[0] == "./run":
                continue
            assert words[0] in known, name
            assert len(words) == 1 or words[1] in _acts(known[words[0]]), name


def _wanted(file: str) -> set[str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {re.split(r"[\[<>=~!; ]", line)[0].lower() for line in lines if line and not line.startswith(("#", "-"))}


def test_every_dependency_has_its_reason() -> None:
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    named = re.findall(r"^- \*\*([\w-]+)\*\*: (\S.*)$", page, re.MULTILINE)
    files = ("requirements.in", "requirements-build.in", "requirements-dev.in")
    assert {name for name, _ in named} == set().union(*map(_wanted, files)) - {"cffi"} | {"uv"}
    assert len(named) == len({name for name, _ in named})


@pytest.mark.parametrize("name", ["requirements", "requirements-build", "requirements-dev"])
def test_what_is_wanted_is_locked(name: str) -> None:
    locked = re.findall(
        r"^([\w.-]+)(?:\[[\w,]+\])?==", (ROOT / f"{name}.lock").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert _wanted(f"{name}.in") <= {one.lower() for one in locked}


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda path: path.name
)
def test_every_link_of_the_documents_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_paths_named_in_the_documents_exist(name: str) -> None:
    """A word in backquotes that looks like a path is one."""
    text = re.sub(r"```.*?```", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    for quoted in re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:md|py|toml))`", text):
        if quoted.startswith(("/", "./run")):
            continue
        places = [ROOT / quoted, ROOT / "src/imgnom" / quoted, ROOT / "docs" / quoted]
        found = any(place.exists() for place in places) or list((ROOT / "src/imgnom").rglob(quoted))
        assert found, f"{name} names {quoted}"


def test_what_is_not_built_yet_is_said_clause_by_clause() -> None:
    text = (ROOT / "docs/limits.md").read_text(encoding="utf-8").partition("\n# Not yet\n")[2]
    clauses = tomllib.loads((ROOT / "policies/imgnom/policy.toml").read_text(encoding="utf-8"))["clauses"]
    planned = {key for key, clause in clauses.items() if clause["state"] == "planned"}
    assert set(re.findall(r"\b[ABISX]\d+(?:\.\d+)*[a-h]?[①②③④]?", text)) == planned


def test_the_architecture_is_one_page_and_names_every_floor_and_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    house = House(ROOT)
    lines = re.findall(r"^  (\w+)/ +(\d)  (.*(?:\n {15,}.*)*)", text, re.MULTILINE)
    assert [(name, int(level)) for name, level, _ in lines] == [
        (name, level) for level, name in enumerate(reversed(house.floors))
    ]
    told = {name: words for name, _, words in lines}
    for place in house.folders:
        assert re.search(rf"\b{place.room}\b", told[place.floor]), place
    for floor, words in told.items():
        row = re.findall(r"[\w]+(?: < \w+)+", words)
        for chain in row:
            order = [room for layer in reversed(house.rooms[floor]) for room in layer.split(" | ")]
            named = chain.split(" < ")
            assert named == [room for room in order if room in named], chain


def test_every_exemption_from_the_linter_gives_its_reason() -> None:
    """In the line, or in the line above it; a code that excuses nothing is not kept."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    part = text.partition("[tool.ruff.lint]\n")[2].partition("[tool.ruff.lint.flake8-tidy-imports")[0]
    lines = part.splitlines()
    for above, line in pairwise(lines):
        if re.search(r'"[A-Z]{1,4}\d*"', line) and "select" not in line:
            assert " # " in line or above.strip().startswith("#"), line
    for line in lines:
        assert not re.search(r"# *$", line)


def test_no_check_is_silenced_in_a_line_without_its_code() -> None:
    wrong = []
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"# (?:type: ignore(?!\[[\w, -]+\])|noqa(?!: [A-Z]+\d+))", line) and "re." not in line:
                wrong.append(f"{path.name}:{number}")
    assert wrong == []


# Used without being named: time zones are found by Python, the library by its binding, the rest as pytest's plugins.
NAMELESS = {"tzdata", "pyvips-binary", "pytest-playwright"}


def _modules_of(wanted: str) -> set[str]:
    return {module for module, owners in packages_distributions().items() if wanted in {o.lower() for o in owners}}


@pytest.mark.parametrize(
    ("file", "places"),
    [("requirements.in", ["src"]), ("requirements-dev.in", ["tests", "tools", "benchmarks", "pyproject.toml", ".pre-commit-config.yaml", "CONTRIBUTING.md"])],
)  # fmt: skip
def test_every_dependency_is_used(file: str, places: list[str]) -> None:
    found = [
        path
        for place in places
        for path in ([ROOT / place] if (ROOT / place).is_file() else (ROOT / place).rglob("*.py"))
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in found if path != Path(__file__))
    for wanted in _wanted(file) - NAMELESS:
        names = _modules_of(wanted) | {wanted, wanted.replace("-", "_")}
        assert any(re.search(rf"\b{re.escape(name)}", text) for name in names), f"{file}: nothing uses {wanted}"


ATTACKS = ("U1", "U2", "U3", "U4", "U5", "U6", "U7", "U8", "U9", "U11", "U12", "U13", "U14", "A1", "A2", "A3", "A6", "Q1", "Q2", "C1", "C2", "C3", "C4", "H1", "H2", "H3", "H4", "N1", "N2",
           "N3", "N4", "N5", "N6", "N7", "R1", "D2", "D3", "D4", "D5", "D6", "D7", "D8", "D9", "D10",
           "E1", "E2", "E3", "E4", "E5", "E6", "V6", "V11", "V10", "L1", "L2")  # fmt: skip


def test_every_attack_has_a_line_and_every_test_that_a_line_names_exists() -> None:
    page = (ROOT / "docs/attacks.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([A-Z]\d+) \|(.*)\|$", page, flags=re.MULTILINE))
    assert tuple(rows) == ATTACKS
    there = {
        f"{file.stem}::{name}"
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    for attack, row in rows.items():
        named = set(re.findall(r"`(test_\w+::test_\w+)`", row))
        assert named, f"{attack} names no test"
        assert named <= there, f"{attack} names tests that are none: {named - there}"


def test_the_limits_of_pictures_are_those_of_the_code() -> None:
    page = (ROOT / "docs/pictures.md").read_text(encoding="utf-8")
    told = (
        f"up to {MAX_FILE_BYTES >> 20} MiB", f"up to {limits.MAX_SIDE_PX:,} pixels", f"{limits.MAX_PIXELS // 10**6} million pixels",
        f"AVIF {limits.MAX_PIXELS_AVIF // 10**6} million", f"{limits.MAX_FRAMES} frames, {limits.MAX_PIXELS_IN_ALL_FRAMES // 10**6} million",
        f"| {limits.MAX_PIXELS_PER_BYTE:,} |", f"{limits.CPU_SECONDS} seconds of CPU, {limits.MEMORY_BYTES >> 20} MB, {WALL_SECONDS:.0f} seconds",
        *(f"{name} ({side}" if name == "preview" else f"{name.capitalize()} ({side}" for name, side in jail.SIZES.items()),
    )  # fmt: skip
    assert [words for words in told if words not in page] == []
