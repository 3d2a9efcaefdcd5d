"""Coins: the merged record of each ticker, computed set-wise from the ticker's listings.

`docs/ARCHITECTURE.md` tells the rule in words, `db/write/merge.py` is it, and `tests/oracle.py`
says it once more in Python.
"""

import datetime
from collections import defaultdict
from collections.abc import Collection

import msgspec

from db.connect.types import Connection
from db.write.merge import MERGE

_SET_SIDE = (
    "UPDATE listings SET contributes = $3 WHERE source = $1 AND external_id = ANY ($2::text[])"
)

# The planner cannot know how much a WITH query holds, takes it for little, and would compare all
# with all: 70 s instead of one for 10,000 coins. Without nested loops it sorts and hashes.
_NO_NESTED_LOOPS = "SET LOCAL enable_nestloop = off"
_NESTED_LOOPS = "SET LOCAL enable_nestloop = on"


class MergeResult(msgspec.Struct, frozen=True):
    """The tickers of the coins that a merge changed, sorted, and when each price that it changed was observed."""

    changed: list[str]
    repriced: dict[str, datetime.datetime]


async def merge_coins(
    connection: Connection, tickers: Collection[str], now: datetime.datetime
) -> MergeResult:
    """Merge the records of `tickers` anew from their listings.

    The caller's transaction holds the write lock, so every committed listing is seen and none is
    being written.
    """
    if not tickers:
        return MergeResult([], {})
    async with connection.transaction():
        await connection.execute(_NO_NESTED_LOOPS)
        row = await connection.fetchrow(MERGE, sorted(tickers), now)
        await connection.execute(_NESTED_LOOPS)
        if row is None:
            raise RuntimeError("the statement returns one row")
        found = {name: value or [] for name, value in row.items()}
        sides = defaultdict(list)
        for source, external_id, owned in zip(
            found["sources"], found["external_ids"], found["owned"], strict=True
        ):
            sides[source, owned].append(external_id)
        for (source, owned), external_ids in sorted(sides.items()):
            await connection.execute(_SET_SIDE, source, external_ids, owned)
    return MergeResult(
        changed=sorted({*found["written"], *found["gone"], *found["moved"]}),
        repriced={
            ticker: at
            for ticker, at in zip(found["written"], found["repriced_at"], strict=True)
            if at is not None
        },
    )
