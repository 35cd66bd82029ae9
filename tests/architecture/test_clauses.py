"""Clause → code → proof: nothing is promised as built without both, and the generated page is in step."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from make_clauses import find_gaps, read_traces, table  # noqa: E402 - tools are programs, not a package

BUILT = {"state": "built", "promise": {"en": "It is so."}}
PLANNED = {"state": "planned", "promise": {"en": "It will be so."}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("src/imgnom/site/rehearsal", "src/imgnom/procedures/proofs", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def _write(project: Path, path: str, text: str) -> None:
    (project / path).write_text(text, encoding="utf-8")


def test_a_clause_without_code_or_without_proof_is_a_gap(project: Path) -> None:
    clauses = {"A4.2": BUILT}
    assert find_gaps(clauses, read_traces(project)) == [
        "A4.2 is built, but no code names it",
        "A4.2 is built, but nothing proves it",
    ]
    _write(project, "src/imgnom/a.py", '"""Destroys (A4.2)."""\n')
    assert find_gaps(clauses, read_traces(project)) == ["A4.2 is built, but nothing proves it"]
    _write(project, "tests/test_a.py", '@pytest.mark.clause("A4.2")\ndef test_gone(): ...\n')
    assert find_gaps(clauses, read_traces(project)) == []


def test_only_the_list_of_what_is_not_built_excuses_a_clause(project: Path) -> None:
    assert find_gaps({"X1": PLANNED}, read_traces(project)) == []
    assert len(find_gaps({"X1": BUILT}, read_traces(project))) == 2


def test_a_report_is_no_code_and_a_word_that_looks_like_a_clause_is_none(project: Path) -> None:
    _write(project, "src/imgnom/procedures/proofs/checks.py", 'CHECK = ("A4.2",)\n')
    _write(project, "src/imgnom/b.py", '"""A4.21, XA4.2 and A4.2.1 are others, and so is A4.2①."""\n')
    _write(project, "src/imgnom/site/rehearsal/scene.py", 'stage.prove("A4.2", ok)\n')
    assert find_gaps({"A4.2": BUILT}, read_traces(project)) == ["A4.2 is built, but no code names it"]


def test_a_proof_of_no_clause_is_named(project: Path) -> None:
    _write(project, "tests/test_a.py", '@pytest.mark.clause("A4.9", "C2")\ndef test_gone(): ...\n')
    assert find_gaps({}, read_traces(project)) == ["tests/test_a.py::test_gone proves A4.9, which is no clause"]


def test_spread_ids_stand_for_each(project: Path) -> None:
    _write(project, "src/imgnom/a.py", '"""All of A2.3a-c, A4.1①② (A0.1)."""\n')
    assert {"A2.3a", "A2.3b", "A2.3c", "A4.1①", "A4.1②", "A0.1"} <= set(read_traces(project))


def test_an_article_is_found_by_its_heading(project: Path) -> None:
    page = table({"A0.1": BUILT, "A4.2": PLANNED, "I10": BUILT, "X10": BUILT}, read_traces(project))
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings == ["## Preamble", "## Article 4", "## What the document implies", "## What the law adds"]
    assert "*Not built yet.*" in page


def test_the_page_is_in_step_and_has_no_gap() -> None:
    clauses = tomllib.loads((ROOT / "policies/imgnom/policy.toml").read_text(encoding="utf-8"))["clauses"]
    assert find_gaps(clauses, read_traces(ROOT)) == []
    done = subprocess.run([sys.executable, "tools/make_clauses.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
