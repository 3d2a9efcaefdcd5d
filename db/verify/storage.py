"""Partitions, sequences and rows that belong to nothing."""

import datetime
from collections.abc import Iterable, Iterator

from db.connect.types import Connection
from db.schema.partitions import (
    Partition,
    Retention,
    missing_partitions,
    read_partitions,
)
from db.verify.differences import Difference, Tally

_CLOCKS = "SELECT clock_timestamp(), (SELECT at FROM retention_clock)"
_IN_DEFAULT = """
SELECT 'price_points' AS parent, count(*) AS rows, min(at) AS first, max(at) AS last
FROM price_points_default WHERE at >= $1
UNION ALL
SELECT 'candles', count(*), min(start), max(start) FROM candles_default WHERE start >= $1
"""
EXPIRED_BODIES = """
SELECT
    b.source || ' body ' || b.id || ' of ' || b.arrived_at, 'body', 'in the default partition',
    'deleted: it is past its retention'
FROM bodies_default AS b
WHERE b.arrived_at < $1
"""
COUNT_DEFAULTS = "SELECT count(*) FROM bodies_default"

# Sequences do not follow snapshots: read after the ids, they can only be further.
SEQUENCES = """
SELECT s.name, 'last value', s.last_value::text, 'at least ' || s.greatest
FROM (
    SELECT
        'etl_runs_id_seq' AS name, (SELECT max(id) FROM etl_runs) AS greatest,
        (SELECT last_value FROM etl_runs_id_seq) AS last_value
    UNION ALL
    SELECT
        'etl_requests_id_seq', (SELECT max(id) FROM etl_requests),
        (SELECT last_value FROM etl_requests_id_seq)
    UNION ALL
    SELECT
        'events_seq_seq', (SELECT max(seq) FROM events), (SELECT last_value FROM events_seq_seq)
    UNION ALL
    SELECT
        'rejected_records_id_seq', (SELECT max(id) FROM rejected_records),
        (SELECT last_value FROM rejected_records_id_seq)
    UNION ALL
    SELECT 'body_ids', (SELECT max(id) FROM bodies), (SELECT last_value FROM body_ids)
    UNION ALL
    SELECT
        'listing_ids', (SELECT max(id) FROM listings), (SELECT last_value FROM listing_ids)
) AS s
WHERE s.last_value < s.greatest
"""
COUNT_SEQUENCES = "SELECT 6"

# The next listing behind one: the indexes are read, not the tables.
ORPHANS = """
WITH RECURSIVE with_points AS (
    SELECT min(listing) AS listing FROM price_points
    UNION ALL
    SELECT (SELECT min(p.listing) FROM price_points AS p WHERE p.listing > w.listing)
    FROM with_points AS w WHERE w.listing IS NOT NULL
),
with_candles AS (
    SELECT min(listing) AS listing FROM candles
    UNION ALL
    SELECT (SELECT min(c.listing) FROM candles AS c WHERE c.listing > w.listing)
    FROM with_candles AS w WHERE w.listing IS NOT NULL
)
SELECT 'listing ' || h.listing, h.what, 'present', 'none: the listing does not exist'
FROM (
    SELECT listing, 'points' AS what FROM with_points
    UNION ALL
    SELECT listing, 'candles' FROM with_candles
) AS h
WHERE h.listing IS NOT NULL AND NOT EXISTS (SELECT FROM listings AS l WHERE l.id = h.listing)
"""
COUNT_LISTINGS = "SELECT count(*) FROM listings"


class Clocks:
    """The database's clock and the retention clock, which the last deletion went by."""

    def __init__(self, now: datetime.datetime, retention: datetime.datetime | None) -> None:
        self.now = now
        self.retention = min(now, retention or now)


async def read_clocks(connection: Connection) -> Clocks:
    """Return the clocks."""
    row = await connection.fetchrow(_CLOCKS)
    assert row is not None  # noqa: S101 - a SELECT without FROM
    return Clocks(row[0], row[1])


async def bodies_from(connection: Connection) -> datetime.datetime | None:
    """Return the start of the oldest partition of bodies that still exists.

    From then on, every body that arrived is present.
    """
    existing = (await read_partitions(connection)).values()
    return min((one.start for one in existing if one.table == "bodies"), default=None)


async def check_partitions(
    connection: Connection, tally: Tally, clocks: Clocks, retention: Retention
) -> None:
    """Add the partitions that are missing, or that should have been dropped."""
    existing = await read_partitions(connection)
    tally.rows += len(existing)
    tally.add(
        Difference(one.name, "partition", None, _span(one))
        for one in missing_partitions(existing, clocks.now, retention)
    )
    tally.add(_expired(existing.values(), clocks, retention))
    first = min(
        (one.start for one in existing.values() if one.table == "price_points"), default=None
    )
    if first is not None:
        since = max(first, retention.oldest_history(clocks.now))
        for row in await connection.fetch(_IN_DEFAULT, since):
            if row["rows"]:
                tally.add(
                    [
                        Difference(
                            f"{row['parent']}_default",
                            "rows",
                            f"{row['rows']} from {row['first']} to {row['last']}",
                            "0",
                        )
                    ]
                )


def _expired(
    partitions: Iterable[Partition], clocks: Clocks, retention: Retention
) -> Iterator[Difference]:
    for one in partitions:
        is_raw = one.table == "bodies"
        oldest = (
            retention.oldest_raw(clocks.retention)
            if is_raw
            else retention.oldest_history(clocks.retention)
        )
        if one.end <= oldest:
            yield Difference(one.name, "partition", _span(one), None)


def _span(one: Partition) -> str:
    return f"{one.start} to {one.end}"
