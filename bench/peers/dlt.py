"""dlt, which loads a provider's data into tables: compared with our ingest."""

import asyncio
import contextlib
import os
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from bench.peers.folder import HERE, peer_folder, run
from bench.programs import ProgramError, ResourceUsage, run_to_end

LOCK = HERE / "dlt.lock"
_SCRIPT = HERE / "dlt_load.py"
LOAD_TIMEOUT_SECONDS = 600.0

DEFAULT, CSV, ARROW = "", "csv", "arrow"
"""How dlt sends rows to PostgreSQL: INSERT (its default), CSV by COPY, or Arrow (of a file)."""


def _install(folder: Path) -> None:
    run((sys.executable, "-m", "venv", folder), folder=folder)
    pip = (
        _python(folder),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    )
    run((*pip, "--require-hashes", "-r", LOCK), folder=folder)


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def dlt_python() -> Path:
    """Return the Python that has dlt."""
    return _python(peer_folder("dlt", LOCK, _install))


def version() -> str:
    """Return `dlt 1.31.0`."""
    words = run(
        (dlt_python(), "-c", "import importlib.metadata as m; print(m.version('dlt'))"), folder=HERE
    )
    return f"dlt {words.strip()}"


def _environment(dsn: str, form: str) -> dict[str, str]:
    parts = urlsplit(dsn)
    socket = quote(parse_qs(parts.query)["host"][0], safe="")
    return {
        **os.environ,
        # dlt requires a host and a password, even with a socket in the query and no password check.
        "DATABASE_URL": f"postgresql://postgres:none@localhost:5432{parts.path}?host={socket}",
        "DLT_FORMAT": form,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
        "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    }


@contextlib.asynccontextmanager
async def merging(
    dsn: str, url: str, form: str = DEFAULT
) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """Run a process that merges the data of `url` once a call and returns dlt's seconds.

    Raises ProgramError.
    """
    with tempfile.TemporaryDirectory(prefix="kasparro-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(dlt_python(), "-P", _SCRIPT, "tickers", url),
            env=_environment(dsn, form),
            cwd=folder,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
        )
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both are pipes")
        requests, answers = process.stdin, process.stdout

        async def line() -> str:
            async with asyncio.timeout(LOAD_TIMEOUT_SECONDS):
                text = await answers.readline()
            if not text:
                _, errors = await process.communicate()
                raise ProgramError(f"dlt ended: {errors.decode(errors='replace')[-2000:]}")
            return text.decode()

        async def merge() -> float:
            requests.write(b"\n")
            return float(await line())

        try:
            await line()
            yield merge
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def load_csv(dsn: str, path: Path, form: str = DEFAULT) -> ResourceUsage:
    """Load a file in a process of its own; return its resource usage."""
    with tempfile.TemporaryDirectory(prefix="kasparro-bench-") as folder:
        return await run_to_end(
            (dlt_python(), "-P", _SCRIPT, "csv", path), _environment(dsn, form), Path(folder)
        )
