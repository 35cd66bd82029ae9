"""A WSGI application that can be made to hang, or to answer much, for tests of the server and its supervisor."""

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from imgnom.site.server.process import main

LARGE_BYTES = 21 * 1024 * 1024


def _large() -> Iterator[bytes]:
    for _ in range(LARGE_BYTES // 65536):
        yield b"x" * 65536


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/hold":
        ctypes.PyDLL(None).sleep(3600)  # with the interpreter's lock
    if path == "/sleep":
        time.sleep(3600)
    if path == "/slow":
        time.sleep(0.5)
    if path == "/page":
        start_response("200 OK", [("Content-Length", "12000")])
        return [b"x" * 12_000]
    if path == "/exit":
        sys.exit(3)
    if path == "/none":
        start_response("204 No Content", [("Content-Length", "0")])
        return []
    if path == "/large":
        start_response("200 OK", [("Content-Length", str(LARGE_BYTES))])
        return _large()
    if path == "/fail" or (path == "/healthz" and os.environ.get("ALWAYS_FAILS")):
        raise RuntimeError
    if (admission := environ.get("imgnom.admission")) is not None:
        if environ.get("HTTP_X_MEMBER"):
            admission.accept(environ["HTTP_X_MEMBER"])
            start_response("204 No Content", [])
            return []
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return []
    size = len(environ["wsgi.input"].read())
    facts = f"{os.getpid()} {environ['REQUEST_METHOD']} {path} {size}".encode()
    start_response("200 OK", [("Content-Length", str(len(facts)))])
    return [facts]


if __name__ == "__main__":
    sys.exit(main(load=lambda: application))
