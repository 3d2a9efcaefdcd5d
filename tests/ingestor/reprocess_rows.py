"""Shared by the tests of reprocessing: a market read wrongly, and an ingest of stored payloads."""

import itertools
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from db.schema.partitions import DEFAULT_RETENTION
from ingestor.reprocess import ReprocessReport, reprocess
from ingestor.reprocess.job import OnProgress
from ingestor.run.run import run
from ingestor.sources.normalize import name_key
from ingestor.sources.records import (
    Checkpoint,
    Listing,
    Page,
    Record,
    RecordError,
    Source,
)
from tests.history_oracle import CANDLES, POINTS
from tests.ingestor.conftest import START, Ingest
from tests.ingestor.stored_bodies import stored_records

Rows = list[tuple[object, ...]]


class Misread:
    """A source with a wrong `to_listing`: the cap is the price, and some symbols differ."""

    def __init__(self, source: Source, *, refuse: str = "") -> None:
        self._source, self._refuse = source, refuse
        self.name, self.kind, self.priority = source.name, source.kind, source.priority
        self.poll_seconds, self.missed_sweeps = source.poll_seconds, source.missed_sweeps

    def pages(self, checkpoint: Checkpoint | None, *, full: bool) -> AsyncGenerator[Page, None]:
        return self._source.pages(checkpoint, full=full)

    def to_listing(self, record: Record, fetched_at: datetime) -> Listing:
        right = self._source.to_listing(record, fetched_at)
        if self._refuse and self._refuse in right.external_id:
            raise RecordError("The name is odd - at `$.name`")
        name = right.name and right.name.upper() + " COIN"
        words, core = name_key(name)
        return msgspec.structs.replace(
            right,
            price_usd=right.market_cap_usd,
            market_cap_usd=right.price_usd,
            name=name,
            name_words=words,
            core_words=core,
            ticker=right.ticker + "X" if right.ticker.startswith("B") else right.ticker,
        )

    async def close(self) -> None:
        await self._source.close()


class _Replay:
    """Passes the payloads of one source and one moment to an ingest with the source's rules."""

    missed_sweeps: Literal[1, 2] = 1

    def __init__(self, source: Source, fetched_at: datetime, records: list[Record]) -> None:
        self._source, self._fetched_at, self._records = source, fetched_at, records
        self.name, self.kind, self.priority = source.name, source.kind, source.priority
        self.poll_seconds = source.poll_seconds

    async def pages(
        self,
        checkpoint: Checkpoint | None,  # noqa: ARG002 - a source's signature
        *,
        full: bool,  # noqa: ARG002 - a source's signature
    ) -> AsyncGenerator[Page, None]:
        yield Page("", 1, self._fetched_at, self._records, [], None, ends_group=True)

    def to_listing(self, record: Record, fetched_at: datetime) -> Listing:
        return self._source.to_listing(record, fetched_at)

    async def close(self) -> None:
        """Close nothing."""


async def ingest_again(ingest: Ingest) -> None:
    """Empty the database and ingest all its payloads: the slow, plain twin of a reprocess."""
    raw = await stored_records(ingest)
    await ingest.value(
        "TRUNCATE listings, normalized_records, raw_api_records, raw_csv_records, bodies, "
        "price_points, candles, etl_checkpoints, source_pages"
    )
    for (_, fetched_at, name), rows in itertools.groupby(
        raw, key=lambda one: (one.arrived_at, one.fetched_at, one.source)
    ):
        records = [Record(one.external_id, one.raw, one.content_hash) for one in rows]
        source = _Replay(ingest.sources[name], fetched_at, records)
        outcome = await run(ingest.pool, source, timeout_seconds=60, full=True)
        assert outcome is not None
        assert outcome.status == "success"


async def contents(ingest: Ingest) -> dict[str, Rows]:
    """Return what is rebuilt, without our own times."""
    queries = {
        "listings": "SELECT source, external_id, ticker, symbol, name, name_words, core_words, "
        "rank, price_usd, "
        "market_cap_usd, volume_24h_usd, percent_change_24h, circulating_supply, total_supply, "
        "max_supply, "
        "observed_at, contributes, asset, before::text FROM listings ORDER BY source, external_id",
        "coins": "SELECT ticker, name, price_usd_exact, market_cap_usd, volume_24h_usd, "
        "percent_change_24h, rank, source, created_at, price_spread_percent, rival_count, "
        "provenance::text, asset, confidence, is_suspect, excluded::text "
        "FROM normalized_records ORDER BY ticker",
        "points": "SELECT source, external_id, at, price_usd, market_cap_usd, volume_24h_usd, "
        f"is_held FROM {POINTS} AS p ORDER BY 1, 2, 3",
        "candles": "SELECT source, external_id, interval, start, open, high, low, close, open_at, "
        f"close_at, samples FROM {CANDLES} AS c ORDER BY 1, 2, 3, 4",
    }
    return {name: await ingest.rows(sql) for name, sql in queries.items()}


async def unexplained(ingest: Ingest) -> tuple[list[object], Rows]:
    """Return the points that no payload explains, and the candles that differ from the points."""
    said = set()
    for one in await stored_records(ingest):
        listing = ingest.sources[one.source].to_listing(
            Record(one.external_id, one.raw, one.content_hash), one.fetched_at
        )
        said.add((one.source, listing.external_id, listing.observed_at, listing.price_usd))
    points = await ingest.rows(
        f"SELECT source, external_id, at, price_usd FROM {POINTS} AS p ORDER BY 1, 2, 3"
    )
    candles = await ingest.rows("""
        WITH rolled AS (
            SELECT
                listing, unit.interval, date_bin(width, at, 'epoch') AS start,
                (array_agg(price_usd ORDER BY at))[1] AS open, max(price_usd) AS high,
                min(price_usd) AS low, (array_agg(price_usd ORDER BY at DESC))[1] AS close,
                min(at) AS open_at, max(at) AS close_at, count(*)::integer AS samples
            FROM price_points, (VALUES ('H1', interval '1 hour'),
                ('D1', interval '1 day')) AS unit (interval, width)
            WHERE price_usd IS NOT NULL AND NOT is_held
            GROUP BY 1, 2, 3
        ),
        stored AS (
            SELECT listing, interval, start, open, high, low, close, open_at, close_at, samples
            FROM candles
        )
        (TABLE rolled EXCEPT TABLE stored) UNION ALL (TABLE stored EXCEPT TABLE rolled)
    """)
    return [point for point in points if point not in said], candles


async def row_versions(ingest: Ingest) -> dict[str, Rows]:
    """Return the version of each row: an update shows, even with equal values."""
    tables = (
        "listings",
        "normalized_records",
        "price_points",
        "candles",
        "raw_api_records",
        "raw_csv_records",
        "bodies",
    )
    found = {
        t: await ingest.rows(f"SELECT tableoid, ctid::text, xmin::text FROM {t} ORDER BY 1, 2")
        for t in tables
    }
    return {
        **found,
        "events": await ingest.rows("SELECT count(*) FROM events WHERE kind = 'coins_changed'"),
    }


async def read_ticks(ingest: Ingest, sources: Mapping[str, Source], ticks: int) -> None:
    """Read every source once a tick; without a dated file, write a short one."""
    if not ingest.csv_path.exists():
        write_dated_file(ingest, 3)
    for _ in range(ticks):
        for source in sources.values():
            outcome = await run(ingest.pool, source, timeout_seconds=60)
            assert outcome is not None
            assert outcome.status in ("success", "partial")
        ingest.market.advance()


async def again(
    ingest: Ingest,
    *names: str,
    sources: Mapping[str, Source] | None = None,
    since: datetime | None = None,
    dry_run: bool = False,
    on_progress: OnProgress = lambda *_: None,
) -> ReprocessReport:
    """Reprocess with `sources`, by default those without the fault."""
    chosen = list((sources or ingest.sources).values())
    return await reprocess(
        ingest.pool,
        chosen,
        names or [source.name for source in chosen],
        since=since,
        retention=DEFAULT_RETENTION,
        dry_run=dry_run,
        on_progress=on_progress,
    )


def misread(
    ingest: Ingest, names: Iterable[str] = ("coingecko", "coinpaprika", "csv"), **how: str
) -> dict[str, Source]:
    """Return the sources, with the fault in the named ones."""
    return {
        name: Misread(source, **how) if name in names else source
        for name, source in ingest.sources.items()
    }


def write_dated_file(ingest: Ingest, days: int = 20) -> None:
    """Write a CSV file of the market's past: a row for each coin and day."""
    rows = [
        f"c{n},PAST{n},Past {n},{n}.{day},{n * day}000,{START + timedelta(days=day - 30):%Y-%m-%d}"
        for day in range(1, days)
        for n in range(1, 15)
    ]
    # With a newline at the end: an unfinished last line is read only after some seconds.
    ingest.csv_path.write_text("\n".join(["id,symbol,name,price,market_cap,date", *rows, ""]))
