"""A server process under measurement."""

import asyncio
import contextlib
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator

import psutil

from kasparro.supervise.ports import free_port

START_SECONDS = 30.0


class ServerProcess:
    """The port of a server, and its resource usage."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._process = psutil.Process(pid)

    @property
    def memory(self) -> int:
        """Its resident bytes."""
        resident: int = self._process.memory_info().rss
        return resident

    @property
    def cpu_seconds(self) -> float:
        """Its CPU seconds on all cores."""
        times = self._process.cpu_times()
        return float(times.user + times.system)


@contextlib.asynccontextmanager
async def serving(dsn: str, *command: str) -> AsyncIterator[ServerProcess]:
    """Start the product's server, or a module with DSN and port as its arguments.

    Raises AssertionError.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                *(command or ("server",)),
                *((dsn, str(port)) if command else ()),
            ),
            env={
                **os.environ,
                "DATABASE_URL": dsn,
                "KASPARRO_HOME": home,
                "PORT": str(port),
                "LOG_LEVEL": "WARNING",
                "LIVE_CONNECTIONS_PER_CLIENT": "100000",
            },
            stdout=PIPE,
            stderr=STDOUT,
        )
        try:
            if process.stdout is None:
                raise AssertionError("its output is a pipe")
            async with asyncio.timeout(START_SECONDS):
                await process.stdout.readuntil(b"Listening at")
            yield ServerProcess(port, process.pid)
        finally:
            process.terminate()
            await process.communicate()
