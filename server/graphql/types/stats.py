"""The type Stats: the figures of the whole service, each counted only when it is asked for."""

import strawberry

from db.demo import is_demo
from db.read.coins import count_coins
from db.read.listings import count_listings
from db.read.runs import RunRow
from db.read.stats import last_failure, last_success
from server.graphql.execution.context import Info
from server.graphql.types.fields import resolved
from server.graphql.types.run import Run


async def _total_normalized(info: Info) -> int:
    return await info.context.read(count_coins)


async def _total_listings(info: Info) -> int:
    return await info.context.read(count_listings)


async def _is_demo(info: Info) -> bool:
    return await info.context.read(is_demo)


async def _last_success(info: Info) -> RunRow | None:
    return await info.context.read(last_success)


async def _last_failure(info: Info) -> RunRow | None:
    return await info.context.read(last_failure)


@strawberry.type(description="The figures of the whole service.")
class Stats:
    """It has no value of its own: each field reads."""

    total_normalized: int = resolved(_total_normalized, "How many coins there are.")
    total_listings: int = resolved(_total_listings, "How many listings there are, active or not.")
    last_success: Run | None = resolved(
        _last_success, "The newest run that stored what it could read: SUCCESS or PARTIAL."
    )
    last_failure: Run | None = resolved(
        _last_failure, "The newest run that did not: FAILURE or ABANDONED."
    )
    is_demo: bool = resolved(_is_demo, "Whether the prices are made up: true in a demo.")
