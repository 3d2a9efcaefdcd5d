"""Candles as the text of JSON objects, written by PostgreSQL.

A page of coins has thousands of candles. Decoding 1,500 rows and encoding them again takes this
process seven times as long as passing on their text.
"""

import functools
from collections.abc import Mapping, Sequence

from db.connect.types import Connection
from db.read.history.candles import (
    INTERVALS,
    CandleSpan,
    Interval,
    best_candles,
    candle_parameters,
    completeness,
)
from db.read.history.series import Owner

# The client chooses the names in an object, so they are parameters: the text between the columns.
# All numbers are quoted text or integers, and a source's name has no character that JSON escapes.
COLUMNS: Mapping[str, str] = {
    "start": """to_char(y.start, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "open": "y.open",
    "high": "y.high",
    "low": "y.low",
    "close": "y.close",
    "samples": "y.samples",
    "source": "y.source",
    "complete": "coalesce(({})::text, 'null')",
}
UNQUOTED = frozenset({"samples", "complete"})


@functools.lru_cache(maxsize=256)
def candle_statement(owner: Owner, interval: Interval, columns: tuple[str, ...]) -> str:
    """Return the statement for keys with their candles, oldest first, joined by commas."""
    parameters = 6 if interval.roll_up not in (None, interval.name) else 5
    pieces = [f"${parameters + 1}::text"]
    for number, name in enumerate(columns, parameters + 2):
        column = COLUMNS[name].format(completeness(owner, interval))
        pieces += [column, f"${number}::text"]
    return (
        # Constants, and numbers of parameters.
        f"SELECT y.key, string_agg(concat({', '.join(pieces)}), ',' ORDER BY y.start)"  # noqa: S608
        f" FROM ({best_candles(owner, interval)}) AS y GROUP BY y.key"
    )


async def candle_texts(
    connection: Connection,
    keys: Sequence[str],
    span: CandleSpan,
    columns: tuple[str, ...],
    pieces: Sequence[str],
    *,
    owner: Owner,
) -> dict[str, str]:
    """Return the candles of each key that has one, as JSON objects with commas between.

    `pieces` are the texts before, between and after the columns.
    """
    statement = candle_statement(owner, INTERVALS[span.interval], columns)
    records = await connection.fetch(statement, *candle_parameters(keys, span), *pieces)
    return {record[0]: record[1] for record in records}
