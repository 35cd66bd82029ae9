"""`imgnom policy check|show|diff` on folders, names and paths: words for people, JSON for programs, exit 0 only when all is well."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.live import ROOT, environment

POLICIES = ROOT / "policies"


def run(*arguments: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "imgnom", "policy", *arguments], cwd=cwd, env=environment(Path("/nonexistent"), **variables),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def refused(*arguments: str, cwd: Path = ROOT) -> str:
    done = run(*arguments, cwd=cwd)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("imgnom: ")
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


def test_a_policy_is_named_by_name_folder_or_file_from_wherever_one_stands(tmp_path: Path) -> None:
    shutil.copytree(POLICIES / "imgnom", tmp_path / "ours")
    names = ["imgnom", str(POLICIES / "imgnom"), "ours", "./ours", str(tmp_path / "ours" / "policy.toml")]
    (tmp_path / "imgnom").mkdir()  # a folder that happens to be called so is not meant
    done = run("check", *names, "--json", cwd=tmp_path)
    facts = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [one["ok"] for one in facts] == [True] * len(names)
    assert len({one["digest"] for one in facts}) == 1
    assert json.loads(run("check", "--json", IMGNOM_POLICY=str(POLICIES / "imgnom-pipa")).stdout)["id"] == "imgnom-pipa"


def test_check_says_what_a_reader_should_know(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(
        'extends = "imgnom"\nid = "ours"\n[records.identity_after_leaving]\nperiod = "P4M"\n[records.access_records_visitor]\nperiod = "P1M"\n'
        '[settings.banner]\nvalue = "literal"\n[settings.processor_consent]\nvalue = "at_signup"\n[officer]\nemail = "officer@ours.kr"\n',
        encoding="utf-8",
    )
    done = run("check", str(tmp_path))
    assert done.returncode == 0
    assert done.stdout.startswith("ours: holds together.")
    notes = [line.split(":")[0].split()[-1] for line in done.stdout.splitlines()[1:]]
    assert notes == ["A0.1", "A1.2", "A3.1", "A6.1", "B2"]
    assert "석 달" in run("check", str(tmp_path), "--lang", "ko").stdout
    assert len(json.loads(run("check", str(tmp_path), "--json").stdout)["warnings"]) == 5


def test_one_bad_policy_among_good_ones_is_told_and_the_exit_status_says_so(tmp_path: Path) -> None:
    done = run("check", "imgnom", str(tmp_path), "imgnom-pipa")
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines() if "holds together" in line] == [
        "imgnom",
        "imgnom-pipa",
    ]
    assert str(tmp_path) in done.stderr
    facts = [json.loads(line) for line in run("check", "imgnom", str(tmp_path), "--json").stdout.splitlines()]
    assert sorted(one["ok"] for one in facts) == [False, True]
    bad = next(one for one in facts if not one["ok"])
    assert set(bad) == {"ok", "file", "key", "allowed", "problem"}
    assert bad["file"] == str(tmp_path / "policy.toml")


@pytest.mark.parametrize("act", ["show", "diff"])
def test_what_cannot_be_read_is_refused_in_one_line(act: str, tmp_path: Path) -> None:
    assert "policy.toml" in refused(act, str(tmp_path))
    assert "policy.toml" in refused(act, "no such policy")
    (tmp_path / "policy.toml").write_bytes(b"\xff")
    assert "UTF-8" in refused(act, str(tmp_path))


def test_show_prints_the_articles_with_their_clauses_or_all_facts() -> None:
    korean, english = run("show").stdout, run("show", "imgnom-pipa", "--lang", "en").stdout
    assert "[A3.2②]" in korean
    assert "3. 보유하고 이용하는 기간" in korean
    assert "while a misuse case is open" in english
    assert json.loads(run("show", "--json").stdout)["records"]["posts"]["period"] == "permanent"


def test_diff_tells_every_difference_in_the_terms_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(
        'extends = "imgnom"\nremove = ["uses.email.advertising"]\n[officer]\nname = { ko = "홍길동", en = "Hong" }\n'
        '[items.nickname]\nlabel = { ko = "별명", en = "nickname" }\n',
        encoding="utf-8",
    )
    words = (POLICIES / "imgnom" / "terms.en.md").read_text(encoding="utf-8")
    (tmp_path / "terms.en.md").write_text(words.replace("Nobody asks why", "No reason is asked"), encoding="utf-8")
    told = run("diff", str(tmp_path)).stdout
    assert "~ officer.name: Administrator → Hong" in told
    assert "~ items.nickname.label: 닉네임 → 별명" in told
    assert "- uses.email.advertising: system" in told
    assert "No reason is asked" in told
    changes = json.loads(run("diff", "imgnom", "imgnom-pipa", "--json").stdout)
    assert {"key": "records.identity_after_leaving.scope", "before": "everyone", "after": "open_case"}.items() <= {
        key: value
        for change in changes
        if change["key"] == "records.identity_after_leaving.scope"
        for key, value in change.items()
    }.items()
    assert run("diff", "imgnom", "imgnom").stdout == "The two say the same.\n"
    assert "compares two" in refused("diff", "imgnom", "imgnom", "imgnom")


def test_the_policy_commands_need_neither_a_site_nor_a_variable(tmp_path: Path) -> None:
    for act in ("check", "show"):
        assert run(act, "imgnom", cwd=tmp_path).returncode == 0
    assert not list(tmp_path.iterdir())
    without = run("diff", cwd=tmp_path)
    assert without.returncode == 1
    assert "IMGNOM_KEYRING" in without.stderr
    assert "Traceback" not in without.stderr


def test_help_says_what_each_act_does() -> None:
    words = run("--help").stdout
    for word in ("check", "show", "diff", "approve", "IMGNOM_POLICY", "bundled"):
        assert word in words
