"""The import contracts of pyproject.toml, each fed a house that breaks it: a contract that cannot fail proves nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINTER = Path(sys.executable).parent / "lint-imports"


def _lint(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINTER), "--no-cache", "--config", str(root / "pyproject.toml")],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root / "src"), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the source and its contracts, to be spoilt."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "src",
        tmp_path / "src",
        ignore=shutil.ignore_patterns("*.html", "*.css", "*.js", "*.jpg", "*.webp", "*.svg", "__pycache__"),
    )
    return tmp_path


SPOILT: Mapping[str, tuple[str, str, str]] = {
    "a floor nobody declared": ("attic/__init__.py", "", "Floors point down"),
    "a room of custody nobody declared": ("custody/cellar/__init__.py", "", "Rooms of custody"),
    "a room of the community nobody declared": ("community/games/__init__.py", "", "Rooms of the community"),
    "a room of the procedures nobody declared": ("procedures/payment/__init__.py", "", "Rooms of the procedures"),
    "custody imports the community": (
        "custody/guard/upwards.py",
        "from imgnom.community.members import public\n",
        "Floors point down",
    ),
    "members import images": (
        "community/members/upwards.py",
        "from imgnom.community.images import public\n",
        "Rooms of the community",
    ),
    "keys import the vault": (
        "custody/keys/upwards.py",
        "def later() -> None:\n    from imgnom.custody.vault import public\n",
        "Rooms of custody",
    ),
    "moderation imports retention": (
        "procedures/moderation/upwards.py",
        "from imgnom.procedures.retention import public\n",
        "Rooms of the procedures",
    ),
    "the policy asks Django": ("policy/impure.py", "from django.conf import settings\n", "The policy is pure"),
    "the policy asks the time": ("policy/impure.py", "import time\n", "The policy is pure"),
    "a new reader of plaintext": (
        "community/members/curious.py",
        "from imgnom.custody.vault.reveal import reveal\n",
        "Plaintext is opened",
    ),
    "a new reader beside the door": (
        "site/curious.py",
        "from imgnom.custody.vault import reveal\n",
        "Plaintext is opened",
    ),
    "a new place with primitives": (
        "custody/vault/own_cipher.py",
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM\n",
        "Cryptography is imported",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(SPOILT))
def test_a_broken_house_fails_its_contract(house: Path, name: str) -> None:
    path, text, contract = SPOILT[name]
    file = house / "src" / "imgnom" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    (file.parent / "__init__.py").touch()
    file.write_text(text, encoding="utf-8")
    done = _lint(house)
    assert done.returncode != 0
    assert any(contract in line and "BROKEN" in line for line in done.stdout.splitlines()), done.stdout[-2000:]


def test_a_cycle_inside_the_web_fails(house: Path) -> None:
    web = house / "src" / "imgnom" / "web"
    (web / "hen.py").write_text("from imgnom.web import egg\n", encoding="utf-8")
    (web / "egg.py").write_text("from imgnom.web import hen\n", encoding="utf-8")
    done = _lint(house)
    assert done.returncode != 0
    assert "No cycles inside the web and the site either BROKEN" in done.stdout


def test_the_house_as_it_stands_keeps_all(house: Path) -> None:
    done = _lint(house)
    assert done.returncode == 0, done.stdout[-3000:]
