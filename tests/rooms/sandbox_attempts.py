"""What a taken-over picture reader might try, run inside the real sandbox.

A script for the fork server of pictures: its children enter the sandbox as always, then try everything below instead of
reading a file. Each attempt is answered with `done`, or with the name of the error that stopped it.

    sandbox_attempts.py nursery FD FOLDER      FD and FOLDER as for jail.py
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

sys.path.insert(0, sys.argv.pop())

from imgnom.community.images import jail, sandbox

# Numbers of x86-64 and of 64-bit ARM.
COLUMN = {"x86_64": 0, "aarch64": 1}.get(platform.machine(), 1)
NUMBERS = {
    "tgkill": (234, 131), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "io_uring_setup": (425, 425), "bpf": (321, 280), "userfaultfd": (323, 282),
    "perf_event_open": (298, 241), "keyctl": (250, 219), "add_key": (248, 217), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "openat2": (437, 437), "memfd_create": (319, 279), "clone": (56, 220), "clone3": (435, 435), "execveat": (322, 281), "unshare": (272, 97), "setns": (308, 268),
    "mount": (165, 40), "chroot": (161, 51), "init_module": (175, 105), "memfd_secret": (447, 447), "seccomp": (317, 277),
    "getpid of x32": (0x40000000 + 39, 0x40000000 + 172),
}  # fmt: skip
NEW_USER, NEW_PROCESS = 0x10000000, signal.SIGCHLD


def call(name: str, *arguments: Any) -> Callable[[], object]:
    """A system call by its number, past every check of a library."""

    def attempt() -> object:
        result = sandbox.libc.syscall(NUMBERS[name][COLUMN], *arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), name)
        return result

    return attempt


def connect(family: int, kind: int, address: Any) -> None:
    with socket.socket(family, kind) as made:
        made.connect(address)


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def vfork_or_clone() -> None:
    if call("clone", NEW_PROCESS, 0, 0, 0, 0)() == 0:
        os._exit(0)


def many_processes() -> None:
    for _ in range(5):
        fork()


def read_memory_of(process: int) -> None:
    with open(f"/proc/{process}/mem", "rb") as memory:
        memory.read(1)


def attempts(sibling: int, path_socket: str, abstract_socket: str, tcp_port: int) -> dict[str, Callable[[], object]]:
    parent = os.getppid()
    area = struct.pack("QQ", 0, 0)
    return {
        "open a file": lambda: open("/etc/passwd", "rb").read(1), "write a file": lambda: open("/tmp/imgnom-escape", "wb").close(),
        "list a folder": lambda: os.listdir("/"), "look at a file": lambda: os.stat("/etc/passwd"), "own environment": lambda: open("/proc/self/environ", "rb").read(1),
        "memory of the parent": lambda: read_memory_of(parent), "memory of a sibling": lambda: read_memory_of(sibling),
        "run a program": lambda: os.execv("/bin/true", ["true"]), "execveat": call("execveat", -1, b"/bin/true", 0, 0, 0),
        "tcp": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", tcp_port)), "udp": lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 53)),
        "udp over ipv6": lambda: connect(socket.AF_INET6, socket.SOCK_DGRAM, ("::1", 53)), "raw ip": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
        "unix socket with a path": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, path_socket),
        "abstract unix socket": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract_socket), "socket pair": lambda: socket.socketpair(),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0), "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0),
        "vsock": lambda: socket.socket(40, socket.SOCK_STREAM), "kernel crypto": lambda: socket.socket(38, socket.SOCK_SEQPACKET),
        "signal to the parent": lambda: os.kill(parent, signal.SIGCONT), "signal to a sibling": lambda: os.kill(sibling, signal.SIGCONT),
        "signal to every process": lambda: os.kill(-1, 0), "signal to a group": lambda: os.killpg(os.getpgid(0), 0), "tgkill": call("tgkill", sibling, sibling, 0), "tkill": call("tkill", sibling, 0),
        "rt_sigqueueinfo": call("rt_sigqueueinfo", sibling, 0, bytes(128)), "pidfd_open": call("pidfd_open", sibling, 0), "pidfd_send_signal": call("pidfd_send_signal", 0, 0, 0, 0),
        "signal by owner of a file": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, sibling), "ptrace": call("ptrace", 16, sibling, 0, 0),
        "process_vm_readv": call("process_vm_readv", sibling, area, 1, area, 1, 0), "process_vm_writev": call("process_vm_writev", sibling, area, 1, area, 1, 0),
        "fork": fork, "many forks": many_processes, "clone a process": vfork_or_clone, "clone3": call("clone3", bytes(88), 88),
        "new namespace": call("unshare", NEW_USER), "namespace of another": call("setns", 0, 0), "clone into a namespace": call("clone", NEW_PROCESS | NEW_USER, 0, 0, 0, 0),
        "io_uring_setup": call("io_uring_setup", 1, bytes(120)), "bpf": call("bpf", 0, bytes(72), 72), "userfaultfd": call("userfaultfd", 1),
        "perf_event_open": call("perf_event_open", bytes(120), 0, -1, -1, 0), "keyctl": call("keyctl", 0, -3, 0), "add_key": call("add_key", b"user", b"a", b"b", 1, -3),
        "open_by_handle_at": call("open_by_handle_at", -100, bytes(32), 0), "name_to_handle_at": call("name_to_handle_at", -100, b"/", bytes(32), bytes(8), 0),
        "openat2": call("openat2", -100, b"/etc/passwd", bytes(24), 24), "memfd_create": call("memfd_create", b"x", 0), "memfd_secret": call("memfd_secret", 0),
        "mount": call("mount", 0, b"/", 0, 0, 0), "chroot": call("chroot", b"/"), "init_module": call("init_module", 0, 0, 0),
        "another filter": call("seccomp", 1, 0, 0), "call of the x32 ABI": call("getpid of x32"), "code from memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "higher limits": lambda: sandbox.libc.setrlimit(resource.RLIMIT_CPU, struct.pack("QQ", 99, 99)) and failed(),
        "limits of another": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE), "become dumpable": lambda: sandbox.libc.prctl(4, 1, 0, 0, 0) and failed(),
    }  # fmt: skip


def failed() -> None:
    raise OSError(ctypes.get_errno(), "refused")


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    except Exception as error:  # noqa: BLE001 - told to the test
        return type(error).__name__
    return "done"


def open_descriptors() -> list[int]:
    found = []
    for number in range(256):
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
        except OSError:
            continue
        found.append(number)
    return found


def try_everything(
    _pyvips: Any, _kind: str, given: bytes | mmap.mmap, *_more: Any
) -> tuple[dict[str, Any], list[bytes]]:
    told = json.loads(given[:])
    if isinstance(given, mmap.mmap):
        given.close()
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    found = {name: outcome(attempt) for name, attempt in attempts(**told).items()}
    return {"found": found, "descriptors": open_descriptors()}, []


if __name__ == "__main__":
    jail.answer = try_everything
    for wall in os.environ.get("IMGNOM_TEST_WITHOUT_WALL", "").split():
        setattr(sandbox, f"_enter_{wall}", lambda: 0)
    jail.nursery(socket.socket(fileno=int(sys.argv[2])))
