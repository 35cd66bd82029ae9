"""The `imgnom` command. Each verb parses, calls one use case, prints words or JSON, and exits 0 only for success."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from imgnom.site.environment import STORES
from imgnom.site.owner_only import keep_to_owner

Verb = Callable[[argparse.Namespace], int]


def _start_django() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imgnom.site.settings")
    import django

    django.setup()
    from imgnom.site.databases import ensure_reachable
    from imgnom.site.environment import EnvironmentError_

    try:
        ensure_reachable()
    except EnvironmentError_ as error:
        sys.exit(f"imgnom: {error}")


class NoSite(Exception):
    """There is nothing here yet to work on."""


def _start_site() -> None:
    """Django, with the stores of a site that was served at least once. Raises NoSite."""
    _start_django()
    from django.db import connections

    from imgnom.site.occupied import occupy

    occupy()
    if "keys_epoch" not in connections["keys"].introspection.table_names():
        raise NoSite("this home holds no site yet, or one of an older version. Start it once: imgnom serve")


def _print(facts: Any, *, as_json: bool, words: Callable[[Any], str]) -> None:
    print(json.dumps(facts, ensure_ascii=False, indent=1, default=str) if as_json else words(facts))


def _address(host: str, port: int) -> str:
    """Where a browser on this machine finds a server that listens there."""
    reach = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, nothing is bound
    return f"http://[{reach}]:{port}" if ":" in reach else f"http://{reach}:{port}"


def _serve(args: argparse.Namespace) -> int:
    if args.demo:
        os.environ["IMGNOM_MODE"] = "demo"
    from imgnom.site.environment import EnvironmentError_, mode_of

    # A wrong value is told by the settings, in a moment.
    with suppress(EnvironmentError_):
        if mode_of(os.environ) != "production":
            os.environ.setdefault("IMGNOM_BASE_URL", _address(args.host, args.port))
    _start_django()
    from imgnom.site.occupied import occupy
    from imgnom.site.serve import serve

    occupy()
    return serve(host=args.host, port=args.port, workers=args.workers, with_worker=not args.no_worker)


def _worker(args: argparse.Namespace) -> int:
    _start_django()
    from imgnom.site.serve import ensure_decoder

    ensure_decoder()
    _start_site()
    from django.conf import settings

    from imgnom.custody.in_force import policy_in_force
    from imgnom.site.pulse import answer_pulses
    from imgnom.site.serve import correct_home
    from imgnom.site.start_checks import ensure_may_start
    from imgnom.site.worker import run_worker

    ensure_may_start(settings.IMGNOM, policy_in_force())

    correct_home()
    if args.pulse is not None:
        answer_pulses(args.pulse)
    return run_worker()


def _rehearse(args: argparse.Namespace) -> int:
    from imgnom.site.rehearsal.command import is_for_a_board, rehearse_command, rehearse_for_board

    if not is_for_a_board(args):
        return rehearse_command(args)
    _start_site()
    return rehearse_for_board(args)


def _policy(args: argparse.Namespace) -> int:
    if args.act == "approve" or (args.act == "diff" and not args.folders):
        _start_site()
    from imgnom.site.policy_command import policy_command

    return policy_command(args)


def _retention(args: argparse.Namespace) -> int:
    _start_site()
    from imgnom.site.retention_command import retention_command

    return retention_command(args)


def _ledger(args: argparse.Namespace) -> int:
    _start_site()
    from imgnom.site.ledger_command import ledger_command

    return ledger_command(args)


def _keys(args: argparse.Namespace) -> int:
    if args.act == "init":
        from imgnom.site.keys_command import init_keyring

        return init_keyring()
    _start_site()
    from imgnom.site.keys_command import keys_command

    return keys_command(args)


def _staff(args: argparse.Namespace) -> int:
    _start_site()
    from imgnom.site.staff_command import staff_command

    return staff_command(args)


def _check(args: argparse.Namespace) -> int:
    _start_site()
    from imgnom.site.invariants import check_invariants, check_words

    report = check_invariants(deep=args.deep)
    _print(report, as_json=args.json, words=check_words)
    return 0 if report["ok"] else 1


def _doctor(args: argparse.Namespace) -> int:
    _start_django()
    from imgnom.site.doctor import examine, report_words

    report = examine()
    _print(report, as_json=args.json, words=report_words)
    return 1 if report["state"] == "failure" else 0


def _database(args: argparse.Namespace) -> int:
    _start_django()
    from imgnom.site.database_roles import database_command

    return database_command(args)


def _manage(args: argparse.Namespace) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imgnom.site.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(["imgnom manage", *args.rest])
    return 0


def _backup(args: argparse.Namespace) -> int:
    _start_site()
    from imgnom.site.backup.command import backup_command

    return backup_command(args)


def _restore(args: argparse.Namespace) -> int:
    # The stores may be broken or gone: that they answer is not asked here.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imgnom.site.settings")
    import django

    django.setup()
    from imgnom.site.backup.command import restore_command

    return restore_command(args)


def _problem(args: argparse.Namespace, words: str, *, status: int = 1) -> int:
    """One line for people on standard error and, where a program reads, one object on standard output."""
    if getattr(args, "json", False):
        print(json.dumps({"ok": False, "problem": words}, ensure_ascii=False))
    print(f"imgnom: {words}", file=sys.stderr)
    return status


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("give a number from 1 to 64")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="imgnom", description="An image-sharing community whose privacy policy runs.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    def verb(name: str, does: Verb, words: str, *, with_json: bool = True) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=words, description=words)
        made.set_defaults(does=does)
        if with_json:
            made.add_argument("--json", action="store_true", help="print JSON for a program")
        return made

    serve = verb("serve", _serve, "migrate, then run the site and its worker", with_json=False)
    serve.add_argument("--demo", action="store_true", help="a living demo site with a clock to turn")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8000, help="port to listen on (default 8000)")
    serve.add_argument("--workers", type=_count, default=1, help="web processes (default 1)")
    serve.add_argument("--no-worker", action="store_true", help=argparse.SUPPRESS)  # the rehearsal is its own worker
    worker = verb("worker", _worker, "run only the worker", with_json=False)
    worker.add_argument("--pulse", type=int, help=argparse.SUPPRESS)  # the parent's line, see site/pulse.py
    rehearse = verb(
        "rehearse", _rehearse, "live through the years of a policy in a throw-away home and print the clause board"
    )
    rehearse.add_argument("--policy", metavar="FOLDER", help="a policy folder, or the name of a bundled one")
    rehearse.add_argument(
        "--sabotage", metavar="STEP", action="append", default=[], help="break a step and see its clause turn red"
    )
    rehearse.add_argument("--list", action="store_true", help="list the clauses and steps, do nothing")
    rehearse.add_argument(
        "--tell", action="store_true", help="show the outcome on the board of the site here (a demo's always)"
    )
    rehearse.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)  # started by the site that is told
    rehearse.add_argument("--keep", action="store_true", help="keep the throw-away home and say where it is")
    policy = verb("policy", _policy, "check, show, compare or approve policy files")
    policy.add_argument(
        "act",
        choices=("check", "show", "diff", "approve"),
        help="check it, print its text, compare two (without any: the approved one with the file), or approve a changed file",
    )
    policy.add_argument(
        "folders",
        nargs="*",
        metavar="POLICY",
        help="folders, or names of bundled policies; without one, IMGNOM_POLICY or the bundled policy; for approve, the version",
    )
    policy.add_argument("--lang", choices=("ko", "en"), help="language of the text (show: ko, check: en)")
    retention = verb("retention", _retention, "list what is due, or do all that is due")
    retention.add_argument("act", choices=("due", "run"), help="count what is due, or do all of it and return")
    retention.add_argument("--clock-is-right", action="store_true", help="after a jump of the real clock: go on")
    ledger = verb("ledger", _ledger, "verify, export or seal the ledger")
    ledger.add_argument("act", choices=("verify", "export", "checkpoint"), help="verify all, write it out, or sign it")
    ledger.add_argument("path", nargs="?", help="verify: an exported ledger, receipt or certificate; export: a folder")
    ledger.add_argument("--key", metavar="FILE", help="the verifier key to trust instead of our own")
    ledger.add_argument(
        "--checkpoint", metavar="FILE", help="verify: an older checkpoint that the ledger must continue"
    )
    keys = verb("keys", _keys, "status of the keys, or turn the epoch")
    keys.add_argument("act", choices=("init", "status", "turn"), help="make a new site's keyring, count, or turn")
    staff = verb("staff", _staff, "add or end a staff account")
    staff.add_argument(
        "act", choices=("add", "end"), help="make the account and print its enrolment link; or end it, with a receipt"
    )
    staff.add_argument("--login", required=True, help="the login ID of the account")
    staff.add_argument("--role", help="add: moderator, officer, administrator or auditor")
    check = verb("check", _check, "check the invariants of the stores")
    check.add_argument("--deep", action="store_true", help="also open every picture: finds bits that turned over")
    verb("doctor", _doctor, "look at the installation and say what is missing")
    database = verb("database", _database, "roles on PostgreSQL")
    database.add_argument("act", choices=("roles",), help="print the SQL with which a superuser makes them")
    database.add_argument("--store", choices=STORES, help="only this store's, without psql's \\connect")
    backup = verb("backup", _backup, "copy the stores and pictures, the keys apart, and read everything back")
    backup.add_argument("folder", metavar="DIR", help="where the sets lie; each run adds one")
    backup.add_argument("--keys", metavar="DIR2", required=True, help="where the one copy of the keys lies, apart")
    restore = verb("restore", _restore, "bring a backup back, destructions replayed before the doors open")
    restore.add_argument("folder", metavar="DIR", help="a set, or a folder of sets: then the newest good one")
    restore.add_argument("--keys", metavar="DIR2", help="the copy of the keys; without it, the home's own")
    restore.add_argument(
        "--without-witness",
        action="store_true",
        help="take the set's ledger though nothing vouches that it is the newest",
    )
    manage = verb("manage", _manage, "Django's own management commands", with_json=False)
    manage.add_argument("rest", nargs=argparse.REMAINDER)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    keep_to_owner()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    args = _parser().parse_args(arguments)
    try:
        return int(args.does(args))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has enough
        return 1
    except Exception as error:
        words = _in_one_line(error)
        if words is None:
            raise
        return _problem(args, words)


def _in_one_line(error: Exception) -> str | None:
    """What an operator can mend is told in a line; anything else is a fault of ours and keeps its traceback."""
    from django.db import DatabaseError, OperationalError, ProgrammingError

    from imgnom.policy.public import PolicyError
    from imgnom.site.rehearsal.house import HouseError

    if isinstance(error, PolicyError | NoSite | HouseError):
        return str(error)
    if isinstance(error, OperationalError | ProgrammingError) or type(error) is DatabaseError:
        text = str(error).partition("\n")[0]
        return f"a store cannot be used: {text}"
    if "django.conf" not in sys.modules or not isinstance(error, _told_errors()):
        return None
    return str(error)


def _told_errors() -> tuple[type[Exception], ...]:
    from imgnom.custody.keys.public import KeysError
    from imgnom.custody.ledger.public import LedgerError
    from imgnom.site.backup.errors import BackupError
    from imgnom.site.clock import ClockWrong
    from imgnom.site.environment import EnvironmentError_
    from imgnom.site.occupied import HomeTaken

    return KeysError, LedgerError, ClockWrong, BackupError, HomeTaken, EnvironmentError_
