"""Coins: the merged record of each ticker, computed set-wise from the ticker's listings.

`docs/IDENTITY.md` explains the rule, `db/write/merge.py` implements it, and `tests/oracle.py`
implements it again in Python.
"""

import datetime
from collections import defaultdict
from collections.abc import Collection

import msgspec

from db.connect.types import Connection
from db.write.merge import MERGE

_SET_CONTRIBUTES = (
    "UPDATE listings SET contributes = $3 WHERE source = $1 AND external_id = ANY ($2::text[])"
)

# The planner underestimates the rows of a WITH query, and would compare all with all: 70 s instead
# of one for 10,000 coins. Without nested loops it sorts and hashes.
_NO_NESTED_LOOPS = "SET LOCAL enable_nestloop = off"
_NESTED_LOOPS = "SET LOCAL enable_nestloop = on"


class MergeResult(msgspec.Struct, frozen=True):
    """The sorted tickers of the changed coins; by ticker, when a changed price was observed."""

    changed: list[str]
    repriced: dict[str, datetime.datetime]


async def merge_coins(
    connection: Connection, tickers: Collection[str], now: datetime.datetime
) -> MergeResult:
    """Merge the records of `tickers` again from their listings.

    The caller's transaction holds the write lock, so it sees every listing, and no other
    transaction writes one.
    """
    if not tickers:
        return MergeResult([], {})
    async with connection.transaction():
        await connection.execute(_NO_NESTED_LOOPS)
        row = await connection.fetchrow(MERGE, sorted(tickers), now)
        await connection.execute(_NESTED_LOOPS)
        assert row is not None  # noqa: S101 - the statement returns one row
        columns = {name: value or [] for name, value in row.items()}
        sides = defaultdict(list)
        for source, external_id, owned in zip(
            columns["sources"], columns["external_ids"], columns["owned"], strict=True
        ):
            sides[source, owned].append(external_id)
        for (source, owned), external_ids in sorted(sides.items()):
            await connection.execute(_SET_CONTRIBUTES, source, external_ids, owned)
    return MergeResult(
        changed=sorted({*columns["written"], *columns["gone"], *columns["moved"]}),
        repriced={
            ticker: at
            for ticker, at in zip(columns["written"], columns["repriced_at"], strict=True)
            if at is not None
        },
    )
