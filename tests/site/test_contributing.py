"""CONTRIBUTING.md word for word: its blocks are written where they say, its commands are run, and what it promises holds.

A block names its file in its first line: a new file, or where in it the lines go ("at the end", "after: LINE").
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEAD = re.compile(r"# (?P<file>[\w./-]+)(?:, (?:after: (?P<after>.+)|(?P<end>at the end)))?\n")


def _section(title: str) -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _place(project: Path, block: str) -> None:
    head = HEAD.match(block)
    assert head, f"a block that names no file: {block[:60]}"
    file, lines = project / head["file"], block[head.end() :]
    if head["end"]:
        file.write_text(file.read_text(encoding="utf-8") + lines, encoding="utf-8")
    elif head["after"]:
        before, found, after = file.read_text(encoding="utf-8").partition(head["after"] + "\n")
        assert found, f"{head['file']} has no line {head['after']!r}"
        file.write_text(before + found + lines + after, encoding="utf-8")
    else:
        assert not file.exists(), f"{head['file']} exists; say where in it the lines go"
        file.parent.mkdir(exist_ok=True)
        file.write_text(lines, encoding="utf-8")


def _run(project: Path, *command: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env={name: value for name, value in os.environ.items() if not name.startswith("IMGNOM_")}
        | {"PYTHONPATH": str(project / "src"), "IMGNOM_MODE": "rehearsal"}
        | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def _carry_out(project: Path, title: str) -> dict[str, str]:
    """Blocks and commands in their order; what each command printed."""
    said: dict[str, str] = {}
    for kind, block in BLOCK.findall(_section(title)):
        if kind == "sh":
            for line in block.splitlines():
                assert line.startswith("./run "), line
                said[line] = _run(project, "-m", "imgnom", *line.split()[1:])
        else:
            _place(project, block)
    assert said
    return said


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("clone")
    for name in ("src", "policies", "tools", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    yield folder
    shutil.rmtree(folder)


def _ask(project: Path, what: str, home: Path, **environ: str) -> list[str]:
    """What the changed site answers, see `changed_site.py`."""
    site = {"IMGNOM_HOME": str(home), "IMGNOM_CLOCK_FILE": str(home / "clock")}
    return _run(project, str(Path(__file__).with_name("changed_site.py")), what, **site, **environ).splitlines()


@pytest.mark.clause("I1")
def test_a_changed_period_changes_the_words_and_the_ends(project: Path, tmp_path: Path) -> None:
    said = _carry_out(project, "Change a period")
    assert "records.identity_after_leaving.period: P3M → P6M" in said["./run policy diff imgnom my-policy"]
    end, korean, english = _ask(project, "period", tmp_path, IMGNOM_POLICY="my-policy")
    assert end == "2027-02-28 15:00:00+00:00"
    assert "6개월" in korean
    assert "6 months" in english


@pytest.mark.clause("I1", "A1.0")
def test_an_added_item_is_asked_sealed_shown_and_destroyed(project: Path, tmp_path: Path) -> None:
    if not (project / "my-policy").exists():
        _carry_out(project, "Change a period")
    said = _carry_out(project, "Add a personal item")
    assert "red" not in said["./run rehearse --policy my-policy"].partition("\n\n")[2].lower().split()
    assert _ask(project, "item", tmp_path, IMGNOM_POLICY="my-policy") == [
        "asked: True",
        "sealed: True",
        "shown to its owner: True",
        "exported: True",
        "shown to nobody else: True",
        "destroyed at leaving: True",
    ]


@pytest.mark.clause("I1")
def test_an_added_record_kind_ends_by_itself(project: Path, tmp_path: Path) -> None:
    _carry_out(project, "Add a record kind")
    assert _ask(project, "record", tmp_path) == [
        "due after 30 days: 0",
        "due after 31 days: 1",
        "destroyed: 1, left: 0, {}",
    ]
