"""`imgnom staff add --login NAME --role ROLE` and `staff end --login NAME`: one account per person.

In production nobody but the person ever knows password and second factor: the link is printed, works once and for two
days, and both are chosen there. In demo and rehearsal the account is ready to sign in. An account that ends leaves as every
member does, and what it did for the site stays.
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
    member_by_subject,
    role_of,
)
from imgnom.custody.vault.public import find_subject
from imgnom.policy.public import Actor
from imgnom.procedures.moderation.public import record_grant
from imgnom.procedures.retention.public import AlreadyWithdrawn, withdraw_member
from imgnom.site.clock import now

LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,29}")


def staff_command(args: argparse.Namespace) -> int:
    return end_staff(args) if args.act == "end" else add_staff(args)


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


def end_staff(args: argparse.Namespace) -> int:
    """0 and the receipt's number: the rights and every session have ended; 1 where no staff account has this login."""
    if args.role is not None:
        return _refuse(args, "an account ends with its role; leave --role out.", 2)
    subject = find_subject("username", canonical_username(args.login))
    role = role_of(subject) if subject else None
    card = member_by_subject(subject) if subject else None
    if subject is None or card is None or role not in STAFF_ROLES:
        return _refuse(args, "no staff account has this login; nothing was changed.", 1)
    try:
        number = withdraw_member(card.id, choice="keep", by=Actor("system", subject), now=now())
    except AlreadyWithdrawn:
        return _refuse(args, "this account has ended already.", 1)
    facts = {"role": role, "receipt": number}
    print(json.dumps(facts) if args.json else "\n".join(f"{name}: {value}" for name, value in facts.items()))
    return 0


def _refuse(args: argparse.Namespace, words: str, status: int) -> int:
    """A line for people; for a program an object beside it."""
    if args.json:
        print(json.dumps({"ok": False, "problem": words}))
    print(f"imgnom: {words}", file=sys.stderr)
    return status
