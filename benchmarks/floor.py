"""The least that Django can do: thirteen bytes without middleware. Served beside the site as the floor of its pages."""

import sys
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path


def bare(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"hello, world!")


urlpatterns = [path("bare", bare)]


def _application() -> Any:
    from django.core.wsgi import get_wsgi_application

    if not settings.configured:
        settings.configure(ROOT_URLCONF="benchmarks.floor", ALLOWED_HOSTS=["*"], SECRET_KEY="none", MIDDLEWARE=[])
    return get_wsgi_application()


if __name__ == "__main__":
    from imgnom.site.server.process import main

    sys.exit(main(load=_application))
