"""Read candles of a coin: among many points, and among few."""

import contextlib
import datetime
import functools
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from bench.figures import Bounds, Figure
from bench.postgres import Server, temporary_server
from bench.screen import say
from common.settings import Settings
from db.connect.pool import connect, create_pool
from db.connect.readers import Readers
from db.connect.types import Connection
from db.read.history.candles import CandleSpan, candles_of
from db.schema.partitions import DEFAULT_RETENTION, ensure_partitions
from server.graphql.execution.context import Context
from server.graphql.schema import schema
from server.limits.concurrency import ConcurrencyLimit
from server.live.hub import Hub
from server.state import POOL_SIZE, ServerState

DAYS = 90
POLL_SECONDS = 300
POINTS_A_COIN = DAYS * 86_400 // POLL_SECONDS
"""A point at every poll, as if every record changed: both cases have equal candles."""

FEW_COINS, MANY_COINS, QUICK_COINS = 4, 386, 8
"""Coins of 25,920 points each: 103,680, 10,005,120 and 207,360 points."""

BOUNDS = Bounds(ratio_at_most=2, at_most=10)
REPEATS, QUICK_REPEATS, WARM_UP = 400, 20, 10

QUERY = """
query ($ticker: String!, $interval: CandleInterval!, $from: DateTime!, $to: DateTime!) {
  coin(ticker: $ticker) {
    candles(interval: $interval, from: $from, to: $to) { start open high low close samples }
  }
}
"""

_COINS = """
WITH listed AS (
    INSERT INTO listings (
        id, source, external_id, ticker, symbol, name, name_words, core_words, observed_at,
        fetched_at, first_seen_at, last_seen_at, content_hash, contributes
    )
    SELECT
        c + 1, 'coinpaprika', 'coin-' || c, 'COIN' || c, 'COIN' || c, 'Coin ' || c, 'coin ' || c,
        'coin ' || c, $2::timestamptz, $2, $2, $2, decode(lpad(to_hex(c), 32, '0'), 'hex'), true
    FROM generate_series(0, $1::integer - 1) AS c
)
INSERT INTO normalized_records (
    ticker, name, price_usd_exact, market_cap_usd, source, created_at, ingested_at, rival_count,
    provenance, asset
)
SELECT
    'COIN' || c, 'Coin ' || c, c + 1, 1e6 * (c + 1), 'coinpaprika', $2::timestamptz, $2, 0, '[]',
    'coinpaprika:coin-' || c
FROM generate_series(0, $1::integer - 1) AS c
"""

# In the order of arrival: all coins of a poll, then the next poll. So a coin's points lie apart.
_POINTS = """
INSERT INTO price_points (listing, at, fetched_at, price_usd, market_cap_usd, volume_24h_usd)
SELECT
    c + 1, $2::timestamptz + (poll * $4 + c % 60) * interval '1 second',
    $2::timestamptz + (poll * $4 + 60) * interval '1 second',
    ((1 + 0.2 * sin(extract(epoch
        FROM $2)::double precision / 1e5 + poll / 50.0 + c)) * 10 ^ (c % 7 - 2))::numeric,
    (1e9 / (c + 1))::bigint, (1e7 / (c + 1))::bigint
FROM generate_series(0, $3::integer - 1) AS poll, generate_series(0, $1::integer - 1) AS c
"""

_CANDLES = """
INSERT INTO candles (listing, interval, start, open, high, low, close, open_at, close_at, samples)
SELECT
    listing, unit, date_bin(width, at, 'epoch') AS start,
    (array_agg(price_usd ORDER BY at))[1], max(price_usd), min(price_usd),
    (array_agg(price_usd ORDER BY at DESC))[1], min(at), max(at), count(*)
FROM price_points, (VALUES ('H1', interval '1 hour'), ('D1', interval '1 day')) AS unit (unit,
    width)
WHERE at >= $1 AND at < $1 + interval '1 day'
GROUP BY listing, unit, start
ORDER BY start, listing, unit
"""


class Request(msgspec.Struct, frozen=True):
    """The candles of a chart."""

    interval: str
    days: int

    def __str__(self) -> str:
        return f"candles {self.interval} x {self.days} {'day' if self.days == 1 else 'days'}"


REQUESTS = (Request("H1", 30), Request("M5", 1), Request("D1", 90))
Read = Callable[[str], Awaitable[int]]
"""Read a coin's candles and return their number."""


class Side:
    """One of the two databases."""

    def __init__(
        self,
        coins: int,
        context: Callable[[], Context],
        connection: Connection,
        end: datetime.datetime,
    ) -> None:
        self.coins = coins
        self._context = context
        self._connection = connection
        self._end = end

    def graphql(self, request: Request) -> Read:
        """Return a read through the server's code, from the document to the response body.

        It raises RuntimeError for an error of GraphQL.
        """
        variables = {
            "interval": request.interval,
            "from": (self._end - datetime.timedelta(days=request.days)).isoformat(),
            "to": self._end.isoformat(),
        }

        async def read(ticker: str) -> int:
            result = await schema.execute(QUERY, variables | {"ticker": ticker}, self._context())
            if result.errors or result.data is None:
                raise RuntimeError(f"{request}: {result.errors}")
            msgspec.json.encode({"data": result.data})
            return len(result.data["coin"]["candles"])

        return read

    def statement(self, request: Request) -> Read:
        """Return a read with the server's statement alone."""
        span = CandleSpan(
            request.interval, self._end - datetime.timedelta(days=request.days), self._end
        )

        async def read(ticker: str) -> int:
            return len((await candles_of(self._connection, [ticker], span))[ticker])

        return read


async def measure(*, quick: bool) -> list[Figure]:
    """Time each request among many points and among few, in turns."""
    end = datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    coins = QUICK_COINS if quick else MANY_COINS
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(temporary_server())
        many = await stack.enter_async_context(_side(server, "many", coins, end))
        few = await stack.enter_async_context(_side(server, "few", FEW_COINS, end))
        figures = []
        for request in REQUESTS:
            for way, words in ((Side.graphql, "GraphQL"), (Side.statement, "its statement alone")):
                ours, theirs = await _in_turns(
                    {side: way(side, request) for side in (many, few)},
                    QUICK_REPEATS if quick else REPEATS,
                )
                figures.append(
                    Figure(
                        what=f"{request}, {words}, of {coins * POINTS_A_COIN:,} points",
                        unit="ms",
                        ours=ours,
                        against=f"of {FEW_COINS * POINTS_A_COIN:,} points",
                        theirs=theirs,
                        bounds=BOUNDS,
                    )
                )
    return figures


@contextlib.asynccontextmanager
async def _side(
    server: Server, name: str, coins: int, end: datetime.datetime
) -> AsyncIterator[Side]:
    dsn = await server.database(name)
    await _fill(dsn, coins, end)
    connection = await connect(dsn)
    try:
        async with await create_pool(dsn, max_size=POOL_SIZE) as pool:
            state = ServerState(
                settings=Settings(home=Path()),
                pool=pool,
                primary=pool,
                health_pool=pool,
                readers=Readers(functools.partial(connect, dsn), 1),
                concurrency=ConcurrencyLimit(1, 1, 1, 1),
                hub=Hub(dsn, pool),
                scheduler_token="",
                version="0",
                started_at=end,
            )
            yield Side(coins, lambda: Context(state, "bench"), connection, end)
    finally:
        await connection.close()


async def _fill(dsn: str, coins: int, end: datetime.datetime) -> None:
    """Write 90 days of points and their candles, up to `end`, and vacuum the tables."""
    started = time.perf_counter()
    connection = await connect(dsn)
    try:
        await connection.execute("SET synchronous_commit = off")
        await connection.execute("SET work_mem = '128MB'")
        await ensure_partitions(connection, datetime.datetime.now(datetime.UTC), DEFAULT_RETENTION)
        await connection.execute(_COINS, coins, end)
        for days in range(DAYS, 0, -1):
            day = end - datetime.timedelta(days=days)
            await connection.execute(_POINTS, coins, day, 86_400 // POLL_SECONDS, POLL_SECONDS)
            await connection.execute(_CANDLES, day)
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
    say(f"filled with {coins * POINTS_A_COIN:,} points in {time.perf_counter() - started:.0f} s")


async def _in_turns(reads: Mapping[Side, Read], repeats: int) -> list[float]:
    """Return each side's median in milliseconds.

    Raises RuntimeError if the numbers of candles differ.
    """
    times: Mapping[Side, list[float]] = {side: [] for side in reads}
    counts = set()
    for repeat in range(WARM_UP + repeats):
        for side in list(reads)[:: 1 if repeat % 2 else -1]:
            started = time.perf_counter()
            counts.add(await reads[side](f"COIN{repeat % side.coins}"))
            times[side].append(1000 * (time.perf_counter() - started))
    if len(counts) != 1 or counts == {0}:
        raise RuntimeError(f"the databases do not give the same number of candles: {counts}")
    return [statistics.median(found[WARM_UP:]) for found in times.values()]
