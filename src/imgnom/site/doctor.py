"""`imgnom doctor`: what this installation has and lacks."""

import sqlite3
import sys
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError, connections

from imgnom.community.images.public import WrongDecoder, check_decoder
from imgnom.community.members.public import mail_server_trouble
from imgnom.custody.in_force import policy_in_force, trouble
from imgnom.custody.keys.public import KeysError, check_keyring, copy_status
from imgnom.custody.ledger.public import witness_trouble
from imgnom.site.backup.last import backup_trouble, last_backup
from imgnom.site.clock import now
from imgnom.site.database_roles import role_faults, roles_are_asked_for
from imgnom.web.mail_server import parse_mail_server
from imgnom.web.room import MIB, Room, rooms


def decoder_findings() -> list[dict[str, Any]]:
    """libvips, and the walls around the process that opens pictures."""
    try:
        facts = check_decoder()
    except WrongDecoder as error:
        return [{"what": "libvips", "ok": False, "words": str(error)}]
    missing = facts["walls_missing"]
    words = (
        f"this kernel lacks {', '.join(missing)}: see docs/limits.md, The decoder"
        if missing
        else "seccomp and Landlock refuse files, sockets, signals, processes and programs"
    )
    return [
        {"what": "libvips", "ok": True, "words": ".".join(map(str, facts["version"]))},
        {"what": "picture sandbox", "ok": True, "words": words},
    ]


# Nobody can own these (RFC 2606).
NOBODYS = (".example", ".invalid", ".test", ".localhost", "example.com", "example.net", "example.org")


def _addresses() -> list[dict[str, Any]]:
    """Where people are told to write. It is told and blamed on nobody: the policy file is the operator's to change."""
    if trouble():
        return []
    policy = policy_in_force()
    reached = dict.fromkeys(str(one) for one in (policy.operator["contact"].en, policy.officer["email"].en))
    empty = [address for address in reached if address.casefold().endswith(NOBODYS)]
    words = (
        f"{', '.join(empty)} in the policy is an example: nobody gets what people write there"
        if empty
        else ", ".join(reached)
    )
    return [{"what": "addresses", "ok": True, "words": words}]


def _backup() -> list[dict[str, Any]]:
    """A backup that was asked for once must go on, and the copy of the keys with it (F19)."""
    try:
        copy = copy_status()
    except DatabaseError:  # no site yet
        return []
    last, trouble = last_backup(), backup_trouble(now=now())
    words = trouble or (f"{last.folder.name}, made at {last.at.isoformat()}" if last else "none was ever made here")
    found = [{"what": "backup", "ok": not trouble, "words": words}]
    if copy["folder"]:
        problem = str(copy["problem"])
        found.append({"what": "copy of the keys", "ok": not problem, "words": problem or str(copy["folder"])})
    return found


def _mail_server() -> list[dict[str, Any]]:
    """Whether mail can be handed over as IMGNOM_MAIL_URL says; the server is greeted, and nothing is sent."""
    if urlsplit(settings.IMGNOM.mail_url).scheme == "file":
        return []
    server, problem = parse_mail_server(settings.IMGNOM.mail_url), mail_server_trouble()
    words = "mail may go in clear (tls=optional)" if server.may_be_clear else "encrypted, certificate verified"
    return [{"what": "mail server", "ok": not problem, "words": f"{server.shown}: {problem or words}"}]


def _roles() -> list[dict[str, Any]]:
    """Whether each store on PostgreSQL is reached with no more rights than needed; a toy is told, and not blamed."""
    faults = role_faults()
    lines = [
        {"what": f"roles, {fault.store}", "ok": not roles_are_asked_for(), "words": fault.words} for fault in faults
    ]
    if not lines and any(connections[alias].vendor == "postgresql" for alias in connections):
        lines = [{"what": "roles", "ok": True, "words": "each store has its own, and the web server lesser ones"}]
    return lines


def _room(room: Room) -> dict[str, Any]:
    """Whether the disk can still take what comes (F6)."""
    words = f"{room.free_bytes // MIB} MiB free, {room.reserve_bytes // MIB} MiB in reserve"
    if room.is_short:
        words += "; nothing new is taken until there is room again, reading and leaving go on"
    return {"what": f"disk of {room.folder}", "ok": not room.is_short, "words": words}


def examine() -> dict[str, Any]:
    findings = [
        {"what": "Python", "ok": sys.version_info >= (3, 12), "words": sys.version.split()[0]},
        {"what": "SQLite", "ok": sqlite3.sqlite_version_info >= (3, 37), "words": sqlite3.sqlite_version},
        *decoder_findings(),
        {
            "what": "policy",
            "ok": not trouble(),
            "words": trouble() or f"{policy_in_force().id} {policy_in_force().digest[:12]}",
        },
        {"what": "mode", "ok": True, "words": settings.IMGNOM.mode},
        *_addresses(),
    ]
    try:
        check_keyring()
        findings.append({"what": "keyring", "ok": True, "words": "complete and ours"})
    except KeysError as error:
        findings.append({"what": "keyring", "ok": False, "words": str(error)})
    except DatabaseError:
        findings.append({"what": "keyring", "ok": False, "words": "there is no site here yet; imgnom serve makes one"})
    findings += [_room(room) for room in rooms()]
    findings += _backup()
    findings += _mail_server()
    if settings.IMGNOM.witness:
        trouble_told = witness_trouble(now=now())
        findings.append({"what": "witness", "ok": not trouble_told, "words": trouble_told or "sees the ledger"})
    findings += _roles()
    return {"ok": all(row["ok"] for row in findings), "findings": findings}
