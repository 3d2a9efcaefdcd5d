"""Listings: their fields, filters and pages, their coins and payloads."""

import datetime
from typing import Any

import pytest

from db.connect.types import Connection
from tests.server.conftest import Service
from tests.server.graphql_rows import NOW, Rows, ask, error_of

LISTING = """
query ($source: String!, $id: String!) {
  listing(source: $source, externalId: $id) {
    id source externalId ticker symbol name rank priceUsd marketCapUsd volume24hUsd
      percentChange24h circulatingSupply
    totalSupply maxSupply observedAt firstSeenAt lastSeenAt active coin { ticker } payload
  }
}
"""
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def rows(connection: Connection) -> Rows:
    return Rows(connection)


async def test_every_field_of_a_listing(service: Service, rows: Rows) -> None:
    await rows.source("coingecko")
    await rows.coin("BTC")
    content_hash = await rows.listing(
        "coingecko",
        "bitcoin",
        "BTC",
        symbol=" btc\u00a0",
        name="Bitcoin",
        rank=1,
        price_usd="44456.5100",
        market_cap_usd="839030532186",
        volume_24h_usd="0.0",
        percent_change_24h="-1.25",
        circulating_supply="18883518.0",
        total_supply="21000000",
        max_supply="21000000",
    )
    await rows.payload(
        "coingecko", "bitcoin", content_hash, '{"id": "bitcoin", "roi": null, "n": [1.50, "ü"]}'
    )
    listing = (await ask(service, LISTING, {"source": "coingecko", "id": "bitcoin"}))["listing"]
    at = "2026-02-03T20:21:11.250000Z"
    assert listing == {
        "id": "listing_coingecko_bitcoin",
        "source": "coingecko",
        "externalId": "bitcoin",
        "ticker": "BTC",
        "symbol": " btc\u00a0",
        "name": "Bitcoin",
        "rank": 1,
        "priceUsd": "44456.5100",
        "marketCapUsd": "839030532186",
        "volume24hUsd": "0.0",
        "percentChange24h": -1.25,
        "circulatingSupply": "18883518.0",
        "totalSupply": "21000000",
        "maxSupply": "21000000",
        "observedAt": at,
        "firstSeenAt": at,
        "lastSeenAt": at,
        "active": True,
        "coin": {"ticker": "BTC"},
        "payload": {"id": "bitcoin", "roi": None, "n": [1.5, "ü"]},
    }


async def test_the_payload_of_a_file_and_of_nothing(service: Service, rows: Rows) -> None:
    await rows.source("csv", kind="file")
    content_hash = await rows.listing("csv", "btc", "BTC")
    await rows.payload("csv", "btc", content_hash, '{"symbol": "BTC"}')
    await rows.listing("gone", "btc", "BTC")
    # A payload of other content is not the listing's.
    await rows.listing("csv", "eth", "ETH")
    await rows.payload("csv", "eth", b"x" * 16, '{"symbol": "OLD"}')
    assert (await ask(service, LISTING, {"source": "csv", "id": "eth"}))["listing"][
        "payload"
    ] is None
    assert (await ask(service, LISTING, {"source": "csv", "id": "btc"}))["listing"]["payload"] == {
        "symbol": "BTC"
    }
    assert (await ask(service, LISTING, {"source": "gone", "id": "btc"}))["listing"][
        "payload"
    ] is None


async def test_a_rival_gives_to_no_coin(service: Service, rows: Rows) -> None:
    await rows.coin("BTC")
    await rows.listing("coingecko", "joke", "BTC", contributes=False)
    assert (await ask(service, LISTING, {"source": "coingecko", "id": "joke"}))["listing"][
        "coin"
    ] is None


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({}, "22:21:11.250000Z"),
        ({"last_seen_at": NOW + 3 * HOUR}, "23:21:11.250000Z"),
        ({"missing_since": NOW}, "20:21:11.250000Z"),
        ({"active": False}, "20:21:11.250000Z"),
    ],
)
async def test_a_listing_that_is_not_missing_was_seen_by_the_last_sweep(
    service: Service, rows: Rows, given: dict[str, Any], seen: str
) -> None:
    await rows.checkpoint("csv", last_sweep_at=NOW + 2 * HOUR)
    await rows.listing("csv", "btc", "BTC", **given)
    listing = (await ask(service, LISTING, {"source": "csv", "id": "btc"}))["listing"]
    assert listing["lastSeenAt"] == f"2026-02-03T{seen}"


async def test_an_unknown_listing_is_null_and_a_text_that_cannot_be_is_refused(
    service: Service,
) -> None:
    assert await ask(service, LISTING, {"source": "csv", "id": "nope"}) == {"listing": None}
    for variables, argument in (
        ({"source": "\0", "id": "x"}, "source"),
        ({"source": "x", "id": "\0"}, "externalId"),
    ):
        error = await error_of(service, LISTING, variables)
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "a/1 a/2 b/1 b/2"),
    ({"source": {"eq": "a"}}, "a/1 a/2"),
    ({"ticker": {"in": ["btc", "x"]}}, "a/1 b/1"),
    ({"active": False}, "b/2"),
    ({"search": "wrapped"}, "a/2"),
    ({"search": "bt"}, "a/1 b/1"),
    ({"search": "bit", "active": True}, "a/2"),
]


async def test_pages_and_filters_of_listings(service: Service, rows: Rows) -> None:
    await rows.listing("b", "1", "BTC")
    await rows.listing("a", "2", "WBTC", name="Wrapped Bitcoin")
    await rows.listing("a", "1", "BTC")
    await rows.listing("b", "2", "ETH", active=False)
    query = """
    query ($filter: ListingFilter, $first: Int, $after: String, $last: Int, $before: String) {
      listings(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
        edges { node { source externalId } } pageInfo { endCursor startCursor hasNextPage
          hasPreviousPage } totalCount
      }
    }
    """

    async def read(**variables: object) -> tuple[list[str], dict[str, Any], int]:
        page = (await ask(service, query, variables))["listings"]
        keys = [f"{edge['node']['source']}/{edge['node']['externalId']}" for edge in page["edges"]]
        return keys, page["pageInfo"], page["totalCount"]

    for listing_filter, expected in FILTERS:
        keys, _, total = await read(filter=listing_filter)
        assert keys == expected.split(), listing_filter
        assert total == len(keys)
    keys, info, _ = await read(first=3)
    assert keys == ["a/1", "a/2", "b/1"]
    assert info["hasNextPage"]
    assert not info["hasPreviousPage"]
    keys, info, _ = await read(first=3, after=info["endCursor"])
    assert keys == ["b/2"]
    assert info["hasPreviousPage"]
    assert not info["hasNextPage"]
    keys, info, _ = await read(last=2, before=info["startCursor"])
    assert keys == ["a/2", "b/1"]
    assert info["hasPreviousPage"]
    assert info["hasNextPage"]
