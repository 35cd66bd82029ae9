"""Mailed codes: worked out from a random token, never stored; five tries, ten minutes of the site's clock.

A code is a keyed digest of the token that one browser's session holds, so a dump of the stores opens nothing and a
code works only where it was asked for. Six digits as a rule. Somebody may ask for code after code to guess one of
them: once many were asked for on one day, the next ones are twice as long, and nobody has to be locked out. By an
ID, and as often by an address, at most 5 × 5 of a million numbers can be tried a day, from any number of networks.
"""

import hmac
from datetime import datetime

from django.conf import settings

from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import derive, keyed_digest
from imgnom.policy.public import ends_at
from imgnom.web.throttle import count

MAX_TRIES = 5
DIGITS, LONG_DIGITS = 6, 12
SHORT_A_DAY = 5
DAY_SECONDS = 24 * 3600


def digits_for(typed: str) -> int:
    """How long the next code for a typed ID or address, in its canonical form, is; asking counts as one more."""
    return DIGITS if count("codes for", typed, per_seconds=DAY_SECONDS) <= SHORT_A_DAY else LONG_DIGITS


def mailbox_key(mailbox: str) -> str:
    """A mailbox as `enter.locate` names it, so that sign-up, reset and change of one address share a count."""
    return f"email\0{mailbox}"


def code_of(token: str, turn: int, digits: int) -> str:
    raw = keyed_digest(derive(settings.SECRET_KEY.encode(), "mailed code"), f"{token}\0{turn}".encode())
    return f"{int.from_bytes(raw) % 10**digits:0{digits}d}"


def matches(code: str, typed: str) -> bool:
    return hmac.compare_digest(code.encode(), "".join(typed.split()).encode())


def record_end(record: str, now: datetime) -> datetime:
    """When a record that begins now ends. One that the policy gives no period ends at once."""
    policy = policy_in_force()
    return ends_at(policy.records[record], now, policy.zone) or now


def code_end(now: datetime) -> datetime:
    return record_end("confirmation_code", now)
