"""Pages of merged records in the shape of the REST interface, as JSON text from PostgreSQL."""

import datetime
from decimal import Decimal

import msgspec

from db.connect.types import Connection

# Largest market cap first, unknown ones last, then by ticker. Both branches scan the index
# normalized_records_by_market_cap from the start of the page, and stop after the needed rows.
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
            SELECT
                page.id, page.ticker, page.name, page.price_usd, page.market_cap_usd,
                page.volume_24h_usd, page.percent_change_24h, page.source,
                to_char(page.created_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at,
                to_char(page.ingested_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS ingested_at
        ) AS r
    ) END AS record
FROM counted LEFT JOIN page ON true
ORDER BY page.market_cap_usd DESC NULLS LAST, page.ticker
"""


_LAST = "AS ingested_at\n"
_QUALITY = """AS ingested_at,
                page.confidence, page.is_suspect,
                coalesce((
                    SELECT json_agg(
                        json_build_object(
                            'source', x.source, 'external_id', x.external_id, 'field', x.field,
                            'value', x.value, 'reason', x.reason, 'observed_at',
                            to_char(x.observed_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                        )
                        ORDER BY x.ordinality
                    )
                    FROM ROWS FROM (jsonb_to_recordset(page.excluded) AS (
                        source text, external_id text, field text, value numeric, reason text,
                        observed_at timestamptz
                    )) WITH ORDINALITY AS x
                ), '[]') AS excluded,
                page.asset
"""
_PAGE_WITH_QUALITY = _PAGE.replace(_LAST, _QUALITY)


class RecordFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of records; None does not restrict.

    The period is of the observation time and includes both ends.
    """

    ticker: str | None = None
    source: str | None = None
    created_from: datetime.datetime | None = None
    created_to: datetime.datetime | None = None


class RecordPosition(msgspec.Struct, frozen=True):
    """The position after a record in the order of pages; None is an unknown market cap."""

    market_cap_usd: Decimal | None
    ticker: str


class RecordsPage(msgspec.Struct, frozen=True):
    """`records` as JSON objects, their total number, and the next position (None at the end)."""

    records: list[msgspec.Raw]
    total: int
    next_position: RecordPosition | None


_START = RecordPosition(Decimal("Infinity"), "")


async def read_records_page(
    connection: Connection,
    filters: RecordFilter,
    *,
    limit: int,
    offset: int = 0,
    after: RecordPosition | None = None,
    with_quality: bool = False,
) -> RecordsPage:
    """Return a page by `offset`, or `after` a position; one statement, so one snapshot.

    With `with_quality` each record also has `confidence`, `is_suspect`, `excluded` and `asset`.
    """
    start = after or _START
    rows = await connection.fetch(
        _PAGE_WITH_QUALITY if with_quality else _PAGE,
        start.market_cap_usd,
        start.ticker,
        filters.ticker,
        filters.source,
        filters.created_from,
        filters.created_to,
        limit + 1,  # one more shows whether there is a next page
        offset,
    )
    page = [row for row in rows if row["record"] is not None]
    last = page[limit - 1] if len(page) > limit else None
    return RecordsPage(
        records=[row["record"] for row in page[:limit]],
        total=rows[0]["total"],
        next_position=None
        if last is None
        else RecordPosition(last["market_cap_usd"], last["ticker"]),
    )
