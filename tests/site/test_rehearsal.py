"""The rehearsal as people run it: green for any policy that holds together, red exactly where a step is broken, and
nothing left of it, whatever ends it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.live import ROOT, running

from imgnom.policy.public import load_policy
from imgnom.site.rehearsal.sabotage import SABOTAGES

pytestmark = pytest.mark.xdist_group("rehearsal")
COMMAND = [sys.executable, "-m", "imgnom", "rehearse"]
# What a production machine may have set. None of it may be read, written or asked.
PRODUCTION = {
    "IMGNOM_MODE": "production",
    "IMGNOM_BASE_URL": "https://photos.example.org",
    "IMGNOM_DATABASE_URL": "postgresql://imgnom@127.0.0.1:1/imgnom",
    "IMGNOM_VAULT_DATABASE_URL": "postgresql://vault@127.0.0.1:1/vault",
    "IMGNOM_MAIL_URL": "smtp://127.0.0.1:1",
    "IMGNOM_CACHE_URL": "redis://127.0.0.1:1",
    "IMGNOM_TRUSTED_PROXIES": "10.0.0.1",
    "IMGNOM_NO_SUCH_THING": "1",
    "GRANIAN_PORT": "1",
    "GRANIAN_URL_PATH_PREFIX": "/elsewhere",
    "http_proxy": "http://127.0.0.1:1",
    "PYTHONIOENCODING": "ascii",
}
OPERATORS = """
extends = "imgnom"
id = "operators-own"
zone = "Pacific/Kiritimati"
remove = [
  "items.age_band_and_region", "uses.age_band_and_region.demographic_ads", "purposes.demographic_ads", "records.demographics",
  "consents.demographic_ads",
]
[items.phone]
label = { ko = "전화번호", en = "phone" }
category = "pd:TelephoneNumber"
collected = "registration"
required = true
store = "vault"
[items.motto]
label = { ko = "좌우명", en = "motto" }
category = "pd:Opinion"
collected = "registration"
store = "vault"
[[uses]]
item = "phone"
purpose = "rights"
roles = ["member", "system"]
[[uses]]
item = "motto"
purpose = "rights"
roles = ["member", "system"]
[records.identity_after_leaving]
period = "P1M"
[records.access_records_member]
period = "P7Y"
[records.access_records_visitor]
period = "P1D"
[records.session]
period = "PT8H"
[records.pending_registration]
period = "P14D"
[records.confirmation_code]
period = "PT30M"
[records.freed_names]
period = "P6M"
[records.handler_records]
period = "P1Y2M"
"""


def surroundings(tmp: Path, **more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("IMGNOM_")}
    tmp.mkdir(exist_ok=True)
    return plain | {"PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(tmp)} | more


def rehearse(*arguments: str, tmp: Path, cwd: Path = ROOT, **more: str) -> tuple[int, Any, str]:
    """Exit status, what a program reads on standard output, what people read beside it."""
    done = subprocess.run(
        [*COMMAND, "--json", *arguments],
        capture_output=True,
        check=False,
        cwd=cwd,
        env=surroundings(tmp, **more),
        timeout=600,
    )
    return done.returncode, json.loads(done.stdout), done.stderr.decode()


def red(facts: Any) -> dict[str, str]:
    return {row["id"]: row["evidence"] for row in facts["clauses"] if row["state"] == "red"}


def files_under(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def ensure_kept(name: str, code: int, facts: Any, said: str) -> None:
    """A bundled policy is kept and every clause called built has its evidence."""
    assert red(facts) == {}
    assert code == 0
    policy = load_policy(ROOT / "policies" / name)
    assert [row["id"] for row in facts["clauses"]] == list(policy.clauses)
    for row in facts["clauses"]:
        assert set(row) == {"id", "state", "promise", "evidence", "checked_at"}
        assert row["state"] == ("green" if policy.clauses[row["id"]].state == "built" else "planned")
        assert row["evidence"]
        assert row["promise"] == policy.clauses[row["id"]].promise.en
    assert said.count("━") > 100
    assert "\x1b" not in said, "no terminal, no control characters"


@pytest.mark.clause("I12", "A0.1")
def test_the_stricter_reading_is_kept_and_every_clause_called_built_has_its_evidence(tmp_path: Path) -> None:
    ensure_kept("imgnom-pipa", *rehearse("--policy", "imgnom-pipa", tmp=tmp_path / "tmp"))
    assert files_under(tmp_path / "tmp") == {}


@pytest.mark.clause("I12", "I1", "I9")
def test_an_operators_own_file_is_lived_through_on_a_production_machine_without_touching_it(tmp_path: Path) -> None:
    policy, real = tmp_path / "policy", tmp_path / "real"
    policy.mkdir()
    (policy / "policy.toml").write_text(OPERATORS, encoding="utf-8")
    for name in ("home/db", "keys", "witness", "cwd"):
        (real / name).mkdir(parents=True)
        (real / name / "theirs").write_text(name)
    (real / "home" / "kind-of-site").write_text("real\n")
    before = files_under(real)
    code, facts, _ = rehearse(
        "--policy",
        str(policy),
        tmp=tmp_path / "tmp",
        cwd=real / "cwd",
        **PRODUCTION,
        IMGNOM_HOME=str(real / "home"),
        IMGNOM_KEYRING=str(real / "keys"),
        IMGNOM_WITNESS=str(real / "witness"),
    )
    assert red(facts) == {}
    assert code == 0
    assert facts["policy"] == "operators-own"
    assert files_under(real) == before
    assert files_under(tmp_path / "tmp") == {}


def found_out(said: str) -> dict[str, set[str]]:
    """Broken step → the clauses that turned red by words of its own. A red look that no step accounts for fails."""
    found: dict[str, set[str]] = {}
    for line in said.splitlines():
        if line.startswith("RED "):
            clauses, _, words = line.removeprefix("RED ").partition(": ")
            steps = [name for name, step in SABOTAGES.items() if any(seen in words for seen in step.seen)]
            assert len(steps) == 1, f"{line} is the work of {steps or 'no step'}"
            found.setdefault(steps[0], set()).update(clauses.split())
    return found


@pytest.mark.clause("I12", "A4.2", "A0.1")
def test_each_broken_step_turns_exactly_its_clauses_red(tmp_path: Path) -> None:
    broken = [part for step in SABOTAGES for part in ("--sabotage", step)]
    code, facts, said = rehearse(*broken, tmp=tmp_path / "tmp")
    assert code == 1
    assert found_out(said) == {name: set(step.clauses) for name, step in SABOTAGES.items()}
    assert set(red(facts)) == {clause for step in SABOTAGES.values() for clause in step.clauses}
    assert files_under(tmp_path / "tmp") == {}


@pytest.mark.clause("I12")
def test_every_part_of_the_machine_has_steps_to_break() -> None:
    kinds = ("destroy", "certificate", "archive", "turn", "ledger", "restore")
    assert {kind for kind in kinds for name in SABOTAGES if name.startswith(kind)} == set(kinds)


@pytest.mark.clause("A0.1", "I12")
def test_the_policy_is_kept_and_a_demo_shows_it_on_its_board_but_believes_no_file(tmp_path: Path) -> None:
    with running(tmp_path / "home", "--demo") as site:
        code, facts, said = rehearse(tmp=tmp_path / "tmp", IMGNOM_HOME=str(site.home))
        ensure_kept("imgnom", code, facts, said)
        assert "board shows this rehearsal from now on" in said
        with urllib.request.urlopen(f"{site.address}/privacy/board.json") as answer:
            rows = {row["id"]: row for row in json.load(answer)["clauses"]}
        assert {row["state"] for row in rows.values()} == {"green", "planned"}
        assert all("예행연습" in row["evidence"] for row in rows.values() if row["state"] == "green")
        forged = tmp_path / "forged.json"
        forged.write_text(json.dumps(facts))
        done = site.command("rehearse", "--record", str(forged))
        assert done.returncode == 2, "there is no door for a result that somebody wrote"
    assert files_under(tmp_path / "tmp") == {}


def test_what_cannot_be_rehearsed_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('extends = "imgnom"\nzone = "Asia/Atlantis"\n')
    for arguments in (
        ("--policy", str(tmp_path)),
        ("--policy", "/nowhere"),
        ("--sabotage", "everything"),
    ):
        code, facts, said = rehearse(*arguments, tmp=tmp_path / "tmp")
        assert code == 1
        assert facts["ok"] is False
        assert said.count("\n") == 1
        assert said.startswith("imgnom: ")
    assert all(f" {step}" in said for step in SABOTAGES), "a step that does not exist is answered with those that do"
    assert files_under(tmp_path / "tmp") == {}


def test_the_list_names_every_clause_and_what_each_step_breaks(tmp_path: Path) -> None:
    code, facts, said = rehearse("--list", tmp=tmp_path)
    assert code == 0
    assert said == ""
    clauses = {row["id"]: row["state"] for row in facts["clauses"]}
    assert {step["step"] for step in facts["steps"]} == set(SABOTAGES)
    for step in facts["steps"]:
        assert {clauses[clause] for clause in step["turns_red"]} == {"built"}


class Running:
    """A rehearsal under way, with a folder of its own for everything temporary."""

    def __init__(self, tmp: Path) -> None:
        self.tmp = tmp
        self.process = subprocess.Popen(
            COMMAND,
            cwd=ROOT,
            env=surroundings(tmp),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def until_somebody_joins(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if b"joins" in line:
                return
        raise AssertionError("it ended before anybody joined")

    def mine(self) -> list[int]:
        """Every process that speaks of this folder."""
        found = []
        for file in Path("/proc").glob("[0-9]*/environ"):
            try:
                told = str(self.tmp).encode() in file.read_bytes()
            except OSError:
                continue
            if told and (file.parent / "cmdline").read_bytes():
                found.append(int(file.parent.name))
        return found


def wait_for(fact: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


@pytest.mark.clause("I12")
def test_two_at_once_are_apart_and_whatever_ends_them_nothing_stays_behind(tmp_path: Path) -> None:
    first, second, third = (Running(tmp_path / name) for name in ("first", "second", "third"))
    for one in (first, second, third):
        one.until_somebody_joins()
        assert len(one.mine()) >= 4, "the rehearsal, its attendant, the site's parent, its web server"
    os.killpg(first.process.pid, signal.SIGINT)
    second.process.kill()
    third.process.terminate()
    for one in (first, second, third):
        assert one.process.stderr is not None
        said = one.process.stderr.read()
        one.process.stderr.close()
        assert b"Traceback" not in said
    assert first.process.wait(timeout=60) == 130
    assert third.process.wait(timeout=60) == 143
    second.process.wait(timeout=60)
    for one in (first, second, third):
        wait_for(lambda one=one: not one.mine() and not files_under(one.tmp))
