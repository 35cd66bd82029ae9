"""`imgnom doctor`: what this installation has and lacks."""

import sqlite3
import sys
from typing import Any

from django.conf import settings

from imgnom.community.images.public import WrongDecoder, check_decoder
from imgnom.custody.in_force import policy_in_force, trouble
from imgnom.custody.keys.public import KeysError, check_keyring


def _decoder() -> dict[str, Any]:
    try:
        facts = check_decoder()
    except WrongDecoder as error:
        return {"what": "libvips", "ok": False, "words": str(error)}
    walls = "behind walls" if facts["walls"] else "limited, but this kernel has no Landlock to keep it from files"
    return {"what": "libvips", "ok": True, "words": f"{'.'.join(map(str, facts['version']))}, {walls}"}


def examine() -> dict[str, Any]:
    findings = [
        {"what": "Python", "ok": sys.version_info >= (3, 12), "words": sys.version.split()[0]},
        {"what": "SQLite", "ok": sqlite3.sqlite_version_info >= (3, 37), "words": sqlite3.sqlite_version},
        _decoder(),
        {
            "what": "policy",
            "ok": not trouble(),
            "words": trouble() or f"{policy_in_force().id} {policy_in_force().digest[:12]}",
        },
        {"what": "mode", "ok": True, "words": settings.IMGNOM.mode},
    ]
    try:
        check_keyring()
        findings.append({"what": "keyring", "ok": True, "words": "complete and ours"})
    except KeysError as error:
        findings.append({"what": "keyring", "ok": False, "words": str(error)})
    return {"ok": all(row["ok"] for row in findings), "findings": findings}
