"""`imgnom staff add --login NAME --role ROLE`: one account per person; in demo and rehearsal ready to sign in."""

import argparse
import json
import sys

from django.conf import settings

from imgnom.community.members.public import STAFF_ROLES, MemberError, create_staff
from imgnom.site.clock import now


def add_staff(args: argparse.Namespace) -> int:
    if args.role not in STAFF_ROLES:
        print(f"imgnom: --role must be one of {', '.join(STAFF_ROLES)}.", file=sys.stderr)
        return 2
    try:
        made = create_staff(login=args.login, role=args.role, now=now())
    except MemberError as error:
        print(f"imgnom: {error}", file=sys.stderr)
        return 1
    facts = {"login": made.login, "role": made.role, "enrolment_url": settings.IMGNOM.base_url + made.enrolment_path}
    if settings.IMGNOM.is_toy:
        facts |= {"password": made.password, "totp_secret": made.totp_secret}
    print(json.dumps(facts) if args.json else "\n".join(f"{name}: {value}" for name, value in facts.items()))
    return 0
