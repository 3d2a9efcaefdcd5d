"""The history of a coin is that of its asset's listings: one source at a time, the best first."""

import datetime
from decimal import Decimal

import pytest

from db.connect.types import Connection
from db.write.backfill import PastPrice, backfill_prices
from tests.server.conftest import Service
from tests.server.graphql_rows import Json, Rows, ask

NOON = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
EVER = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
ASSET = "coinpaprika:btc-bitcoin"


def iso(at: datetime.datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def at(hours: float) -> datetime.datetime:
    return NOON + hours * HOUR


async def add_prices(
    connection: Connection, source: str, external_id: str, prices: dict[float, int]
) -> None:
    """Add prices of a listing, by hours after noon."""
    points = [
        PastPrice(external_id, at(hours), Decimal(price), None, None)
        for hours, price in prices.items()
    ]
    assert await backfill_prices(connection, source, points, EVER) == len(points)


# CoinPaprika has a gap of two hours, in which CoinGecko alone has a price.
BEST = {0: 100, 0.5: 101, 1: 102, 4: 104, 4.5: 105}
OTHER = {0.2: 110, 0.7: 111, 1.2: 112, 2: 113, 2.5: 114, 3: 115, 4.2: 116, 5: 117}


@pytest.fixture
async def two_sources(connection: Connection) -> None:
    """A coin of two sources whose prices differ by some ten per cent."""
    rows = Rows(connection)
    # The names are in the other order than the priorities.
    for priority, source in enumerate(("coinpaprika", "coingecko")):
        await rows.source(source, priority=priority)
    await rows.coin("BTC", asset=ASSET)
    await rows.listing("coinpaprika", "btc-bitcoin", "BTC")
    await rows.listing("coingecko", "bitcoin", "BTC", asset=ASSET)
    await add_prices(connection, "coinpaprika", "btc-bitcoin", BEST)
    await add_prices(connection, "coingecko", "bitcoin", OTHER)


HISTORY = """
query ($ticker: String!, $source: String, $first: Int, $after: String, $last: Int,
       $before: String) {
  coin(ticker: $ticker) {
    history(source: $source, first: $first, after: $after, last: $last, before: $before) {
      nodes { at priceUsd source }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""
CANDLES = """
query ($ticker: String!, $source: String, $interval: CandleInterval!, $from: DateTime!,
       $to: DateTime!) {
  coin(ticker: $ticker) {
    candles(source: $source, interval: $interval, from: $from, to: $to) {
      start open close samples source
    }
  }
}
"""


async def history(service: Service, ticker: str = "BTC", **variables: object) -> Json:
    return (await ask(service, HISTORY, {"ticker": ticker, **variables}))["coin"]["history"]


async def prices(service: Service, ticker: str = "BTC", **variables: object) -> list[str]:
    return [node["priceUsd"] for node in (await history(service, ticker, **variables))["nodes"]]


async def candles(
    service: Service, interval: str, ticker: str = "BTC", source: str | None = None
) -> list[tuple[str, str, int, str]]:
    """Return the close, start, samples and source of each candle of a day before and after noon."""
    variables = {"interval": interval, "ticker": ticker, "source": source}
    span = {"from": iso(at(-5)), "to": iso(at(8))}
    found = (await ask(service, CANDLES, variables | span))["coin"]["candles"]
    return [
        (candle["start"], candle["close"], candle["samples"], candle["source"]) for candle in found
    ]


@pytest.mark.usefixtures("two_sources")
async def test_each_stretch_is_of_the_best_source_that_has_it(service: Service) -> None:
    best, other = "coinpaprika", "coingecko"
    assert [(node["priceUsd"], node["source"]) for node in (await history(service))["nodes"]] == [
        ("100", best), ("101", best), ("102", best), ("113", other), ("114", other),
        ("115", other), ("104", best), ("105", best), ("117", other),
    ]  # fmt: skip
    assert await candles(service, "H1") == [
        (iso(at(0)), "101", 2, best),
        (iso(at(1)), "102", 1, best),
        (iso(at(2)), "114", 2, other),
        (iso(at(3)), "115", 1, other),
        (iso(at(4)), "105", 2, best),
        (iso(at(5)), "117", 1, other),
    ]


@pytest.mark.usefixtures("two_sources")
async def test_a_long_candle_is_of_the_source_that_has_most_of_it(service: Service) -> None:
    # CoinGecko has four of the first four hours, CoinPaprika two; of the day both have a candle.
    assert await candles(service, "H4") == [
        (iso(at(0)), "115", 6, "coingecko"),
        (iso(at(4)), "117", 2, "coingecko"),
    ]
    (day,) = await candles(service, "D1")
    assert day == (iso(at(-12)), "105", 5, "coinpaprika")


@pytest.mark.usefixtures("two_sources")
async def test_pages_of_two_sources_join_without_gap_or_overlap(service: Service) -> None:
    whole = (await history(service))["nodes"]
    for size in (1, 2, 3, 4, 8):
        forwards: list[Json] = []
        after = None
        for _ in range(len(whole)):
            page = await history(service, first=size, after=after)
            forwards += page["nodes"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert forwards == whole, size
        backwards: list[Json] = []
        before = None
        for _ in range(len(whole)):
            page = await history(service, last=size, before=before)
            backwards = page["nodes"] + backwards
            before = page["pageInfo"]["startCursor"]
            if not page["pageInfo"]["hasPreviousPage"]:
                break
        assert backwards == whole, size


@pytest.mark.usefixtures("two_sources")
async def test_one_source_can_be_asked_for(service: Service) -> None:
    for source, points in (("coinpaprika", BEST), ("coingecko", OTHER)):
        assert await prices(service, source=source) == [str(price) for price in points.values()]
        found = await candles(service, "H1", source=source)
        assert {candle[3] for candle in found} == {source}
        assert sum(samples for _, _, samples, _ in found) == len(points)
    assert await prices(service, source="csv") == []
    assert await candles(service, "M15", source="csv") == []


@pytest.mark.usefixtures("two_sources")
async def test_a_source_whose_price_the_coin_leaves_out_comes_last(
    service: Service, connection: Connection
) -> None:
    excluded = [
        {
            "source": "coinpaprika", "external_id": "btc-bitcoin", "field": "price_usd",
            "value": 104, "reason": "disagrees", "observed_at": iso(NOON),
        }
    ]  # fmt: skip
    await connection.execute("UPDATE normalized_records SET excluded = $1", excluded)
    found = await candles(service, "H1")
    assert {candle[3] for candle in found} == {"coingecko"}
    assert await prices(service) == [str(price) for price in OTHER.values()]


async def test_a_held_point_and_one_without_a_price_are_in_neither(
    service: Service, connection: Connection
) -> None:
    rows = Rows(connection)
    await rows.coin("BTC", asset=ASSET)
    await rows.listing("coinpaprika", "btc-bitcoin", "BTC")
    await add_prices(connection, "coinpaprika", "btc-bitcoin", {0: 100, 0.1: 9999, 0.2: 101})
    await connection.execute(
        "INSERT INTO price_points (listing, at, market_cap_usd) SELECT id, $1, 5 FROM listings",
        at(0.3),
    )
    held = await connection.fetch("SELECT price_usd FROM price_points WHERE is_held")
    assert [int(price) for (price,) in held] == [9999]
    assert await prices(service) == ["100", "101"]
    assert await candles(service, "M5") == [
        (iso(at(0)), "100", 1, "coinpaprika"),
        (iso(at(1 / 6)), "101", 1, "coinpaprika"),
    ]
    assert await candles(service, "H1") == [(iso(at(0)), "101", 2, "coinpaprika")]
    # A second poll confirms the price: it counts from its own time. Now the next one is a jump.
    await add_prices(connection, "coinpaprika", "btc-bitcoin", {0.15: 9998})
    assert await prices(service) == ["100", "9999", "9998"]


async def test_a_past_follows_its_asset_and_not_the_ticker(
    service: Service, connection: Connection
) -> None:
    rows = Rows(connection)
    await rows.coin("LUNA", asset="coinpaprika:lunc")
    await rows.listing("coinpaprika", "lunc", "LUNA")
    await add_prices(connection, "coinpaprika", "lunc", {0: 80, 1: 81})
    assert await prices(service, "LUNA") == ["80", "81"]

    await rows.listing("coinpaprika", "luna2", "LUNA")
    await add_prices(connection, "coinpaprika", "luna2", {2: 5, 3: 6})
    await connection.execute("UPDATE listings SET ticker = 'LUNC' WHERE external_id = 'lunc'")
    await connection.execute("UPDATE normalized_records SET asset = 'coinpaprika:luna2'")
    await rows.coin("LUNC", asset="coinpaprika:lunc")
    for ticker, ours in (("LUNC", ["80", "81"]), ("LUNA", ["5", "6"])):
        assert await prices(service, ticker) == ours
        for interval in ("M15", "H1"):
            found = await candles(service, interval, ticker)
            assert [close for _, close, _, _ in found] == ours


LISTING = """
query ($source: String!, $id: String!, $first: Int, $after: String, $last: Int, $before: String,
       $from: DateTime!, $to: DateTime!) {
  listing(source: $source, externalId: $id) {
    history(first: $first, after: $after, last: $last, before: $before) {
      nodes { priceUsd source }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
    candles(interval: H1, from: $from, to: $to) { start close samples source }
  }
}
"""


@pytest.mark.usefixtures("two_sources")
async def test_a_listing_has_its_own_history_and_candles(service: Service) -> None:
    given = {"source": "coingecko", "id": "bitcoin", "from": iso(at(-1)), "to": iso(at(9))}
    whole = (await ask(service, LISTING, given))["listing"]
    assert [node["priceUsd"] for node in whole["history"]["nodes"]] == [
        str(price) for price in OTHER.values()
    ]
    assert [(candle["start"], candle["samples"]) for candle in whole["candles"]] == [
        (iso(at(hour)), samples) for hour, samples in enumerate((2, 1, 2, 1, 1, 1))
    ]
    everything = [*whole["history"]["nodes"], *whole["candles"]]
    assert {value["source"] for value in everything} == {"coingecko"}

    first = (await ask(service, LISTING, given | {"first": 3}))["listing"]["history"]
    assert first["pageInfo"]["hasNextPage"] is True
    after = {"first": 9, "after": first["pageInfo"]["endCursor"]}
    rest = (await ask(service, LISTING, given | after))["listing"]["history"]
    assert first["nodes"] + rest["nodes"] == whole["history"]["nodes"]
    before = {"last": 2, "before": rest["pageInfo"]["startCursor"]}
    back = (await ask(service, LISTING, given | before))["listing"]["history"]
    assert back["nodes"] == first["nodes"][1:]
    assert (back["pageInfo"]["hasNextPage"], back["pageInfo"]["hasPreviousPage"]) == (True, True)
