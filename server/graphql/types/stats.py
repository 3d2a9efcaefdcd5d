"""The type Stats: figures of the whole service, each read only if it is selected."""

import strawberry

from db.demo import is_demo
from db.read.coins import count_coins
from db.read.listings import count_listings
from db.read.stats import last_failure, last_success
from server.graphql.types.fields import figure
from server.graphql.types.run import Run
from server.limits.scans import SCAN_COST


@strawberry.type(description="Statistics of the service.")
class Stats:
    """It has no value of its own."""

    total_normalized: int = figure(count_coins, "The number of coins.", cost=SCAN_COST)
    total_listings: int = figure(
        count_listings, "The number of listings, active or not.", cost=SCAN_COST
    )
    last_success: Run | None = figure(
        last_success, "The newest run that stored what it could read: SUCCESS or PARTIAL."
    )
    last_failure: Run | None = figure(
        last_failure, "The newest run that failed: FAILURE or ABANDONED."
    )
    is_demo: bool = figure(is_demo, "Whether the prices are made up: true in a demo.")
