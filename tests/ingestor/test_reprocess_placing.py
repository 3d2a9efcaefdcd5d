"""The transaction that writes a rebuild: killed, and beside pages with the same rows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from db.connect.locks import take_write_lock
from db.connect.types import Connection
from tests.conftest import Program, StartProgram
from tests.ingestor.conftest import Ingest
from tests.ingestor.reprocess_rows import (
    again,
    contents,
    ingest_again,
    misread,
    read_ticks,
    row_versions,
)

LOOK_SECONDS = 0.01
# A session that has written history and waits for a row of another.
WAITS = """
SELECT count(*)
FROM pg_stat_activity AS a JOIN pg_locks AS l ON l.pid = a.pid
WHERE a.datname = current_database() AND a.application_name = 'kasparro reprocess'
    AND a.wait_event_type = 'Lock'
  AND l.relation = 'price_points'::regclass AND l.mode = 'RowExclusiveLock'
"""
HAS_WRITTEN = """
SELECT count(*) FROM pg_locks
WHERE relation = 'candles'::regclass AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'kasparro reprocess'
"""
WRONG = "SELECT count(*) FROM listings WHERE name LIKE '% COIN'"


async def until(ask: Callable[[], Awaitable[object]]) -> None:
    """Call `ask` repeatedly until its result is true."""
    async with asyncio.timeout(60):
        while not await ask():
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def held_listing(ingest: Ingest) -> AsyncIterator[None]:
    """Lock a row that a rebuild writes after its history."""
    async with ingest.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "SELECT FROM listings WHERE source = 'coinpaprika' ORDER BY external_id DESC LIMIT 1 "
            "FOR UPDATE"
        )
        yield


@pytest.fixture
def start(start_program: StartProgram, database: str, ingest: Ingest) -> Callable[[], Program]:
    return lambda: start_program(
        "-m",
        "kasparro",
        "reprocess",
        DATABASE_URL=database,
        KASPARRO_HOME=str(ingest.csv_path.parent),
    )


async def finish(ingest: Ingest, start: Callable[[], Program]) -> None:
    """Run it to its end, and compare with a correct ingest."""
    program = start()
    assert await program.wait(120) == 0, program.text()
    rebuilt = await contents(ingest)
    assert (await again(ingest)).changes == []
    await ingest_again(ingest)
    right = await contents(ingest)
    for table, rows in right.items():
        assert rebuilt[table] == rows, table


async def test_killed_while_it_puts_things_in_place_all_is_as_before(
    ingest: Ingest, start: Callable[[], Program]
) -> None:
    await read_ticks(ingest, misread(ingest), 4)
    before = await row_versions(ingest)
    async with held_listing(ingest):
        program = start()
        await until(lambda: ingest.value(WAITS))
        program.process.kill()
        program.process.wait()
    await until(lambda: ingest.value(f"SELECT ({SESSIONS}) = 0"))
    assert await row_versions(ingest) == before
    assert await ingest.value("SELECT sum(processed) > 0 FROM reprocess_progress")
    await finish(ingest, start)


async def test_killed_as_soon_as_anything_is_seen_of_it_all_is_there(
    ingest: Ingest, start: Callable[[], Program]
) -> None:
    await read_ticks(ingest, misread(ingest), 4)
    program = start()
    await until(lambda: ingest.value(f"SELECT ({WRONG}) = 0"))
    program.process.kill()
    program.process.wait()
    seen = await contents(ingest)
    assert (await again(ingest)).changes == []
    assert await contents(ingest) == seen
    await finish(ingest, start)


async def test_a_page_that_wants_a_row_of_history_is_let_go_first(ingest: Ingest) -> None:
    await read_ticks(ingest, misread(ingest), 4)
    async with ingest.pool.acquire() as connection:
        async with connection.transaction():
            await take_write_lock(connection)
            task = asyncio.create_task(again(ingest, dry_run=True))
            await until(lambda: ingest.value(HAS_WRITTEN))
            await touch_all(connection)
        would = await task
    did = await again(ingest)
    assert did.changes == would.changes
    assert {change.table for change in did.changes} >= {"price_points", "candles"}


async def touch_all(connection: Connection) -> None:
    """Lock every row of history, as pages with old prices may."""
    await connection.execute(
        "SET LOCAL deadlock_timeout = '20s'"
    )  # in a deadlock this session survives
    assert await connection.fetchval(
        "SELECT count(*) FROM (SELECT FROM price_points FOR UPDATE) AS p"
    )
    assert await connection.fetchval("SELECT count(*) FROM (SELECT FROM candles FOR UPDATE) AS c")
