"""Everything that `./run` installs has a hash of ours, what builds the one source package included (V10).

The real script, the real pip, no network: the index is a folder with small packages of our own that are named like the
real ones. The build tool among them writes down that it ran.
"""

import base64
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import pytest
from tests.site.test_run_script import UV, Machine, machine

__all__ = ["machine"]

ROOT = Path(__file__).resolve().parents[2]
# Builds a wheel of the package's folder, and nothing else of setuptools.
BACKEND = """
import pathlib, re, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    pathlib.Path(RAN).write_text("yes")
    name, version = re.search(r'name = "(.*)"\\nversion = "(.*)"', open("pyproject.toml").read()).groups()
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder) / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "built = True\\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\\n{info}/METADATA,,\\n{info}/WHEEL,,\\n{info}/RECORD,,\\n")
    return f"{name}-{version}-py3-none-any.whl"
"""
PROJECT = """[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "{name}"
version = "1.0"
"""


def _locked(file: Path) -> str:
    name, version = re.split(r"-(?=\d)", file.name.removesuffix(".tar.gz"))[:2]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{name}=={version.partition('-')[0]} \\\n    --hash=sha256:{digest}\n"


def _wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    file = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(file, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(text.encode())}\n"
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return file


def _source(folder: Path, name: str) -> Path:
    file = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(file, "w:gz") as made:
        for path, text in (
            ("pyproject.toml", PROJECT.format(name=name)),
            ("PKG-INFO", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"),
        ):
            entry = tarfile.TarInfo(f"{name}-1.0/{path}")
            entry.size = len(text.encode())
            made.addfile(entry, io.BytesIO(text.encode()))
    return file


@dataclass
class Index:
    """A clone with the real script, and a folder that stands for the package index."""

    clone: Path
    files: Path
    environ: dict[str, str]

    def lock(self, name: str, *files: str) -> None:
        text = "".join(_locked(self.files / file) for file in files)
        (self.clone / f"{name}.lock").write_text(text, encoding="utf-8")

    def run(self, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["/bin/sh", str(self.clone / "run"), "help"],
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def backend_ran(self) -> bool:
        return (self.files / "ran").exists()

    def installed(self) -> set[str]:
        return {one.name.partition("-")[0] for one in self.clone.glob(".venv/lib/*/site-packages/*.dist-info")}


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(made)], check=True)
    return made


@pytest.fixture
def index(tmp_path: Path, venv: Path) -> Index:
    clone, files, home = (tmp_path / name for name in ("clone", "files", "home"))
    for folder in (clone, files, home):
        folder.mkdir()
    shutil.copy(ROOT / "run", clone)
    # Making a venv takes a second; it is copied instead.
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in "-m venv "*) exec cp -a "{venv}" "$3" ;; *) exec "{sys.executable}" "$@" ;; esac\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    _wheel(
        files,
        "setuptools",
        {"setuptools/__init__.py": "", "setuptools/build_meta.py": f"RAN = {str(files / 'ran')!r}{BACKEND}"},
    )
    for name in ("pkgconfig", "cffi", "django"):
        _wheel(files, name, {f"{name}.py": ""})
    for name in ("pyvips", "another"):
        _source(files, name)
    made = Index(
        clone,
        files,
        {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "IMGNOM_PYTHON": str(python),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(files),
            "PIP_CONFIG_FILE": os.devnull,
        },
    )
    made.lock(
        "requirements-build",
        "setuptools-1.0-py3-none-any.whl",
        "pkgconfig-1.0-py3-none-any.whl",
        "cffi-1.0-py3-none-any.whl",
    )
    made.lock("requirements", "cffi-1.0-py3-none-any.whl", "django-1.0-py3-none-any.whl", "pyvips-1.0.tar.gz")
    made.lock("requirements-dev")
    return made


def _spoil(file: Path) -> None:
    """Another file of the same name, whole and installable."""
    with zipfile.ZipFile(file, "a") as wheel:
        wheel.writestr("added_by_a_stranger.py", "")


def test_install_builds_pyvips_with_locked_tools_despite_odd_pip_settings(index: Index) -> None:
    odd = {
        "PIP_NO_BINARY": ":all:",
        "PIP_USER": "1",
        "PIP_TARGET": "/nowhere",
        "PIP_REQUIRE_HASHES": "0",
        "PIP_CONSTRAINT": "/nowhere",
        "PIP_BUILD_CONSTRAINT": "/nowhere",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_Dry_Run": "1",
    }
    done = index.run(**odd)
    assert (index.clone / ".venv" / ".stamp").exists(), done.stderr
    assert index.backend_ran
    assert index.installed() - {"pip"} == {"cffi", "django", "pyvips"}


def test_install_refuses_build_tool_with_other_hash(index: Index) -> None:
    _spoil(index.files / "setuptools-1.0-py3-none-any.whl")
    done = index.run()
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "the packages could not be installed" in done.stderr
    assert not index.backend_ran


def test_install_never_fetches_build_tool_that_is_not_locked(index: Index) -> None:
    index.lock("requirements-build", "pkgconfig-1.0-py3-none-any.whl", "cffi-1.0-py3-none-any.whl")
    assert index.run().returncode == 1
    assert not index.backend_ran
    assert "setuptools" not in index.installed()


def test_install_builds_no_source_but_pyvips(index: Index) -> None:
    index.lock("requirements", "cffi-1.0-py3-none-any.whl", "another-1.0.tar.gz")
    assert index.run().returncode == 1
    assert not index.backend_ran


def test_every_install_command_asks_for_hashes_and_wheels(machine: Machine) -> None:
    machine.has_python("python3", 12)
    assert machine.run("help").returncode == 0
    machine.has("uv", UV)
    assert machine.run("test").returncode == 0
    (machine.programs / "uv").unlink()
    shutil.rmtree(machine.clone / ".venv")
    (machine.programs / "python3").unlink()
    machine.has_python("python3", 9)
    assert machine.run("help").returncode == 0
    commands = [call for call in machine.calls("pip") if " install " in call or " sync " in call]
    assert len(commands) == 7
    for command in commands:
        assert "--require-hashes --only-binary :all:" in command
        assert ("--no-binary" in command) == ("--no-build-isolation" in command)
        assert command.count("--no-binary") == command.count("--no-binary pyvips")


def test_install_commands_stand_in_run_alone() -> None:
    """What else calls a package manager is named: apt, whose packages are signed."""
    words = re.compile(r"\b(pip3?|uv|npm|npx|conda|easy_install|pipx)[\"', ]+(install|sync|add|download|exec|run)\b")
    places = [*ROOT.glob("*"), *ROOT.glob(".*"), *(ROOT / ".ci").glob("*")]
    places += [path for folder in ("tools", "benchmarks", "src") for path in (ROOT / folder).rglob("*.py")]
    found = {path.name for path in places if path.is_file() and words.search(path.read_text(errors="replace"))}
    assert found == {"run"}


def _entries(name: str) -> dict[str, tuple[str, set[str]]]:
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(
        r"^([\w.-]+)(?:\[[\w,]+\])?==([^\s;]+)[^\n]*\n((?:    --hash=\S+[ \\]*\n?)+)", text, re.MULTILINE
    )
    return {one: (version, set(re.findall(r"sha256:[0-9a-f]{64}", hashes))) for one, version, hashes in blocks}


def test_build_tools_are_locked_and_agree_with_what_runs() -> None:
    build = _entries("requirements-build.lock")
    # What pyvips names in its pyproject.toml under `requires`, and what that needs.
    assert set(build) == {"setuptools", "pkgconfig", "cffi", "pycparser"}
    for name in ("requirements.lock", "requirements-dev.lock"):
        running = _entries(name)
        for tool in ("cffi", "pycparser"):
            assert running[tool][0] == build[tool][0]
        # `run` takes these out of .venv again.
        assert not {"setuptools", "pkgconfig"} & set(running)
        # One file only, which is a source: a second one must come into requirements-build.in with what builds it.
        assert [one for one, (_, hashes) in running.items() if len(hashes) == 1] == ["pyvips"]


def test_pyvips_here_was_built_by_the_locked_setuptools() -> None:
    wheel = distribution("pyvips").read_text("WHEEL") or ""
    assert f"Generator: setuptools ({_entries('requirements-build.lock')['setuptools'][0]})" in wheel
