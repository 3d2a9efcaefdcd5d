"""Rebuild everything from the bodies: payloads a second, memory, waits of a writer."""

import datetime
import sys

import msgspec

from bench.figures import Bounds, Figure
from bench.postgres import temporary_server
from bench.programs import ResourceUsage, run_to_end
from bench.screen import say
from bench.waits import writer_waits
from db.bodies import BodySlice
from db.connect.pool import connect, create_pool
from db.connect.types import Connection
from db.schema.partitions import DEFAULT_RETENTION, ensure_partitions
from db.sources import SourceSettings, save_sources
from db.write.raw.bodies import BodyArrival, NewBody, add_body, next_body, pack_body
from ingestor.http.fetch import Fetch, FetchLimits, Provider
from ingestor.reprocess import reprocess
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.records import Listing, Record

LISTINGS, TICKS = 10_000, 100
QUICK_LISTINGS, QUICK_TICKS = 5_000, 6
FEW_TICKS = 5
"""The ticks of a short rebuild, whose memory is the reference."""
STEP = datetime.timedelta(minutes=30)
RATE = Bounds(at_least=20_000)
MEMORY = Bounds(at_most=150)

# Bodies like CoinPaprika's, about 800 bytes each; every price moves at every tick.
_RECORDS = """
SELECT 'coin-' || n, json_build_object(
    'id', 'coin-' || n, 'name', 'Coin number ' || n, 'symbol', 'T' || n, 'rank', n,
    'total_supply', 21000000 + n, 'max_supply', 21000000 + n, 'circulating_supply', 19000000 + n,
    'beta_value', 1.2345, 'first_data_at', '2010-07-17T00:00:00Z', 'last_updated', $2::timestamptz,
    'quotes', json_build_object('USD', json_build_object(
        'price', price, 'volume_24h', price * 1234567, 'volume_24h_change_24h', -1.23, 'market_cap',
            price * 19000000,
        'market_cap_change_24h', 0.12, 'percent_change_15m', 0.1, 'percent_change_30m', 0.2,
            'percent_change_1h', 0.3,
        'percent_change_6h', 0.4, 'percent_change_12h', 0.5, 'percent_change_24h', 0.6,
            'percent_change_7d', 0.7,
        'percent_change_30d', 0.8, 'percent_change_1y', 0.9, 'ath_price', price * 3,
        'ath_date', '2024-03-14T07:07:00Z', 'percent_from_price_ath', -66.66
    ))
)::text
FROM (SELECT n, round((random() * 1000 + n)::numeric, 10) AS price
    FROM generate_series(1, $1::integer) AS n) AS coin
"""


class _WrongCoinPaprika(CoinPaprika):
    """Uses the cap as the price, so that the measured rebuild changes every row."""

    def to_listing(self, record: Record, fetched_at: datetime.datetime) -> Listing:
        right = super().to_listing(record, fetched_at)
        return msgspec.structs.replace(
            right, price_usd=right.market_cap_usd, market_cap_usd=right.price_usd
        )


async def measure(*, quick: bool) -> list[Figure]:
    """Rebuild once with every row wrong, and once with none."""
    listings, ticks = (QUICK_LISTINGS, QUICK_TICKS) if quick else (LISTINGS, TICKS)
    payloads = listings * ticks
    async with temporary_server() as server:
        few = await server.database("few")
        await _fill(few, listings, FEW_TICKS)
        _, few_mb, _ = await _time_reprocess(few)
        dsn = await server.database("reprocess")
        say(f"{payloads:,} payloads ...")
        await _fill(dsn, listings, ticks)
        say("misreading them ...")
        await _misread(dsn)
        say("rebuilding ...")
        changed_seconds, changed_mb, changed_wait = await _time_reprocess(dsn)
        say("rebuilding without a change ...")
        await _forget_readers(dsn)
        same_seconds, same_mb, same_wait = await _time_reprocess(dsn)
    return [
        Figure(
            what=f"`kasparro reprocess` of {payloads:,} payloads, rows changed, start included",
            unit="payloads/s",
            ours=payloads / changed_seconds,
            bounds=RATE,
        ),
        Figure(
            what="the same where nothing changes",
            unit="payloads/s",
            ours=payloads / same_seconds,
            bounds=RATE,
        ),
        Figure(
            what="memory of `kasparro reprocess`",
            unit="MB",
            ours=max(changed_mb, same_mb),
            against=f"{listings * FEW_TICKS:,} payloads",
            theirs=few_mb,
            bounds=MEMORY,
        ),
        Figure(what="longest wait of a writer, every row changed", unit="s", ours=changed_wait),
        Figure(what="longest wait of a writer, nothing changed", unit="s", ours=same_wait),
    ]


async def _fill(dsn: str, listings: int, ticks: int) -> None:
    connection = await connect(dsn)
    now = datetime.datetime.now(datetime.UTC)
    try:
        await save_sources(connection, [SourceSettings("coinpaprika", "api", 10, 300)])
        for tick in range(ticks):
            moment = now - (ticks - tick) * STEP
            await ensure_partitions(connection, moment, DEFAULT_RETENTION)
            await _add_body(connection, listings, moment, tick)
        await connection.execute("UPDATE raw_clock SET at = $1", now)
        await connection.execute("VACUUM ANALYZE bodies")
    finally:
        await connection.close()


async def _add_body(
    connection: Connection, listings: int, moment: datetime.datetime, tick: int
) -> None:
    """Store the body of a poll, from which all of its records were written."""
    slices: list[BodySlice] = []
    content = bytearray(b"[")
    for external_id, record in await connection.fetch(_RECORDS, listings, moment):
        raw = record.encode()
        slices.append(BodySlice(external_id, len(content), len(raw)))
        content += raw + b","
    content[-1:] = b"]"
    body = NewBody(
        source="coinpaprika",
        page_group="",
        page_number=1,
        fetched_at=moment,
        run_id=tick,
        form="verbatim",
        url=None,
        headers={},
        content=pack_body(bytes(content)),
    )
    arrival = BodyArrival(await next_body(connection), moment)
    await add_body(connection, arrival, body, slices)


async def _forget_readers(dsn: str) -> None:
    """As after an upgrade: the history of all coins is computed, without differences."""
    connection = await connect(dsn)
    try:
        await connection.execute("TRUNCATE raw_readers")
    finally:
        await connection.close()


async def _misread(dsn: str) -> None:
    """Ingest payloads with the wrong decoder."""
    provider = Provider(
        name="CoinPaprika",
        url="http://127.0.0.1",
        url_variable="COINPAPRIKA_URL",
        key=None,
        key_header="Authorization",
        key_variable="API_SOURCE_KEY",
        calls=1,
        per_seconds=1,
    )
    source = _WrongCoinPaprika(Fetch(provider, FetchLimits()))
    try:
        async with await create_pool(dsn, max_size=2) as pool:
            await reprocess(
                pool,
                [source],
                [source.name],
                since=None,
                retention=DEFAULT_RETENTION,
                dry_run=False,
                on_progress=lambda *_: None,
            )
            await pool.execute("VACUUM ANALYZE")
    finally:
        await source.close()


async def _time_reprocess(dsn: str) -> tuple[float, float, float]:
    """Reprocess as a user does; return the seconds, peak MB, and a writer's longest wait."""
    async with writer_waits(dsn) as waits:
        seconds, peak_mb = await _run(dsn)
    return seconds, peak_mb, max(waits)


async def _run(dsn: str) -> ResourceUsage:
    command = (sys.executable, "-m", "kasparro", "reprocess", "--source", "coinpaprika")
    return await run_to_end(
        command, {"DATABASE_URL": dsn, "SOURCES": "coinpaprika", "LOG_LEVEL": "WARNING"}
    )
