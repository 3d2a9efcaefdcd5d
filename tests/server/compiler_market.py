"""A small market with all cases that change a response: nulls, rivals, odd names, rejections."""

import datetime
import decimal
from typing import Any

import msgspec

from db.connect.types import Connection
from db.notes import Note
from db.source_files import FileColumn, FileForm, FilePart, FileReport, FirstListing, save_file_part
from tests.server.graphql_rows import NOW, Rows

TICKERS = [f"T{number}" for number in range(12)] + ["BTC", "ETH", "ÄÖ", "A_B", "100%"]
SOURCES = ["coinpaprika", "coingecko", "csv"]
DAY = datetime.timedelta(days=1)
RECENT = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
NAMES = [
    None,
    "Bitcoin",
    'The "Old" Coin',
    "naïve – Ünïcode 💰",
    "back\\slash\ttab",
    "Wrapped Bitcoin (Wormhole)",
    "",
]

_POINT = """
INSERT INTO price_points (listing, at, price_usd, market_cap_usd, is_held)
VALUES ($1, $2, $3::text::numeric, $4::text::numeric, $5)
"""
_CANDLE = """
INSERT INTO candles (listing, interval, start, open, high, low, close, open_at, close_at, samples)
VALUES ($1, $2, $3, 1.5, 2.000000001, 0.000000000000000004, 1.75, $3, $3, $4)
"""
_REQUEST = (
    "INSERT INTO etl_requests (sources, full_run, requested_at) VALUES ($1, false, $2) RETURNING id"
)


ADDRESSES = [f"0x{digit * 40}" for digit in "123456789"]
CHAINS = ["ethereum", "bsc", "coingecko:new-chain"]
ASSET_IDS = [
    "coinpaprika:T4-0",
    "coingecko:T4-1",
    "coingecko:T9-1",
    "coinpaprika:T9-0",
    "csv:nothing",
    f"ethereum:{ADDRESSES[0]}",
    f"eip155:56/erc20:{ADDRESSES[1]}",
    f"coingecko:new-chain:{ADDRESSES[2]}",
    f"bsc:{ADDRESSES[8]}",
    "asset_coinpaprika_T4-0",
    "asset_coingecko_T9-1",
]
"""What `asset` takes; the listings of T9 are those of the asset of T4."""


class Market:
    """The ids and cursors of the market."""

    def __init__(self, ids: list[str], cursors: dict[str, list[str]]) -> None:
        self.ids = ids
        self.cursors = cursors


async def fill(connection: Connection) -> list[str]:
    """Write the market; return the ids in it."""
    rows = Rows(connection)
    for number, source in enumerate(SOURCES):
        await rows.source(
            source, kind="file" if source == "csv" else "api", priority=number, poll_seconds=10**8
        )
    await rows.checkpoint(
        "coinpaprika", last_id="btc-bitcoin", last_timestamp=NOW, last_sweep_at=NOW + DAY
    )
    await rows.checkpoint("csv")
    ids = []
    for number, ticker in enumerate(TICKERS):
        await _coin(rows, number, ticker)
        ids += [f"merged_{ticker.lower()}", *await _listings(rows, number, ticker)]
        await _history(connection, number, ticker)
    await _files(connection)
    await _addresses(connection)
    ids += ["asset_coinpaprika_T4-0", "asset_coingecko_T4-1"]
    return ids + await _runs(connection, rows)


async def _files(connection: Connection) -> None:
    for number, name in enumerate(NAMES):
        first = FirstListing(
            external_id="a", ticker="A", name=name, price_usd="0.1", rank=number, observed_at=NOW
        )
        report = FileReport(
            name=f"{number}.csv",
            form=FileForm(kind="csv"),
            columns=(FileColumn("price", name, "US dollars"), FileColumn("symbol", None, ""))[
                : number % 3
            ],
            unread=tuple(filter(None, NAMES[:number])),
            unread_count=number,
            rows=number,
            first=(first,) * (number % 3),
        )
        notes = [Note("a", name or "", number + 1)] * (number % 2)
        part = FilePart(report, is_first=True, is_last=True)
        await save_file_part(
            connection, "csv", part, rejected=number, notes=notes, now=NOW + number * DAY
        )


async def _addresses(connection: Connection) -> None:
    for number, (source, external_id, ticker) in enumerate(
        [(SOURCES[0], "T4-0", "OLD"), (SOURCES[1], "T4-1", "T4"), (SOURCES[1], "T9-1", "T3")]
    ):
        for chain in CHAINS:
            await connection.execute(
                "INSERT INTO listing_addresses VALUES ($1, $2, $3, $4, $5, $6)",
                source,
                external_id,
                chain,
                ADDRESSES[number % 2 if chain == "bsc" else number],
                number != 1 or chain != "ethereum",
                NOW,
            )
        await connection.execute(
            "INSERT INTO former_tickers VALUES ($1, $2, $3, $4)",
            source,
            external_id,
            ticker,
            NOW - number * DAY,
        )


EXCLUDED: list[dict[str, Any]] = [
    {
        "source": "csv",
        "external_id": "a",
        "field": field,
        "value": msgspec.Raw(value),
        "reason": reason,
        "observed_at": NOW.isoformat(),
    }
    for field, value, reason in (
        ("price_usd", b"0.000000000000000004", "jump"),
        ("price_usd", b"123456789012345678901234567890.50", "disagrees"),
        ("market_cap_usd", b"9e15", "impossible"),
    )
]
NOTES: list[dict[str, Any]] = [
    {"about": "columns", "text": 'Columns that are not read: ä, "b"', "count": 1},
    {"about": "$.cap", "text": "Expected a number - at `$.cap`", "count": 41},
]
GIVER = {"source": "csv", "observed_at": NOW.isoformat()}


async def _coin(rows: Rows, number: int, ticker: str) -> None:
    entries = [
        {
            "field": field,
            "source": SOURCES[number % 3],
            "external_id": f"{ticker}-0",
            "observed_at": NOW.isoformat(),
        }
        for field in ("name", "rank", "price_usd", "volume_24h_usd")[: number % 5]
    ]
    await rows.coin(
        ticker,
        name=NAMES[number % len(NAMES)],
        price_usd_exact=[None, "0.000000000000000004", "45000.5", "1.123456789"][number % 4],
        market_cap_usd=None if number % 5 == 0 else str(10 ** (number % 7)),
        volume_24h_usd=[None, "0", "12.50"][number % 3],
        percent_change_24h=[None, "-3.5", "1e-310", "5"][number % 4],
        rank=None if number % 3 == 0 else number,
        # A source that is not polled any more is stale.
        source="gone" if number % 6 == 5 else SOURCES[number % 3],
        created_at=NOW - number * DAY if number % 2 else NOW.replace(microsecond=0),
        price_spread_percent=[None, 1.0, 12.25][number % 3],
        rival_count=number % 2,
        asset=None if number % 4 == 3 else f"coinpaprika:{'T4' if ticker == 'T9' else ticker}-0",
        confidence=decimal.Decimal(number % 5) / 4 if number % 6 else None,
        is_suspect=number % 3 == 1,
        excluded=EXCLUDED[: number % 4] or None,
        provenance=GIVER | {"external_id": f"{ticker}-0"} if number % 3 == 0 else entries,
    )


async def _listings(rows: Rows, number: int, ticker: str) -> list[str]:
    ids = []
    for place in range(number % 5):
        source, external_id = SOURCES[place % 3], f"{ticker}-{place}"
        figures: dict[str, Any] = {
            "rank": None if place else number + 1,
            "price_usd": None if place == 1 else "1.50",
            "market_cap_usd": [None, "7", "7"][place % 3],
            "max_supply": "21000000" if place == 2 else None,
            "percent_change_24h": "0.1" if place else None,
        }
        content_hash = await rows.listing(
            source,
            external_id,
            ticker,
            name=NAMES[place],
            contributes=place < 3,
            active=place != 2,
            asset=_asset_of(number, place, ticker),
            **figures,
        )
        if place != 1:
            await rows.payload(
                source,
                external_id,
                content_hash,
                f'{{"n": {number}, "names": ["ä", null], "x": 1.50}}',
            )
        ids.append(f"listing_{source}_{external_id}")
    return ids


def _asset_of(number: int, place: int, ticker: str) -> str | None:
    if ticker == "T9":
        return "coinpaprika:T4-0"
    return f"coinpaprika:{ticker}-0" if place and number % 3 else None


async def _history(connection: Connection, number: int, ticker: str) -> None:
    listings = await connection.fetch(
        "SELECT id, external_id FROM listings WHERE ticker = $1 ORDER BY external_id", ticker
    )
    for place, (listing, _) in enumerate(listings):
        await _series(connection, number, place, listing)


async def _series(connection: Connection, number: int, place: int, listing: int) -> None:
    # The listings of a coin share some hours, and each has others alone.
    for step in range((number + place) % 4 * 3):
        at = (RECENT if number % 2 else NOW) - step * datetime.timedelta(
            hours=7 - 2 * place, microseconds=step % 2
        )
        price = None if step == 4 else f"1.{step}"
        await connection.execute(_POINT, listing, at, price, None if step % 2 else "9", step == 7)
        if step in (4, 7):  # it does not count
            continue
        for interval, width in (("H1", datetime.timedelta(hours=1)), ("D1", DAY)):
            start = at - (at - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) % width
            await connection.execute(
                f"{_CANDLE} ON CONFLICT DO NOTHING", listing, interval, start, step + 1
            )


async def _runs(connection: Connection, rows: Rows) -> list[str]:
    request: int = await connection.fetchval(_REQUEST, SOURCES, NOW)
    ids = [f"request_{request}"]
    statuses = ["success", "partial", "failure", "abandoned", "running"]
    for number in range(12):
        failed = number % 4
        run = await rows.run(
            SOURCES[number % 3],
            statuses[number % 5],
            started_at=NOW + number * DAY,
            finished_at=None
            if number % 5 == 4
            else NOW + number * DAY + datetime.timedelta(milliseconds=number),
            processed=failed,
            failed=failed,
            notes=NOTES[: number % 3],
            note_count=sum(note["count"] for note in NOTES[: number % 3]),
            request_id=request if number % 2 else None,
        )
        for place in range(failed):
            await rows.rejection(
                run, external_id=None if place else "x", payload=b'{"\xff": "\\u00e4"}'
            )
        ids.append(f"run_{run}")
    return ids
