"""Django's DATABASES from the environment: one SQLite file per store by default, PostgreSQL where a URL says so.

    sqlite:///srv/imgnom/vault.sqlite3                          an absolute path
    postgresql://role:word@host:5432/name?sslmode=verify-full   every option of libpq after the question mark
    postgresql://role@/name?host=/run/postgresql                a Unix socket

`pool_size` is ours, not libpq's: how many connections one process may hold to that store.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import psycopg
from django.db import DatabaseError, connections
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresqlWrapper
from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from imgnom.site.environment import STORES, Environment, EnvironmentError_, variable_of_store

# Stores whose acknowledged writes must survive a power cut; the others may lose the last moments.
FULL_SYNC = ("vault", "archive", "keys", "ledger")
# A web process has four threads for pages, one that writes visits, and some for uploads, of which two or three work and
# the others wait for their turn without a connection.
POOL_SIZE = 8
CONNECT_SECONDS = "5"
POOL_WAIT_SECONDS = 4.0
# A machine that vanished without a word is given up within ten seconds of a question, and within twenty of silence: the
# system's own patience is a quarter of an hour, and every request would share it.
GIVEN_UP = {"tcp_user_timeout": "10000", "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "2"}
# So long a change waits for another one that holds its store or its row.
LOCK_SECONDS = 20


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
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": LOCK_SECONDS, "init_command": pragmas},
    }


def _sqlite_path(variable: str, parts: SplitResult) -> Path:
    path = unquote(parts.path)
    if parts.netloc or not path.startswith("/") or parts.query or path.endswith("/"):
        raise EnvironmentError_(f"{variable} must name an absolute path, as sqlite:///srv/imgnom/store.sqlite3.")
    return Path("/" + path.lstrip("/"))


def _pool_size(variable: str, options: dict[str, Any]) -> int:
    text = str(options.pop("pool_size", POOL_SIZE))
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise EnvironmentError_(f"{variable}: pool_size must be a number from 1 to 100.")
    return int(text)


def _postgresql(variable: str, parts: SplitResult) -> dict[str, Any]:
    try:
        port = parts.port
    except ValueError:
        raise EnvironmentError_(f"{variable}: the port must be a number from 1 to 65535.") from None
    name = unquote(parts.path.removeprefix("/"))
    if not name or "/" in name:
        raise EnvironmentError_(f"{variable} must name a database, as postgresql://role@host/name.")
    options: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
    size = _pool_size(variable, options)
    try:
        make_conninfo(**options)
    except ProgrammingError as error:
        raise EnvironmentError_(f"{variable}: {str(error).strip()}.") from None
    for option, value in ({"connect_timeout": CONNECT_SECONDS} | GIVEN_UP).items():
        options.setdefault(option, value)
    options.setdefault("options", f"-c lock_timeout={int(LOCK_SECONDS * 1000)}")
    # A server that is away is told within seconds, so that waiting requests do not pile up; each new request asks anew.
    options["pool"] = {
        "min_size": 1,
        "max_size": size,
        "timeout": POOL_WAIT_SECONDS,
        "reconnect_timeout": POOL_WAIT_SECONDS,
    }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(port or ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": options,
    }


def _place(made: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes two stores one and the same database."""
    options = made["OPTIONS"]
    return (
        str(made["NAME"]),
        str(made.get("HOST") or options.get("host", "")),
        str(made.get("PORT") or options.get("port", "")),
    )


def _ensure_apart(made: Mapping[str, Mapping[str, Any]]) -> None:
    """Two stores in one database would share tables, and what must never meet would lie side by side."""
    seen: dict[tuple[str, ...], str] = {}
    for store, facts in made.items():
        first = seen.setdefault(_place(facts), store)
        if first != store:
            raise EnvironmentError_(
                f"{variable_of_store(store)} names the same database as {variable_of_store(first)}: each store is its own."
            )


def databases(environment: Environment) -> dict[str, dict[str, Any]]:
    """DATABASES for Django. Raises EnvironmentError_ with one line for a URL that cannot be meant."""
    made: dict[str, dict[str, Any]] = {}
    for store in STORES:
        url, variable = environment.database_urls[store], variable_of_store(store)
        full_sync = store in FULL_SYNC
        if not url:
            made[store] = _sqlite(environment.home / "db" / f"{store}.sqlite3", full_sync=full_sync)
            continue
        try:
            parts = urlsplit(url)
        except ValueError:
            raise EnvironmentError_(f"{variable} is no URL.") from None
        if parts.scheme in ("postgresql", "postgres"):
            made[store] = _postgresql(variable, parts)
        else:
            made[store] = _sqlite(_sqlite_path(variable, parts), full_sync=full_sync)
    _ensure_apart(made)
    return made


def _trouble(store: str) -> str:
    """Why this store cannot be used, in one line without its password; empty when it can."""
    connection = connections[store]
    try:
        if connection.vendor == "postgresql":
            # Not through the pool: it would go on trying, and say nothing of the reason.
            with psycopg.connect(**connection.get_connection_params()) as asked:
                version = asked.info.server_version
            least = connection.features.minimum_database_version or (0,)
            return "" if version >= least[0] * 10_000 else f"PostgreSQL {least[0]} or newer is needed"
        connection.ensure_connection()
    except (psycopg.Error, DatabaseError, OSError) as error:
        words = " ".join(str(error).split())
        return (
            words if connection.vendor == "postgresql" else f"{words}: {_where(Path(connection.settings_dict['NAME']))}"
        )
    return ""


def _where(file: Path) -> str:
    """Which file it is, and whether it lies where nothing can be written: then that is the reason."""
    is_shut = file.parent.is_dir() and not os.access(file.parent, os.W_OK)
    return f"{file}{', in a folder that cannot be written' if is_shut else ''}"


def close_stores() -> None:
    """No connection is left, pools included: a parent that only supervises holds none.

    Also the last thing a process does: the interpreter would wait in vain for the threads of an open pool.
    """
    connections.close_all()
    # Asking a connection for its pool would open one; only those that exist are closed.
    pools: dict[str, ConnectionPool] = vars(PostgresqlWrapper)["_connection_pools"]
    while pools:
        pools.popitem()[1].close()


def ensure_reachable() -> None:
    """Every store answers. Raises EnvironmentError_ with one line that names the first that does not."""
    for store in STORES:
        trouble = _trouble(store)
        if trouble:
            raise EnvironmentError_(f"{variable_of_store(store)}: the store cannot be reached ({trouble}).")
