"""`imgnom keys init|status|turn`."""

import argparse
import json
import os
import secrets
import sys
from pathlib import Path


def init_keyring() -> int:
    """Make the secret and the keyring of a new site. Refuses where a key already lies."""
    name = os.environ.get("IMGNOM_KEYRING")
    if not name:
        print("imgnom: IMGNOM_KEYRING must name the folder to make.", file=sys.stderr)
        return 2
    folder = Path(name)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        print(f"imgnom: {folder} is not empty. A keyring is made once and never over another.", file=sys.stderr)
        return 1
    secret = folder / "secret.key"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(64), encoding="ascii")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imgnom.site.settings")
    import django

    django.setup()
    from imgnom.custody.keys.public import ensure_keyring
    from imgnom.site.clock import now
    from imgnom.site.serve import migrate_all

    migrate_all()
    ensure_keyring(now=now(), new_site=True)
    print(f"A new keyring stands in {folder}. Keep a copy apart from every copy of the data.")
    return 0


def keys_command(args: argparse.Namespace) -> int:
    from imgnom.custody.keys.public import keys_status, turn_epoch
    from imgnom.site.clock import now

    if args.act == "turn":
        turn_epoch(now=now())
    status = keys_status()
    print(
        json.dumps(status, ensure_ascii=False, default=str)
        if args.json
        else "\n".join(f"{k}: {v}" for k, v in status.items())
    )
    return 0
