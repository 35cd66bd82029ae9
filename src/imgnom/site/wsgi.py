"""The WSGI application, with the process environment kept out of request.META.

granian builds META from a copy of os.environ; anything that prints or stores META would carry it along.
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


_record_visits_behind_requests()
has_long_mark_run("\u0300")  # makes its table now rather than in somebody's request
# A page takes a few milliseconds and waits for its turn at every query: whoever reads an upload yields soon.
sys.setswitchinterval(0.0005)
# What a server adds for the request begins with one of these; all else came from the process.
_OF_THE_REQUEST = (
    "HTTP_",
    "wsgi.",
    "SERVER_",
    "REQUEST_",
    "REMOTE_",
    "PATH_INFO",
    "QUERY_STRING",
    "CONTENT_",
    "SCRIPT_NAME",
)


# Variables that are named like parts of a request (HTTP_PROXY is common) come from the process all the same.
_NAMED_ALIKE = {name: value for name, value in os.environ.items() if name.startswith(_OF_THE_REQUEST)}


def _is_of_the_request(name: str, value: object) -> bool:
    return name.startswith(_OF_THE_REQUEST) and _NAMED_ALIKE.get(name) != value


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    asked = {name: value for name, value in environ.items() if _is_of_the_request(name, value)}
    bound(asked)
    return _inner(asked, start_response)
