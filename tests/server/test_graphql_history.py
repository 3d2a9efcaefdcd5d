"""The history and the candles of a coin."""

import datetime
from decimal import Decimal

import pytest

from db.connect.types import Connection
from db.write.backfill import PastPrice, backfill_prices
from tests.server.conftest import Service
from tests.server.graphql_rows import Json, Rows, ask, error_of

FIRST = datetime.datetime(
    2026, 11, 1, 23, 30, tzinfo=datetime.UTC
)  # a Sunday: the week turns with the third point
MINUTE = datetime.timedelta(minutes=1)
EVER = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
PRICES = ["1.5", "1.000000000000000004", "2.25", "2", "3"]
TIMES = [FIRST + minutes * MINUTE for minutes in (0, 20, 40, 41, 200)]


def iso(at: datetime.datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


@pytest.fixture
async def remembered(connection: Connection) -> None:
    """Two coins of five points each."""
    rows = Rows(connection)
    for ticker in ("BTC", "ETH"):
        await rows.coin(
            ticker,
            market_cap_usd="1000" if ticker == "BTC" else "10",
            asset=f"csv:{ticker.lower()}",
        )
        await rows.listing("csv", ticker.lower(), ticker)
    points = [
        PastPrice(coin, at, Decimal(price), Decimal(1000), None)
        for coin in ("btc", "eth")
        for at, price in zip(TIMES, PRICES, strict=True)
    ]
    await backfill_prices(connection, "csv", points, EVER)


HISTORY = """
query ($first: Int, $after: String, $last: Int, $before: String, $from: DateTime, $to: DateTime) {
  coin(ticker: "BTC") {
    history(first: $first, after: $after, last: $last, before: $before, from: $from, to: $to) {
      edges { cursor node { at priceUsd marketCapUsd volume24hUsd source } }
      nodes { at }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""


async def history(service: Service, **variables: object) -> Json:
    return (await ask(service, HISTORY, variables))["coin"]["history"]


@pytest.mark.usefixtures("remembered")
async def test_points_come_oldest_first_with_every_digit(service: Service) -> None:
    found = await history(service)
    assert [edge["node"] for edge in found["edges"]] == [
        {
            "at": iso(at),
            "priceUsd": price,
            "marketCapUsd": "1000",
            "volume24hUsd": None,
            "source": "csv",
        }
        for at, price in zip(TIMES, PRICES, strict=True)
    ]
    assert found["pageInfo"]["hasNextPage"] is False
    assert found["pageInfo"]["hasPreviousPage"] is False


@pytest.mark.usefixtures("remembered")
async def test_history_pages_forwards_and_backwards_without_overlap(service: Service) -> None:
    first = await history(service, first=2)
    assert first["pageInfo"]["hasNextPage"] is True
    rest = await history(service, first=3, after=first["pageInfo"]["endCursor"])
    assert [node["at"] for node in first["nodes"] + rest["nodes"]] == [iso(at) for at in TIMES]
    assert (rest["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasPreviousPage"]) == (False, True)
    back = await history(service, last=2, before=rest["pageInfo"]["startCursor"])
    assert back["nodes"] == first["nodes"]
    assert (back["pageInfo"]["hasNextPage"], back["pageInfo"]["hasPreviousPage"]) == (True, False)
    newest = await history(service, last=1)
    assert [node["at"] for node in newest["nodes"]] == [iso(TIMES[-1])]
    assert newest["pageInfo"]["hasPreviousPage"] is True


@pytest.mark.usefixtures("remembered")
async def test_history_is_bounded_by_time(service: Service) -> None:
    found = await history(service, **{"from": iso(TIMES[1]), "to": iso(TIMES[3])})
    assert [node["at"] for node in found["nodes"]] == [iso(TIMES[1]), iso(TIMES[2])]


@pytest.mark.usefixtures("remembered")
async def test_bad_arguments_of_history_are_named(service: Service) -> None:
    for variables, argument in (
        ({"after": "x"}, "after"),
        ({"first": 1, "last": 1}, "last"),
        ({"first": 0}, "first"),
    ):
        error = await error_of(service, HISTORY, variables)
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert argument in error["message"]


CANDLES = """
query ($interval: CandleInterval!, $from: DateTime, $to: DateTime) {
  coin(ticker: "BTC") { candles(interval: $interval, from: $from, to: $to) { start open high
    low close samples } }
}
"""


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("M1", [(0, "1.5", 1), (20, PRICES[1], 1), (40, "2.25", 1), (41, "2", 1), (200, "3", 1)]),
        ("M15", [(0, "1.5", 1), (15, PRICES[1], 1), (30, "2", 2), (195, "3", 1)]),
        ("H1", [(-30, PRICES[1], 2), (30, "2", 2), (150, "3", 1)]),
        ("H4", [(-210, PRICES[1], 2), (30, "3", 3)]),
        ("D1", [(-23.5 * 60, PRICES[1], 2), (30, "3", 3)]),
        ("W1", [(-(6 * 24 + 23.5) * 60, PRICES[1], 2), (30, "3", 3)]),
    ],
)
@pytest.mark.usefixtures("remembered")
async def test_candles_of_every_interval(
    service: Service, interval: str, expected: list[tuple[float, str, int]]
) -> None:
    variables = {"interval": interval, "from": iso(TIMES[0]), "to": iso(TIMES[-1] + MINUTE)}
    found = (await ask(service, CANDLES, variables))["coin"]["candles"]
    assert [(candle["start"], candle["close"], candle["samples"]) for candle in found] == [
        (iso(FIRST + minutes * MINUTE), close, samples) for minutes, close, samples in expected
    ]
    assert all(
        Decimal(candle["low"]) <= Decimal(candle[price]) <= Decimal(candle["high"])
        for candle in found
        for price in ("open", "close")
    )


async def test_a_request_for_too_many_candles_says_so(
    service: Service, connection: Connection
) -> None:
    await Rows(connection).coin("BTC")
    variables = {"interval": "M1", "from": iso(FIRST), "to": iso(FIRST + 1001 * MINUTE)}
    error = await error_of(service, CANDLES, variables)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "1,001 candles" in error["message"]
    assert "1,000" in error["message"]
    assert await ask(service, CANDLES, variables | {"to": iso(FIRST + 1000 * MINUTE)}) == {
        "coin": {"candles": []}
    }
    assert await ask(service, CANDLES, {"interval": "W1"}) == {"coin": {"candles": []}}
