"""Places of the base page that floors above may fill with a template of theirs; this floor includes nothing upward."""

from typing import Literal

type Place = Literal["after_main"]

_templates: dict[Place, list[str]] = {"after_main": []}


def register(place: Place, template: str) -> None:
    """`template` is rendered at `place` of every page, in the page's own context; it decides itself whether to show."""
    if template not in _templates[place]:
        _templates[place].append(template)


def templates_at(place: Place) -> tuple[str, ...]:
    return tuple(_templates[place])
