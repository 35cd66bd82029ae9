"""`./run` on machines that are not ours: with uv, without, with an old Python only, with none; odd paths, no home.

The script is the real one, in a folder with a Hangul name and spaces. What stands in for the outside world are the
programs on its PATH: a Python of a given version, pip and uv, which write down how they were called.
"""

import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "dirname", "cat", "cksum", "env", "mkdir", "mv", "rm", "sleep", "sed", "ls", "sort", "touch", "cp", "ln")
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock", "requirements-uv.lock")
PYTHON = r"""#!/bin/sh
echo "python{minor} $*" >> "$CALLS"
case "$*" in
  --version) echo "Python 3.{minor}.0" ;;
  *version_info*) [ {minor} -ge 12 ] ;;
  *ensurepip*) {venvs} ;;
  "-m pip --version") {pip} ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *--target*) [ ! -e "$SPOILT" ] && mkdir -p .tools/uv.part/bin && cp "$UV" .tools/uv.part/bin/uv ;;
  *"pip install"*) {slow}[ ! -e "$SPOILT" ] || {{ echo "no such index" >&2; exit 1; }} ;;
  *sysconfig*) : ;;
  "-m imgnom"*) echo "site: $*" ;;
  tools/check_all.py*) echo "tests: $*" ;;
esac
"""
UV = r"""#!/bin/sh
echo "uv $* cache=$UV_CACHE_DIR" >> "$CALLS"
case "$*" in
  "python install"*) [ ! -e "$SPOILT" ] && mkdir -p .tools/python && cp "$FROM_UV" .tools/python/python ;;
  "python find"*) [ -e .tools/python/python ] && echo "$PWD/.tools/python/python" ;;
  venv*) shift $(($# - 1)); mkdir -p "$1/bin" && cp "$FROM_UV" "$1/bin/python" ;;
  *) : ;;
esac
"""


@dataclass
class Machine:
    folder: Path
    clone: Path
    programs: Path
    environ: dict[str, str] = field(default_factory=dict)

    def has(self, name: str, text: str) -> Path:
        file = self.programs / name
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)
        return file

    def has_python(self, name: str, minor: int, *, venvs: bool = True, pip: bool = True, slow: bool = False) -> Path:
        text = PYTHON.format(
            minor=minor,
            venvs="true" if venvs else "false",
            pip="true" if pip else "false",
            slow="sleep 0.5; " if slow else "",
        )
        return self.has(name, text)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(self.programs / "sh"), str(self.clone / "run"), *arguments],
            cwd="/",
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments)
        out, told = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, told)

    def calls(self, *words: str) -> list[str]:
        log = self.folder / "calls"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [line for line in lines if all(word in line for word in words)]

    def spoil(self) -> None:
        (self.folder / "spoilt").touch()

    def mend(self) -> None:
        (self.folder / "spoilt").unlink()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    clone = tmp_path / "내 사진 곳" / "im gnom"
    programs = tmp_path / "bin"
    clone.mkdir(parents=True)
    programs.mkdir()
    for name in ("run", *LOCKS):
        shutil.copy(ROOT / name, clone)
    for name in TOOLS:
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    made = Machine(tmp_path, clone, programs)
    from_uv = made.has_python("from-uv", 13)
    uv = made.has("uv-to-bring", UV)
    made.environ = {
        "PATH": str(programs),
        "CALLS": str(tmp_path / "calls"),
        "SPOILT": str(tmp_path / "spoilt"),
        "FROM_UV": str(from_uv),
        "UV": str(uv),
    }
    return made


def test_a_python_of_today_and_nothing_else_is_enough(machine: Machine) -> None:
    machine.has_python("python3", 12)
    done = machine.run()
    assert (done.returncode, done.stdout) == (0, "site: -m imgnom serve --demo\n"), done.stderr
    assert "preparing .venv with Python 3.12.0" in done.stderr
    assert machine.calls("pip install", "--require-hashes", "-r requirements.lock")
    assert not machine.calls("--target")


def test_the_second_start_prepares_nothing(machine: Machine) -> None:
    machine.has_python("python3", 12)
    machine.run()
    before = len(machine.calls())
    done = machine.run("doctor", "--json")
    assert (done.stdout, done.stderr) == ("site: -m imgnom doctor --json\n", "")
    assert len(machine.calls()) == before + 1


def test_the_newest_python_that_can_make_a_venv_is_taken(machine: Machine) -> None:
    machine.has_python("python3", 11)
    machine.has_python("python3.14", 14, venvs=False)
    machine.has_python("python3.13", 13)
    assert "with Python 3.13.0" in machine.run().stderr


def test_a_python_of_pyenv_is_found_although_no_shim_leads_there(machine: Machine) -> None:
    old = machine.has_python("python3", 11)
    home = machine.folder / "a home"
    for version, minor in (("3.12.9", 12), ("3.13.1", 13)):
        place = home / ".pyenv" / "versions" / version / "bin"
        place.mkdir(parents=True)
        shutil.copy(machine.has_python("later", minor), place / "python")
    machine.environ["HOME"] = str(home)
    assert "with Python 3.13.0" in machine.run().stderr
    assert old.exists()


def test_uv_is_used_where_it_stands_and_keeps_its_files_in_the_clone(machine: Machine) -> None:
    machine.has("uv", UV)
    machine.has_python("python3.13", 13, venvs=False, pip=False)
    done = machine.run("help")
    assert done.returncode == 0, done.stderr
    assert machine.calls("uv pip sync", "--require-hashes", f"cache={machine.clone}/.tools/cache")
    assert not machine.calls("-m pip install")
    assert not (machine.clone / ".tools" / "cache").exists()


def test_an_old_python_with_pip_brings_uv_by_its_hash_and_uv_brings_a_python(machine: Machine) -> None:
    machine.has_python("python3", 9)
    done = machine.run()
    assert (done.returncode, done.stdout) == (0, "site: -m imgnom serve --demo\n"), done.stderr
    assert machine.calls("python9", "--target .tools/uv.part", "--require-hashes", "-r requirements-uv.lock")
    assert machine.calls("uv python install")
    assert "with Python 3.13.0" in done.stderr


def test_a_python_without_venv_is_enough_when_pip_can_bring_uv(machine: Machine) -> None:
    machine.has_python("python3", 12, venvs=False)
    done = machine.run()
    assert done.returncode == 0, done.stderr
    assert machine.calls("uv venv", "--python", "python3")
    assert not machine.calls("uv python install")


def test_where_nothing_can_be_brought_it_is_said_what_to_install(machine: Machine) -> None:
    for prepare in (lambda: None, lambda: machine.has_python("python3", 11, pip=False)):
        prepare()
        done = machine.run()
        assert (done.returncode, done.stdout) == (1, "")
        assert "Python 3.12 or newer is needed" in done.stderr
        assert "apt-get install python3 python3-venv" in done.stderr


def test_a_python_that_was_named_wrongly_is_said(machine: Machine) -> None:
    machine.has_python("python3", 13)
    machine.environ["IMGNOM_PYTHON"] = "/nowhere/python"
    done = machine.run()
    assert done.returncode == 1
    assert "IMGNOM_PYTHON names no Python 3.12 or newer: /nowhere/python" in done.stderr


def test_an_install_that_failed_is_said_and_tried_again(machine: Machine) -> None:
    machine.has_python("python3", 12)
    machine.spoil()
    done = machine.run()
    assert done.returncode == 1
    assert "no such index" in done.stderr
    assert "the packages could not be installed" in done.stderr
    machine.mend()
    assert machine.run().returncode == 0


def test_the_list_for_tests_serves_running_but_not_the_other_way_round(machine: Machine) -> None:
    machine.has_python("python3", 12)
    machine.run("help")
    assert machine.run("test", "-k", "a b").stdout == "tests: tools/check_all.py -k a b\n"
    assert len(machine.calls("-m venv")) == 2
    machine.run("help")
    assert len(machine.calls("-m venv")) == 2


def test_a_clone_that_was_moved_is_prepared_anew(machine: Machine) -> None:
    machine.has_python("python3", 12)
    machine.run("help")
    machine.clone = machine.clone.rename(machine.clone.parent / "elsewhere")
    machine.run("help")
    assert len(machine.calls("-m venv")) == 2


def test_two_starts_at_once_prepare_once(machine: Machine) -> None:
    machine.has_python("python3", 12, slow=True)
    both = [machine.start("doctor") for _ in range(2)]
    told = "".join(process.communicate(timeout=60)[1] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert len(machine.calls("-m venv")) == 1
    assert "waiting for it" in told


def test_a_start_that_died_while_preparing_holds_nobody_up(machine: Machine) -> None:
    machine.has_python("python3", 12, slow=True)
    first = machine.start("doctor")
    while not machine.calls("pip install"):
        time.sleep(0.05)
    first.kill()
    first.communicate()
    done = machine.run("doctor")
    assert done.returncode == 0, done.stderr
    assert not (machine.clone / ".tools" / "preparing").exists()


def test_options_without_a_command_are_those_of_the_demo(machine: Machine) -> None:
    machine.has_python("python3", 12)
    assert machine.run("--port", "8080").stdout == "site: -m imgnom serve --demo --port 8080\n"
    assert machine.run("--help").stdout.splitlines()[-1] == "site: -m imgnom --help"


def test_help_tells_what_only_the_script_knows(machine: Machine) -> None:
    machine.has_python("python3", 12)
    lines = machine.run("help").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [["./run", "test"], ["./run", "bench"], ["./run", "COMMAND"]]
    assert lines[-1] == "site: -m imgnom help"


def test_nothing_is_written_outside_the_clone(machine: Machine) -> None:
    machine.has_python("python3", 9)
    home = machine.folder / "home"
    home.mkdir()
    machine.environ |= {"HOME": str(home), "PIP_USER": "1", "PYTHONPATH": "/nowhere"}
    assert machine.run().returncode == 0
    assert list(home.iterdir()) == []
    inside = {entry.name for entry in machine.clone.iterdir()}
    assert inside - {entry.name for entry in ROOT.iterdir()} <= {".venv", ".tools"}


@pytest.mark.parametrize("name", LOCKS)
def test_locked_lists_carry_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = [line for line in text.splitlines() if line and not line.startswith((" ", "#", "\t"))]
    assert entries
    assert all("==" in entry and entry.endswith("\\") for entry in entries)
    assert "://" not in text
    assert "index" not in text
    for block in text.split("\n"):
        assert not block.startswith("-")
