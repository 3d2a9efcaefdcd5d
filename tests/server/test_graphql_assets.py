"""Assets: what their listings, tickers, addresses and records are, and by what they are found."""

import datetime
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from db.connect.pool import connect
from db.connect.types import Connection
from tests.conftest import migrated_database
from tests.server.conftest import Service, running_service, settings_of
from tests.server.graphql_live import change_coins, connected
from tests.server.graphql_rows import NOW, Json, Rows, ask, error_of

USDT = "0xdac17f958d2ee523a2206206994597c13d831ec7"
OLD = "0x" + "a" * 40
DAY = datetime.timedelta(days=1)


class MarketOfAssets:
    """One asset under two tickers at three sources, its rival, and one that has no address."""

    def __init__(self, connection: Connection) -> None:
        self.rows = Rows(connection)
        self._connection = connection

    async def address(
        self, source: str, external_id: str, chain: str, address: str, *, active: bool = True
    ) -> None:
        await self._connection.execute(
            "INSERT INTO listing_addresses VALUES ($1, $2, $3, $4, $5, $6)",
            *(source, external_id, chain, address, active, NOW),
        )

    async def former(self, source: str, external_id: str, ticker: str, days: int) -> None:
        await self._connection.execute(
            "INSERT INTO former_tickers VALUES ($1, $2, $3, $4)",
            *(source, external_id, ticker, NOW - days * DAY),
        )

    async def fill(self) -> None:
        for number, source in enumerate(("coinpaprika", "coingecko", "csv")):
            await self.rows.source(source, priority=number)
        key = "coinpaprika:pol-polygon"
        listing = self.rows.listing
        await listing("coinpaprika", "pol-polygon", "POL", name="Polygon", market_cap_usd="5")
        await listing("coingecko", "matic", "MATIC", name="Matic Network", asset=key)
        await listing("csv", "a:b", "MATIC", name="Polygon", asset=key, market_cap_usd="9")
        await listing("coingecko", "matic-joke", "MATIC", name="Joke", contributes=False)
        await listing("coinpaprika", "btc-bitcoin", "BTC", name="Bitcoin", market_cap_usd="99")
        await self.address("coinpaprika", "pol-polygon", "ethereum", USDT)
        await self.address("coingecko", "matic", "ethereum", USDT)
        await self.address("coingecko", "matic", "bsc", USDT)
        await self.address("coingecko", "matic", "ethereum", OLD, active=False)
        await self.address("coingecko", "matic-joke", "coingecko:new-chain", "Joke")
        await self.former("coinpaprika", "pol-polygon", "MATIC", 3)
        await self.former("csv", "a:b", "MATIC", 9)
        await self.former("csv", "a:b", "POL", 7)
        await self.former("csv", "a:b", "PLGN", 8)
        await self.rows.coin("POL", market_cap_usd="5", asset=key, confidence=Decimal("0.875"))
        await self.rows.coin(
            "MATIC", market_cap_usd="9", asset=key, confidence=Decimal("0.25"), is_suspect=True
        )
        await self.rows.coin("BTC", market_cap_usd="99", asset="coinpaprika:btc-bitcoin")
        await self.rows.coin("OLD", market_cap_usd="1")


@pytest.fixture
async def market(connection: Connection) -> MarketOfAssets:
    made = MarketOfAssets(connection)
    await made.fill()
    return made


@pytest.fixture(scope="module")
async def market_service(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """One server for all tests that only read the market."""
    async with migrated_database(server_dsn, template) as database:
        connection = await connect(database, application_name="test")
        await MarketOfAssets(connection).fill()
        await connection.close()
        async with running_service(settings_of(database, tmp_path_factory.mktemp("home"))) as made:
            yield made


EVERYTHING = """
query ($id: ID!) {
  asset(id: $id) {
    id key ticker name names formerTickers { ticker until }
    addresses { chain address caip19 sources }
    listings { id asset { key } addresses { chain address sources } }
    coins { ticker isCurrent asset { id } }
  }
}
"""


async def test_every_field_of_an_asset(market_service: Service) -> None:
    asset = (await ask(market_service, EVERYTHING, {"id": "csv:a:b"}))["asset"]
    own = {"key": "coinpaprika:pol-polygon"}
    polygon = "asset_coinpaprika_pol-polygon"
    assert asset == {
        "id": polygon,
        "key": "coinpaprika:pol-polygon",
        "ticker": "POL",
        "name": "Polygon",
        "names": ["Polygon", "Matic Network"],
        "formerTickers": [
            {"ticker": "MATIC", "until": "2026-01-31T20:21:11.250000Z"},
            {"ticker": "PLGN", "until": "2026-01-26T20:21:11.250000Z"},
        ],
        "addresses": [
            {
                "chain": "bsc",
                "address": USDT,
                "caip19": f"eip155:56/erc20:{USDT}",
                "sources": ["coingecko"],
            },
            {
                "chain": "ethereum",
                "address": USDT,
                "caip19": f"eip155:1/erc20:{USDT}",
                "sources": ["coingecko", "coinpaprika"],
            },
        ],
        "listings": [
            {"id": "listing_csv_a:b", "asset": own, "addresses": []},
            {
                "id": "listing_coinpaprika_pol-polygon",
                "asset": own,
                "addresses": [{"chain": "ethereum", "address": USDT, "sources": ["coinpaprika"]}],
            },
            {
                "id": "listing_coingecko_matic",
                "asset": own,
                "addresses": [
                    {"chain": "bsc", "address": USDT, "sources": ["coingecko"]},
                    {"chain": "ethereum", "address": USDT, "sources": ["coingecko"]},
                ],
            },
        ],
        "coins": [
            {"ticker": "MATIC", "isCurrent": False, "asset": {"id": polygon}},
            {"ticker": "POL", "isCurrent": True, "asset": {"id": polygon}},
        ],
    }


POLYGON = "coinpaprika:pol-polygon"
FOUND: list[tuple[str, str | None]] = [
    (POLYGON, POLYGON),
    ("coingecko:matic", POLYGON),
    ("csv:a:b", POLYGON),
    ("asset_coinpaprika_pol-polygon", POLYGON),
    ("asset_coingecko_matic", POLYGON),
    (f"ethereum:{USDT}", POLYGON),
    (f"ethereum:0x{USDT[2:].upper()}", POLYGON),
    (f"binance-smart-chain:{USDT}", POLYGON),
    (f"eip155:1/erc20:{USDT}", POLYGON),
    (f"eip155:56:{USDT}", POLYGON),
    ("coingecko:matic-joke", "coingecko:matic-joke"),
    ("coingecko:new-chain:Joke", "coingecko:matic-joke"),
    # The contract is not in use any more: its price may be another.
    (f"ethereum:{OLD}", None),
    (f"polygon:{USDT}", None),
    ("coingecko:nothing", None),
    ("asset_coingecko_nothing", None),
    ("ethereum:0x123", None),
]


@pytest.mark.parametrize(("text", "key"), FOUND)
async def test_an_asset_is_found_by_any_of_its_names(
    market_service: Service, text: str, key: str | None
) -> None:
    found = await ask(market_service, "query ($id: ID!) { asset(id: $id) { key } }", {"id": text})
    assert found["asset"] == (key and {"key": key})


async def test_a_node_is_found_by_the_id_of_any_listing(market_service: Service) -> None:
    query = """{ nodes(ids: ["asset_coinpaprika_pol-polygon", "asset_csv_a:b", "asset_csv_none"]) {
        id ... on Asset { ticker } } }"""
    polygon = {"id": "asset_coinpaprika_pol-polygon", "ticker": "POL"}
    assert (await ask(market_service, query))["nodes"] == [polygon, polygon, None]


@pytest.mark.parametrize(
    "text", ["", "bitcoin", "merged_btc", "BTC", "Coin Gecko:bitcoin", "run_1"]
)
async def test_a_text_that_no_asset_can_have_is_an_error(
    market_service: Service, text: str
) -> None:
    error = await error_of(
        market_service, "query ($id: ID!) { asset(id: $id) { key } }", {"id": text}
    )
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert '"coinpaprika:btc-bitcoin"' in error["message"]


BY_ADDRESS = (
    "query ($chain: String!, $address: String!) { token(chain: $chain, address: $address) { key } }"
)


@pytest.mark.parametrize("chain", ["ethereum", "Ethereum", "eip155:1", "1", "eth-ethereum"])
async def test_a_token_is_found_on_a_chain_of_any_name(market_service: Service, chain: str) -> None:
    given = {"chain": chain, "address": USDT.upper().replace("X", "x")}
    assert (await ask(market_service, BY_ADDRESS, given))["token"] == {"key": POLYGON}


async def test_a_token_of_a_platform_that_only_its_source_knows(market_service: Service) -> None:
    given = {"chain": "coingecko:new-chain", "address": "Joke"}
    assert (await ask(market_service, BY_ADDRESS, given))["token"] == {
        "key": "coingecko:matic-joke"
    }
    assert (await ask(market_service, BY_ADDRESS, given | {"chain": "nowhere"}))["token"] is None


async def test_an_address_that_the_chain_cannot_have_is_an_error(market_service: Service) -> None:
    error = await error_of(market_service, BY_ADDRESS, {"chain": "ethereum", "address": "0x12"})
    assert "is not the address of a contract on the chain" in error["message"]


async def keys_of(service: Service, **filters: object) -> list[str]:
    query = "query ($filter: AssetFilter) { assets(filter: $filter) { nodes { key } totalCount } }"
    page = (await ask(service, query, {"filter": filters}))["assets"]
    assert page["totalCount"] == len(page["nodes"])
    return [node["key"] for node in page["nodes"]]


BITCOIN, JOKE = "coinpaprika:btc-bitcoin", "coingecko:matic-joke"
FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, [JOKE, BITCOIN, POLYGON]),
    ({"ticker": {"eq": "matic"}}, [JOKE, POLYGON]),
    ({"ticker": {"eq": "POL"}}, [POLYGON]),
    ({"ticker": {"in": ["plgn", "BTC"]}}, [BITCOIN, POLYGON]),
    ({"ticker": {"in": []}}, []),
    ({"source": {"eq": "csv"}}, [POLYGON]),
    ({"source": {"eq": "coingecko"}}, [JOKE, POLYGON]),
    ({"search": "network"}, [POLYGON]),
    ({"search": "b"}, [BITCOIN]),
    ({"search": "%"}, []),
    ({"hasAddress": True}, [JOKE, POLYGON]),
    ({"hasAddress": False}, [BITCOIN]),
    ({"chain": {"eq": "binance-smart-chain"}}, [POLYGON]),
    ({"chain": {"in": ["eip155:1", "coingecko:new-chain"]}}, [JOKE, POLYGON]),
    ({"chain": {"eq": "nowhere"}}, []),
    ({"ticker": {"eq": "MATIC"}, "chain": {"eq": "bsc"}, "source": {"eq": "csv"}}, [POLYGON]),
]


@pytest.mark.parametrize(("given", "keys"), FILTERS)
async def test_assets_are_filtered(
    market_service: Service, given: dict[str, Any], keys: list[str]
) -> None:
    assert await keys_of(market_service, **given) == keys


async def test_every_order_pages_through_all_assets(
    service: Service, connection: Connection
) -> None:
    rows = Rows(connection)
    for number in range(23):
        await rows.listing(
            "coingecko" if number % 2 else "csv",
            f"{number}",
            f"T{number % 5}",
            name=None if number % 4 == 0 else f"N{number % 3}",
            market_cap_usd=None if number % 3 == 0 else str(number % 7 + 1),
        )
    query = """query ($after: String, $order: AssetOrder) {
      assets(first: 4, after: $after, orderBy: $order) {
        nodes { key } pageInfo { endCursor hasNextPage hasPreviousPage }
      }
    }"""
    orders: list[Json] = [None] + [
        {"field": field, "direction": direction}
        for field in ("MARKET_CAP_USD", "TICKER", "NAME")
        for direction in ("ASC", "DESC")
    ]
    for order in orders:
        seen: list[str] = []
        after = None
        while True:
            page = (await ask(service, query, {"after": after, "order": order}))["assets"]
            assert page["pageInfo"]["hasPreviousPage"] == bool(seen)
            seen += [node["key"] for node in page["nodes"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert len(seen) == len(set(seen)) == 23
    refused = await error_of(service, query, {"after": after, "order": None})
    assert "is a cursor of another order" in refused["message"]


async def test_coins_are_filtered_by_belief(market_service: Service) -> None:
    async def tickers(filters: dict[str, Any]) -> list[str]:
        query = "query ($filter: CoinFilter) { coins(filter: $filter) { nodes { ticker } } }"
        nodes = (await ask(market_service, query, {"filter": filters}))["coins"]["nodes"]
        return [node["ticker"] for node in nodes]

    assert await tickers({"isSuspect": True}) == ["MATIC"]
    assert await tickers({"isSuspect": False}) == ["BTC", "POL", "OLD"]
    assert await tickers({"minConfidence": 0.25}) == ["MATIC", "POL"]
    assert await tickers({"minConfidence": 0.875}) == ["POL"]
    assert await tickers({"minConfidence": 0.3, "isSuspect": True}) == []


EXCLUDED = """[
  {"source": "csv", "external_id": "a:b", "field": "price_usd", "value": 0.000000000000000004,
   "reason": "jump", "observed_at": "2026-02-03T21:21:11+01:00"},
  {"source": "coingecko", "external_id": "matic", "field": "price_usd", "value": 1.50,
   "reason": "disagrees", "observed_at": "2026-02-03T20:21:11+00:00"},
  {"source": "csv", "external_id": "a:b", "field": "market_cap_usd", "value": 1e15,
   "reason": "impossible", "observed_at": "2026-02-03T20:21:11+00:00"}
]"""


@pytest.mark.usefixtures("market")
async def test_a_coin_says_which_values_it_leaves_out(
    service: Service, connection: Connection
) -> None:
    await connection.execute(
        "UPDATE normalized_records SET excluded = $1::text::jsonb WHERE ticker = 'MATIC'", EXCLUDED
    )
    query = """query ($ticker: String!) { coin(ticker: $ticker) { confidence isSuspect isCurrent
        asset { key } excluded { source externalId field value reason observedAt } } }"""
    coin = (await ask(service, query, {"ticker": "MATIC"}))["coin"]
    at = "2026-02-03T20:21:11.000000Z"
    csv = {"source": "csv", "externalId": "a:b", "observedAt": at}
    assert coin == {
        "confidence": 0.25,
        "isSuspect": True,
        "isCurrent": False,
        "asset": {"key": POLYGON},
        "excluded": [
            csv | {"field": "priceUsd", "value": "0.000000000000000004", "reason": "JUMP"},
            {
                "source": "coingecko",
                "externalId": "matic",
                "field": "priceUsd",
                "value": "1.50",
                "reason": "DISAGREES",
                "observedAt": at,
            },
            csv | {"field": "marketCapUsd", "value": "1000000000000000", "reason": "IMPOSSIBLE"},
        ],
    }
    assert (await ask(service, query, {"ticker": "OLD"}))["coin"] == {
        "confidence": None,
        "isSuspect": False,
        "isCurrent": True,
        "asset": None,
        "excluded": [],
    }


@pytest.mark.usefixtures("market")
async def test_the_listing_of_a_name_that_has_moved_on_has_its_present_asset(
    service: Service, connection: Connection
) -> None:
    # Another listing names the asset now, and one that followed the old name is not merged yet.
    await connection.execute(
        "UPDATE listings SET asset = 'coingecko:matic' WHERE external_id = 'pol-polygon'"
    )
    await connection.execute("UPDATE listings SET asset = NULL WHERE external_id = 'matic'")
    query = '{ listing(source: "csv", externalId: "a:b") { asset { key } } }'
    assert (await ask(service, query))["listing"]["asset"] == {"key": "coingecko:matic"}


@pytest.mark.usefixtures("market")
async def test_a_subscription_delivers_asset_and_belief(
    service: Service, connection: Connection
) -> None:
    await connection.execute(
        "UPDATE normalized_records SET excluded = $1::text::jsonb WHERE ticker = 'MATIC'", EXCLUDED
    )
    query = """
    subscription {
      coinUpdates(after: "WzAsbnVsbF0") {
        coins {
          ticker confidence isSuspect isCurrent asset { key addresses { chain } }
          excluded { value reason }
        }
      }
    }
    """
    await change_coins(connection, "MATIC", "OLD")
    async with connected(service) as socket:
        await socket.subscribe(query)
        first, second = (await socket.next())["coinUpdates"]["coins"]
    assert first == {
        "ticker": "MATIC",
        "confidence": 0.25,
        "isSuspect": True,
        "isCurrent": False,
        "asset": {"key": POLYGON, "addresses": [{"chain": "bsc"}, {"chain": "ethereum"}]},
        "excluded": [
            {"value": "0.000000000000000004", "reason": "JUMP"},
            {"value": "1.50", "reason": "DISAGREES"},
            {"value": "1000000000000000", "reason": "IMPOSSIBLE"},
        ],
    }
    assert second["asset"] is None
