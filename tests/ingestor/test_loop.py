"""The loops, in this process and as the program: polling, triggers, outages, signals."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from common.settings import load_settings
from db.requests import add_request
from ingestor.run.loop import keep_ingesting
from kasparro.simulator.app import create_app, serving
from kasparro.simulator.market.market import SimulatedMarket
from tests.conftest import StartProgram
from tests.ingestor.conftest import START, Ingest


async def until(holds: Callable[[], Awaitable[object]], timeout_seconds: float = 30) -> None:
    async with asyncio.timeout(timeout_seconds):
        while not await holds():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def ingesting(ingest: Ingest, *names: str) -> AsyncIterator[None]:
    settings = load_settings({"RUN_TIMEOUT_SECONDS": "30"})
    async with anyio.create_task_group() as group:
        group.start_soon(
            keep_ingesting, settings, ingest.pool, [ingest.sources[name] for name in names]
        )
        yield
        group.cancel_scope.cancel()


async def ask(ingest: Ingest, *names: str, full: bool = False) -> int:
    async with ingest.pool.acquire() as connection:
        return await add_request(connection, names, full=full)


async def test_every_source_is_polled_at_once_and_then_when_it_is_due(ingest: Ingest) -> None:
    async with ingesting(ingest, "coinpaprika", "coingecko"):
        await until(
            lambda: ingest.value("SELECT count(*) = 2 FROM etl_runs WHERE status = 'success'")
        )
    due = await ingest.rows(
        "SELECT name, next_run_at BETWEEN now() + interval '200 s' AND now() + interval '300 s' "
        "FROM sources "
        "WHERE name <> 'csv' ORDER BY name"
    )
    assert due == [("coingecko", True), ("coinpaprika", True)]
    async with ingesting(ingest, "coinpaprika", "coingecko"):
        request = await ask(ingest, "coinpaprika")
        await until(
            lambda: ingest.value("SELECT status = 'done' FROM etl_requests WHERE id = $1", request)
        )
    assert await ingest.value("SELECT count(*) FROM etl_runs WHERE request_id IS NULL") == 2, (
        "a restart does not poll again"
    )


async def test_a_trigger_runs_the_sources_that_it_names(ingest: Ingest) -> None:
    async with ingesting(ingest, "coinpaprika", "coingecko"):
        await until(
            lambda: ingest.value("SELECT count(*) = 2 FROM etl_runs WHERE status = 'success'")
        )
        request = await ask(ingest, "coingecko", full=True)
        await until(
            lambda: ingest.value("SELECT status = 'done' FROM etl_requests WHERE id = $1", request)
        )
    assert await ingest.rows(
        "SELECT source, status FROM etl_runs WHERE request_id = $1", request
    ) == [("coingecko", "success")]


async def test_a_trigger_survives_the_restart_of_everyone(ingest: Ingest) -> None:
    request = await ask(ingest, "coinpaprika", "csv", "unheard-of")
    ingest.csv_path.write_text("symbol,price\nBTC,1\n")
    async with ingest.pool.acquire() as connection:  # as an ingestor leaves it that died half-way
        await connection.execute("UPDATE etl_requests SET status = 'running'")
        await connection.execute(
            "INSERT INTO etl_runs (source, status, started_at, finished_at, request_id) "
            "VALUES ('csv', 'success', now(), now(), $1)",
            request,
        )
        await connection.execute("UPDATE sources SET next_run_at = now() + interval '200 s'")
    async with ingesting(ingest, "coinpaprika", "csv"):
        await until(lambda: ingest.value("SELECT status = 'done' FROM etl_requests"))
    runs = await ingest.rows(
        "SELECT source, count(*) FROM etl_runs WHERE request_id = $1 GROUP BY 1 ORDER BY 1", request
    )
    assert runs == [("coinpaprika", 1), ("csv", 1)], "what was done before is not done again"


async def test_what_one_ingestor_cannot_run_is_left_to_another(ingest: Ingest) -> None:
    async with ingest.pool.acquire() as connection:
        await connection.execute("UPDATE sources SET next_run_at = now() + interval '200 s'")
    ingest.csv_path.write_text("symbol,price\nBTC,1\n")
    request = await ask(ingest, "csv", "coinpaprika")
    async with ingesting(ingest, "csv"):
        await until(
            lambda: ingest.value("SELECT count(*) = 1 FROM etl_runs WHERE request_id = $1", request)
        )
        await until(
            lambda: ingest.value(
                "SELECT status = 'success' FROM etl_runs WHERE request_id = $1", request
            )
        )
    assert await ingest.value("SELECT status FROM etl_requests") == "running"
    async with ingesting(ingest, "coinpaprika"):
        await until(lambda: ingest.value("SELECT status = 'done' FROM etl_requests"))
    runs = await ingest.rows(
        "SELECT source FROM etl_runs WHERE request_id = $1 ORDER BY id", request
    )
    assert runs == [("csv",), ("coinpaprika",)]


async def test_one_request_is_served_by_one_ingestor(ingest: Ingest) -> None:
    async with ingest.pool.acquire() as connection:
        await connection.execute("UPDATE sources SET next_run_at = now() + interval '200 s'")
    async with ingesting(ingest, "coinpaprika"), ingesting(ingest, "coinpaprika"):
        requests = [await ask(ingest, "coinpaprika") for _ in range(4)]
        await until(lambda: ingest.value("SELECT bool_and(status = 'done') FROM etl_requests"))
    runs = await ingest.rows("SELECT request_id FROM etl_runs ORDER BY request_id")
    assert runs == [(request,) for request in sorted(set(requests))]


async def test_two_identical_triggers_are_one_until_its_run_begins(ingest: Ingest) -> None:
    first = await ask(ingest, "csv", "coinpaprika")
    assert (
        await asyncio.gather(*(ask(ingest, "coinpaprika", "csv") for _ in range(4))) == [first] * 4
    )
    others = [await ask(ingest, "csv"), await ask(ingest, "csv", "coinpaprika", full=True)]
    assert len({first, *others}) == 3
    await ingest.value(
        "INSERT INTO etl_runs (source, started_at, request_id) VALUES ('csv', now(), $1)", first
    )
    later = await ask(ingest, "csv", "coinpaprika")
    assert later not in {first, *others}, "what began before the trigger does not answer it"
    assert await ask(ingest, "csv", "coinpaprika") == later


async def test_the_loops_go_on_after_the_database_was_away(ingest: Ingest) -> None:
    async with ingesting(ingest, "coinpaprika"):
        await until(
            lambda: ingest.value("SELECT count(*) = 1 FROM etl_runs WHERE status = 'success'")
        )
        async with ingest.pool.acquire() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        request = await ask(ingest, "coinpaprika")
        await until(
            lambda: ingest.value("SELECT status = 'done' FROM etl_requests WHERE id = $1", request)
        )


@pytest.fixture
async def market_urls() -> AsyncIterator[dict[str, str]]:
    async with serving(
        create_app(SimulatedMarket(10_000, seed=3, start=START, step_seconds=60))
    ) as address:
        yield {"COINPAPRIKA_URL": address.coinpaprika_url, "COINGECKO_URL": address.coingecko_url}


async def test_the_program_ends_cleanly_on_sigterm_in_the_middle_of_a_run(
    start_program: StartProgram,
    database: str,
    market_urls: dict[str, str],
    tmp_path: Path,
    ingest: Ingest,
) -> None:
    program = start_program(
        "-m",
        "ingestor",
        **market_urls,
        DATABASE_URL=database,
        KASPARRO_HOME=str(tmp_path),
        COINGECKO_PAGES="40",
    )
    await until(lambda: ingest.value("SELECT pages > 2 FROM etl_runs WHERE source = 'coingecko'"))
    began = time.monotonic()
    assert await program.stop(signal.SIGTERM, timeout_seconds=10) == 0, program.text()
    assert time.monotonic() - began < 8
    statuses = await ingest.rows("SELECT DISTINCT status FROM etl_runs")
    assert ("running",) not in statuses
    assert ("failure",) not in statuses
    assert "Traceback" not in program.text()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("POLL_SECONDS", "soon"),
        ("SOURCES", "coinpaprika,unheard"),
        ("IDENTITY_PATH", "nowhere.csv"),
        ("DATABASE_URL", "mysql://x"),
    ],
)
async def test_a_bad_setting_stops_the_program_with_one_line(
    start_program: StartProgram, database: str, tmp_path: Path, variable: str, value: str
) -> None:
    environ = {"DATABASE_URL": database, "KASPARRO_HOME": str(tmp_path), variable: value}
    program = start_program("-m", "ingestor", **environ)
    assert await program.wait() == 2
    text = program.text().strip()
    assert variable in text
    assert "\n" not in text
