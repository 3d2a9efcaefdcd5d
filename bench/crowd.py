"""Websocket clients in processes of their own, so that the server's figures are its own."""

import asyncio
import contextlib
import statistics
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence

import msgspec

from bench.live_clients import Command

LINE_BYTES = 1 << 26
TIMEOUT_SECONDS = 180.0


class Crowd:
    """Processes of clients that all do the same."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    async def open(self, port: int, query: str, variables: Sequence[dict[str, object]]) -> None:
        """Open a subscription for each set of variables."""
        count = len(self._processes)
        await asyncio.gather(
            *[
                _tell(
                    process,
                    Command(port=port, query=query, variables=list(variables[number::count])),
                )
                for number, process in enumerate(self._processes)
            ]
        )

    async def wait(self, updates: int, seconds: float = 60.0) -> list[float]:
        """Return the arrival times (`time.perf_counter`) of `updates` updates of each client."""
        command = Command(wait_for=updates, seconds=seconds)
        answers = await asyncio.gather(*[_tell(process, command) for process in self._processes])
        return [time for answer in answers for time in msgspec.convert(answer, list[float])]


async def _tell(process: Process, command: Command) -> object:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("they are pipes")
    process.stdin.write(msgspec.json.encode(command) + b"\n")
    async with asyncio.timeout(TIMEOUT_SECONDS):
        return msgspec.json.decode(await process.stdout.readuntil(b"\n"))


@contextlib.asynccontextmanager
async def crowd(processes: int) -> AsyncIterator[Crowd]:
    """Start processes that wait for commands."""
    async with contextlib.AsyncExitStack() as stack:
        started = []
        for _ in range(processes):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.live_clients"),
                stdin=PIPE,
                stdout=PIPE,
                limit=LINE_BYTES,
            )
            stack.push_async_callback(_end, process)
            started.append(process)
        yield Crowd(started)


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await process.wait()


def p99(waits: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(waits, n=100, method="inclusive")[98]
