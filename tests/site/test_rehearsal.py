"""The rehearsal itself: green for both policies, red for every step that is sabotaged."""

import json
import os
import subprocess
import sys

import pytest


def _rehearse(*arguments: str) -> tuple[int, dict[str, object]]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("IMGNOM_")}
    done = subprocess.run(
        [sys.executable, "-m", "imgnom", "rehearse", "--json", *arguments],
        capture_output=True,
        check=False,
        env=environ | {"PYTHONPATH": "src"},
        timeout=170,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.clause("I12", "A0.1")
@pytest.mark.parametrize("policy", ["imgnom", "imgnom-pipa"])
def test_the_bundled_policies_are_kept(policy: str) -> None:
    code, facts = _rehearse("--policy", policy)
    red = [row for row in facts["clauses"] if row["state"] == "red"]  # type: ignore[index,union-attr]
    assert red == []
    assert code == 0


@pytest.mark.clause("I12")
@pytest.mark.parametrize("step", ["destroy-keys", "archive-deadline", "access-records", "ledger", "strip"])
def test_a_sabotaged_step_turns_red(step: str) -> None:
    code, facts = _rehearse("--sabotage", step)
    assert code == 1
    assert any(row["state"] == "red" for row in facts["clauses"])  # type: ignore[index,union-attr]
