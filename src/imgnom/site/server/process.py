"""One web process, as `imgnom serve` starts it: `python -m imgnom.site.server.process --listen FD …`.

It serves a listening socket that the parent owns, so that its death loses no port, answers the parent's probes, and
ends within a few seconds of SIGTERM. Its limits come as JSON from the parent, which read them from the environment.
"""

import argparse
import gc
import ipaddress
import json
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from types import FrameType
from typing import Any

from imgnom.site.pulse import answer_pulses
from imgnom.site.server.answer import Application
from imgnom.site.server.engine import Engine
from imgnom.site.server.limits import SPARE_FILES, Limits
from imgnom.web.address import limit_networks


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="imgnom web process", description=__doc__)
    parser.add_argument("--listen", type=int, required=True, metavar="FD")
    parser.add_argument("--probe", type=int, metavar="FD")
    parser.add_argument("--pulse", type=int, metavar="FD")
    parser.add_argument("--limits", type=json.loads, default={}, metavar="JSON")
    parser.add_argument("--trusted-proxies", nargs="*", default=[], metavar="NETWORK")
    return parser.parse_args(words)


def counted_by(trusted_proxies: Sequence[str]) -> Callable[[str], str | None]:
    """Which connections are counted together. A proxy of ours stands for all its visitors and counts for none."""
    networks = [ipaddress.ip_network(proxy, strict=False) for proxy in trusted_proxies]

    @lru_cache(maxsize=4096)
    def key(address: str) -> str | None:
        found: Any = ipaddress.ip_address(address.partition("%")[0])
        found = getattr(found, "ipv4_mapped", None) or found
        return None if any(found in network for network in networks) else limit_networks(str(found))[0][0]

    return key


def _site() -> Application:
    """Loaded late: it takes seconds, in which the process already answers signals and pulses."""
    from imgnom.site.wsgi import application

    return application


def _fit_files(limits: Limits) -> Limits:
    """As many connections as descriptors allow, where the system allows fewer than asked for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.max_connections + SPARE_FILES
    if soft < wanted or soft == resource.RLIM_INFINITY:
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return replace(limits, max_connections=max(16, min(limits.max_connections, soft - SPARE_FILES)))


def main(words: Sequence[str] | None = None, *, load: Callable[[], Application] = _site) -> int:
    args = _arguments(sys.argv[1:] if words is None else words)
    stop = threading.Event()

    def told(_signal: int = 0, _frame: FrameType | None = None) -> None:
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, told)
    if args.pulse is not None:
        answer_pulses(args.pulse)
    limits = _fit_files(Limits(**args.limits))
    application = load()
    probe = None if args.probe is None else socket.socket(fileno=args.probe)
    if probe is not None:
        probe.setblocking(False)
    engine = Engine(
        application,
        socket.socket(fileno=args.listen),
        limits=limits,
        address_key=counted_by(args.trusted_proxies),
        probe=probe,
    )
    gc.collect()
    gc.freeze()
    engine.start()
    stop.wait()
    engine.stop()
    for name in (signal.SIGTERM, signal.SIGINT):  # again, while the interpreter ends: it would count as a crash
        signal.signal(name, signal.SIG_IGN)
    return 0


if __name__ == "__main__":
    sys.exit(main())
