"""New listings are copied, and their coins added without a merge, as the upsert would do it."""

import csv
import datetime
import io
import os
import random
from decimal import Decimal

import pytest

from db.connect.pool import Pool
from db.write.listings import Listing
from db.write.new_listings import NewListingsResult, copy_listings, encode_new_listings
from db.write.raw.bodies import BodyArrival
from ingestor.sources.files.source import CsvFiles
from tests.history_oracle import CANDLES, POINTS
from tests.ingestor.conftest import START, Ingest

# What one page writes, without the run and without the moment at which it wrote.
STORED = {
    "listings": (
        "SELECT source, external_id, ticker, symbol, name, name_words, core_words, rank, "
        "price_usd::text, "
        "market_cap_usd::text, volume_24h_usd::text, percent_change_24h::text, "
        "circulating_supply::text, "
        "total_supply::text, max_supply::text, observed_at, content_hash, active, missing_since "
        "IS NULL, contributes, "
        "has_own_time FROM listings"
    ),
    "payloads": "SELECT source, external_id, payload::text, content_hash FROM raw_csv_records",
    "coins": (
        "SELECT ticker, name, price_usd::text, price_usd_exact::text, market_cap_usd::text, "
        "volume_24h_usd::text, "
        "percent_change_24h::text, rank, source, created_at, stale_at, price_spread_percent, "
        "rival_count, "
        "provenance::text FROM normalized_records"
    ),
    "points": (
        "SELECT source, external_id, at, price_usd::text, market_cap_usd::text, "
        f"volume_24h_usd::text, fetched_at = at, is_held FROM {POINTS} AS p"
    ),
    "candles": (
        "SELECT source, external_id, interval, start, open::text, high::text, low::text, "
        f"close::text, open_at, close_at, samples FROM {CANDLES} AS c"
    ),
    "rejections": "SELECT external_id, error, payload FROM rejected_records",
    "events": "SELECT kind, tickers FROM events WHERE kind = 'coins_changed'",
    # A note names the minute at which history begins, which is another one in a later run.
    "runs": "SELECT status, processed, failed, changed, unchanged, pages, "
    r"regexp_replace(notes::text, '\d\d:\d\d UTC', 'UTC', 'g') FROM etl_runs",
}
EMPTY = (
    "TRUNCATE listings, raw_csv_records, normalized_records, price_points, candles, source_pages, "
    "etl_checkpoints, "
    "rejected_records, events, etl_runs"
)
HEADER = (
    "id",
    "symbol",
    "name",
    "rank",
    "price_usd",
    "market_cap",
    "volume_24h",
    "total_supply",
    "last_updated",
)
NAMES = (
    *(
        "",
        "Bitcoin",
        "The Coin",
        "back\\slash",
        "\\N",
        "\\.",
        "tab\there",
        "two\nlines",
        "x\n\\.\ny",
        "\rcarriage",
    ),
    *("\u65e5\u672c \u30b3\u30a4\u30f3", "a,b", 'a "quote"', "None", "unit\x1fseparator"),
)
NUMBERS = ("", "0", "1", "0.000000012345678901", "9e99", "1.50", "-2", "N/A")


def rows_of(chance: random.Random) -> str:
    """A file of listings, some with a shared ticker, an old date or unreadable cells."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADER)
    for number in range(chance.randint(1, 30)):
        time = START + datetime.timedelta(hours=chance.randint(0, 40))
        moment = chance.choice([f"{time:%Y-%m-%dT%XZ}", "", "2016-01-02", "no time"])
        ticker = chance.choice([f"T{number}", f"T{chance.randint(0, 40)}", "s\\h", ""])
        numbers = [chance.choice(NUMBERS) for _ in range(4)]
        rank = chance.choice(["", "0", "7", "2147483647", "1.5"])
        writer.writerow(
            [
                f"id-{chance.choice([number, number, 3])}",
                ticker,
                chance.choice(NAMES),
                rank,
                *numbers,
                moment,
            ]
        )
    return out.getvalue()


async def stored(ingest: Ingest) -> dict[str, list[tuple[object, ...]]]:
    return {name: sorted(await ingest.rows(query), key=repr) for name, query in STORED.items()}


@pytest.mark.parametrize("seed", range(12))
async def test_copied_listings_are_stored_as_the_upsert_stores_them(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - rows, no secrets
    versions = [rows_of(chance) for _ in range(3)]
    rows_a_page, part = chance.choice([(4, 2), (40, 5), (40, 40)])
    ingest.sources["csv"] = CsvFiles(str(ingest.csv_path), rows_a_page=rows_a_page)
    monkeypatch.setattr("ingestor.run.parts._PART_RECORDS", part)
    found = []
    for copy_from in (1, 1_000_000):
        monkeypatch.setattr("ingestor.run.parts._MIN_COPY", copy_from)
        await ingest.value(EMPTY)
        states = []
        for number, version in enumerate(versions):
            ingest.csv_path.write_text(version, newline="")
            seconds = START.timestamp() + number  # rows without a time are dated by it
            os.utime(ingest.csv_path, (seconds, seconds))
            await ingest.run("csv", full=number != 1)
            states.append(await stored(ingest))
        found.append(states)
    for copied, upserted in zip(*found, strict=True):
        for table, rows in upserted.items():
            assert copied[table] == rows, table
    assert found[0][0]["payloads"]


async def test_new_listings_of_a_page_are_copied(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[NewListingsResult | None] = []

    async def copy(*arguments: object, **rest: object) -> NewListingsResult | None:
        copied.append(await copy_listings(*arguments, **rest))  # type: ignore[arg-type]  # handed on
        return copied[-1]

    monkeypatch.setattr("ingestor.run.parts.copy_listings", copy)
    ingest.sources["csv"] = CsvFiles(str(ingest.csv_path))
    lines = [f"T{number},{number + 1}" for number in range(200)]
    ingest.csv_path.write_text("\n".join(["symbol,price", *lines]) + "\n")
    assert (await ingest.run("csv")).changed == 200
    ingest.csv_path.write_text("\n".join(["symbol,price", *lines, "NEW,5"]) + "\n")
    assert (await ingest.run("csv")).changed > 0
    (only,) = copied
    assert only is not None
    assert (len(only.new_tickers), only.tickers) == (200, frozenset())


async def test_nothing_is_copied_where_a_listing_is_there_already(pool: Pool) -> None:
    """A rebuild may have written one since the page was decoded."""
    listings = [listing("a", "AAA"), listing("b", "BBB")]
    async with pool.acquire() as connection:
        for number, wanted in ((1, {"AAA"}), (2, None)):
            async with connection.transaction():
                written = await copy_listings(
                    connection,
                    "csv",
                    "file",
                    encode_new_listings(
                        listings[:number], [b'{"a": "\\\\ \\n"}'] * number, [(0, 1)] * number
                    ),
                    run_id=1,
                    fetched_at=START,
                    body=BodyArrival(1, START),
                    oldest=START,
                )
            assert (None if written is None else set(written.new_tickers)) == wanted
        assert await connection.fetchval("SELECT array_agg(external_id) FROM listings") == ["a"]
        assert await connection.fetchval(
            "SELECT array_agg(payload ->> 'a') FROM raw_csv_records"
        ) == ["\\ \n"]


def listing(external_id: str, ticker: str) -> Listing:
    return Listing(
        external_id=external_id,
        ticker=ticker,
        symbol=ticker,
        name=None,
        name_words="",
        core_words="",
        rank=None,
        price_usd=Decimal(1),
        market_cap_usd=None,
        volume_24h_usd=None,
        percent_change_24h=None,
        circulating_supply=None,
        total_supply=None,
        max_supply=None,
        observed_at=START,
        content_hash=external_id.encode() * 16,
    )
