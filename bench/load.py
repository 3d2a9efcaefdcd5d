"""Load by separate processes: wrk for requests, pgbench for statements; both are fast enough."""

import asyncio
import re
import shutil
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Sequence

import msgspec

from bench.programs import ProgramError
from db.embedded.programs import wheel_programs

CONNECTIONS = 16

# wrk's own output is rounded.
_SCRIPT = """
wrk.method = %s
wrk.body = %s
wrk.headers["Content-Type"] = "application/json"
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\\n{"requests": %%d, "microseconds": %%d, "failed": %%d, "p50": %%d, "p99": %%d}\\n',
        summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50), latency:percentile(99)
    ))
end
"""


class Target(msgspec.Struct, frozen=True):
    """A request that is repeated."""

    url: str
    body: bytes | None = None

    def script(self) -> str:
        """Return wrk's script."""
        if self.body is None:
            return _SCRIPT % ('"GET"', "nil")
        return _SCRIPT % ('"POST"', f"[==[{self.body.decode()}]==]")


class Load(msgspec.Struct, frozen=True):
    """The counts of wrk."""

    requests: int
    microseconds: int
    failed: int
    p50: int
    p99: int

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.microseconds * 1e6


def wrk() -> str:
    """Return wrk's path. Raises ProgramError."""
    found = shutil.which("wrk")
    if found is None:
        raise ProgramError("wrk is missing: install it, on Debian with `apt-get install wrk`")
    return found


async def requests(target: Target, seconds: int) -> Load:
    """Repeat a request for some seconds over a fixed number of connections.

    Raises ProgramError if a request fails.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(target.script())
        script.flush()
        output = await _run(
            [
                wrk(),
                "-t1",
                f"-c{CONNECTIONS}",
                f"-d{seconds}s",
                "--timeout",
                "10s",
                "-s",
                script.name,
                target.url,
            ]
        )
    load = msgspec.json.decode(output.strip().rpartition("\n")[2], type=Load)
    if load.failed or not load.requests:
        raise ProgramError(
            f"{load.failed} of {load.requests} requests failed at {target.url}: {output}"
        )
    return load


async def transactions(dsn: str, statement: str, seconds: int) -> float:
    """Return how many times a second PostgreSQL runs a prepared statement. Raises ProgramError."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(statement)
        script.flush()
        output = await _run(
            [
                str(wheel_programs() / "pgbench"),
                "-n",
                "-Mprepared",
                f"-c{CONNECTIONS}",
                f"-T{seconds}",
                "-f",
                script.name,
                dsn,
            ]
        )
    found = re.search(r"^tps = ([0-9.]+)", output, re.MULTILINE)
    if found is None or "number of failed transactions: 0 " not in output:
        raise ProgramError(f"pgbench: {output}")
    return float(found[1])


async def _run(command: Sequence[str]) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    if process.returncode:
        raise ProgramError(f"{command[0]} ended with {process.returncode}: {text}")
    return text
