"""The calls of a month: polls, triggers, retries and backfills together, and what is spare."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.settings import Settings
from db.connect.types import Connection
from db.write.api_calls import add_calls, count_calls
from ingestor.clock import utc_now
from ingestor.sources.coingecko.source import create
from kasparro.simulator.app import create_app, serving
from kasparro.simulator.faults import Fault
from kasparro.simulator.market.market import SimulatedMarket
from tests.conftest import StartProgram
from tests.ingestor.conftest import START, Ingest


async def test_every_request_of_a_run_is_counted_retries_too(
    ingest: Ingest, connection: Connection
) -> None:
    ingest.fault("status", provider="coingecko", status=503)
    await ingest.run("coingecko")
    await ingest.run("coingecko", full=True)
    # 600 coins are three pages of 250, and an empty one that ends them.
    assert await count_calls(connection, "coingecko", utc_now()) == 1 + 4 + 4


async def test_every_request_of_a_run_that_was_killed_is_counted(
    start_program: StartProgram,
    database: str,
    tmp_path: Path,
    ingest: Ingest,
    connection: Connection,
) -> None:
    async with serving(
        create_app(SimulatedMarket(600, seed=7, start=START, step_seconds=60))
    ) as address:
        address.simulation.faults.add(
            [
                Fault(kind="status", status=503, provider="coingecko", page=2),
                Fault(kind="timeout", provider="coingecko", page=2),
            ]
        )
        program = start_program(
            *("-m", "ingestor"),
            DATABASE_URL=database,
            SOURCES="coingecko",
            COINGECKO_URL=address.coingecko_url,
            KASPARRO_HOME=str(tmp_path),
        )
        made = address.simulation.limits["coingecko"]
        async with asyncio.timeout(60):
            while made.counted < 3:  # the first page, the second, and that again
                assert program.process.poll() is None, program.text()
                await asyncio.sleep(0.01)
        program.process.kill()
        program.process.wait()
        assert await count_calls(connection, "coingecko", utc_now()) == made.counted == 3
    assert await ingest.value("SELECT status FROM etl_runs") == "running"


@pytest.mark.parametrize(
    ("now", "used", "spare"),
    [
        ("2026-11-01T00:00:00+00:00", 0, 10_000 - 2_250 * 4),
        ("2026-11-30T23:50:00+00:00", 9_000, 1_000 - 4),
        ("2026-12-31T23:59:59.999999+00:00", 0, 10_000 - 4),
        ("2026-11-16T00:00:00+00:00", 6_000, 0),
    ],
)
def test_the_polls_to_come_have_their_calls_first(now: str, used: int, spare: int) -> None:
    source = create(Settings(home=Path()))
    assert source.poll_seconds == 1152
    assert source.spare_calls(used, datetime.fromisoformat(now)) == spare


async def test_a_month_begins_with_no_calls(connection: Connection) -> None:
    november = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    await add_calls(connection, "coingecko", 7, november)
    await add_calls(connection, "coingecko", -2, november)
    assert await count_calls(connection, "coingecko", november) == 5
    assert await count_calls(connection, "coingecko", november + timedelta(minutes=1)) == 0
