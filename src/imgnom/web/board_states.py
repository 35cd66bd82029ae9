"""The state of a clause, as the board on the floor above knows it. Until somebody tells, every promise is `planned`.

The floor above hands in one function; this floor knows neither the board nor where it looks.
"""

import logging
from collections.abc import Callable
from typing import Literal

type State = Literal["holds", "broken", "planned"]
type Lookup = Callable[[str], str | None]

log = logging.getLogger("imgnom.web")

_STATES: dict[str | None, State] = {"green": "holds", "red": "broken", "planned": "planned"}


def _unknown(clause: str) -> str | None:
    return None


_lookup: Lookup = _unknown


def register(lookup: Lookup) -> None:
    """`lookup` answers green, red or planned for a clause id, or None if it knows nothing. It is asked per badge."""
    global _lookup  # noqa: PLW0603 - one board per site
    _lookup = lookup


def state_of(clause: str) -> State:
    """What the badge may show. A board that fails proves nothing, so it makes no promise green."""
    try:
        return _STATES.get(_lookup(clause), "planned")
    except Exception as error:  # noqa: BLE001 - a page is more than its badges
        log.error("the board could not be asked: %s", type(error).__name__)  # noqa: TRY400 - no values in logs
        return "planned"
