"""A thousand subscribers of ten coins each, while all coins change and queries run."""

import asyncio
import os
import random
import time
from collections.abc import Sequence

import aiohttp

from bench.crowd import Crowd, crowd, p99
from bench.figures import Bounds, Figure
from bench.screen import say
from bench.served import ServerProcess, serving
from db.connect.pool import connect
from db.connect.types import Connection
from db.events import add_coins_event, notify_events

COINS = 10_000
COIN_SUBSCRIBERS, QUICK_COIN_SUBSCRIBERS = 1_000, 100
TICKERS = 10
EVERY_SECONDS = 5.0
SECONDS = float(os.environ.get("BENCH_LIVE_SECONDS", "60"))
"""How long coins change; the promise is about 600."""
QUICK_SECONDS = 10.0
QUERIES_A_SECOND = 100

IDLE_SECONDS, QUICK_IDLE_SECONDS = 20.0, 3.0
MEGABYTE = 1_000_000

COIN_UPDATES = """
subscription ($tickers: [String!]) {
  coinUpdates(tickers: $tickers) {
    cursor coins { ticker name priceUsd marketCapUsd percentChange24h source createdAt } lagged
  }
}
"""
PAGE = (
    "{ coins(first: 50) { nodes "
    "{ ticker name priceUsd marketCapUsd percentChange24h rank source createdAt } } }"
)

_ADD_COINS = """
INSERT INTO normalized_records (
    ticker, name, price_usd_exact, market_cap_usd, volume_24h_usd, percent_change_24h, rank, source,
    created_at, ingested_at, rival_count, provenance
)
SELECT
    'T' || n, 'Coin number ' || n, (random() * 1000)::numeric(20, 12),
    (random() * 1e11)::numeric(30, 4), (random() * 1e9)::numeric(30, 4),
    (random() * 20 - 10)::numeric(12, 6), n, 'coinpaprika', now(), now(), 0, '[]'
FROM generate_series(1, $1::integer) AS n
"""
# Rounded: a product has the digits of both factors, and after a hundred changes a price would have
# four hundred digits, whose reading would then be measured.
_CHANGE_COINS = """
UPDATE normalized_records
SET price_usd_exact = round(price_usd_exact * 1.0001, 12), created_at = now(), ingested_at = now()
"""


class Coins:
    """All coins, with many subscribers."""

    def __init__(
        self, server: ServerProcess, clients: Crowd, connection: Connection, tickers: Sequence[str]
    ) -> None:
        self.waits: list[float] = []
        """The seconds of each update, from before its commit until it was read."""
        self.memory: list[int] = []
        """The server's memory after each change."""
        self._server = server
        self._clients = clients
        self._connection = connection
        self._tickers = tickers

    async def keep_changing(self, seconds: float) -> None:
        """Change all coins repeatedly."""
        for _ in range(max(4, round(seconds / EVERY_SECONDS))):
            began = time.perf_counter()
            await self._change()
            self.memory.append(self._server.memory)
            await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.perf_counter() - began)))

    async def _change(self) -> None:
        waiting = asyncio.create_task(self._clients.wait(1))
        async with self._connection.transaction():
            await self._connection.execute(_CHANGE_COINS)
            await add_coins_event(
                self._connection, self._tickers, await self._connection.fetchval("SELECT now()")
            )
            await notify_events(self._connection)
            started = time.perf_counter()
        self.waits += [at - started for at in await waiting]


async def measure_coins(dsn: str, *, quick: bool) -> list[Figure]:
    """Subscribe, change coins and query at once.

    Raises RuntimeError if an update is missing.
    """
    subscribers = QUICK_COIN_SUBSCRIBERS if quick else COIN_SUBSCRIBERS
    seconds = QUICK_SECONDS if quick else SECONDS
    chosen = random.Random(5)  # noqa: S311 - the same tickers each time
    tickers = sorted(f"T{number}" for number in range(1, COINS + 1))
    connection = await connect(dsn)
    try:
        await connection.execute(_ADD_COINS, COINS)
        await connection.execute("VACUUM ANALYZE normalized_records")
        async with serving(dsn) as server, crowd(1) as clients, aiohttp.ClientSession() as session:
            say(f"{subscribers:,} followers of {TICKERS} coins each, for {seconds:g} s ...")
            variables: list[dict[str, object]] = [
                {"tickers": chosen.sample(tickers, TICKERS)} for _ in range(subscribers)
            ]
            await clients.open(server.port, COIN_UPDATES, variables)
            url = f"http://127.0.0.1:{server.port}/graphql"
            idle = await _ask(
                session,
                url,
                asyncio.create_task(asyncio.sleep(QUICK_IDLE_SECONDS if quick else IDLE_SECONDS)),
            )
            coins = Coins(server, clients, connection, tickers)
            busy = await _ask(session, url, asyncio.create_task(coins.keep_changing(seconds)))
    finally:
        await connection.close()
    if len(coins.waits) != subscribers * len(coins.memory):
        raise RuntimeError("not every update arrived")
    what = (
        f"{subscribers:,} followers of {TICKERS} coins each, {COINS:,} changing every "
        f"{EVERY_SECONDS:g} s"
    )
    return [
        Figure(
            what=f"{what}, p99",
            unit="ms",
            ours=1000 * p99(coins.waits),
            bounds=Bounds(at_most=1000),
        ),
        Figure(
            what="coins(first: 50) meanwhile, p99",
            unit="ms",
            ours=1000 * p99(busy),
            against="without changes",
            theirs=1000 * p99(idle),
            bounds=Bounds(ratio_at_most=3),
        ),
        Figure(
            what=f"memory of the server after {seconds:g} s of it",
            unit="MB",
            ours=max(coins.memory[-2:]) / MEGABYTE,
            against="after the first two changes",
            theirs=max(coins.memory[:2]) / MEGABYTE,
            bounds=None if quick else Bounds(ratio_at_most=1.05),
        ),
    ]


async def _ask(
    session: aiohttp.ClientSession, url: str, until: "asyncio.Task[object]"
) -> list[float]:
    """Request a page at a fixed rate until a task ends; return the seconds of each answer."""
    waits: list[float] = []
    while not until.done():
        began = time.perf_counter()
        async with session.post(url, json={"query": PAGE}) as response:
            body = await response.read()
        waits.append(time.perf_counter() - began)
        if b'"errors"' in body:
            raise RuntimeError(body.decode())
        await asyncio.sleep(max(0.0, 1 / QUERIES_A_SECOND - waits[-1]))
    return waits
