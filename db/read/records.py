"""A page of merged records in the REST interface's shape, written as JSON by PostgreSQL: every digit passes through."""

import datetime
from decimal import Decimal

import msgspec

from db.connect.types import Connection

# Greatest market cap first, unknown ones last, the ticker breaks ties. Both branches walk the index
# normalized_records_by_market_cap from where the page begins and stop after as many rows as can be
# needed.
_PAGE = """
WITH page AS (
    (SELECT * FROM normalized_records
     WHERE market_cap_usd <= $1 AND (market_cap_usd < $1 OR ticker > $2)
       AND ($3::text IS NULL OR ticker = $3) AND ($4::text IS NULL OR source = $4)
       AND ($5::timestamptz IS NULL OR created_at >= $5)
           AND ($6::timestamptz IS NULL OR created_at <= $6)
     ORDER BY market_cap_usd DESC NULLS LAST, ticker
     LIMIT $7::bigint + $8::bigint)
    UNION ALL
    (SELECT * FROM normalized_records
     WHERE market_cap_usd IS NULL AND ($1 IS NOT NULL OR ticker > $2)
       AND ($3::text IS NULL OR ticker = $3) AND ($4::text IS NULL OR source = $4)
       AND ($5::timestamptz IS NULL OR created_at >= $5)
           AND ($6::timestamptz IS NULL OR created_at <= $6)
     ORDER BY market_cap_usd DESC NULLS LAST, ticker
     LIMIT $7::bigint + $8::bigint)
    ORDER BY market_cap_usd DESC NULLS LAST, ticker
    LIMIT $7 OFFSET $8
), counted AS (
    SELECT count(*) AS total FROM normalized_records
    WHERE ($3::text IS NULL OR ticker = $3) AND ($4::text IS NULL OR source = $4)
      AND ($5::timestamptz IS NULL OR created_at >= $5)
          AND ($6::timestamptz IS NULL OR created_at <= $6)
)
SELECT counted.total, page.ticker, page.market_cap_usd,
    CASE WHEN page.ticker IS NOT NULL THEN (
        SELECT row_to_json(r) FROM (
            SELECT page.id, page.ticker, page.name, page.price_usd, page.market_cap_usd,
                page.volume_24h_usd,
                page.percent_change_24h, page.source,
                to_char(page.created_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at,
                to_char(page.ingested_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS ingested_at
        ) AS r
    ) END AS record
FROM counted LEFT JOIN page ON true
ORDER BY page.market_cap_usd DESC NULLS LAST, page.ticker
"""


class RecordFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which records; None leaves a condition out.

    The period holds both its ends and is of the observation time.
    """

    ticker: str | None = None
    source: str | None = None
    created_from: datetime.datetime | None = None
    created_to: datetime.datetime | None = None


class RecordPosition(msgspec.Struct, frozen=True):
    """The place right after a record in the order of pages; None is an unknown market cap."""

    market_cap_usd: Decimal | None
    ticker: str


class RecordsPage(msgspec.Struct, frozen=True):
    """`records` as JSON objects, how many there are in all, and where the next page begins (None: this is the last)."""

    records: list[msgspec.Raw]
    total: int
    next_position: RecordPosition | None


_START = RecordPosition(Decimal("Infinity"), "")


async def read_records_page(
    connection: Connection,
    wanted: RecordFilter,
    *,
    limit: int,
    offset: int = 0,
    after: RecordPosition | None = None,
) -> RecordsPage:
    """Return a page, by `offset` or `after` the place where another one ended; one statement, so one snapshot."""
    start = after or _START
    rows = await connection.fetch(
        _PAGE,
        start.market_cap_usd,
        start.ticker,
        wanted.ticker,
        wanted.source,
        wanted.created_from,
        wanted.created_to,
        limit + 1,  # one more tells whether there is a next page
        offset,
    )
    found = [row for row in rows if row["record"] is not None]
    last = found[limit - 1] if len(found) > limit else None
    return RecordsPage(
        records=[row["record"] for row in found[:limit]],
        total=rows[0]["total"],
        next_position=None
        if last is None
        else RecordPosition(last["market_cap_usd"], last["ticker"]),
    )
