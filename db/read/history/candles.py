"""Reading candles (minutes from points, others from hours and days) and the price history."""

import datetime
import functools
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.points import COUNTED, ROLL_POINTS
from db.read.history.series import Owner, join_key, series
from db.read.listings import ListingKey

MAX_CANDLES = 1000
"""The most candles of one coin that one request may span."""

_POINTS = f"""
    SELECT
        s.key, s.place, s.source, date_bin($5::interval, p.at, 'epoch') AS start,{ROLL_POINTS},
        1 AS parts
    FROM series AS s
    JOIN price_points AS p ON p.listing = s.listing
    WHERE p.at >= $3 AND p.at < $4 AND {COUNTED}
    GROUP BY s.key, s.place, s.source, date_bin($5::interval, p.at, 'epoch')
"""
# H1 and D1 are stored.
_STORED = """
    SELECT s.key, s.place, s.source, c.start, c.open, c.high, c.low, c.close, c.samples, 1 AS parts
    FROM series AS s
    JOIN candles AS c ON c.listing = s.listing
    WHERE c.start >= $3 AND c.start < $4 AND c.interval = $5
"""
# H4 is made of four hours, W1 of seven days: 5 January 1970 was a Monday.
_ROLLED = """
    SELECT
        s.key, s.place, s.source, date_bin($6::interval, c.start, '1970-01-05T00:00:00Z') AS start,
        (array_agg(c.open ORDER BY c.start))[1] AS open, max(c.high) AS high, min(c.low) AS low,
        (array_agg(c.close ORDER BY c.start DESC))[1] AS close, sum(c.samples) AS samples,
        count(*) AS parts
    FROM series AS s
    JOIN candles AS c ON c.listing = s.listing
    WHERE c.start >= $3 AND c.start < $4 AND c.interval = $5
    GROUP BY s.key, s.place, s.source, date_bin($6::interval, c.start, '1970-01-05T00:00:00Z')
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
    """The prices of one period, as exact text; `samples` is its number of points of `source`.

    `complete` is None for a source that is polled.
    """

    start: datetime.datetime
    open: str
    high: str
    low: str
    close: str
    samples: int
    source: str
    complete: bool | None = None


class CandleSpan(msgspec.Struct, frozen=True):
    """The candles of one interval that begin within [start, end), of all sources or of one."""

    interval: str
    start: datetime.datetime
    end: datetime.datetime
    source: str | None = None

    @property
    def count(self) -> int:
        """The largest possible number of candles."""
        width = INTERVALS[self.interval].width
        return max(0, -((self.start - self.end) // width))


def best_candles(owner: Owner, interval: Interval) -> str:
    """Return the statement for the candles of some keys, one for each period.

    A candle is of one source: of the sources that have most of the period, the best one. The
    parameters are those of `candle_parameters`.
    """
    if interval.roll_up is None:
        candles = _POINTS
    else:
        candles = _STORED if interval.roll_up == interval.name else _ROLLED
    return f"""
WITH {series(owner)}
SELECT DISTINCT ON (key, start) key, start, open, high, low, close, samples, source
FROM ({candles}) AS candle
ORDER BY key, start, parts DESC, place
"""


def candle_parameters(keys: Sequence[str], span: CandleSpan) -> list[object]:
    """Return the parameters of `best_candles`."""
    interval = INTERVALS[span.interval]
    if interval.roll_up is None:
        kind: list[object] = [interval.width]
    elif interval.roll_up == interval.name:
        kind = [interval.roll_up]
    else:
        kind = [interval.roll_up, interval.width]
    return [keys, span.source, span.start, span.end, *kind]


_ASSETS: dict[Owner, str] = {
    "coin": "(SELECT n.asset FROM normalized_records AS n WHERE n.ticker = y.key)",
    # The id of a listing of `markets` is the key of its asset.
    "listing": "substr(y.key, length('markets:') + 1)",
}


def completeness(owner: Owner, interval: Interval) -> str:
    """Return the expression for whether no gap of a market of its asset touches the candle `y`.

    Null for the candle of a source that is polled, which never has every price.
    """
    # Constants, and the width of an interval.
    return f"""CASE WHEN y.source = 'markets' THEN NOT EXISTS (
    SELECT FROM markets AS m
    JOIN stream_gaps AS g ON g.source = m.venue AND (g.symbol IS NULL OR g.symbol = m.symbol)
    WHERE m.asset = {_ASSETS[owner]} AND g.ended_at >= y.start
        AND g.began_at < y.start + interval '{interval.width.total_seconds():.0f} seconds'
) END"""


@functools.cache
def _texts(owner: Owner, interval: str) -> str:
    candles = best_candles(owner, INTERVALS[interval])
    # Composed of the constants above.
    return (
        "SELECT key, start, open::text, high::text, low::text, close::text, samples::integer,"
        f" source, {completeness(owner, INTERVALS[interval])}"
        f" FROM ({candles}) AS y ORDER BY key, start"
    )


async def candles_of(
    connection: Connection, keys: Sequence[str], span: CandleSpan, owner: Owner = "coin"
) -> dict[str, list[CandleRow]]:
    """Return each key's candles, oldest first; a period without a price has none."""
    rows = await connection.fetch(_texts(owner, span.interval), *candle_parameters(keys, span))
    by_key: dict[str, list[CandleRow]] = {key: [] for key in keys}
    for key, *values in rows:
        by_key[key].append(CandleRow(*values))
    return by_key


async def listing_candles(
    connection: Connection, keys: Sequence[ListingKey], span: CandleSpan
) -> dict[ListingKey, list[CandleRow]]:
    """Return each listing's candles, oldest first."""
    texts = {join_key(key): key for key in keys}
    found = await candles_of(connection, list(texts), span, "listing")
    return {texts[text]: candles for text, candles in found.items()}


class PricePointRow(msgspec.Struct, frozen=True, gc=False):
    """A price from one time on, by its source; numbers as exact text."""

    at: datetime.datetime
    price_usd: str
    market_cap_usd: str | None
    volume_24h_usd: str | None
    source: str


class HistoryPart(msgspec.Struct, frozen=True):
    """A part of the points in [start, end): `limit` from the near end, between two points.

    All sources are meant, or only `source`.
    """

    start: datetime.datetime | None
    end: datetime.datetime | None
    after: datetime.datetime | None
    before: datetime.datetime | None
    limit: int
    backward: bool
    source: str | None = None


# The points of an hour are of one source, the best one that has a candle there. Of the other
# sources no more is read than the best one's page spans.
@functools.cache
def _history(owner: Owner, *, backward: bool) -> str:
    direction, end, further = ("DESC", "min", "<") if backward else ("ASC", "max", ">")
    bounds = f"""{COUNTED}
              AND ($3::timestamptz IS NULL OR p.at >= $3) AND ($4::timestamptz IS NULL OR p.at < $4)
              AND ($5::timestamptz IS NULL OR p.at > $5) AND ($6::timestamptz IS NULL OR p.at < $6)
"""
    return f"""
WITH {series(owner)}
SELECT k.key, x.at, x.price_usd::text, x.market_cap_usd::text, x.volume_24h_usd::text, x.source
FROM unnest($1::text[]) AS k (key)
CROSS JOIN LATERAL (
    WITH best AS MATERIALIZED (
        SELECT p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd, s.source
        FROM series AS s JOIN price_points AS p ON p.listing = s.listing
        WHERE s.key = k.key AND s.place = 1 AND {bounds}
        ORDER BY p.at {direction} LIMIT $7
    ),
    reach AS MATERIALIZED (
        SELECT CASE WHEN count(*) = $7 THEN {end}(at) END AS at FROM best
    )
    SELECT * FROM best
    UNION ALL
    SELECT other.*
    FROM series AS s
    CROSS JOIN LATERAL (
        SELECT p.at, p.price_usd, p.market_cap_usd, p.volume_24h_usd, s.source
        FROM price_points AS p
        WHERE p.listing = s.listing AND {bounds}
          AND (SELECT r.at IS NULL OR NOT p.at {further} r.at FROM reach AS r)
          AND NOT EXISTS (
            SELECT FROM series AS b
            JOIN candles AS c ON c.listing = b.listing AND c.interval = 'H1'
                AND c.start = date_bin('1 hour', p.at, 'epoch')
            WHERE b.key = k.key AND b.place < s.place
          )
        ORDER BY p.at {direction} LIMIT $7
    ) AS other
    WHERE s.key = k.key AND s.place > 1
    ORDER BY at {direction} LIMIT $7
) AS x
ORDER BY k.key, x.at {direction}
"""


async def history_of(
    connection: Connection, keys: Sequence[str], part: HistoryPart, owner: Owner = "coin"
) -> dict[str, list[PricePointRow]]:
    """Return up to `limit` points of each key, from the near end on."""
    rows = await connection.fetch(
        _history(owner, backward=part.backward),
        keys,
        part.source,
        part.start,
        part.end,
        part.after,
        part.before,
        part.limit,
    )
    by_key: dict[str, list[PricePointRow]] = {key: [] for key in keys}
    for key, *values in rows:
        by_key[key].append(PricePointRow(*values))
    return by_key


async def listing_history(
    connection: Connection, keys: Sequence[ListingKey], part: HistoryPart
) -> dict[ListingKey, list[PricePointRow]]:
    """Return up to `limit` points of each listing, from the near end on."""
    texts = {join_key(key): key for key in keys}
    found = await history_of(connection, list(texts), part, "listing")
    return {texts[text]: points for text, points in found.items()}
