"""Reading candles (minutes from points, others from hours and days) and the price history."""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection

MAX_CANDLES = 1000
"""The most candles of one coin that one request may span."""

_POINTS = """
SELECT
    ticker, date_bin($4::interval, at, 'epoch') AS start,
    (array_agg(price_usd ORDER BY at))[1]::text AS open, max(price_usd)::text AS high,
    min(price_usd)::text AS low, (array_agg(price_usd ORDER BY at DESC))[1]::text AS close,
    count(*)::integer AS samples
FROM price_points
WHERE ticker = ANY ($1::text[]) AND at >= $2 AND at < $3
GROUP BY ticker, start
ORDER BY ticker, start
"""

# H1 and D1 are stored.
_STORED = """
SELECT ticker, start, open::text, high::text, low::text, close::text, samples
FROM candles
WHERE ticker = ANY ($1::text[]) AND start >= $2 AND start < $3 AND interval = $4
ORDER BY ticker, start
"""

# H4 is made of four hours, W1 of seven days: 5 January 1970 was a Monday.
_ROLLED = """
SELECT
    ticker, date_bin($4::interval, start, '1970-01-05T00:00:00Z') AS begins,
    (array_agg(open ORDER BY start))[1]::text AS open, max(high)::text AS high,
    min(low)::text AS low, (array_agg(close ORDER BY start DESC))[1]::text AS close,
    sum(samples)::integer AS samples
FROM candles
WHERE ticker = ANY ($1::text[]) AND interval = $5 AND start >= $2 AND start < $3
GROUP BY ticker, begins
ORDER BY ticker, begins
"""

_MONDAY = datetime.datetime(1970, 1, 5, tzinfo=datetime.UTC)


class Interval(msgspec.Struct, frozen=True):
    """The width of a candle, and the roll-up that it is read from; None is the points."""

    name: str
    width: datetime.timedelta
    roll_up: str | None

    def floor(self, at: datetime.datetime) -> datetime.datetime:
        """Return the start of the candle that holds `at`, in UTC; weeks start on Monday."""
        return at - (at - _MONDAY) % self.width


INTERVALS = {
    interval.name: interval
    for interval in (
        Interval("M1", datetime.timedelta(minutes=1), None),
        Interval("M5", datetime.timedelta(minutes=5), None),
        Interval("M15", datetime.timedelta(minutes=15), None),
        Interval("H1", datetime.timedelta(hours=1), "H1"),
        Interval("H4", datetime.timedelta(hours=4), "H1"),
        Interval("D1", datetime.timedelta(days=1), "D1"),
        Interval("W1", datetime.timedelta(weeks=1), "D1"),
    )
}


class CandleRow(msgspec.Struct, frozen=True, gc=False):
    """The prices of one period, as exact text; `samples` is its number of price changes."""

    start: datetime.datetime
    open: str
    high: str
    low: str
    close: str
    samples: int


class CandleSpan(msgspec.Struct, frozen=True):
    """The candles of one interval that begin within [start, end)."""

    interval: str
    start: datetime.datetime
    end: datetime.datetime

    @property
    def count(self) -> int:
        """The largest possible number of candles."""
        width = INTERVALS[self.interval].width
        return max(0, -((self.start - self.end) // width))


async def candles_of(
    connection: Connection, tickers: Sequence[str], span: CandleSpan
) -> dict[str, list[CandleRow]]:
    """Return each ticker's candles, oldest first; a period without a price has none."""
    interval = INTERVALS[span.interval]
    arguments = list(tickers), span.start, span.end
    if interval.roll_up is None:
        rows = await connection.fetch(_POINTS, *arguments, interval.width)
    elif interval.roll_up == interval.name:
        rows = await connection.fetch(_STORED, *arguments, interval.roll_up)
    else:
        rows = await connection.fetch(_ROLLED, *arguments, interval.width, interval.roll_up)
    by_ticker: dict[str, list[CandleRow]] = {ticker: [] for ticker in tickers}
    for ticker, *values in rows:
        by_ticker[ticker].append(CandleRow(*values))
    return by_ticker


class PricePointRow(msgspec.Struct, frozen=True, gc=False):
    """The price of a coin from one time on; numbers as exact text."""

    at: datetime.datetime
    price_usd: str
    market_cap_usd: str | None
    volume_24h_usd: str | None
    source: str


class HistoryPart(msgspec.Struct, frozen=True):
    """A part of a coin's points in [start, end): `limit` from the near end, between two points."""

    start: datetime.datetime | None
    end: datetime.datetime | None
    after: datetime.datetime | None
    before: datetime.datetime | None
    limit: int
    backward: bool


def _history(*, backward: bool) -> str:
    direction = "DESC" if backward else "ASC"
    return f"""
SELECT k.ticker, x.* FROM unnest($1::text[]) AS k (ticker) CROSS JOIN LATERAL (
    SELECT p.at, p.price_usd::text, p.market_cap_usd::text, p.volume_24h_usd::text, p.source
    FROM price_points AS p
    WHERE p.ticker = k.ticker
      AND ($2::timestamptz IS NULL OR p.at >= $2) AND ($3::timestamptz IS NULL OR p.at < $3)
      AND ($4::timestamptz IS NULL OR p.at > $4) AND ($5::timestamptz IS NULL OR p.at < $5)
    ORDER BY p.at {direction}
    LIMIT $6
) AS x
ORDER BY k.ticker, x.at {direction}
"""


_FORWARD, _BACKWARD = _history(backward=False), _history(backward=True)


async def history_of(
    connection: Connection, tickers: Sequence[str], part: HistoryPart
) -> dict[str, list[PricePointRow]]:
    """Return up to `limit` points of each ticker, from the near end on."""
    rows = await connection.fetch(
        _BACKWARD if part.backward else _FORWARD,
        list(tickers),
        part.start,
        part.end,
        part.after,
        part.before,
        part.limit,
    )
    by_ticker: dict[str, list[PricePointRow]] = {ticker: [] for ticker in tickers}
    for ticker, *values in rows:
        by_ticker[ticker].append(PricePointRow(*values))
    return by_ticker
