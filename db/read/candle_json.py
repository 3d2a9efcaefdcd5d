"""Candles as the text of JSON objects, written by PostgreSQL.

A page of coins has thousands of candles. Decoding 1,500 rows and encoding them again takes this
process seven times as long as passing on their text.
"""

import functools
from collections.abc import Mapping, Sequence

from db.connect.types import Connection
from db.read.candles import INTERVALS, CandleSpan, Interval

# The client chooses the names in an object, so they are parameters: the text between the columns.
# All numbers are quoted text or integers, so no value has a character that JSON would escape.
COLUMNS: Mapping[str, str] = {
    "start": """to_char(y.start, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "open": "y.open",
    "high": "y.high",
    "low": "y.low",
    "close": "y.close",
    "samples": "y.samples",
}
UNQUOTED = frozenset({"samples"})

_POINTS = """
    SELECT
        date_bin($4::interval, at, 'epoch') AS start, (array_agg(price_usd ORDER BY at))[1] AS open,
        max(price_usd) AS high, min(price_usd) AS low,
        (array_agg(price_usd ORDER BY at DESC))[1] AS close, count(*) AS samples
    FROM price_points
    WHERE ticker = k.ticker AND at >= $2 AND at < $3
    GROUP BY date_bin($4::interval, at, 'epoch')
"""
_STORED = """
    SELECT start, open, high, low, close, samples
    FROM candles
    WHERE ticker = k.ticker AND start >= $2 AND start < $3 AND interval = $4
"""
_ROLLED = """
    SELECT
        date_bin($4::interval, c.start, '1970-01-05T00:00:00Z') AS start,
        (array_agg(open ORDER BY c.start))[1] AS open, max(high) AS high, min(low) AS low,
        (array_agg(close ORDER BY c.start DESC))[1] AS close, sum(samples) AS samples
    FROM candles AS c
    WHERE ticker = k.ticker AND c.start >= $2 AND c.start < $3 AND interval = $5
    GROUP BY date_bin($4::interval, c.start, '1970-01-05T00:00:00Z')
"""


@functools.lru_cache(maxsize=256)
def candle_statement(interval: Interval, columns: tuple[str, ...]) -> str:
    """Return the statement for tickers with their candles, oldest first, joined by commas."""
    if interval.roll_up is None:
        candles, parameters = _POINTS, 4
    elif interval.roll_up == interval.name:
        candles, parameters = _STORED, 4
    else:
        candles, parameters = _ROLLED, 5
    pieces = [f"${parameters + 1}::text"]
    for number, name in enumerate(columns, parameters + 2):
        pieces += [COLUMNS[name], f"${number}::text"]
    return (
        # Constants, and numbers of parameters.
        "SELECT k.ticker, x.candles FROM unnest($1::text[]) AS k (ticker) CROSS JOIN LATERAL ("  # noqa: S608
        f"SELECT string_agg(concat({', '.join(pieces)}), ',' ORDER BY y.start) AS candles "
        f"FROM ({candles}) AS y) AS x"
    )


async def candle_texts(
    connection: Connection,
    tickers: Sequence[str],
    span: CandleSpan,
    columns: tuple[str, ...],
    pieces: Sequence[str],
) -> dict[str, str | None]:
    """Return each ticker's candles as JSON objects with commas between.

    `pieces` are the texts before, between and after the columns.
    """
    interval = INTERVALS[span.interval]
    if interval.roll_up is None:
        kind: tuple[object, ...] = (interval.width,)
    elif interval.roll_up == interval.name:
        kind = (interval.roll_up,)
    else:
        kind = (interval.width, interval.roll_up)
    statement = candle_statement(interval, columns)
    records = await connection.fetch(statement, tickers, span.start, span.end, *kind, *pieces)
    return {record[0]: record[1] for record in records}
