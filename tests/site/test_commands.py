"""Every command as a program meets it: help, JSON on standard output, words on standard error, exit status."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import ROOT, Site, environment, free_port, running, wide

pytestmark = pytest.mark.xdist_group("commands")
VERBS = (
    "serve", "worker", "rehearse", "policy", "retention", "ledger", "keys", "staff", "check", "doctor", "backup", "restore", "database", "manage",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A home that was served once and stands still now."""
    folder = tmp_path_factory.mktemp("commands")
    clock = folder / "clock"
    clock.write_text("2028-02-29T12:00:00+09:00")
    witness = folder / "witness"
    witness.mkdir()
    variables = {"IMGNOM_MODE": "rehearsal", "IMGNOM_CLOCK_FILE": str(clock), "IMGNOM_WITNESS": str(witness)}
    with running(folder / "home", **variables) as one:
        pass
    yield one
    shutil.rmtree(folder)


def facts(site: Site, *arguments: str, status: int = 0) -> dict[str, object]:
    done = site.command(*arguments, "--json")
    assert done.returncode == status, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_explains_itself(site: Site, verb: str) -> None:
    done = site.command(verb, "--help")
    assert done.returncode == 0
    assert f"usage: imgnom {verb}" in done.stdout
    assert done.stderr == ""


def test_the_list_of_commands_and_a_wrong_one(site: Site) -> None:
    for arguments in (("--help",), ("help",)):
        done = site.command(*arguments)
        assert done.returncode == 0
        assert not [verb for verb in VERBS if f"    {verb} " not in done.stdout]
    for arguments in (
        (), ("nonsense",), ("retention",), ("retention", "later"), ("serve", "--port", "70000"), ("serve", "--workers", "0"), ("staff", "add"),
    ):  # fmt: skip
        done = site.command(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "Traceback" not in done.stderr


def test_policy_needs_no_site_and_names_file_and_key_of_a_fault(site: Site, tmp_path: Path) -> None:
    bare = Site(tmp_path / "nowhere", 0, environment(tmp_path / "nowhere"))
    assert facts(bare, "policy", "check")["ok"] is True
    assert bare.command("policy", "check", "imgnom-pipa").returncode == 0
    shown = bare.command("policy", "show", "--lang", "en")
    assert shown.returncode == 0
    assert "About this policy" in shown.stdout
    assert json.loads(bare.command("policy", "show", "--json").stdout)
    assert json.loads(bare.command("policy", "diff", "imgnom", "imgnom-pipa", "--json").stdout)
    assert "same" in bare.command("policy", "diff", "imgnom", "imgnom").stdout
    broken = tmp_path / "policy"
    shutil.copytree(ROOT / "policies" / "imgnom", broken)
    text = (broken / "policy.toml").read_text()
    (broken / "policy.toml").write_text(text.replace('period = "P5Y"', 'period = "five years"'))
    found = facts(bare, "policy", "check", str(broken), status=1)
    assert found["ok"] is False
    assert "policy.toml" in str(found["file"])
    assert "period" in str(found["key"])
    assert bare.command("policy", "check", str(tmp_path / "missing")).returncode == 1
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.clause("A3.0a")
def test_retention_counts_what_is_due_and_does_it(site: Site) -> None:
    due = facts(site, "retention", "due")
    assert "identity_after_leaving" in due
    assert site.command("retention", "due").stdout == "Nothing is due.\n"
    done = facts(site, "retention", "run")
    assert done["errors"] == {}
    assert done["at"] == "2028-02-29T03:00:00+00:00"
    words = site.command("retention", "run")
    assert words.returncode == 0
    assert "epoch" in words.stdout
    assert json.loads((site.home / "worker-beat").read_text())["done_at"] == done["at"]


@pytest.mark.clause("A0.1")
def test_the_ledger_is_sealed_exported_and_verified_and_a_rewritten_one_is_refused(site: Site, tmp_path: Path) -> None:
    note = site.command("ledger", "checkpoint").stdout
    assert len(note.split("\n\n")[0].splitlines()) == 3
    assert facts(site, "ledger", "checkpoint")["checkpoint"] == note
    verified = facts(site, "ledger", "verify")
    assert verified["ok"] is True
    assert str(verified["size"]) in site.command("ledger", "verify").stdout
    folder = tmp_path / "export"
    assert site.command("ledger", "export").returncode == 2
    assert facts(site, "ledger", "export", str(folder)) == {"folder": str(folder)}
    key = folder / "key.txt"
    for arguments in ((str(folder),), (str(folder), "--key", str(key)), ("--key", str(key))):
        assert facts(site, "ledger", "verify", *arguments)["ok"] is True
        assert site.command("ledger", "verify", *arguments).returncode == 0
    foreign = tmp_path / "foreign.txt"
    foreign.write_text(key.read_text().replace("+", "-", 1))
    assert facts(site, "ledger", "verify", "--key", str(foreign), status=1)["ok"] is False
    leaves = folder / "leaves.jsonl"
    leaves.write_text(leaves.read_text().replace('"outcome":"done"', '"outcome":"gone"', 1))
    assert site.command("ledger", "verify", str(folder)).returncode == 1
    broken = facts(site, "ledger", "verify", str(folder), status=1)
    assert broken["ok"] is False
    assert broken["problem"]


@pytest.mark.clause("A4.2")
def test_the_keys_are_counted_and_turned(site: Site) -> None:
    before = facts(site, "keys", "status")
    after = facts(site, "keys", "turn")
    assert int(str(after["epoch"])) == int(str(before["epoch"])) + 1
    assert after["waiting_for_a_turn"] == 0
    assert "epoch: " in site.command("keys", "status").stdout
    again = Site(site.home, 0, site.environ | {"IMGNOM_KEYRING": str(site.home / "keyring")})
    refused = again.command("keys", "init")
    assert refused.returncode == 1
    assert "never over another" in refused.stderr


def test_staff_are_added_once(site: Site) -> None:
    made = facts(site, "staff", "add", "--login", "officer.one", "--role", "officer")
    assert {"login", "role", "enrolment_url", "password", "totp_secret"} <= set(made)
    twice = site.command("staff", "add", "--login", "officer.one", "--role", "officer")
    assert twice.returncode == 1
    assert "Traceback" not in twice.stderr
    assert site.command("staff", "add", "--login", "x.y.z", "--role", "king").returncode == 2
    assert site.command("staff", "add", "--login", "x.y.z").returncode == 2


def test_staff_end_once_and_with_a_receipt(site: Site) -> None:
    made = facts(site, "staff", "add", "--login", "passing.by", "--role", "auditor")
    ended = facts(site, "staff", "end", "--login", "passing.by")
    assert ended["role"] == made["role"] == "auditor"
    assert ended["receipt"].startswith("R-")
    for login in ("passing.by", "nobody.at.all"):
        again = site.command("staff", "end", "--login", login, "--json")
        assert again.returncode == 1
        assert json.loads(again.stdout) == {
            "ok": False,
            "problem": "no staff account has this login; nothing was changed.",
        }
    assert site.command("staff", "end", "--login", "passing.by", "--role", "auditor").returncode == 2
    # The receipt promises that nobody else gets the ID for a while; that binds the command line too.
    assert site.command("staff", "add", "--login", "passing.by", "--role", "auditor").returncode == 1
    assert facts(site, "check")["ok"] is True


def test_check_is_ok_and_doctor_only_warns_on_a_sound_toy(site: Site) -> None:
    checked = facts(site, "check")
    assert checked["ok"] is True
    doctor = facts(site, "doctor")
    assert (doctor["state"], doctor["ok"]) == ("warning", False)
    assert "failure" not in {row["state"] for row in doctor["findings"]}
    assert "an example" in {row["what"]: row["words"] for row in doctor["findings"]}["addresses"]
    assert site.command("check").stdout.startswith("ok ")
    assert site.command("doctor").stdout.startswith("ok ")


@pytest.mark.parametrize(
    "arguments",
    [("retention", "due"), ("retention", "run"), ("ledger", "verify"), ("keys", "status"), ("check",), ("backup", "x", "--keys", "y"), ("staff", "add", "--login", "a.bc", "--role", "officer")],
    ids=lambda arguments: " ".join(arguments[:2]),
)  # fmt: skip
def test_a_home_without_a_site_is_told_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    bare = Site(tmp_path / "home", 0, environment(tmp_path / "home", IMGNOM_MODE="rehearsal"))
    done = bare.command(*arguments)
    assert done.returncode == 1
    assert (
        done.stderr == "imgnom: this home holds no site yet, or one of an older version. Start it once: imgnom serve\n"
    )
    assert facts(bare, *arguments, status=1)["ok"] is False


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "IMGNOM_KEYRING must name"),
        ({"IMGNOM_MODE": "party"}, "IMGNOM_MODE must be one of"),
        ({"IMGNOM_KEYRING": "{home}/keys"}, "lie inside each other"),
        ({"IMGNOM_KEYRING": "{home}-keys", "IMGNOM_CLOCK_FILE": "clock"}, "IMGNOM_CLOCK_FILE works in demo"),
        ({"IMGNOM_KEYRING": "{home}-keys"}, "IMGNOM_BASE_URL must say"),
    ],
)
def test_a_wrong_environment_ends_the_start_with_one_line(
    tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    home = tmp_path / "home"
    given = {name: value.format(home=home) for name, value in variables.items()}
    done = Site(home, 0, environment(home, **given)).command("serve", "--port", str(free_port()))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


@pytest.mark.clause("I9")
def test_in_production_a_jumped_clock_is_asked_about_before_anything_is_destroyed(tmp_path: Path) -> None:
    """The whole way: keyring made, served, the record of the last look set years back, refused, answered."""
    variables = {"IMGNOM_KEYRING": str(tmp_path / "keyring"), "IMGNOM_BASE_URL": "https://example.org"}
    real = Site(tmp_path / "home", 0, environment(tmp_path / "home", **variables))
    made = real.command("keys", "init")
    assert made.returncode == 0, made.stderr
    assert facts(real, "retention", "run")["errors"] == {}
    seen = json.loads((real.home / "clock-seen").read_text())
    (real.home / "clock-seen").write_text(json.dumps(seen | {"wall": seen["wall"] - 10 * 365 * 86_400}))
    for _ in range(2):
        refused = real.command("retention", "run")
        assert refused.returncode == 1
        assert "jumped by +87600 hours" in refused.stderr
    assert facts(real, "retention", "run", status=1)["ok"] is False
    assert facts(real, "retention", "run", "--clock-is-right")["errors"] == {}
    assert facts(real, "retention", "run")["errors"] == {}


def test_everything_that_commands_write_is_owner_only(site: Site) -> None:
    """With the umask 000 (see tests/live.py): homes, copies, exports, the witness and what else lies around them."""
    folder = site.home.parent / "written"
    folder.mkdir()
    for command in (
        ("backup", str(folder / "sets"), "--keys", str(folder / "keys")),
        ("ledger", "export", str(folder / "ledger")),
        ("ledger", "checkpoint"),
        ("keys", "turn"),
        ("retention", "run"),
        ("restore", str(folder / "sets"), "--keys", str(folder / "keys"), "--without-witness"),
    ):
        done = site.command(*command)
        assert done.returncode == 0, (command, done.stderr)
    assert {place.name for place in folder.iterdir()} == {"sets", "keys", "ledger"}
    assert wide(site.home, folder, *(site.home.parent / "witness").iterdir()) == []


def test_an_answer_that_nobody_reads_to_the_end_is_no_fault(site: Site) -> None:
    import subprocess

    reader = subprocess.Popen(
        [sys.executable, "-m", "imgnom", "policy", "show"],
        cwd=ROOT,
        env=site.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdout.close()
    said = reader.stderr.read()
    reader.stderr.close()
    reader.wait(timeout=60)
    assert b"Traceback" not in said
