"""The sandbox of the picture reader, tried from inside by code that has taken the reader over."""

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgnom.community.images import decode as decoder
from imgnom.community.images import sandbox
from imgnom.community.images.decode import NURSERY, check_decoder
from imgnom.procedures.publication.measures import picture_reader
from imgnom.site import doctor

ATTEMPTS = Path(__file__).with_name("sandbox_attempts.py")
LACKING = sandbox.missing_here()
REFUSED = {"EPERM", "EACCES"}
# These have no harmless form that works, so that "refused" is all there is to see.
needs_seccomp = pytest.mark.skipif(sandbox.SECCOMP in LACKING, reason="NOT TESTED: this kernel has no seccomp filters")
needs_landlock = pytest.mark.skipif(
    sandbox.SCOPES in LACKING, reason=f"NOT TESTED: this kernel lacks {', '.join(LACKING)}"
)


@pytest.fixture
def others(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A sibling process, and servers that would answer: what is refused would have worked outside."""
    path, abstract = str(tmp_path / "server"), f"imgnom-{os.getpid()}"
    servers = [socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX), socket.socket()]
    for server, address in zip(servers, (path, "\0" + abstract, ("127.0.0.1", 0)), strict=True):
        server.bind(address)
        server.listen(8)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as sibling:
        yield {
            "sibling": sibling.pid, "path_socket": path, "abstract_socket": abstract, "tcp_port": servers[2].getsockname()[1],
        }  # fmt: skip
        sibling.kill()
    for server in servers:
        server.close()


def tried(others: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *, without: str = "") -> dict[str, Any]:
    """What became of each attempt in a child of the real fork server."""
    monkeypatch.setattr(decoder, "JAIL", ATTEMPTS)
    monkeypatch.setattr(decoder, "_ENVIRONMENT", decoder._ENVIRONMENT | {"IMGNOM_TEST_WITHOUT_WALL": without})
    NURSERY.renew()
    try:
        with decoder._in_memory(json.dumps(others).encode()) as file:
            child = NURSERY.child("jpeg", file)
            out = decoder._answer(child, seconds=30)
        os.close(child.copy)
    finally:
        NURSERY.renew()
    return json.loads(out[4 : 4 + struct.unpack_from(">I", out)[0]])


@needs_seccomp
@pytest.mark.clause("A2.1")
def test_sandbox_refuses_sockets_signals_processes_and_files(
    others: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tried(others, monkeypatch)["found"]
    assert len(found) > 50
    assert {name: error for name, error in found.items() if error not in REFUSED} == {"clone3": "ENOSYS"}


@needs_seccomp
@pytest.mark.clause("A2.1")
def test_seccomp_alone_refuses_everything_when_landlock_is_missing(
    others: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tried(others, monkeypatch, without="landlock")["found"]
    assert {name: error for name, error in found.items() if error not in REFUSED} == {"clone3": "ENOSYS"}


@needs_landlock
@pytest.mark.clause("A2.1")
def test_landlock_alone_refuses_files_tcp_signals_and_abstract_sockets(
    others: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tried(others, monkeypatch, without="seccomp")["found"]
    for name in (
        "open a file", "write a file", "list a folder", "own environment", "memory of the parent", "memory of a sibling", "run a program", "tcp",
        "abstract unix socket", "signal to the parent", "signal to a sibling", "ptrace",
    ):  # fmt: skip
        assert found[name] in REFUSED, name
    assert found["udp"] == "done", "what Landlock does not know is seccomp's part"


@pytest.mark.clause("A2.1")
@pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: descriptors are handed over as on Linux")
def test_sandboxed_child_holds_no_socket_or_foreign_file(
    others: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptors = tried(others, monkeypatch)["descriptors"]
    assert len(descriptors) == 3 + 3, "the standard ones, which lead nowhere, and file, answer, copy"


@pytest.mark.clause("A2.1")
def test_reader_reports_the_walls_that_the_kernel_lacks() -> None:
    assert tuple(check_decoder()["walls_missing"]) == LACKING


@pytest.mark.clause("A0.2")
@pytest.mark.parametrize(
    "lacking", [(sandbox.SECCOMP,), (sandbox.SCOPES,), (sandbox.FILES, sandbox.TCP, sandbox.SCOPES), sandbox.WALLS]
)
def test_doctor_and_safety_measures_name_missing_walls(
    monkeypatch: pytest.MonkeyPatch, lacking: tuple[str, ...]
) -> None:
    facts = check_decoder() | {"walls_missing": list(lacking)}
    monkeypatch.setattr(doctor, "check_decoder", lambda: facts)
    words = next(
        line.words for line in doctor.decoder_lines() if line.what == "picture sandbox" and line.state == "warning"
    )
    assert all(wall in words for wall in lacking)
    measure = picture_reader(lacking)
    assert not measure.is_kept
    assert all(wall in measure.words for wall in lacking)
    assert picture_reader(()).is_kept
