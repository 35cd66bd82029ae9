"""`imgnom doctor`: what this installation has and lacks."""

import sqlite3
import sys
from typing import Any

import pyvips
from django.conf import settings

from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeysError, check_keyring

MIN_LIBVIPS = (8, 18, 3)


def examine() -> dict[str, Any]:
    version = tuple(pyvips.version(part) for part in range(3))
    findings = [
        {"what": "Python", "ok": sys.version_info >= (3, 12), "words": sys.version.split()[0]},
        {"what": "SQLite", "ok": sqlite3.sqlite_version_info >= (3, 37), "words": sqlite3.sqlite_version},
        {"what": "libvips", "ok": version >= MIN_LIBVIPS, "words": ".".join(map(str, version))},
        {"what": "policy", "ok": True, "words": f"{policy_in_force().id} {policy_in_force().digest[:12]}"},
        {"what": "mode", "ok": True, "words": settings.IMGNOM.mode},
    ]
    try:
        check_keyring()
        findings.append({"what": "keyring", "ok": True, "words": "complete and ours"})
    except KeysError as error:
        findings.append({"what": "keyring", "ok": False, "words": str(error)})
    return {"ok": all(row["ok"] for row in findings), "findings": findings}
