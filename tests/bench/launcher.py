"""Run a command and say on standard output what it took, as JSON; the command's own output is thrown away.

A process of its own, and as small as can be: Linux counts the memory of whoever starts a program to the program's peak.
"""

import json
import os
import resource
import sys
import time


def main(command: list[str]) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, nowhere, 1)])
    _, status = os.waitpid(pid, 0)
    wall_s = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = {
        "wall_s": wall_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
        "status": os.waitstatus_to_exitcode(status),
    }
    sys.stdout.write(json.dumps(took))


main(sys.argv[1:])
