"""`./run test` itself: what it says at its end, and that nothing missing is passed over in silence."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from check_all import Outcome, closing_line, finish  # noqa: E402 - tools are programs, not a package


@pytest.mark.parametrize(
    ("line", "closing"),
    [
        ("353 passed in 16.24s\n", "353 passed in 16.24s"),
        ("===== 1 failed, 352 passed, 2 warnings in 316.24s (0:05:16) =====", "1 failed, 352 passed, 2 warnings in 316.24s (0:05:16)"),
        ("\x1b[32m\x1b[1m3 passed\x1b[0m\x1b[32m in 1.00s\x1b[0m", "3 passed in 1.00s"),
        ("1 error in 0.50s", "1 error in 0.50s"),
        ("no tests ran in 0.01s", "no tests ran in 0.01s"),
        ("FAILED tests/x.py::test_y - took 3 passed in 1.0", None),
        ("........ [100%]", None),
    ],
)  # fmt: skip
def test_pytests_closing_line_is_known_by_its_form(line: str, closing: str | None) -> None:
    assert closing_line(line) == closing


def test_all_green_ends_with_pytests_line(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(
        results={"tests": True}, closing={"tests": "353 passed in 16.24s", "tests on PostgreSQL": "12 passed in 1.00s"}
    )
    assert finish(outcome, complete=True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "── all green"
    assert lines[-2:] == ["tests on PostgreSQL: 12 passed in 1.00s", "353 passed in 16.24s"]


def test_one_failure_is_named_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(results={"types": False, "tests": True}, closing={"tests": "353 passed in 16.24s"})
    assert finish(outcome, complete=False) == 1
    assert "not green: types" in capsys.readouterr().out


def test_what_could_not_be_run_is_said_and_fails_where_all_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(
        results={"tests": True},
        missing={"chromium": "the journeys in a browser"},
        closing={"tests": "3 passed in 1.00s"},
    )
    assert finish(outcome, complete=False) == 0
    told = capsys.readouterr().out
    assert "all green" not in told
    assert "could not run: the journeys in a browser. As root: apt-get install chromium" in told
    assert finish(outcome, complete=True) == 1
    assert "not green: not run: the journeys in a browser" in capsys.readouterr().out
