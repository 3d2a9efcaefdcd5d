"""Load from a process of its own: requests by wrk, statements by pgbench; both are faster than what they measure."""

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

# What wrk prints is rounded; this is not.
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
    """A request that is sent again and again."""

    url: str
    body: bytes | None = None

    def script(self) -> str:
        """Return wrk's script."""
        if self.body is None:
            return _SCRIPT % ('"GET"', "nil")
        return _SCRIPT % ('"POST"', f"[==[{self.body.decode()}]==]")


class Load(msgspec.Struct, frozen=True):
    """What wrk counted."""

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
        raise ProgramError(
            "wrk is missing, which makes the load: install it, on Debian with `apt-get install wrk`"
        )
    return found


async def requests(target: Target, seconds: int) -> Load:
    """Send a request for some seconds, over a fixed number of connections.

    Raises ProgramError if one fails.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(target.script())
        script.flush()
        said = await _run(
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
    load = msgspec.json.decode(said.strip().rpartition("\n")[2], type=Load)
    if load.failed or not load.requests:
        raise ProgramError(
            f"{load.failed} of {load.requests} requests failed at {target.url}: {said}"
        )
    return load


async def transactions(dsn: str, statement: str, seconds: int) -> float:
    """Return how many times a second PostgreSQL alone runs a statement, prepared once a connection."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(statement)
        script.flush()
        said = await _run(
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
    found = re.search(r"^tps = ([0-9.]+)", said, re.MULTILINE)
    if found is None or "number of failed transactions: 0 " not in said:
        raise ProgramError(f"pgbench: {said}")
    return float(found[1])


async def _run(command: Sequence[str]) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = output.decode(errors="replace")
    if process.returncode:
        raise ProgramError(f"{command[0]} ended with {process.returncode}: {said}")
    return said
