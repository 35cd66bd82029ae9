"""Django's DATABASES from the environment: one SQLite file per store by default, PostgreSQL where a URL says so."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from imgnom.site.environment import STORES, Environment

# Stores whose acknowledged writes must survive a power cut; the others may lose the last moments.
FULL_SYNC = ("vault", "archive", "keys", "ledger")


def _sqlite(path: Path, *, full_sync: bool) -> dict[str, Any]:
    pragmas = (
        "PRAGMA journal_mode=WAL;"
        f"PRAGMA synchronous={'FULL' if full_sync else 'NORMAL'};"
        "PRAGMA secure_delete=ON;"
        "PRAGMA journal_size_limit=4194304;"
        "PRAGMA temp_store=MEMORY;"
    )
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        # Opening a file anew for each request costs a fifth of a page; an idle connection holds no lock.
        "CONN_MAX_AGE": 60,
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": pragmas},
    }


def _postgresql(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    options["pool"] = {"min_size": 1, "max_size": 6, "timeout": 10}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": options,
    }


def databases(environment: Environment) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    for store in STORES:
        url = environment.database_urls[store]
        if url.startswith(("postgresql:", "postgres:")):
            made[store] = _postgresql(url)
        else:
            path = Path(urlsplit(url).path) if url else environment.home / "db" / f"{store}.sqlite3"
            made[store] = _sqlite(path, full_sync=store in FULL_SYNC)
    return made
