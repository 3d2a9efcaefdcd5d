"""Run by `bench.programs`: run a program and write `seconds memory exit-code` to a file.

It is a small process of its own because Linux includes the parent's memory in a program's peak:
beside a measurement of a hundred megabytes no program would seem smaller. The unit of memory is
that of `ru_maxrss`.
"""

import os
import sys
import time
from pathlib import Path


def main(path: str, program: str, *arguments: str) -> None:
    """Run the program; its output goes to this process's output."""
    started = time.perf_counter()
    child = os.posix_spawnp(program, (program, *arguments), os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    Path(path).write_text(
        f"{seconds} {usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}", encoding="ascii"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
