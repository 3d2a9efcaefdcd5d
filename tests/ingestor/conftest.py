"""A simulated market, sources that read it, and their ingest into a database of the test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpServer

from db.connect.pool import Pool
from db.sources import SourceSettings, save_sources
from db.write.identity.identities import IdentityLabel
from db.write.runs import FinishedRun
from ingestor.http.fetch import Fetch, FetchLimits, Provider
from ingestor.run.identity import save_identities
from ingestor.run.run import run
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Source
from kasparro.simulator.app import Address, create_app, serving
from kasparro.simulator.faults import Fault
from kasparro.simulator.market.market import SimulatedMarket
from tests.ingestor.served import Handler, RequestLog

START = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=22)
"""Young enough for history, whenever the tests run."""
QUICK = FetchLimits(
    total_seconds=5,
    first_backoff_seconds=0.001,
    longest_backoff_seconds=0.01,
    circuit_threshold=1000,
    attempts=2,
)


def provider(name: str, url: str) -> Provider:
    return Provider(
        name=name,
        url=url,
        url_variable="URL",
        key=None,
        key_header="key",
        key_variable="KEY",
        calls=10_000,
        per_seconds=1,
    )


class Ingest:
    """The three sources over one simulated market; `run` is the run of a source that is due."""

    def __init__(self, pool: Pool, address: Address, csv_path: Path) -> None:
        self.pool = pool
        self.market: SimulatedMarket = address.simulation.market
        self.faults = address.simulation.faults
        self.csv_path = csv_path
        self.sources: dict[str, Source] = {
            "coinpaprika": CoinPaprika(
                Fetch(provider("CoinPaprika", address.coinpaprika_url), QUICK)
            ),
            "coingecko": CoinGecko(
                Fetch(provider("CoinGecko", address.coingecko_url), QUICK),
                page_count=100,
                monthly_calls=10**9,
            ),
            "csv": CsvFiles(str(csv_path), rows_a_page=10),
        }

    async def run(self, name: str, *, full: bool = False) -> FinishedRun:
        outcome = await run(self.pool, self.sources[name], timeout_seconds=60, full=full)
        assert outcome is not None
        return outcome

    def fault(self, kind: str, **rest: object) -> None:
        self.faults.add([Fault(kind=kind, **rest)])  # type: ignore[arg-type]  # as the test words it

    async def label(self, *identities: tuple[str, str, str]) -> None:
        await save_identities(self.pool, [IdentityLabel(*identity) for identity in identities])

    async def value(self, sql: str, *arguments: object) -> object:
        async with self.pool.acquire() as connection:
            return await connection.fetchval(sql, *arguments)

    async def rows(self, sql: str, *arguments: object) -> list[tuple[object, ...]]:
        async with self.pool.acquire() as connection:
            return [tuple(row) for row in await connection.fetch(sql, *arguments)]

    async def pairs(self, sql: str, *arguments: object) -> list[tuple[object, object]]:
        return [(first, second) for first, second in await self.rows(sql, *arguments)]

    async def close(self) -> None:
        for source in self.sources.values():
            await source.close()


@pytest.fixture
async def ingest(pool: Pool, tmp_path: Path) -> AsyncIterator[Ingest]:
    market = SimulatedMarket(600, seed=7, start=START, step_seconds=60)
    async with serving(create_app(market)) as address:
        opened = Ingest(pool, address, tmp_path / "coins.csv")
        async with pool.acquire() as connection:
            await save_sources(
                connection,
                [
                    SourceSettings(s.name, s.kind, s.priority, s.poll_seconds)
                    for s in opened.sources.values()
                ],
            )
        yield opened
        await opened.close()


@pytest.fixture
def serve(aiohttp_server: AiohttpServer) -> Callable[[Handler], Awaitable[RequestLog]]:
    async def start(handler: Handler) -> RequestLog:
        requests: list[web.Request] = []

        async def record(request: web.Request) -> web.StreamResponse:
            requests.append(request)
            return await handler(request)

        app = web.Application()
        app.router.add_get("/{path:.*}", record)
        server = await aiohttp_server(app)
        return RequestLog(str(server.make_url("/api/v3")), requests)

    return start
