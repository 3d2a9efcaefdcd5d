"""Coins: the merged record of each ticker, computed set-wise from the ticker's listings.

`docs/IDENTITY.md` explains the rule, `db/write/merge/` implements it, and `tests/oracle.py`
implements it again in Python.
"""

import datetime
from collections.abc import Collection

from db.connect.types import Connection
from db.write.identity.bridges import reached_tickers
from db.write.merge import MERGE

_MOVE = """
UPDATE listings AS l SET contributes = m.owned, asset = m.asset
FROM unnest($1::text[], $2::text[], $3::boolean[], $4::text[])
    AS m (source, external_id, owned, asset)
WHERE l.source = m.source AND l.external_id = m.external_id
"""

# The planner underestimates the rows of a WITH query, and would compare all with all: 70 s instead
# of one for 10,000 coins. Without nested loops it sorts and hashes.
_PLAN = """
SET LOCAL enable_nestloop = off;
-- For the transitive closure it expects millions of rows, and clears a hash table of all the memory
-- that it may use: 160 ms with 128 MB, for a few links.
SET LOCAL work_mem = '8MB';
SET LOCAL hash_mem_multiplier = 1
"""
_PLAN_AS_BEFORE = """
SET LOCAL enable_nestloop = on;
SET LOCAL work_mem TO DEFAULT;
SET LOCAL hash_mem_multiplier TO DEFAULT
"""


_UNMERGED = """
SELECT ticker FROM normalized_records WHERE asset IS NULL AND ticker > $1 ORDER BY ticker LIMIT $2
"""
_COUNT_UNMERGED = "SELECT count(*) FROM normalized_records WHERE asset IS NULL"


async def count_unmerged(connection: Connection) -> int:
    """Return the number of coins that only a version before assets has merged."""
    count: int = await connection.fetchval(_COUNT_UNMERGED)
    return count


async def unmerged_tickers(connection: Connection, after: str, limit: int) -> list[str]:
    """Return the next tickers of such coins, in order."""
    return [row["ticker"] for row in await connection.fetch(_UNMERGED, after, limit)]


async def merge_coins(
    connection: Connection, tickers: Collection[str], now: datetime.datetime
) -> list[str]:
    """Merge the records of `tickers` again from their listings; return those that changed, sorted.

    The caller's transaction holds the write lock, so it sees every listing, and no other
    transaction writes one.
    """
    if not tickers:
        return []
    reached = await reached_tickers(connection, tickers)
    async with connection.transaction():
        await connection.execute(_PLAN)
        row = await connection.fetchrow(MERGE, reached, now)
        await connection.execute(_PLAN_AS_BEFORE)
        assert row is not None  # noqa: S101 - the statement returns one row
        columns = {name: value or [] for name, value in row.items()}
        if columns["sources"]:
            await connection.execute(
                _MOVE,
                columns["sources"],
                columns["external_ids"],
                columns["owned"],
                columns["assets"],
            )
    return sorted({*columns["written"], *columns["gone"], *columns["moved"]})
