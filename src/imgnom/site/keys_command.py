"""`imgnom keys init|status|turn`."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import NoReturn

from imgnom.site.databases import databases, ensure_reachable
from imgnom.site.environment import EnvironmentError_, read_environment
from imgnom.site.secret import write_secret_key


def _refuse(words: str) -> NoReturn:
    sys.exit(f"imgnom: {words}")


def init_keyring() -> int:
    """Make the secret and the keyring of a new site. Refuses where a key already lies, and writes nothing then."""
    try:
        environment = read_environment()
        databases(environment)
    except EnvironmentError_ as error:
        _refuse(str(error))
    folder = environment.keyring
    if folder.exists() and any(folder.iterdir()):
        _refuse(f"{folder} is not empty. A keyring is made once and never over another.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not environment.secret_key_file.exists():
        write_secret_key(environment.secret_key_file)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imgnom.site.settings")
    import django

    django.setup()
    _fill(folder)
    print(f"A new keyring stands in {folder}. Keep a copy apart from every copy of the data.")
    return 0


def _fill(folder: Path) -> None:
    """All keys of a new site; the key store knows them from now on."""
    from imgnom.custody.keys.public import KeysError, ensure_keyring
    from imgnom.site.clock import now
    from imgnom.site.serve import migrate_all

    try:
        ensure_reachable()
        migrate_all()
        ensure_keyring(now=now(), new_site=True)
    except EnvironmentError_ as error:
        _give_up(folder, str(error))
    except KeysError as error:
        _give_up(folder, f"the key store knows another keyring already. {error}")


def _give_up(folder: Path, words: str) -> NoReturn:
    """The new folder is emptied again: nothing hangs on its keys."""
    for file in folder.iterdir():
        file.unlink()
    _refuse(words)


def keys_command(args: argparse.Namespace) -> int:
    from imgnom.custody.keys.public import KeysError, check_keyring, ensure_all_open, keys_status, turn_epoch
    from imgnom.site.clock import now

    if args.act == "turn":
        turn_epoch(now=now())
    status = keys_status()
    print(
        json.dumps(status, ensure_ascii=False, default=str)
        if args.json
        else "\n".join(f"{k}: {v}" for k, v in status.items())
    )
    try:
        check_keyring()
        ensure_all_open()
    except KeysError as error:
        print(f"imgnom: {error}", file=sys.stderr)
        return 1
    return 0
