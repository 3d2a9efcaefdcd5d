"""Run by `bench.programs`: a program to its end, and what it took, written to a file as `seconds memory exit-code`.

It is a small process of its own because Linux counts to a program's peak what the process had that
started it: beside a measurement of a hundred megabytes nothing could be seen to take less. The unit
of memory is that of `ru_maxrss`.
"""

import os
import sys
import time
from pathlib import Path


def main(path: str, program: str, *arguments: str) -> None:
    """Run the program; its own output goes where ours goes."""
    started = time.perf_counter()
    child = os.posix_spawnp(program, (program, *arguments), os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    Path(path).write_text(
        f"{seconds} {usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}", encoding="ascii"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
