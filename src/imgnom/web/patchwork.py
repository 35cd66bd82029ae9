"""The placeholder of a picture: a small patchwork of its own colours, drawn before its bytes arrive.

What is stored with a picture is twelve RGB colours, four across and three down, in base64. Seven patches are cut from
them, in one of two cuts, so that neighbours in a gallery do not look alike. Drawn with attributes only: the site's CSP
allows no style attribute.
"""

import base64
import binascii
from dataclasses import dataclass

COLOURS, COLUMNS = 12, 4


@dataclass(frozen=True)
class Patch:
    x: str
    y: str
    width: str
    height: str
    colour: str


# x, y, width, height on a field of 3 × 2, and which of the twelve colours lies in the patch's middle.
_CUTS = (
    (
        ("0", "0", "1.3", "1.1", 0),
        ("1.3", "0", "1", "0.8", 2),
        ("2.3", "0", "0.7", "1.3", 3),
        ("0", "1.1", "0.8", "0.9", 8),
        ("0.8", "1.1", "0.5", "0.9", 9),
        ("1.3", "0.8", "1", "1.2", 6),
        ("2.3", "1.3", "0.7", "0.7", 11),
    ),
    (
        ("0", "0", "0.9", "0.7", 0),
        ("0.9", "0", "1.3", "1", 1),
        ("2.2", "0", "0.8", "0.9", 3),
        ("0", "0.7", "0.9", "1.3", 8),
        ("0.9", "1", "0.7", "1", 9),
        ("1.6", "1", "0.6", "1", 6),
        ("2.2", "0.9", "0.8", "1.1", 11),
    ),
)


def patches(placeholder: str) -> tuple[Patch, ...]:
    """Nothing for a text that does not hold twelve colours: the sunken ground shows instead."""
    try:
        raw = base64.b64decode(placeholder, validate=True)
    except (binascii.Error, ValueError):
        return ()
    if len(raw) < 3 * COLOURS:
        return ()
    colours = [f"#{raw[3 * place : 3 * place + 3].hex()}" for place in range(COLOURS)]
    cut = _CUTS[sum(raw) % len(_CUTS)]
    return tuple(Patch(x, y, width, height, colours[place]) for x, y, width, height, place in cut)
