"""Six-digit codes: kept as a keyed digest, five tries, ten minutes of the site's clock."""

import hmac
import secrets
from datetime import datetime

from django.conf import settings

from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import derive, keyed_digest
from imgnom.policy.public import ends_at

MAX_TRIES = 5


def new_code() -> str:
    return f"{secrets.randbelow(1_000_000):06d}"


def digest_of(token: str, code: str) -> str:
    return keyed_digest(derive(settings.SECRET_KEY.encode(), "confirmation code"), f"{token}\0{code}".encode()).hex()


def matches(token: str, code: str, digest: str) -> bool:
    return hmac.compare_digest(digest_of(token, code.strip().replace(" ", "")), digest)


def code_end(now: datetime) -> datetime:
    policy = policy_in_force()
    return ends_at(policy.records["confirmation_code"], now, policy.zone) or now


def record_end(record: str, now: datetime) -> datetime:
    policy = policy_in_force()
    return ends_at(policy.records[record], now, policy.zone) or now
