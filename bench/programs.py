"""Running a program to its end, with the time and the memory that it took."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

MEGABYTE = 1_000_000
_KIBIBYTES = sys.platform == "linux"  # the unit of ru_maxrss; elsewhere bytes


class Took(NamedTuple):
    """What a program took."""

    seconds: float
    peak_mb: float


def run_program(command: Sequence[str], environment: Mapping[str, str]) -> Took:
    """Run a program with `environment` over ours; what it prints is dropped. Raises RuntimeError where it fails."""
    started = time.perf_counter()
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        errors = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {errors.decode(errors='replace')}")
    return Took(seconds, usage.ru_maxrss * (1024 if _KIBIBYTES else 1) / MEGABYTE)
