"""The machine of a measurement, which its figures depend on."""

import datetime
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil

from db.embedded.programs import wheel_programs


class Machine(msgspec.Struct, frozen=True):
    """The machine and the day."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    postgresql: str
    date: datetime.date

    def __str__(self) -> str:
        return (
            f"{self.date}, {self.cpu}, {self.cores} cores, {self.memory_gib:g} GiB, {self.system}, "
            f"Python {self.python}, PostgreSQL {self.postgresql}"
        )


def this_machine() -> Machine:
    """Describe this machine and the current day."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        postgresql=_say([wheel_programs() / "postgres", "--version"]).rpartition(" ")[2],
        date=datetime.datetime.now(datetime.UTC).date(),
    )


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        return _say(["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"])
    return platform.processor() or platform.machine()


def _say(command: Sequence[str | Path]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
