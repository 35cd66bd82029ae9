"""`imgnom staff add --login NAME --role ROLE`: one account per person; in demo and rehearsal ready to sign in.

In production nobody but the person ever knows password and second factor: the link is printed, works once and for two
days, and both are chosen there.
"""

import argparse
import json
import re
import sys

from django.conf import settings

from imgnom.community.members.public import (
    STAFF_ROLES,
    MailboxTaken,
    NicknameTaken,
    UsernameTaken,
    canonical_username,
    create_staff,
)
from imgnom.procedures.moderation.public import record_grant
from imgnom.site.clock import now

LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,29}")


def add_staff(args: argparse.Namespace) -> int:
    """0 and the facts; 2 for what cannot be asked, 1 for a login that somebody has."""
    if args.role not in STAFF_ROLES:
        return _refuse(args, f"--role must be one of {', '.join(STAFF_ROLES)}.", 2)
    login = canonical_username(args.login)
    if not LOGIN.fullmatch(login):
        return _refuse(args, "--login takes 2 to 30 small letters, digits, and . _ -", 2)
    at = now()
    try:
        made = create_staff(login=login, role=args.role, now=at)
    except (UsernameTaken, NicknameTaken, MailboxTaken):
        return _refuse(args, "somebody has this login already; nothing was changed.", 1)
    record_grant(subject=made.subject, role=made.role, change="granted", by="command line", now=at)
    facts = {"login": made.login, "role": made.role, "enrolment_url": settings.IMGNOM.base_url + made.enrolment_path}
    if settings.IMGNOM.is_toy:
        facts |= {"password": made.password, "totp_secret": made.totp_secret}
    print(json.dumps(facts) if args.json else "\n".join(f"{name}: {value}" for name, value in facts.items()))
    return 0


def _refuse(args: argparse.Namespace, words: str, status: int) -> int:
    """A line for people; for a program an object beside it."""
    if args.json:
        print(json.dumps({"ok": False, "problem": words}))
    print(f"imgnom: {words}", file=sys.stderr)
    return status
