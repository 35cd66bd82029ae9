"""A site that would open pictures by a wrong libvips does not start, and says so in one line.

The wrong one is a fake module named `pyvips`, first on the path of a Python made for it; all other packages are the real ones.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.live import free_port

ROOT = Path(__file__).parents[2]
FAKE = '''
"""A fake pyvips, made by a test."""
import ctypes
class Error(Exception):
    message = detail = ""
class Image:
    @staticmethod
    def new_from_buffer(data, options):
        if OPENS: return Image()
        raise Error
    @staticmethod
    def black(*size, **more): return Image()
    def copy(self, **more): return self
    def avg(self): return 0
    def _done(self, *given, **more): return self
    jpegsave_buffer = pngsave_buffer = webpsave_buffer = heifsave_buffer = _done
    @staticmethod
    def _load(source): return Image()
    jpegload_source = pngload_source = webpload_source = gifload_source = _load
    if HAS_HEIF: heifload_source = _load
class Source:
    @staticmethod
    def new_from_memory(data): return Source()
def version(part): return VERSION[part]
def cache_set_max(count): pass
def operation_block_set(name, state): pass
'''
PLAIN = {"VERSION": "(8, 18, 7)", "OPENS": "False", "HAS_HEIF": "True"}
WRONG: dict[str, tuple[dict[str, str], str]] = {
    "too old": ({"VERSION": "(8, 14, 1)"}, "imgnom: libvips 8.14.1 is too old, 8.18.3 is needed. Install pyvips-binary again, as the last."),
    "without AVIF": ({"HAS_HEIF": "False"}, "imgnom: libvips 8.18.7 cannot open avif. Install pyvips-binary again, as the last."),
    "too open": ({"OPENS": "True"}, "imgnom: libvips 8.18.7 opens files that are no pictures of ours. Install pyvips-binary again."),
}  # fmt: skip


def wrong_python(folder: Path, facts: dict[str, str], *, more: str = "") -> Path:
    """A Python that finds the fake first and everything else where this one has it."""
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    base = Path(sys.base_prefix) / "bin"
    (folder / "pyvenv.cfg").write_text(f"home = {base}\n")
    python = folder / "bin" / "python"
    python.symlink_to(Path(sys._base_executable))  # type: ignore[attr-defined]
    head = "\n".join(f"{name} = {value}" for name, value in (PLAIN | facts).items())
    (packages / "pyvips.py").write_text(head + FAKE + more)
    (packages / "real.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT / 'src'}\n")
    return python


def told(python: Path, *command: str, home: Path) -> tuple[int, str]:
    environment = {"IMGNOM_HOME": str(home), "IMGNOM_MODE": "demo", "PATH": ""}
    done = subprocess.run(
        [python, "-m", "imgnom", *command], capture_output=True, text=True, check=False, timeout=60, env=environment, cwd="/"
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.clause("A2.1")
@pytest.mark.parametrize("name", WRONG)
def test_server_worker_and_doctor_say_what_is_wrong(tmp_path: Path, name: str) -> None:
    facts, line = WRONG[name]
    python = wrong_python(tmp_path / "python", facts)
    home = tmp_path / "home"
    for command in (("serve", "--demo", "--port", str(free_port())), ("worker",)):
        assert told(python, *command, home=home) == (1, line + "\n")
    assert not (home / "imgnom.sqlite3").exists(), "nothing was made"
    status, words = told(python, "doctor", home=home)
    assert status != 0
    assert line.removeprefix("imgnom: ") in words


@pytest.mark.clause("A2.1")
def test_the_systems_libvips_is_told_by_its_place(tmp_path: Path) -> None:
    """What an install from source beside the system's headers does: a right version, from the wrong place."""

    library = next(Path(sysconfig.get_path("purelib")).glob("pyvips_binary.libs/libvips*.so*"))
    place = tmp_path / "usr" / "lib" / "libvips.so.42"
    place.parent.mkdir(parents=True)
    shutil.copyfile(library, place)
    python = wrong_python(tmp_path / "python", {}, more=f"\nctypes.CDLL({str(place)!r})\n")
    status, words = told(python, "worker", home=tmp_path / "home")
    assert status == 1
    assert words == (
        f"imgnom: libvips 8.18.7 is the system's ({place}), not the one of the packages. Install pyvips-binary again, as the last.\n"
    )


@pytest.mark.clause("A2.1")
def test_a_libvips_that_cannot_be_loaded_is_told_too(tmp_path: Path) -> None:
    python = wrong_python(tmp_path / "python", {}, more="\nraise ImportError('no library')\n")
    status, words = told(python, "worker", home=tmp_path / "home")
    assert (status, words) == (
        1,
        "imgnom: libvips cannot be loaded. Install the packages of requirements.lock again.\n",
    )
