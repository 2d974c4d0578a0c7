"""Become somebody else, then become the command after ``--``, under the same process id.

A program rather than a module: ``unprivileged`` starts it by its path before every start of a server, so it imports
as little as it can. Options are taken in their order:

``--namespace UID:GID``  enter a user namespace in which our own uid and gid are these
``--account UID:GID``    become that account, for good
``--tied-to PID``        get SIGQUIT when the thread that started us ends, whose process is PID (Linux)
"""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE = 1
LINUX_CAPABILITY_VERSION_3 = 0x20080522
SIGQUIT = 3


def main(arguments: list[str]) -> None:
    end = arguments.index("--")
    options, command = arguments[:end], arguments[end + 1 :]
    for option, value in zip(options[::2], options[1::2], strict=True):
        numbers = [int(part) for part in value.split(":")]
        if option == "--namespace":
            enter_namespace(*numbers)
        elif option == "--account":
            become_account(*numbers)
        elif option == "--tied-to":
            end_with(*numbers)
        else:
            raise SystemExit(f"unknown option {option}")
    os.execv(command[0], command)  # noqa: S606  (there is no shell to want)


def enter_namespace(uid: int, gid: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc("unshare", CLONE_NEWUSER)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{uid} {outer_uid} 1")
    write("/proc/self/gid_map", f"{gid} {outer_gid} 1")


def become_account(uid: int, gid: int) -> None:
    """Change uid and gid, and keep the right to pass through directories that are closed to them."""
    prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    kept = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)  # effective, permitted, inheritable; then the upper halves
    libc("capset", header, sets)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)


def end_with(parent: int) -> None:
    prctl(PR_SET_PDEATHSIG, SIGQUIT)
    if os.getppid() != parent:
        raise SystemExit(f"process {parent}, to which this one is tied, has ended")


def prctl(*arguments: int) -> None:
    libc("prctl", *(ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:5]))


def libc(function: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
