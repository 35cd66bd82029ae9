"""The guard of every page of the desk: the roles it is for, the second factor, and a record of who was turned away."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse

from imgnom.procedures.moderation.handling import record_handling
from imgnom.web.address import client_address, shortened
from imgnom.web.guards import role_required
from imgnom.web.requests import Request

type View = Callable[..., HttpResponse]


def place_of(request: Request) -> str:
    """The network, without the person."""
    return shortened(client_address(request))


def desk_page(*roles: str) -> Callable[[View], View]:
    """Role too low: 403 and a handler record (C2)."""

    def decorate(view: View) -> View:
        guarded = role_required(*roles)(view)

        @wraps(guarded)
        def recorded(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.member is not None and request.member.role not in roles:
                route = request.resolver_match.route if request.resolver_match else "desk"
                record_handling(
                    by=request.actor, place=place_of(request), act="open", what=route, result="refused", now=request.now
                )
            return guarded(request, *args, **kwargs)

        return recorded

    return decorate
