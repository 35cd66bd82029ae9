"""How often the password of a step-up and the second factor may be guessed (threats N3, N4).

Only whoever is signed in, or gave the right password, comes here. From a browser that the account knows, that browser's
own tries are counted; all others share a count that only delays, so that a thief of a password or of a session cookie
can neither guess on nor keep the owner out of a browser that the owner has used before.
"""

from imgnom.community.members.codes import DAY_SECONDS
from imgnom.community.members.known_browsers import known_browser
from imgnom.web.requests import Request
from imgnom.web.throttle import give_back, hit, return_turn, take_turn

FREE_TRIES, FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 10, 60, 1800


def _own(request: Request, subject: str) -> str:
    browser = known_browser(request, subject)
    return f"{subject}\0{browser}" if browser else ""


def take_try(request: Request, scope: str, subject: str) -> None:
    """Raises TooMany."""
    if known := _own(request, subject):
        hit(f"{scope} known browser", known, limit=10, per_seconds=600)
        hit(f"{scope} known browser of a day", known, limit=60, per_seconds=DAY_SECONDS)
    else:
        take_turn(
            scope, subject, free=FREE_TRIES, first_seconds=FIRST_WAIT_SECONDS, longest_seconds=LONGEST_WAIT_SECONDS
        )


def return_try(request: Request, scope: str, subject: str) -> None:
    """The try was right."""
    if known := _own(request, subject):
        give_back(f"{scope} known browser", known)
        give_back(f"{scope} known browser of a day", known)
    else:
        return_turn(scope, subject)
