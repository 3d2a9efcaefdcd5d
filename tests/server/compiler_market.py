"""A small market with all cases that change a response: nulls, rivals, odd names, rejections."""

import datetime
from typing import Any

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
INSERT INTO price_points (ticker, at, price_usd, market_cap_usd, volume_24h_usd, source)
VALUES ($1, $2, $3::text::numeric, $4::text::numeric, NULL, $5)
"""
_CANDLE = """
INSERT INTO candles (ticker, interval, start, open, high, low, close, open_at, close_at, samples)
VALUES ($1, $2, $3, 1.5, 2.000000001, 0.000000000000000004, 1.75, $3, $3, $4)
"""
_REQUEST = (
    "INSERT INTO etl_requests (sources, full_run, requested_at) VALUES ($1, false, $2) RETURNING id"
)


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


async def _history(connection: Connection, number: int, ticker: str) -> None:
    for step in range(number % 4 * 3):
        at = (RECENT if number % 2 else NOW) - step * datetime.timedelta(
            hours=7, microseconds=step % 2
        )
        await connection.execute(
            _POINT, ticker, at, f"1.{step}", None if step % 2 else "9", SOURCES[step % 3]
        )
        for interval, width in (("H1", datetime.timedelta(hours=1)), ("D1", DAY)):
            start = at - (at - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) % width
            await connection.execute(
                f"{_CANDLE} ON CONFLICT DO NOTHING", ticker, interval, start, step + 1
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
