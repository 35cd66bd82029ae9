"""A throw-away PostgreSQL for tests and for looking: one role and one database per store, gone when it ends.

    python tools/postgres.py COMMAND ARGS…      run COMMAND with the six IMGNOM_*DATABASE_URL set, then stop

Looks for the server's programs and installs them with apt where it may. The server never runs as root (it refuses
to), listens on loopback only, keeps its files in a temporary folder and does not sync them: never for real data.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

STORES = ("default", "logs", "vault", "archive", "keys", "ledger")
# Six stores, four test workers, each with a small pool.
CONNECTIONS = 400


class PostgresMissing(Exception):
    """PostgreSQL is not here and cannot be installed, or does not start. The text says what to do."""


def variable_of(store: str) -> str:
    return "IMGNOM_DATABASE_URL" if store == "default" else f"IMGNOM_{store.upper()}_DATABASE_URL"


def find_programs() -> Path | None:
    """The folder of the newest server's programs."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda p: float(p.parts[-3]) if p.parts[-3].replace(".", "").isdigit() else 0,
    )
    if found:
        return found[-1].parent
    asked = shutil.which("pg_config")
    if asked:
        folder = Path(subprocess.run([asked, "--bindir"], capture_output=True, text=True, check=False).stdout.strip())
        if (folder / "initdb").exists():
            return folder
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def bring_postgres() -> Path:
    """The folder of the programs, installed first where that is possible. Raises PostgresMissing."""
    found = find_programs()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing PostgreSQL with apt (once)", file=sys.stderr, flush=True)
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "postgresql"]):
            subprocess.run(["apt-get", *command], env=environ, check=False, stdout=subprocess.DEVNULL)
        found = find_programs()
    if found is None:
        raise PostgresMissing("No PostgreSQL was found and none could be installed (apt-get install postgresql).")
    return found


def _as_whom() -> tuple[list[str], pwd.struct_passwd]:
    """How to run the server's programs, and as whom: root steps down, anybody else stays."""
    if os.geteuid() != 0:
        return [], pwd.getpwuid(os.geteuid())
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return ["runuser", "-u", name, "--"], pwd.getpwnam(name)
    raise PostgresMissing("PostgreSQL refuses to run as root, and there is no user to step down to.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[str], folder: Path, **more: object) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    if done.returncode:
        raise PostgresMissing(f"{Path(command[-1] if not command else command[0]).name} failed: {done.stderr.strip()}")


@contextmanager
def postgres() -> Iterator[str]:
    """A running server. Gives the pattern of its URLs, with `{store}` where the store's name goes.

    Each store's role owns its own database, may make test databases, and may not connect to another store's.
    Raises PostgresMissing.
    """
    programs = bring_postgres()
    step_down, who = _as_whom()
    folder = Path(tempfile.mkdtemp(prefix="imgnom-pg-"))
    os.chown(folder, who.pw_uid, who.pw_gid)
    data, port, word = folder / "data", _free_port(), secrets.token_hex(16)
    secret = folder / "superuser"
    secret.write_text(word, encoding="ascii")
    os.chown(secret, who.pw_uid, who.pw_gid)
    control = [*step_down, str(programs / "pg_ctl"), "-D", str(data), "-w", "-t", "60"]
    try:
        _run(
            [*step_down, str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--pwfile", str(secret), "-A", "scram-sha-256",
             "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            folder,
        )  # fmt: skip
        settings = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "max_connections": CONNECTIONS,
            "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "256MB", "shared_buffers": "128MB",
            "log_min_messages": "error", "autovacuum": "off", "wal_recycle": "off", "log_min_error_statement": "panic", "log_error_verbosity": "terse",
        }  # fmt: skip
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        # Output goes to a file: a pipe held by the server would never end.
        _run([*control, "-l", str(folder / "log"), "start"], folder)
        _make_stores(programs, port, word, folder)
        yield f"postgresql://imgnom_{{store}}:{word}@127.0.0.1:{port}/imgnom_{{store}}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], cwd=folder, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _make_stores(programs: Path, port: int, word: str, folder: Path) -> None:
    lines = []
    for store in STORES:
        name = f"imgnom_{store}"
        lines += [
            f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD '{word}';",
            f"CREATE DATABASE {name} OWNER {name};",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;",
        ]
    psql = [str(programs / "psql"), "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
    _run(psql, folder, input="\n".join(lines), env=os.environ | {"PGPASSWORD": word})


def urls(pattern: str) -> Mapping[str, str]:
    return {variable_of(store): pattern.format(store=store) for store in STORES}


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with postgres() as pattern, suppress(KeyboardInterrupt):
            return subprocess.run(arguments, env=os.environ | dict(urls(pattern)), check=False).returncode
    except PostgresMissing as missing:
        print(f"postgres: {missing}", file=sys.stderr)
        return 1
    return 130


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
