"""The cost of history: the cycle of 10,000 changed coins with and without it."""

import contextlib
import datetime
import statistics
import time
from collections.abc import AsyncIterator

import aiohttp

from bench.figures import Bounds, Figure
from bench.postgres import Server, temporary_server
from db.connect.pool import create_pool
from db.connect.types import Pool
from db.schema.partitions import DEFAULT_RETENTION, Retention, ensure_partitions
from db.sources import SourceSettings, save_sources
from ingestor.http.fetch import Fetch, Provider
from ingestor.run.run import run
from ingestor.sources.coinpaprika import CoinPaprika
from kasparro.simulator.app import Address, create_app, serving
from kasparro.simulator.market.market import SimulatedMarket

COINS = 10_000
STEP_SECONDS = 300
"""The default interval of polls: one cycle creates an hour's candle, eleven widen it."""
CYCLES, QUICK_CYCLES, WARM_UP = 24, 2, 1
TIMEOUT_SECONDS = 60.0
BOUNDS = Bounds(ratio_at_most=1.4)
WITHOUT_HISTORY = Retention(DEFAULT_RETENTION.raw_days, history_days=0)
"""History begins now, and every observation of the simulator is older."""

_HAS_HISTORY = "SELECT EXISTS (SELECT FROM price_points) AND EXISTS (SELECT FROM candles)"


class Ingest:
    """A database that CoinPaprika's list is ingested into."""

    def __init__(self, pool: Pool, url: str, retention: Retention) -> None:
        self._pool, self._retention = pool, retention
        provider = Provider(
            name="CoinPaprika",
            url=url,
            url_variable="COINPAPRIKA_URL",
            key=None,
            key_header="Authorization",
            key_variable="API_SOURCE_KEY",
            calls=1000,
            per_seconds=1,
        )
        self._source = CoinPaprika(Fetch(provider))
        self.seconds: list[float] = []

    async def cycle(self) -> None:
        """Fetch, decode and write the whole list, with every record changed.

        Raises RuntimeError if a record did not change.
        """
        started = time.perf_counter()
        finished = await run(
            self._pool,
            self._source,
            retention=self._retention,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        self.seconds.append(time.perf_counter() - started)
        if finished is None or finished.status != "success" or finished.changed != COINS:
            raise RuntimeError(f"a cycle did not change {COINS:,} coins: {finished}")

    async def has_history(self) -> bool:
        """Return whether there are points and candles."""
        async with self._pool.acquire() as connection:
            found: bool = await connection.fetchval(_HAS_HISTORY)
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._source.close()


async def measure(*, quick: bool) -> list[Figure]:
    """Time cycles in turns: in a database with history and in one without.

    Raises RuntimeError if the history is not as it should be.
    """
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=6)
    market = SimulatedMarket(COINS, start=start, step_seconds=STEP_SECONDS, moving=1.0)
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(temporary_server())
        address = await stack.enter_async_context(serving(create_app(market)))
        recording = await stack.enter_async_context(
            _ingest(server, "recording", address, DEFAULT_RETENTION)
        )
        forgetting = await stack.enter_async_context(
            _ingest(server, "forgetting", address, WITHOUT_HISTORY)
        )
        for cycle in range(WARM_UP + (QUICK_CYCLES if quick else CYCLES)):
            market.advance()
            await _have_written(address)
            for ingest in (recording, forgetting)[:: 1 if cycle % 2 else -1]:
                await ingest.cycle()
        if not await recording.has_history() or await forgetting.has_history():
            raise RuntimeError("history is missing in one database, or present in the other")
    return [
        Figure(
            what=f"cycle of {COINS:,} changed coins, with history and roll-ups",
            unit="s",
            ours=statistics.median(recording.seconds[WARM_UP:]),
            against="the same without",
            theirs=statistics.median(forgetting.seconds[WARM_UP:]),
            bounds=BOUNDS,
        )
    ]


@contextlib.asynccontextmanager
async def _ingest(
    server: Server, name: str, address: Address, retention: Retention
) -> AsyncIterator[Ingest]:
    async with await create_pool(await server.database(name), max_size=2) as pool:
        async with pool.acquire() as connection:
            await save_sources(connection, [SourceSettings("coinpaprika", "api", 10, STEP_SECONDS)])
            await ensure_partitions(connection, datetime.datetime.now(datetime.UTC), retention)
        ingest = Ingest(pool, address.coinpaprika_url, retention)
        try:
            yield ingest
        finally:
            await ingest.close()


async def _have_written(address: Address) -> None:
    """Let the simulator write its body before the measurement."""
    url = f"{address.coinpaprika_url}/tickers?quotes=USD"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        response.raise_for_status()
        await response.read()
