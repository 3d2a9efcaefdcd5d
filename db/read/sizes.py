"""The size of a database, its growth, and a forecast of its size for a retention."""

import datetime

import msgspec

from db.connect.types import Connection
from db.schema.partitions import Retention, width_of

WINDOW = datetime.timedelta(hours=3)
"""The longest period over which growth is measured."""
SHORTEST = datetime.timedelta(minutes=2)
"""The shortest period over which growth is measured; a shorter one is not reliable."""

_CANDLES_A_DAY = 24 + 1
_HOUR = datetime.timedelta(hours=1)

# reltuples is the count of the last ANALYZE, n_live_tup the count since the last crash.
_PART = """
SELECT
    coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes,
    coalesce(sum(greatest(c.reltuples, s.n_live_tup, 0)), 0)::bigint AS rows
FROM unnest($1::text[]) AS name
CROSS JOIN LATERAL (
    SELECT name::regclass AS relid UNION SELECT relid FROM pg_partition_tree(name::regclass)
) AS t
JOIN pg_class AS c ON c.oid = t.relid AND c.relkind = 'r'
LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid
"""
_DATABASE = "SELECT pg_database_size(current_database())"
_GROWTH = """
SELECT
    clock_timestamp() - greatest(began_at, clock_timestamp() - $1::interval) AS measured,
    (SELECT count(*) FROM bodies WHERE arrived_at > clock_timestamp() - $1::interval) AS bodies,
    payloads
FROM (
    SELECT min(started_at) AS began_at, coalesce(sum(changed), 0) AS payloads
    FROM etl_runs
    WHERE kind = 'ingest' AND finished_at > clock_timestamp() - $1::interval
) AS run
WHERE began_at IS NOT NULL
"""


class TableSize(msgspec.Struct, frozen=True):
    """Some tables: their bytes, with indexes, and about how many rows they have."""

    bytes: int
    rows: int

    @property
    def row_bytes(self) -> float:
        """The bytes of a row; 0 without rows."""
        return self.bytes / self.rows if self.rows else 0.0


class Sizes(msgspec.Struct, frozen=True):
    """The sizes of a database and its tables."""

    database_bytes: int
    raw: TableSize
    points: TableSize
    candles: TableSize
    listings: TableSize
    coins: TableSize

    @property
    def history_bytes(self) -> int:
        """The bytes of points and candles."""
        return self.points.bytes + self.candles.bytes


class Growth(msgspec.Struct, frozen=True):
    """The bodies, and the payloads, each with a point, that arrived within the time `measured`."""

    measured: datetime.timedelta
    bodies: int
    payloads: int


class Forecast(msgspec.Struct, frozen=True):
    """The size of a database when its rows fill the retention, and its current growth."""

    raw_bytes: float
    history_bytes: float
    database_bytes: float
    bytes_per_hour: float


async def read_sizes(connection: Connection) -> Sizes:
    """Read the sizes of the database."""
    return Sizes(
        database_bytes=await connection.fetchval(_DATABASE),
        raw=await _read_part(connection, "bodies"),
        points=await _read_part(connection, "price_points"),
        candles=await _read_part(connection, "candles"),
        listings=await _read_part(connection, "listings"),
        coins=await _read_part(connection, "normalized_records"),
    )


async def _read_part(connection: Connection, *tables: str) -> TableSize:
    row = await connection.fetchrow(_PART, tables)
    assert row is not None  # noqa: S101 - it is an aggregate
    return TableSize(**row)


async def read_growth(connection: Connection) -> Growth | None:
    """Read the growth within WINDOW; None without a run."""
    row = await connection.fetchrow(_GROWTH, WINDOW)
    return None if row is None else Growth(**row)


def forecast(sizes: Sizes, growth: Growth | None, retention: Retention) -> Forecast | None:
    """Return the forecast; None if growth was measured for too short a time.

    A partition is dropped or thinned when its last row is old enough, so its first row stays
    longer, by the width of the partition.
    """
    if growth is None or growth.measured < SHORTEST:
        return None
    hours = growth.measured / _HOUR
    bodies, payloads = growth.bodies / hours, growth.payloads / hours
    raw_hours = (retention.raw + width_of("bodies", retention)) / _HOUR
    history_hours = (retention.history + width_of("price_points", retention)) / _HOUR
    candles = min(sizes.listings.rows * _CANDLES_A_DAY, payloads * 24 * 2) * history_hours / 24
    raw_bytes = bodies * raw_hours * sizes.raw.row_bytes
    history_bytes = (
        _points(payloads, sizes.listings.rows, history_hours, retention) * sizes.points.row_bytes
        + candles * sizes.candles.row_bytes
    )
    rest = sizes.database_bytes - sizes.raw.bytes - sizes.history_bytes
    return Forecast(
        raw_bytes=raw_bytes,
        history_bytes=history_bytes,
        database_bytes=rest + raw_bytes + history_bytes,
        bytes_per_hour=bodies * sizes.raw.row_bytes + payloads * sizes.points.row_bytes,
    )


def _points(an_hour: float, listings: int, hours: float, retention: Retention) -> float:
    """Return how many points there will be: each one, later one an hour, later one a day."""
    width = width_of("price_points", retention) / _HOUR
    full = min(hours, retention.full_days * 24 + width)
    hourly = min(hours, max(retention.full_days, retention.hourly_days) * 24 + width) - full
    daily = hours - full - hourly
    return (
        an_hour * full + min(an_hour, listings) * hourly + min(an_hour * 24, listings) / 24 * daily
    )
