"""The WSGI application.

It is meant for the site's own server, whose request.META holds the request and nothing else. A server that builds META
from a copy of os.environ (wsgiref, granian) would carry the process's environment into it.
"""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

from imgnom.policy.text import has_long_mark_run
from imgnom.web.request_limits import bound

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imgnom.site.settings")
_inner = get_wsgi_application()


def _record_visits_behind_requests() -> None:
    """Only this process serves strangers: commands and tests write their visits at once."""
    from django.conf import settings

    from imgnom.community.visits.public import install_queue_writer

    install_queue_writer(settings.IMGNOM.home / "cache")


def _ensure_may_start() -> None:
    """Also under a server that is not `imgnom serve`."""
    from django.conf import settings

    from imgnom.custody.in_force import policy_in_force
    from imgnom.policy.public import PolicyError
    from imgnom.site.environment import EnvironmentError_
    from imgnom.site.start_checks import ensure_may_start

    try:
        ensure_may_start(settings.IMGNOM, policy_in_force())
    except (EnvironmentError_, PolicyError) as error:
        sys.exit(f"imgnom: {error}")


_ensure_may_start()
_record_visits_behind_requests()
has_long_mark_run("\u0300")  # makes its table now rather than in somebody's request
# A page takes a few milliseconds and waits for its turn at every query: whoever reads an upload yields soon.
sys.setswitchinterval(0.0005)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    bound(environ)
    return _inner(environ, start_response)
