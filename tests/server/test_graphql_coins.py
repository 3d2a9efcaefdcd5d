"""A coin and its fields, and the filters of coins."""

import datetime
from typing import Any

import pytest

from db.connect.types import Connection
from tests.server.conftest import Service
from tests.server.graphql_rows import NOW, Rows, ask, error_of

COIN = """
query ($ticker: String!) {
  coin(ticker: $ticker) {
    id ticker name priceUsd priceUsdExact marketCapUsd volume24hUsd percentChange24h rank
      source createdAt ingestedAt
    isStale priceSpreadPercent provenance { field source externalId observedAt }
    listings { id source } rivals { id source }
  }
}
"""


@pytest.fixture
def rows(connection: Connection) -> Rows:
    return Rows(connection)


async def test_every_field_of_a_coin(service: Service, rows: Rows) -> None:
    await rows.source("coinpaprika")
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=5)
    await rows.coin(
        "BTC",
        name="Bitcoin",
        price_usd_exact="44456.5143042050",
        market_cap_usd="839030532186.10",
        volume_24h_usd="0",
        percent_change_24h="-1.10",
        rank=1,
        created_at=now,
        ingested_at=NOW,
        price_spread_percent=0.25,
        rival_count=2,
        provenance=[
            {
                "field": field,
                "source": "csv",
                "external_id": "btc",
                "observed_at": "2026-02-03T21:21:11+01:00",
            }
            for field in ("name", "price_usd", "percent_change_24h")
        ],
    )
    await rows.listing("coinpaprika", "btc-bitcoin", "BTC", market_cap_usd="1")
    await rows.listing("coingecko", "bitcoin", "BTC", market_cap_usd="2")
    await rows.listing("coingecko", "bitcoin-joke", "BTC", contributes=False)
    await rows.listing("coingecko", "bitcoin-jest", "BTC", contributes=False, market_cap_usd="5")
    coin = (await ask(service, COIN, {"ticker": " btc\u00a0"}))["coin"]
    at = "2026-02-03T20:21:11.000000Z"
    assert coin == {
        "id": "merged_btc",
        "ticker": "BTC",
        "name": "Bitcoin",
        # Half-even: the remainder is more than half a unit only by its last digits.
        "priceUsd": "44456.5143042",
        "priceUsdExact": "44456.5143042050",
        "marketCapUsd": "839030532186.10",
        "volume24hUsd": "0",
        "percentChange24h": -1.1,
        "rank": 1,
        "source": "coinpaprika",
        "createdAt": now.isoformat().replace("+00:00", "Z"),
        "ingestedAt": "2026-02-03T20:21:11.250000Z",
        "isStale": False,
        "priceSpreadPercent": 0.25,
        "provenance": [
            {"field": field, "source": "csv", "externalId": "btc", "observedAt": at}
            for field in ("name", "priceUsd", "percentChange24h")
        ],
        "listings": [
            {"id": "listing_coingecko_bitcoin", "source": "coingecko"},
            {"id": "listing_coinpaprika_btc-bitcoin", "source": "coinpaprika"},
        ],
        "rivals": [
            {"id": "listing_coingecko_bitcoin-jest", "source": "coingecko"},
            {"id": "listing_coingecko_bitcoin-joke", "source": "coingecko"},
        ],
    }


async def test_a_sole_giver_gave_every_field_that_there_is(service: Service, rows: Rows) -> None:
    await rows.coin(
        "ONE",
        name="One",
        price_usd_exact="1e-18",
        market_cap_usd=None,
        volume_24h_usd="0",
        rank=None,
        provenance={"source": "csv", "external_id": "one", "observed_at": "2026-02-03T20:21:11Z"},
    )
    query = '{ coin(ticker: "ONE") { provenance { field source externalId observedAt } } }'
    given = {"source": "csv", "externalId": "one", "observedAt": "2026-02-03T20:21:11.000000Z"}
    assert (await ask(service, query))["coin"]["provenance"] == [
        {"field": field, **given} for field in ("name", "priceUsd", "volume24hUsd")
    ]


async def test_the_smallest_price_is_not_lost(service: Service, rows: Rows) -> None:
    await rows.coin("TINY", price_usd_exact="0.000000000000000004")
    await rows.coin("HUGE", price_usd_exact="123456789012345678901234567890.5")
    query = """
    { t: coin(ticker: "TINY") { ...Prices } h: coin(ticker: "HUGE") { ...Prices } }
    fragment Prices on Coin { priceUsd priceUsdExact }
    """
    coins = await ask(service, query)
    assert coins["t"] == {"priceUsd": "0", "priceUsdExact": "0.000000000000000004"}
    assert (
        coins["h"]["priceUsd"] == coins["h"]["priceUsdExact"] == "123456789012345678901234567890.5"
    )


async def test_a_change_beyond_any_float_is_null_and_spoils_no_page(
    service: Service, rows: Rows
) -> None:
    await rows.coin("HUGE", percent_change_24h="1e390")
    await rows.coin("TINY", percent_change_24h="-1e-390")
    await rows.coin("ZERO", percent_change_24h="0")
    query = "{ coins(orderBy: {field: PERCENT_CHANGE_24H}) { nodes { ticker percentChange24h } } }"
    assert [tuple(node.values()) for node in (await ask(service, query))["coins"]["nodes"]] == [
        ("HUGE", None),
        ("ZERO", 0),
        ("TINY", 0),
    ]


async def test_what_is_missing_is_null(service: Service, rows: Rows) -> None:
    await rows.coin("NIL", name=None, price_usd_exact=None)
    coin = (await ask(service, COIN, {"ticker": "NIL"}))["coin"]
    for field in (
        "name",
        "priceUsd",
        "priceUsdExact",
        "marketCapUsd",
        "volume24hUsd",
        "percentChange24h",
        "rank",
    ):
        assert coin[field] is None
    assert coin["provenance"] == coin["listings"] == coin["rivals"] == []
    # Its source is unknown, so it is not polled again.
    assert coin["isStale"] is True


@pytest.mark.parametrize("ticker", ["NOPE", "", "   ", "%", "'"])
async def test_an_unknown_ticker_is_null(service: Service, ticker: str) -> None:
    assert await ask(service, COIN, {"ticker": ticker}) == {"coin": None}


@pytest.mark.parametrize("ticker", ["a\0b", "x" * 1001])
async def test_a_ticker_that_cannot_be_one_is_refused(service: Service, ticker: str) -> None:
    error = await error_of(service, COIN, {"ticker": ticker})
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "ticker"}
    assert error["path"] == ["coin"]


@pytest.mark.parametrize(("age_seconds", "is_stale"), [(0, False), (150, False), (190, True)])
async def test_stale_is_older_than_three_polls_of_its_source(
    service: Service, rows: Rows, age_seconds: int, *, is_stale: bool
) -> None:
    await rows.source("csv", kind="file", poll_seconds=60)
    observed = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=age_seconds)
    await rows.coin("BTC", source="csv", created_at=observed)
    query = """
    {
      coin(ticker: "BTC") { isStale }
      a: coins(filter: {isStale: true}) { totalCount }
      b: coins(filter: {isStale: false}) { totalCount }
    }
    """
    answer = await ask(service, query)
    assert answer["coin"]["isStale"] is is_stale
    assert answer["a"]["totalCount"] == int(is_stale)
    assert answer["b"]["totalCount"] == int(not is_stale)


@pytest.fixture
async def market(rows: Rows) -> None:
    day = datetime.timedelta(days=1)
    await rows.source("coinpaprika")
    await rows.coin(
        "BTC",
        name="Bitcoin",
        price_usd_exact="45000.5",
        market_cap_usd="900",
        percent_change_24h="1.1",
        rival_count=1,
    )
    await rows.coin(
        "WBTC",
        name="Wrapped Bitcoin",
        price_usd_exact="45000.4",
        market_cap_usd="90",
        volume_24h_usd="7",
        source="coingecko",
    )
    await rows.coin(
        "UNI",
        name="Uniswap (Wormhole)",
        price_usd_exact="0.1",
        created_at=NOW - day,
        price_spread_percent=3.0,
    )
    await rows.coin(
        "USDC.E",
        name="USD-Coin bridged",
        price_usd_exact="0.999999999",
        ingested_at=NOW + 9 * day,
        price_spread_percent=3.1,
    )
    await rows.coin("PCT", name="100% Pure_Ñandú", price_usd_exact=None, percent_change_24h="-50")


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "BTC PCT UNI USDC.E WBTC"),
    ({"ticker": {"eq": "btc"}}, "BTC"),
    ({"ticker": {"in": ["btc", "Uni", "nope"]}}, "BTC UNI"),
    ({"ticker": {"in": []}}, ""),
    ({"ticker": {"eq": "btc", "in": ["uni"]}}, ""),
    ({"ticker": {"eq": "btc", "in": ["uni", "btc"]}}, "BTC"),
    ({"ticker": {"eq": "btc", "in": ["UNI", " BTC "]}}, "BTC"),
    ({"ticker": {"eq": "BTC", "in": ["\uff42\uff54\uff43"]}}, "BTC"),
    ({"ticker": {"eq": None}}, "BTC PCT UNI USDC.E WBTC"),
    ({"ticker": None, "source": None, "priceUsd": None, "search": None}, "BTC PCT UNI USDC.E WBTC"),
    ({"source": {"eq": "coingecko"}}, "WBTC"),
    ({"source": {"in": ["coingecko", "csv"]}}, "WBTC"),
    ({"search": "bit"}, "BTC WBTC"),
    ({"search": "BTC"}, "BTC"),
    ({"search": "wrapped bit"}, "WBTC"),
    ({"search": "wormhole"}, "UNI"),
    ({"search": "(worm"}, "UNI"),
    ({"search": "coin"}, "USDC.E"),
    ({"search": "usd-c"}, "USDC.E"),
    ({"search": "itcoin"}, ""),
    ({"search": "100%"}, "PCT"),
    ({"search": "%"}, ""),
    ({"search": "_"}, ""),
    ({"search": "pure_ñ"}, "PCT"),
    ({"search": "ÑANDÚ"}, "PCT"),
    ({"search": "\\"}, ""),
    ({"search": "  "}, "BTC PCT UNI USDC.E WBTC"),
    ({"priceUsd": {"gte": "45000.5"}}, "BTC"),
    ({"priceUsd": {"gte": "45000.40000000000000000001"}}, "BTC"),
    ({"priceUsd": {"lte": "1e-1"}}, "UNI"),
    # The rounded price is 1.
    ({"priceUsd": {"gte": "1", "lte": "1"}}, "USDC.E"),
    ({"priceUsd": {"gte": 45000}}, "BTC WBTC"),
    ({"marketCapUsd": {"gte": "90", "lte": "899.99"}}, "WBTC"),
    ({"volume24hUsd": {"lte": "7"}}, "WBTC"),
    ({"percentChange24h": {"gte": 1.1}}, "BTC"),
    ({"percentChange24h": {"lte": 0}}, "PCT"),
    ({"createdAt": {"lte": "2026-02-03T00:00:00+02:00"}}, "UNI"),
    ({"createdAt": {"gte": "2026-02-03T20:21:11.250Z"}}, "BTC PCT USDC.E WBTC"),
    ({"ingestedAt": {"gte": "2026-02-05T00:00:00Z"}}, "USDC.E"),
    ({"isDisputed": True}, "BTC USDC.E"),
    ({"isDisputed": False}, "PCT UNI WBTC"),
    ({"isDisputed": True, "search": "u"}, "USDC.E"),
]


@pytest.mark.usefixtures("market")
async def test_filters(service: Service) -> None:
    query = """
    query ($filter: CoinFilter) {
      coins(filter: $filter, orderBy: {field: TICKER, direction: ASC}) { totalCount nodes {
        ticker } }
    }
    """
    for coin_filter, tickers in FILTERS:
        page = await ask(service, query, {"filter": coin_filter})
        found = [node["ticker"] for node in page["coins"]["nodes"]]
        assert found == tickers.split(), coin_filter
        assert page["coins"]["totalCount"] == len(found), coin_filter


async def test_a_filtered_page_is_paged(service: Service, rows: Rows) -> None:
    for index in range(9):
        await rows.coin(
            f"T{index}",
            market_cap_usd=str(index + 1) if index % 3 else None,
            source="ab"[index % 2],
        )
    query = """
    query ($after: String) {
      coins(filter: {source: {eq: "a"}}, first: 2, after: $after) { nodes { ticker } pageInfo {
        endCursor } }
    }
    """
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        page = await ask(service, query, {"after": cursor})
        seen += [node["ticker"] for node in page["coins"]["nodes"]]
        cursor = page["coins"]["pageInfo"]["endCursor"]
    assert seen == ["T8", "T4", "T2", "T0", "T6"]


BAD_FILTERS: list[tuple[dict[str, Any], str]] = [
    ({"search": "x" * 101}, 'Argument "filter.search"'),
    ({"search": "a\0"}, 'Argument "filter.search"'),
    ({"ticker": {"eq": "\0"}}, 'Argument "filter.ticker.eq"'),
    ({"ticker": {"in": ["x"] * 1001}}, 'Variable "$filter.ticker.in"'),
    ({"source": {"in": ["\0"]}}, 'Argument "filter.source.in"'),
    ({"priceUsd": {"gte": "abc"}}, ".priceUsd.gte"),
    ({"priceUsd": {"gte": 0.1}}, ".priceUsd.gte"),
    ({"priceUsd": {"gte": "NaN"}}, ".priceUsd.gte"),
    ({"priceUsd": {"gte": "Infinity"}}, ".priceUsd.gte"),
    ({"priceUsd": {"gte": "1_000"}}, ".priceUsd.gte"),
    ({"priceUsd": {"gte": "1e999999999"}}, ".priceUsd.gte"),
    ({"priceUsd": {"gte": "1e101"}}, ".priceUsd.gte"),
    ({"priceUsd": {"gte": "1" * 101}}, ".priceUsd.gte"),
    ({"priceUsd": {"gte": True}}, ".priceUsd.gte"),
    ({"priceUsd": {"gte": "\u0661"}}, ".priceUsd.gte"),
    ({"createdAt": {"gte": "yesterday"}}, ".createdAt.gte"),
    ({"createdAt": {"gte": "2026-02-03"}}, ".createdAt.gte"),
    ({"createdAt": {"gte": "2026-02-03T20:21:11"}}, ".createdAt.gte"),
    ({"createdAt": {"gte": "2026-02-30T20:21:11Z"}}, ".createdAt.gte"),
    ({"createdAt": {"gte": "0001-01-01T00:00:00+14:00"}}, ".createdAt.gte"),
    ({"createdAt": {"gte": 5}}, ".createdAt.gte"),
]


async def test_a_bad_filter_names_its_argument(service: Service) -> None:
    query = "query ($filter: CoinFilter) { coins(filter: $filter) { totalCount } }"
    for coin_filter, said in BAD_FILTERS:
        error = await error_of(service, query, {"filter": coin_filter})
        assert error["extensions"]["code"] == "BAD_USER_INPUT", coin_filter
        assert said in error["message"], coin_filter


async def test_a_decimal_in_a_document_keeps_its_digits(service: Service, rows: Rows) -> None:
    await rows.coin("A", price_usd_exact="1.00000001")
    query = "{{ coins(filter: {{priceUsd: {{gte: {}}}}}) {{ totalCount }} }}"
    error = await error_of(service, query.format("true"))
    assert error["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
    for literal, count in (
        ("1.00000001", 1),
        ("1.0000000100000000000000001", 0),
        ("1", 1),
        ('"1e0"', 1),
    ):
        assert (await ask(service, query.format(literal)))["coins"]["totalCount"] == count
