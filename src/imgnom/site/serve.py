"""`imgnom serve`: migrate, check keys and policy, then one process tree of web processes and worker (see `supervisor`)."""

import os
import signal
import socket
import sys
from contextlib import closing
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from imgnom.community.images.public import WrongDecoder, check_decoder
from imgnom.community.visits.public import prepare_months
from imgnom.custody.consent.public import adopt_policy
from imgnom.custody.in_force import PolicyUnapproved, approved_policy, ensure_approved
from imgnom.custody.keys.public import KeysError, compact, ensure_keyring, upgrade_keyring
from imgnom.custody.ledger.public import make_checkpoint
from imgnom.policy.public import SYSTEM, PolicyError, load_policy
from imgnom.site.clock import ClockWrong, now
from imgnom.site.database_roles import RolesMissing, grant_web_rights, web_environment
from imgnom.site.databases import close_stores
from imgnom.site.environment import EnvironmentError_, address_file, mode_file
from imgnom.site.owner_only import correct_modes
from imgnom.site.start_checks import ensure_may_start
from imgnom.site.supervisor import WEB_TRIES, Child, Tree, web_command
from imgnom.web.beat import read_beat, write_beat
from imgnom.web.room import MIB, keep_reserve
from imgnom.web.uploads import MAX_REQUEST_BYTES, TAKES_FILES

BACKLOG = 1024


def migrate_all() -> None:
    """Every store has the tables of this version; stores that have them already are left alone."""
    for alias in connections:
        executor = MigrationExecutor(connections[alias])
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", database=alias, interactive=False, verbosity=0)
            if executor.loader.applied_migrations:
                compact(alias)  # what the migration replaced is in no log of the store


def correct_home() -> None:
    """What an earlier version or another hand left open to others is closed, and told."""
    if count := correct_modes(settings.IMGNOM):
        print(
            f"imgnom: {count} files and folders of this site were open to other users of the machine; they are not any "
            "more. If strangers have accounts here: imgnom keys turn.",
            file=sys.stderr,
            flush=True,
        )


def prepare() -> None:
    """Everything that must be true before the doors open. Ends the process with one line otherwise."""
    try:
        policy, at = load_policy(settings.IMGNOM.policy), now()
        ensure_may_start(settings.IMGNOM, policy)
        if settings.IMGNOM.is_toy:
            mode_file(settings.IMGNOM.home).write_text(settings.IMGNOM.mode, encoding="ascii")
            address_file(settings.IMGNOM.home).write_text(settings.IMGNOM.base_url, encoding="ascii")
        if "keys_epoch" in connections["keys"].introspection.table_names():
            # Stores of another site, or of a real one under a toy's keyring, are left as they are.
            ensure_keyring(now=at)
        migrate_all()
        prepare_months(now=at)
        grant_web_rights()
        ensure_keyring(now=at)
        upgrade_keyring(now=at)
        ensure_approved(policy, approved=approved_policy())
    except (
        EnvironmentError_, PolicyError, PolicyUnapproved, ClockWrong, KeysError, RolesMissing, OSError,
    ) as error:  # fmt: skip
        sys.exit(f"imgnom: {error}")
    adopt_policy(policy, now=at, by=SYSTEM)
    # The first one names the ledger; from then on the name stands, whatever the address.
    make_checkpoint(now=at)


def ensure_decoder() -> None:
    """Ends the process with one line where pictures would be opened by a libvips that is not ours."""
    try:
        check_decoder()
    except WrongDecoder as error:
        sys.exit(f"imgnom: {error}")


def hold_port(host: str, port: int) -> socket.socket:
    """The listening socket of the site, for this process and its web processes. Ends the process with one line otherwise.

    The parent holds it as long as the site lives: whoever comes while a web process is being replaced, or while a demo
    makes its people, waits in the queue of the socket. Nobody else can listen there.
    """
    held = None
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        held = socket.socket(family, kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
        held.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        if held is not None:
            held.close()
        reason = error.strerror if isinstance(error, OSError) else "a port is a number from 1 to 65535"
        sys.exit(f"imgnom: {host}:{port} cannot be used ({reason}). Choose another with --host and --port.")
    return held


def web_limits() -> dict[str, object]:
    """The limits of one web process, as the environment asks for them."""
    asked = settings.IMGNOM
    return {
        "client_seconds": asked.client_seconds,
        "min_rate": asked.min_rate,
        "max_connections": asked.max_connections,
        "max_connections_per_address": asked.max_connections_per_address,
        "upload_bytes": asked.upload_memory_mib * MIB,
        "max_upload_bytes": MAX_REQUEST_BYTES,
        "upload_paths": list(TAKES_FILES),
    }


def web_processes(listener: socket.socket, *, count: int) -> list[Child]:
    environ = web_environment(os.environ)
    command = web_command(listener, web_limits(), settings.IMGNOM.trusted_proxies)
    host = urlsplit(settings.IMGNOM.base_url).netloc
    return [
        Child("web server", command, WEB_TRIES, environ, inherits=(listener.fileno(),), probe_host=host, has_pulse=True)
        for _ in range(count)
    ]


def welcome() -> str:
    """The lines for whoever just started the site."""
    base, demo = settings.IMGNOM.base_url, settings.IMGNOM.mode == "demo"
    lines = [f"gallery     {base}/"]
    if demo:
        lines.append(f"demo        {base}/demo")
    lines.append(f"promises    {base}/privacy/board")
    if demo:
        lines.append("rehearse    ./run rehearse")
    return "\n".join(lines)


def serve(*, host: str, port: int, workers: int, with_worker: bool = True) -> int:
    held = hold_port(host, port)
    ensure_decoder()
    correct_home()
    if settings.IMGNOM.mode == "demo":
        from imgnom.site.demo.prepare import clear_unfinished

        clear_unfinished()
    prepare()
    if settings.IMGNOM.mode == "demo":
        from imgnom.site.demo.prepare import prepare_demo

        prepare_demo()
    keep_reserve()
    if with_worker and read_beat() is None:
        write_beat(alive_at=now(), done_at=now())  # from here on the board counts the hours of a missing worker
    close_stores()
    webs = web_processes(held, count=workers)
    children = list(webs)
    if with_worker:
        children.append(Child("worker", [sys.executable, "-m", "imgnom", "worker"], None, has_pulse=True))
    tree = Tree(children)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, tree.stop)

    def started() -> bool:
        if all(web.has_answered for web in webs):
            print(welcome(), flush=True)
            return True
        return False

    with closing(held):
        return tree.run(when_started=started)
