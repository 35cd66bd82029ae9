"""A throw-away or cached home, and Django started in it."""

import hashlib
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

CACHE = Path(__file__).parent / ".cache"
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def start_django(home: Path) -> None:
    """Django in rehearsal mode, its clock standing at NOW, in `home`."""
    for name in [name for name in os.environ if name.startswith("IMGNOM_")]:
        del os.environ[name]
    home.mkdir(parents=True, exist_ok=True)
    (home / "clock").write_text(NOW.isoformat(), encoding="ascii")
    os.environ |= {
        "IMGNOM_MODE": "rehearsal",
        "IMGNOM_HOME": str(home),
        "IMGNOM_CLOCK_FILE": str(home / "clock"),
        "DJANGO_SETTINGS_MODULE": "imgnom.site.settings",
    }
    import django

    django.setup()
    from imgnom.site.serve import prepare

    prepare()


def schema_mark() -> str:
    """Changes whenever a migration or the seeding does, so that no home of other tables is ever taken for one of these."""
    root = Path(__file__).resolve().parents[1]
    paths = [*sorted((root / "src").rglob("migrations/*.py")), Path(__file__).with_name("seed.py")]
    return hashlib.blake2b(b"".join(path.read_bytes() for path in paths), digest_size=4).hexdigest()


def empty_home(name: str) -> Path:
    """A folder of that name with nothing in it."""
    shutil.rmtree(CACHE / name, ignore_errors=True)
    return CACHE / name


def copy_of(home: Path, target: Path) -> Path:
    """A copy that may be spoilt. No process may have the stores of `home` open."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(home, target, ignore=shutil.ignore_patterns("*.tally", "tmp"))
    return target


def say(words: str) -> None:
    print(f"  {words}", file=sys.stderr, flush=True)
