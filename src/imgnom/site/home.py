"""The folders a site writes to, and the mark that keeps toys and real sites apart.

A real site's home and keyring are never opened by demo or rehearsal, where everybody may move time and sign in as
anybody; and nobody's real data grows in what was a toy.
"""

from datetime import UTC, datetime
from pathlib import Path

from imgnom.site.environment import Environment, EnvironmentError_

MARK = "kind-of-site"
FOLDERS = ("db", "static", "tmp", "media")


def _claim(folder: Path, variable: str, kind: str) -> None:
    mark = folder / MARK
    if not mark.exists():
        mark.write_text(f"{kind}\n", encoding="ascii")
    found = mark.read_text(encoding="ascii").strip()
    if found != kind:
        words = {
            "real": f"{variable}: {folder} belongs to a real site; demo and rehearsal never touch one.",
            "toy": f"{variable}: {folder} was made by a demo or a rehearsal; a real site begins in a folder of its own.",
        }
        raise EnvironmentError_(words.get(found, f"{mark} is not ours: it must say real or toy."))


def made_at(folder: Path) -> datetime | None:
    """When a site first claimed this folder; None where none did."""
    try:
        return datetime.fromtimestamp((folder / MARK).stat().st_mtime, tz=UTC)
    except OSError:
        return None


def prepare_home(environment: Environment) -> None:
    """The folders exist and are of this kind of site. Raises EnvironmentError_ with one line."""
    kind = "toy" if environment.is_toy else "real"
    try:
        environment.home.mkdir(parents=True, exist_ok=True)
        _claim(environment.home, "IMGNOM_HOME", kind)
        for name in FOLDERS:
            (environment.home / name).mkdir(exist_ok=True)
        if environment.keyring.is_dir():
            _claim(environment.keyring, "IMGNOM_KEYRING", kind)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds something else"
        raise EnvironmentError_(f"IMGNOM_HOME: {environment.home} cannot be used ({reason}).") from None
