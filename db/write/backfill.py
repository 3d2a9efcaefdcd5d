"""Backfill: coins whose past a source has, the questions about them, the answers, the prices."""

import datetime
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from db.connect.types import Connection
from db.write.history import add_points

Kind = Literal["filled", "missing", "unreadable"]


class Window(msgspec.Struct, frozen=True):
    """The requested period of each coin: the last `days` days up to the day `end`, in UTC."""

    source: str
    days: int
    end: datetime.date


class PastCoin(msgspec.Struct, frozen=True):
    """A coin whose past a source has: the ticker, and its external id there."""

    ticker: str
    external_id: str


class PastPrice(msgspec.Struct, frozen=True, gc=False):
    """The price of one listing at one time, from its source."""

    external_id: str
    at: datetime.datetime
    price_usd: Decimal
    market_cap_usd: Decimal | None
    volume_24h_usd: Decimal | None


class Question(msgspec.Struct, frozen=True):
    """The last question about a coin: its last day, and whether the answer is pending."""

    end: datetime.date
    pending: bool


class Answer(msgspec.Struct, frozen=True):
    """The answer about one coin; `points` counts those that are new in the history."""

    external_id: str
    kind: Kind
    points: int = 0


# One listing a ticker, the one that the merge takes of its source: two would give two pasts of one
# coin.
_COINS = """
SELECT ticker, external_id
FROM (
    SELECT DISTINCT ON (l.ticker) l.ticker, l.external_id, n.market_cap_usd
    FROM listings AS l JOIN normalized_records AS n ON n.ticker = l.ticker
    WHERE l.source = $1 AND l.contributes AND ($2::text[] IS NULL OR l.ticker = ANY ($2))
    ORDER BY
        l.ticker, l.active DESC, coalesce(l.market_cap_usd, l.volume_24h_usd) DESC NULLS LAST,
        l.rank NULLS LAST, l.observed_at DESC, l.external_id
) AS speaker
ORDER BY market_cap_usd DESC NULLS LAST, ticker
"""
_QUESTIONS = """
SELECT external_id, window_end, outcome = 'pending' AS pending
FROM backfills
WHERE source = $1 AND days = $2
"""
_ASK = """
INSERT INTO backfills AS b (source, days, external_id, window_end)
SELECT $1, $2, external_id, $3 FROM unnest($4::text[]) AS c (external_id) ORDER BY external_id
ON CONFLICT (source, days, external_id) DO UPDATE SET
    window_end = excluded.window_end, outcome = 'pending', points = 0, answered_at = NULL
"""
_SAVE = """
UPDATE backfills AS b
SET outcome = a.kind, points = a.points, answered_at = $4
FROM json_to_recordset($3::json) AS a (external_id text, kind text, points integer)
WHERE b.source = $1 AND b.days = $2 AND b.external_id = a.external_id
"""


async def past_coins(
    connection: Connection, source: str, tickers: Collection[str] | None
) -> list[PastCoin]:
    """Return the coins of `source`, or of `tickers` among them, by market cap, largest first."""
    rows = await connection.fetch(_COINS, source, None if tickers is None else sorted(tickers))
    return [PastCoin(**row) for row in rows]


async def read_questions(connection: Connection, window: Window) -> dict[str, Question]:
    """Return the last question about each coin for the days of `window`, by external id."""
    rows = await connection.fetch(_QUESTIONS, window.source, window.days)
    return {row["external_id"]: Question(row["window_end"], row["pending"]) for row in rows}


async def save_questions(
    connection: Connection, window: Window, external_ids: Collection[str]
) -> None:
    """Save pending questions about these coins."""
    await connection.execute(_ASK, window.source, window.days, window.end, sorted(external_ids))


async def save_answers(
    connection: Connection, window: Window, answers: Sequence[Answer], now: datetime.datetime
) -> None:
    """Save the answers about some coins."""
    if answers:
        await connection.execute(
            _SAVE, window.source, window.days, msgspec.json.encode(answers), now
        )


async def backfill_prices(
    connection: Connection, source: str, prices: Sequence[PastPrice], oldest: datetime.datetime
) -> int:
    """Add past points to listings; return how many are new. Existing points do not change."""
    if not prices:
        return 0
    rows = [
        {**msgspec.structs.asdict(price), "observed_at": price.at, "content_hash": bytes(4)}
        for price in prices
    ]
    return await add_points(connection, source, msgspec.json.encode(rows), oldest, None)
