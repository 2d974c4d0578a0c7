"""Where the servers of the tests live: in memory, where there is plenty of it.

Dozens of clusters of a thousand files each come and go in a run. On a disk, making and deleting these files takes more
processor time than all that the servers do; one file system takes longer for each file the more were deleted of late.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

__all__ = ["use"]

RAM_DISK = Path("/dev/shm")
ROOM = 12 << 30
"""Bytes; about twice what six workers take when each has servers of every major, and a sandbox or two."""

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def use() -> None:
    """Let pytest make its directories there, unless somebody has said where, or there is no room."""
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ and room() >= ROOM:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(RAM_DISK)


def room() -> int:
    """Return how many bytes can be written there without harm; 0 if nothing can."""
    if not os.access(RAM_DISK, os.W_OK):
        return 0
    available = re.search(r"^MemAvailable: *(\d+) kB$", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)
    limits = [path.read_text(encoding="ascii").strip() for path in LIMITS if path.is_file()]
    return min(
        shutil.disk_usage(RAM_DISK).free,
        int(available[1]) * 1024 if available else 0,
        *(int(limit) for limit in limits if limit.isdecimal()),
    )
