"""A kill at any moment loses nothing and repeats nothing. `make soak` does this 50 times."""

import asyncio
import os
import random
import time

import pytest

from kasparro.simulator.app import create_app, serving
from kasparro.simulator.market.market import SimulatedMarket
from tests.conftest import Program, StartProgram
from tests.ingestor.conftest import START, Ingest

ROUNDS = int(os.environ.get("KILL_ROUNDS", "6"))
# Both sources still need many pages; the long form has a market of the real size.
COINS = 10_000 if ROUNDS > 10 else 2_500


async def contents(ingest: Ingest) -> dict[str, list[tuple[object, ...]]]:
    """Everything that a run leaves, but for its own row and the times at which we did things."""
    queries = {
        "listings": "SELECT source, external_id, ticker, symbol, name, price_usd, market_cap_usd, "
        "observed_at, "
        "content_hash, active, missing_since IS NULL, contributes FROM listings ORDER BY source, "
        "external_id",
        "coins": "SELECT id, ticker, name, price_usd, price_usd_exact, market_cap_usd, "
        "volume_24h_usd, rank, source, "
        "created_at, price_spread_percent, rival_count, provenance::text FROM normalized_records "
        "ORDER BY ticker",
        "raw": "SELECT source, external_id, payload::text FROM raw_api_records ORDER BY 1, 2, 3",
        "bodies": "SELECT source, page_group, page_number, form, size, sha256, record_count "
        "FROM bodies ORDER BY 1, 2, 3, 5",
        "without body": "SELECT count(*) FROM listings AS l "
        "WHERE NOT EXISTS (SELECT FROM bodies AS b WHERE b.id = l.body)",
        "pages": "SELECT source, page_group, number, external_ids::text FROM source_pages ORDER "
        "BY 1, 2, 3",
        "checkpoints": "SELECT source, last_id, last_timestamp, position - 'validators', "
        "sweep_started_at IS NULL "
        "FROM etl_checkpoints ORDER BY 1",
        "rejected": "SELECT count(*) FROM rejected_records",
        "running": "SELECT count(*) FROM etl_runs WHERE status = 'running'",
    }
    return {name: await ingest.rows(sql) for name, sql in queries.items()}


EMPTY = (
    "TRUNCATE listings, normalized_records, raw_api_records, source_pages, etl_checkpoints, "
    "etl_runs, events, "
    "rejected_records, bodies CASCADE"
)


@pytest.mark.timeout(120 + 60 * ROUNDS)
async def test_a_kill_at_any_moment_leaves_what_one_undisturbed_run_leaves(
    start_program: StartProgram, database: str, ingest: Ingest
) -> None:
    async with serving(
        create_app(SimulatedMarket(COINS, seed=3, start=START, step_seconds=60))
    ) as address:

        def start() -> Program:
            return start_program(
                *("-m", "kasparro", "ingest", "--once"),
                *("--source", "coingecko", "--source", "coinpaprika"),
                DATABASE_URL=database,
                COINPAPRIKA_URL=address.coinpaprika_url,
                COINGECKO_URL=address.coingecko_url,
                COINGECKO_PAGES="40",
                KASPARRO_HOME=str(ingest.csv_path.parent),
            )

        program = start()
        await program.wait_for("run.started", 60)
        began = time.monotonic()
        assert await program.wait(120) == 0, program.text()
        seconds = time.monotonic() - began
        undisturbed = await contents(ingest)
        assert len(undisturbed["listings"]) > 1.5 * COINS
        assert undisturbed["without body"] == [(0,)]

        await ingest.value(EMPTY)
        killed = 0
        seed = time.time_ns()
        chance = random.Random(seed)  # noqa: S311 - moments, no secrets
        while killed < ROUNDS:
            program = start()
            await program.wait_for("run.started", 60)
            await asyncio.sleep(chance.uniform(0, seconds))
            if program.process.poll() is None:
                killed += 1
                program.process.kill()
                program.process.wait()
            else:  # too late: it was through
                await ingest.value(EMPTY)
        program = start()
        assert await program.wait(120) == 0, program.text()
        disturbed = await contents(ingest)
        for name, rows in undisturbed.items():
            assert disturbed[name] == rows, f"{name} differ (seed {seed})"
