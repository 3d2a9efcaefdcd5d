"""schemathesis finds no error in any field of Query and Mutation."""

import asyncio
import os
import sys

from db.connect.types import Connection
from tests.conftest import ROOT
from tests.server.conftest import TOKEN, Service
from tests.server.graphql_rows import Rows

EXAMPLES = 15
SECONDS = 30
OPTIONS = (
    f"--max-examples={EXAMPLES}",
    f"--max-time={SECONDS}",
    "--generation-deterministic",
    # Bounds such as `first` from 1 to 250, or what a cursor is, cannot be said in types; our own
    # check covers those.
    "--exclude-checks=positive_data_acceptance",
    f"--header=X-Scheduler-Token: {TOKEN}",
    "--no-color",
)


async def test_schemathesis_finds_no_failure(service: Service, connection: Connection) -> None:
    rows = Rows(connection)
    await rows.source("csv")
    await rows.coin("BTC")
    await rows.run("csv")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/graphql", *OPTIONS),
        cwd=ROOT,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.server.schemathesis_hooks",
            "PYTHONPATH": str(ROOT),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    report = output.decode()
    assert process.returncode == 0, report
    assert "Tested: 16" in report, report
    assert "failure" not in report.lower(), report
