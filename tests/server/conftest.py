"""A running server, and rows for it to serve."""

import asyncio
import datetime
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from common.settings import Settings
from db.connect.pool import Connection
from server.process import Server, as_server, open_socket, url_of
from server.state import ServerState, open_state
from tests.conftest import migrated_database

TOKEN = secrets.token_urlsafe()
NOW = datetime.datetime(2026, 2, 3, 20, 21, 11, 250000, tzinfo=datetime.UTC)

AddCoin = Callable[..., Awaitable[None]]
AddRun = Callable[..., Awaitable[int]]
AddSource = Callable[..., Awaitable[None]]


class Service:
    """A server in this process, a client of it, and its state."""

    def __init__(self, url: str, client: aiohttp.ClientSession, state: ServerState) -> None:
        self.url = url
        self.client = client
        self.state = state

    async def get(self, path: str, status: int = 200, **headers: str) -> dict[str, Any]:
        """Return the JSON of a response."""
        async with self.client.get(path, headers=headers) as response:
            assert response.status == status, await response.text()
            body: dict[str, Any] = await response.json()
            return body


@asynccontextmanager
async def running_service(settings: Settings) -> AsyncIterator[Service]:
    """Serve on a port that the system chooses, for as long as the context lasts."""
    running: asyncio.Future[tuple[str, ServerState]] = asyncio.get_running_loop().create_future()
    stopping = asyncio.Event()

    async def serve() -> None:
        assert settings.database_url
        ours, dsn = await as_server(settings, settings.database_url)
        async with open_state(ours, dsn, stopping) as state:
            server = Server(state, lambda: running.set_result((url_of(listening), state)))
            await server.serve([listening])

    with open_socket("127.0.0.1", 0) as listening:
        serving = asyncio.create_task(serve())
        await asyncio.wait((serving, running), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        url, state = running.result()
        try:
            async with aiohttp.ClientSession(url) as client:
                yield Service(url, client, state)
        finally:
            stopping.set()
            async with asyncio.timeout(20):
                await serving


def settings_of(database: str, home: Path) -> Settings:
    # Responses are not cached: tests insert rows without their events.
    return Settings(home=home, database_url=database, scheduler_token=TOKEN, response_cache_bytes=0)


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return settings_of(database, tmp_path)


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    async with running_service(settings) as running:
        yield running


@pytest.fixture(scope="session")
async def unchanged_service(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """One server for many tests: none of them may write to its empty database."""
    async with migrated_database(server_dsn, template) as database:
        settings = settings_of(database, tmp_path_factory.mktemp("home"))
        async with running_service(settings) as running:
            yield running


ADD_COIN = """
INSERT INTO normalized_records (
    ticker, name, price_usd_exact, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
    created_at, ingested_at, price_spread_percent, rival_count, provenance
)
VALUES (
    $1, $2, $3::text::numeric, $4::text::numeric, $5::text::numeric, $6::text::numeric, $7, $8, $9,
    $10, $11, $12, '[]'
)
"""


async def insert_coin(connection: Connection, ticker: str, **given: object) -> None:
    """Insert a coin; numbers are texts with all digits."""
    coin: dict[str, object] = {
        "name": ticker.title(),
        "price_usd_exact": "1.5",
        "market_cap_usd": None,
        "volume_24h_usd": None,
        "percent_change_24h": None,
        "rank": None,
        "source": "coinpaprika",
        "created_at": NOW,
        "ingested_at": NOW + datetime.timedelta(seconds=1),
        "price_spread_percent": None,
        "rival_count": 0,
    }
    assert given.keys() <= coin.keys()
    await connection.execute(ADD_COIN, ticker, *(coin | given).values())


@pytest.fixture
def add_coin(connection: Connection) -> AddCoin:
    """`await add_coin("BTC", market_cap_usd="850000000000")`."""
    return partial(insert_coin, connection)


ADD_RUN = """
INSERT INTO etl_runs (source, status, processed, failed, changed, unchanged, started_at,
    finished_at, message)
VALUES ($1, $2, $3, $4, $3::integer - $4::integer, 0, $5, $6, $7)
RETURNING id
"""


@pytest.fixture
def add_run(connection: Connection) -> AddRun:
    """`await add_run("csv", "failure", message="No such file")` returns the number of a run."""

    async def add(source: str, status: str, **given: object) -> int:
        run: dict[str, object] = {
            "processed": 0,
            "failed": 0,
            "started_at": NOW,
            "finished_at": NOW + datetime.timedelta(milliseconds=1500),
            "message": None,
        }
        assert given.keys() <= run.keys()
        number: int = await connection.fetchval(ADD_RUN, source, status, *(run | given).values())
        return number

    return add


ADD_SOURCE = (
    "INSERT INTO sources (name, kind, enabled, priority, poll_seconds) VALUES ($1, $2, $3, $4, $5)"
)


@pytest.fixture
def add_source(connection: Connection) -> AddSource:
    async def add(
        name: str,
        kind: str = "api",
        *,
        enabled: bool = True,
        priority: int = 1,
        poll_seconds: int = 300,
    ) -> None:
        await connection.execute(ADD_SOURCE, name, kind, enabled, priority, poll_seconds)

    return add
