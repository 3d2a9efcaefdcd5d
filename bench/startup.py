"""Start-up time of each program, compared with an empty Python program and PostgreSQL."""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from bench.figures import Figure
from bench.postgres import temporary_server
from db.embedded import EmbeddedPostgres
from kasparro.supervise.ports import free_port

REPEATS, QUICK_REPEATS = 9, 1
TIMEOUT_SECONDS = 60.0
_SAY_READY = "print('ready', flush=True)"


async def measure(*, quick: bool) -> list[Figure]:
    """Return medians of several starts, with the files in the system's cache."""
    repeats = QUICK_REPEATS if quick else REPEATS
    async with temporary_server() as postgres:
        dsn = await postgres.database("startup")
        programs = {
            "server, until it listens": (("-m", "server"), "Listening at"),
            "ingestor, its imports": (("-c", f"import ingestor.__main__; {_SAY_READY}"), "ready"),
            "kasparro --help": (("-m", "kasparro", "--help"), "Usage"),
        }
        bare = await _median_start(repeats, ("-c", _SAY_READY), "ready", {})
        figures = [
            Figure(
                what=what,
                unit="s",
                ours=await _median_start(repeats, arguments, ready, {"DATABASE_URL": dsn}),
                against="python -c print",
                theirs=bare,
            )
            for what, (arguments, ready) in programs.items()
        ]
    return [*figures, *await _embedded(repeats)]


async def _median_start(
    repeats: int, arguments: tuple[str, ...], ready: str, environment: Mapping[str, str]
) -> float:
    """Return the seconds until Python prints its ready line; a first start is not counted."""
    seconds = [await _start(arguments, ready, environment) for _ in range(1 + repeats)]
    return statistics.median(seconds[1:])


async def _start(arguments: tuple[str, ...], ready: str, environment: Mapping[str, str]) -> float:
    with tempfile.TemporaryDirectory(prefix="kasparro-bench-") as folder:
        port = {"PORT": str(free_port()), "KASPARRO_HOME": folder}
        started = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env={**os.environ, **port, **environment},
            stdout=PIPE,
            stderr=STDOUT,
        )
        output = cast("asyncio.StreamReader", process.stdout)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                async for line in output:
                    if ready.encode() in line:
                        return time.perf_counter() - started
            raise RuntimeError(f"{arguments} ended before it said {ready!r}")
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _embedded(repeats: int) -> list[Figure]:
    """Time the first start of embedded PostgreSQL, which creates its data folder, and the next."""
    first: list[float] = []
    second: list[float] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="kasparro-bench-") as folder:
            _open_folder(Path(folder))
            for seconds in (first, second):
                started = time.perf_counter()
                async with EmbeddedPostgres(Path(folder)):
                    seconds.append(time.perf_counter() - started)
    return [
        Figure(what="embedded PostgreSQL, first start", unit="s", ours=statistics.median(first)),
        Figure(what="embedded PostgreSQL, later starts", unit="s", ours=statistics.median(second)),
    ]


def _open_folder(folder: Path) -> None:
    """As root, let the account of PostgreSQL into the folder."""
    folder.chmod(0o711)
