"""What the merge stores of assets and belief is what a client sees, compiled and executed."""

import pytest

from db.connect.types import Connection
from db.write.coins import merge_coins
from tests.server.conftest import Service
from tests.server.graphql_rows import NOW, Rows, ask

GROUP = "ethereum:0x7d1afa7b718fb893db30a3abc0cfc608aacfebb0"
QUERY = """
{
  coins(orderBy: {field: TICKER, direction: ASC}) {
    nodes {
      ticker priceUsd isCurrent isSuspect confidence
      excluded { source externalId field value reason observedAt }
      asset { key ticker names coins { ticker } listings { source } }
    }
  }
  bySource: asset(id: "coingecko:matic") { id }
  byAddress: asset(id: "ethereum:0x7D1AFA7B718FB893DB30A3ABC0CFC608AACFEBB0") { id }
}
"""


@pytest.fixture
async def market(connection: Connection) -> None:
    """One token under two tickers by its address; its third source has another price."""
    rows = Rows(connection)
    for number, source in enumerate(("coinpaprika", "coingecko", "third")):
        await rows.source(source, priority=number)
    for source, external_id, ticker, price in (
        ("coinpaprika", "pol", "POL", "10"),
        ("coingecko", "matic", "MATIC", "10.01"),
        ("third", "m", "MATIC", "99.50"),
    ):
        await rows.listing(
            source, external_id, ticker, price_usd=price, name="Polygon", contributes=False
        )
        await connection.execute(
            "INSERT INTO address_groups VALUES ($1, $2, $3, '{ethereum}')",
            *(source, external_id, GROUP),
        )
        await connection.execute(
            "INSERT INTO listing_addresses VALUES ($1, $2, 'ethereum', $3, true, $4)",
            *(source, external_id, GROUP.partition(":")[2], NOW),
        )
    for ticker in ("POL", "MATIC"):
        await connection.execute("INSERT INTO ticker_bridges VALUES ($1, $2)", "g" + GROUP, ticker)
    await merge_coins(connection, ["POL"], NOW)


@pytest.mark.usefixtures("market")
async def test_a_merged_token_says_why_its_price_is_believed(service: Service) -> None:
    fast = await ask(service, QUERY)
    # Strawberry executes an introspection.
    slow = await ask(service, QUERY.replace("{", "{ __schema { __typename }", 1))
    slow.pop("__schema")
    assert fast == slow
    polygon = {"id": "asset_coinpaprika_pol"}
    assert (fast["bySource"], fast["byAddress"]) == (polygon, polygon)
    shared = {
        "priceUsd": "10",
        "isSuspect": False,
        # Two sources agree, and the address is known: 1 - 0.5^3.
        "confidence": 0.875,
        "excluded": [
            {
                "source": "third",
                "externalId": "m",
                "field": "priceUsd",
                "value": "99.50",
                "reason": "DISAGREES",
                "observedAt": "2026-02-03T20:21:11.250000Z",
            }
        ],
        "asset": {
            "key": "coinpaprika:pol",
            "ticker": "POL",
            "names": ["Polygon"],
            "coins": [{"ticker": "MATIC"}, {"ticker": "POL"}],
            "listings": [{"source": "coingecko"}, {"source": "coinpaprika"}, {"source": "third"}],
        },
    }
    assert fast["coins"]["nodes"] == [
        {"ticker": "MATIC", "isCurrent": False, **shared},
        {"ticker": "POL", "isCurrent": True, **shared},
    ]
