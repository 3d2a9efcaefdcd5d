"""Programs that a measurement starts and always ends."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import aiohttp

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.05
_MEASURE_PROGRAM = Path(__file__).with_name("spent.py")
MEGABYTE = 1_000_000
_KIBIBYTES = sys.platform == "linux"  # the unit of ru_maxrss; elsewhere bytes


class ProgramError(Exception):
    """A program failed; the message ends with its output."""


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    ready: Callable[[], Awaitable[bool]],
) -> AsyncIterator[int]:
    """Run a program in a folder of its own; yield its process id when `ready` returns true.

    Raises ProgramError.
    """
    with (
        tempfile.TemporaryDirectory(prefix="kasparro-bench-") as folder,
        tempfile.TemporaryFile() as output,
    ):
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **environment, "KASPARRO_HOME": folder},
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # so that its own children end with it
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                while process.returncode is None and not await ready():
                    await asyncio.sleep(_POLL_SECONDS)
            if process.returncode is not None:
                output.seek(0)
                output_text = output.read().decode(errors="replace")
                raise ProgramError(
                    f"{command[0]} ended with {process.returncode}: {output_text[-2000:]}"
                )
            yield process.pid
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                await process.wait()
                return


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    """Return a function that returns whether a server answers at `url`, with any status."""

    async def ask() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(url):
                return True
        except aiohttp.ClientConnectionError:
            return False

    return ask


class ResourceUsage(NamedTuple):
    """The seconds of a program from start to end, and its peak memory in MB."""

    seconds: float
    peak_mb: float


async def run_to_end(
    command: Sequence[str | Path], environment: Mapping[str, str], folder: Path | None = None
) -> ResourceUsage:
    """Run a program to its end with this environment only. Raises ProgramError if it fails."""
    with tempfile.TemporaryFile() as output, tempfile.NamedTemporaryFile("r") as report:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", _MEASURE_PROGRAM, report.name, *command),
            env={"TMPDIR": tempfile.gettempdir(), **environment},
            cwd=folder,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                await _end(process)
        seconds, memory, code = report.read().split() or ("0", "0", "1")
        if int(code):
            output.seek(0)
            text = output.read().decode(errors="replace")[-2000:]
            raise ProgramError(f"{command[0]} ended with {code}: {text}")
    return ResourceUsage(float(seconds), int(memory) * (1024 if _KIBIBYTES else 1) / MEGABYTE)
