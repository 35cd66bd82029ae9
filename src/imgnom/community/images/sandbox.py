"""The operating system's walls around the process that reads uploaded pictures.

`enter` gives up, for this process and every thread it starts, whatever reading a picture does not need. It cannot be
undone. Three mechanisms, each a wall of its own:

    limits      memory, address space, CPU seconds, size of written files, core dumps (POSIX)
    Landlock    files and TCP (Linux 5.13 and 6.7); signals and abstract Unix sockets of others (Linux 6.12)
    seccomp     a list of the system calls that are needed; every other one fails with EPERM. No sockets of any family,
                no signals, no programs, no new processes, no opening of files, no debugging of other processes
                (x86-64 and 64-bit ARM)

The filter is put together here because the bindings of libseccomp need a library that is not part of the packages.
Sources: seccomp(2), landlock(7), linux/filter.h, linux/seccomp.h, asm/unistd_64.h, asm-generic/unistd.h.
"""

import ctypes
import errno
import os
import platform
import resource
import struct
from collections.abc import Iterator

from imgnom.community.images.limits import ADDRESS_BYTES, CPU_SECONDS, MAX_CLEAN_BYTES, MEMORY_BYTES

libc = ctypes.CDLL(None, use_errno=True)

# The walls, by the names under which `missing` and the pages know them.
SECCOMP, FILES, TCP, SCOPES = "seccomp", "landlock-files", "landlock-tcp", "landlock-scopes"
WALLS = (SECCOMP, FILES, TCP, SCOPES)

_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same numbers on every architecture
_ABI_TCP, _ABI_SCOPES = 4, 6
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_RIGHTS_NOW = 16
_TCP_BIND_AND_CONNECT, _SCOPE_ABSTRACT_UNIX_AND_SIGNAL = 3, 3

_PR_SET_NAME, _PR_SET_NO_NEW_PRIVS = 15, 38
_SECCOMP_SET_MODE_FILTER, _SECCOMP_GET_ACTION_AVAIL = 1, 2
# Without it kernels before 5.16 switch speculation off for the whole process, which costs pictures a fifth more time.
_FILTER_FLAG_SPEC_ALLOW = 4
_RET_KILL_PROCESS, _RET_ERRNO, _RET_ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD_WORD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _JUMP_IF_ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_X32_BIT = 0x40000000
_AT_NR, _AT_ARCH, _AT_ARGUMENTS = 0, 4, 16

# machine: (audit architecture, number of seccomp, index in the table below)
_MACHINES = {"x86_64": (0xC000003E, 317, 0), "aarch64": (0xC00000B7, 277, 1)}
# What reading a picture needs, on x86-64 and on 64-bit ARM; None where the architecture has no such call.
_NEEDED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "pwrite64": (18, 68),
    "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62), "ftruncate": (77, 46), "poll": (7, None), "ppoll": (271, 73),
    "brk": (12, 214), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233), "membarrier": (324, 283),
    "futex": (202, 98), "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getcpu": (309, 168),
    "set_robust_list": (273, 99), "rseq": (334, 293), "gettid": (186, 178), "getpid": (39, 172),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "gettimeofday": (96, 169), "times": (100, 153), "getrusage": (98, 165), "sysinfo": (99, 179),
    "getrandom": (318, 278), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
# Needed in one form only, see `_program`.
_CLONE, _CLONE3, _PRCTL, _FCNTL, _PRLIMIT, _MMAP, _MPROTECT = (
    (56, 220), (435, 435), (157, 167), (72, 25), (302, 261), (9, 222), (10, 226),
)  # fmt: skip
_THREAD_FLAGS = 0x00000100 | 0x00000800 | 0x00010000  # CLONE_VM, CLONE_SIGHAND, CLONE_THREAD
# CLONE_PTRACE, CLONE_VFORK and every namespace
_NEVER_FLAGS = (
    0x00002000 | 0x00004000 | 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
)
_PROT_EXEC = 4
# F_GETFD, F_GETFL, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS; F_SETOWN, for one, could have signals sent to others.
_FCNTL_COMMANDS = (1, 3, 1030, 1033, 1034)


class _Block(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("program", ctypes.c_char_p))


def landlock_version() -> int:
    """The kernel's Landlock ABI; 0 where it has none or the system is another."""
    if os.uname().sysname != "Linux":
        return 0
    return max(0, int(libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


def has_seccomp() -> bool:
    """Whether this kernel and this architecture take our filter."""
    machine = _MACHINES.get(platform.machine())
    if os.uname().sysname != "Linux" or machine is None or struct.calcsize("P") != 8:
        return False
    action = ctypes.c_uint(_RET_ERRNO)
    return bool(libc.syscall(machine[1], _SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0)


def missing_here() -> tuple[str, ...]:
    """The walls that this kernel cannot put up, found out without putting up any."""
    version = landlock_version()
    there = {SECCOMP: has_seccomp(), FILES: version >= 1, TCP: version >= _ABI_TCP, SCOPES: version >= _ABI_SCOPES}
    return tuple(wall for wall in WALLS if not there[wall])


def limit() -> None:
    os.nice(5)  # pages come before pictures
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_CLEAN_BYTES, MAX_CLEAN_BYTES))


def enter() -> tuple[str, ...]:
    """Everything in the head of this module is in force for this thread and those it starts; the walls that are not.

    Called while the process has one thread.
    """
    if os.uname().sysname != "Linux" or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return WALLS
    version = _enter_landlock()
    up = {FILES: version >= 1, TCP: version >= _ABI_TCP, SCOPES: version >= _ABI_SCOPES, SECCOMP: _enter_seccomp()}
    return tuple(wall for wall in WALLS if not up[wall])


def _enter_landlock() -> int:
    """The version of Landlock whose rules are in force."""
    version = landlock_version()
    if version < 1:
        return 0
    rights = struct.pack("Q", (1 << _FILE_RIGHTS.get(version, _FILE_RIGHTS_NOW)) - 1)
    if version >= _ABI_TCP:
        rights += struct.pack("Q", _TCP_BIND_AND_CONNECT)
    if version >= _ABI_SCOPES:
        rights += struct.pack("Q", _SCOPE_ABSTRACT_UNIX_AND_SIGNAL)
    rules = libc.syscall(_LANDLOCK_CREATE, rights, ctypes.c_size_t(len(rights)), 0)
    if rules < 0:
        return 0
    done = libc.syscall(_LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)
    return version if done == 0 else 0


def _enter_seccomp() -> bool:
    if not has_seccomp():
        return False
    audit, seccomp, column = _MACHINES[platform.machine()]
    program = b"".join(_program(audit, column))
    block = _Block(len(program) // 8, program)
    return bool(libc.syscall(seccomp, _SECCOMP_SET_MODE_FILTER, _FILTER_FLAG_SPEC_ALLOW, ctypes.byref(block)) == 0)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value & 0xFFFFFFFF)


_ALLOW, _REFUSE, _UNKNOWN = (
    _step(_RETURN, _RET_ALLOW), _step(_RETURN, _RET_ERRNO | errno.EPERM), _step(_RETURN, _RET_ERRNO | errno.ENOSYS),
)  # fmt: skip


def _low(argument: int) -> bytes:
    return _step(_LOAD_WORD, _AT_ARGUMENTS + 8 * argument)


def _high(argument: int) -> bytes:
    return _step(_LOAD_WORD, _AT_ARGUMENTS + 8 * argument + 4)


def _program(audit: int, column: int) -> Iterator[bytes]:
    """The filter, in classic BPF: allowed calls first, then those that depend on an argument, then a refusal."""
    yield _step(_LOAD_WORD, _AT_ARCH)
    yield _step(_JUMP_IF_EQUAL, audit, 1, 0)
    yield _step(_RETURN, _RET_KILL_PROCESS)  # 32-bit calls have other numbers
    yield _step(_LOAD_WORD, _AT_NR)
    yield _step(_JUMP_IF_AT_LEAST, _X32_BIT, 0, 1)
    yield _REFUSE
    for numbers in _NEEDED.values():
        if (number := numbers[column]) is not None:
            yield _step(_JUMP_IF_EQUAL, number, 0, 1)
            yield _ALLOW
    # Libraries fall back to `clone`, whose flags can be seen from here.
    yield from _case(_CLONE3[column], [_UNKNOWN])
    yield from _case(_CLONE[column], [
        _low(0), _step(_JUMP_IF_ANY_BIT, _NEVER_FLAGS, 0, 1), _REFUSE, _step(_AND, _THREAD_FLAGS),
        _step(_JUMP_IF_EQUAL, _THREAD_FLAGS, 1, 0), _REFUSE, _ALLOW,
    ])  # fmt: skip
    yield from _case(_PRCTL[column], [_low(0), _step(_JUMP_IF_EQUAL, _PR_SET_NAME, 1, 0), _REFUSE, _ALLOW])
    commands = [part for command in _FCNTL_COMMANDS for part in (_step(_JUMP_IF_EQUAL, command, 0, 1), _ALLOW)]
    yield from _case(_FCNTL[column], [_low(1), *commands, _REFUSE])
    # Limits may be read and not set, and only one's own.
    zeros = [part for load in (_low(0), _low(2), _high(2)) for part in (load, _step(_JUMP_IF_EQUAL, 0, 1, 0), _REFUSE)]
    yield from _case(_PRLIMIT[column], [*zeros, _ALLOW])
    for call in (_MMAP, _MPROTECT):  # no memory that was written to becomes code
        yield from _case(call[column], [_low(2), _step(_JUMP_IF_ANY_BIT, _PROT_EXEC, 0, 1), _REFUSE, _ALLOW])
    yield _REFUSE


def _case(number: int, parts: list[bytes]) -> Iterator[bytes]:
    """`parts` decide about this call, and end with a decision."""
    yield _step(_JUMP_IF_EQUAL, number, 0, len(parts))
    yield from parts
