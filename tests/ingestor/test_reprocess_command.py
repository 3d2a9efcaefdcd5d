"""`kasparro reprocess` as a user runs it, and killed at any moment.

`make soak` kills more often.
"""

import asyncio
import contextlib
import json
import os
import pty
import random
import re
import sys
import time

from kasparro.simulator.app import create_app, serving
from kasparro.simulator.market.market import SimulatedMarket
from tests.conftest import Program, StartProgram
from tests.ingestor.conftest import START, Ingest
from tests.ingestor.reprocess_rows import (
    again,
    contents,
    ingest_again,
    misread,
    read_ticks,
    row_versions,
)
from tests.kasparro.command_line import kasparro

ROUNDS = int(os.environ.get("KILL_ROUNDS", "6"))


async def test_a_dry_run_prints_what_would_change_and_the_real_one_changes_it(
    ingest: Ingest, database: str
) -> None:
    await read_ticks(ingest, misread(ingest), 2)
    before = await row_versions(ingest)
    environ = {"DATABASE_URL": database, "KASPARRO_HOME": str(ingest.csv_path.parent)}
    done = await kasparro("reprocess", "--dry-run", **environ)
    assert done.returncode == 0, done.stderr
    assert "This is what would change; nothing was written." in done.stdout
    for word in ("listings", "normalized_records", "price_points", "candles", "price_usd", " COIN"):
        assert word in done.stdout
    assert "━" not in done.stderr  # a bar needs a terminal
    assert await row_versions(ingest) == before

    done = await kasparro("reprocess", "--json", **environ)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [source["source"] for source in report["sources"]] == ["coingecko", "coinpaprika", "csv"]
    assert report["changes"]
    assert {run["status"] for run in report["runs"]} == {"success"}
    assert await ingest.value("SELECT count(*) FROM listings WHERE name LIKE '% COIN'") == 0

    done = await kasparro("reprocess", **environ)
    assert done.returncode == 0, done.stderr
    assert "Nothing changed." in done.stdout


async def test_on_a_terminal_a_bar_a_source_shows_how_far_it_is(
    ingest: Ingest, database: str
) -> None:
    await read_ticks(ingest, ingest.sources, 2)
    payloads = dict(
        await ingest.pairs(
            "SELECT source, sum(record_count) FROM bodies WHERE source <> 'csv' GROUP BY 1"
        )
    )
    controller, terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kasparro", "reprocess"),
        env={
            **os.environ,
            "DATABASE_URL": database,
            "KASPARRO_HOME": str(ingest.csv_path.parent),
            "TERM": "xterm-256color",
            "COLUMNS": "100",
            "LOG_LEVEL": "WARNING",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    seen, (printed, _) = await asyncio.gather(
        asyncio.to_thread(read_terminal, controller), process.communicate()
    )
    assert process.returncode == 0, seen
    assert "Nothing changed." in printed.decode()
    assert "━" not in printed.decode()
    for source, count in payloads.items():
        assert re.search(rf"{source}\s+\S*━+.*{count}/{count}\S*\s+\S*payloads", seen), seen


def read_terminal(controller: int) -> str:
    """Return the output of a terminal until its last writer closes it, an error on Linux."""
    parts = []
    with contextlib.suppress(OSError):
        while part := os.read(controller, 65_536):
            parts.append(part)
    os.close(controller)
    return b"".join(parts).decode()


async def test_options_that_cannot_be_are_refused(database: str) -> None:
    done = await kasparro("reprocess", "--source", "unknown", DATABASE_URL=database)
    assert done.returncode == 2
    assert "'unknown' is not one of SOURCES" in done.stderr
    done = await kasparro("reprocess", "--since", "yesterday", DATABASE_URL=database)
    assert done.returncode == 2
    assert "is not a date or time" in done.stderr


async def test_killed_at_any_moment_it_ends_as_an_undisturbed_one(
    start_program: StartProgram, database: str, ingest: Ingest
) -> None:
    def start() -> Program:
        return start_program(
            "-m",
            "kasparro",
            "reprocess",
            DATABASE_URL=database,
            KASPARRO_HOME=str(ingest.csv_path.parent),
        )

    chance = random.Random(seed := time.time_ns())  # noqa: S311 - moments, no secrets
    killed = 0
    seconds = 4.0
    async with serving(
        create_app(SimulatedMarket(1_500, seed=3, start=START, step_seconds=60))
    ) as address:
        big = Ingest(ingest.pool, address, ingest.csv_path)
        await read_ticks(big, misread(big), 8)
        for _ in range(ROUNDS):
            program = start()
            await program.wait_for("reprocess.(started|resumed)", 60)
            began = time.monotonic()
            await asyncio.sleep(chance.uniform(0, seconds))
            if program.process.poll() is None:
                killed += 1
                program.process.kill()
            else:  # it had ended: kill the next sooner
                seconds = (time.monotonic() - began) / 2
                await read_ticks(big, big.sources, 2)
            program.process.wait()
        await big.close()
    assert killed, "no kill hit a reprocess"
    program = start()
    assert await program.wait(120) == 0, program.text()
    disturbed = await contents(ingest)
    assert (await again(ingest)).changes == []
    assert await contents(ingest) == disturbed, f"seed {seed}"
    assert not await ingest.value("SELECT count(*) FROM listings WHERE name LIKE '% COIN'")
    assert await ingest.value("SELECT count(*) FROM etl_runs WHERE status = 'running'") == 0
    assert await ingest.value("SELECT count(*) FROM reprocess_versions") == 0
    rebuilt = await contents(ingest)
    await ingest_again(ingest)
    right = await contents(ingest)
    for table, rows in right.items():
        assert rebuilt[table] == rows, f"{table} (seed {seed})"
