"""Run PostgreSQL's programs although we are root, which they refuse.

Two ways, of which the first that works here is taken:

- a user namespace in which root's files belong to an ordinary uid. Nothing changes hands, so a virtual environment or a
  directory below ``/root`` can be used as it is;
- an unprivileged account of this machine, since containers often forbid namespaces. A server's files belong to it, and
  it keeps the one capability that lets it pass through root's directories.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from replica_access.errors import Error

__all__ = ["Identity", "command", "hand_over", "identity"]

ACCOUNTS = ("postgres", "nobody", "daemon")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the programs run as, seen from inside; ``way`` is how they become that."""

    way: Literal["ourselves", "namespace", "account"]
    uid: int
    gid: int


def command(argv: Sequence[str | Path], *, tied: bool = False) -> list[str]:
    """The command line that runs ``argv`` as somebody whom PostgreSQL accepts.

    :param tied: the process gets SIGQUIT, PostgreSQL's immediate shutdown, when the *thread* that started it ends (that
        is how Linux defines it), so start it from the main thread. It makes no difference elsewhere than on Linux.
    :raises Error: we are root and neither way works on this machine.
    """
    who = identity()
    options = [] if who.way == "ourselves" else [f"--{who.way}", f"{who.uid}:{who.gid}"]
    if tied and sys.platform == "linux":
        options += ["--tied-to", str(os.getpid())]  # last: a change of identity would undo it
    return [*launcher(*options), *map(str, argv)] if options else list(map(str, argv))


def hand_over(*paths: Path) -> None:
    """Let files that we wrote belong to whom the programs run as."""
    who = identity()
    if who.way == "account":
        for path in paths:
            os.chown(path, who.uid, who.gid)


@lru_cache
def identity() -> Identity:
    """Who PostgreSQL's programs run as here. For root the ways are tried, once a process, because no setting tells.

    :raises Error: neither way works.
    """
    if os.geteuid() != 0:
        return Identity("ourselves", os.geteuid(), os.getegid())
    refusals = []
    for who in candidates():
        trial = [*launcher(f"--{who.way}", f"{who.uid}:{who.gid}"), "/bin/sh", "-c", ":"]
        tried = subprocess.run(trial, capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return who
        refusals.append(f"{who.way}: {(tried.stderr.strip() or str(tried.returncode)).splitlines()[-1]}")
    raise Error(
        f"PostgreSQL refuses to run as root and could not be run as anybody else ({'; '.join(refusals)}).",
        "Run this as an ordinary user, or allow root user namespaces, or SETUID, SETGID, CHOWN and DAC_OVERRIDE.",
    )


def candidates() -> list[Identity]:
    import pwd

    accounts = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
    # initdb looks its own user up, so that only a uid with an entry will do.
    account = next((accounts[name] for name in ACCOUNTS if name in accounts), next(iter(accounts.values()), None))
    if account is None:
        return []
    return [Identity(way, account.pw_uid, account.pw_gid) for way in ("namespace", "account")]


def launcher(*options: str) -> list[str]:
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name("launcher.py")), *options, "--"]
