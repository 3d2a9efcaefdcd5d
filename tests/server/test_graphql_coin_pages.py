"""Pages of coins: every order in both directions, nulls last, checked cursors."""

import datetime
import itertools
from decimal import Decimal
from typing import Any

import pytest

from db.connect.types import Connection
from server.graphql.relay.cursors import encode_words
from tests.server.conftest import Service
from tests.server.graphql_rows import NOW, Json, Rows, ask, error_of

FIELDS = {
    "MARKET_CAP_USD": "market_cap_usd",
    "VOLUME_24H_USD": "volume_24h_usd",
    "PRICE_USD": "price_usd_exact",
    "PERCENT_CHANGE_24H": "percent_change_24h",
    "TICKER": "ticker",
    "NAME": "name",
    "CREATED_AT": "created_at",
    "INGESTED_AT": "ingested_at",
}
ORDERS = [(field, direction) for field in FIELDS for direction in ("ASC", "DESC")]
PAGE = """
query ($order: CoinOrder, $filter: CoinFilter, $first: Int, $after: String, $last: Int,
  $before: String) {
  coins(orderBy: $order, filter: $filter, first: $first, after: $after, last: $last, before:
    $before) {
    edges { cursor node { ticker } }
    nodes { ticker }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    totalCount
  }
}
"""
NUMBERS = [
    "3",
    "3.000",
    "0.000000000000000004",
    "1e2",
    None,
    "250.5",
    None,
    "3",
    "12345678901234567890.123456789",
]


@pytest.fixture
def rows(connection: Connection) -> Rows:
    return Rows(connection)


@pytest.fixture
async def coins(rows: Rows) -> list[dict[str, Any]]:
    """18 coins with ties, nulls and numbers that are equal as floats."""
    made = []
    for index in range(18):
        number = NUMBERS[index % len(NUMBERS)]
        coin: dict[str, Any] = {
            "ticker": f"T{index * 7 % 18:02}",
            "name": [None, "beta", "Alpha", "alpha two", "_", "Ωmega"][index % 6],
            "price_usd_exact": number,
            "market_cap_usd": number,
            "volume_24h_usd": number,
            "percent_change_24h": None if number is None else f"-{number}" if index % 2 else number,
            "created_at": NOW + datetime.timedelta(microseconds=index % 5),
            "ingested_at": NOW + datetime.timedelta(days=index % 3),
        }
        await rows.coin(**coin)
        made.append(coin)
    return made


def key_of(coin: dict[str, Any], field: str) -> Json:
    value = coin[FIELDS[field]]
    if value is None or field in ("TICKER", "CREATED_AT", "INGESTED_AT"):
        return value
    return value.lower() if field == "NAME" else Decimal(value)


def in_order(coins: list[dict[str, Any]], field: str, direction: str) -> list[str]:
    """The order in Python: nulls last, ties by ticker."""
    known = sorted(
        (coin for coin in coins if key_of(coin, field) is not None), key=lambda coin: coin["ticker"]
    )
    known.sort(key=lambda coin: key_of(coin, field), reverse=direction == "DESC")
    nulls = sorted(coin["ticker"] for coin in coins if key_of(coin, field) is None)
    return [coin["ticker"] for coin in known] + nulls


async def walk(
    service: Service, order: dict[str, str], size: int, *, backward: bool
) -> list[list[str]]:
    """Return all coins, page by page."""
    pages: list[list[str]] = []
    cursor = None
    while True:
        window = {"last": size, "before": cursor} if backward else {"first": size, "after": cursor}
        page = (await ask(service, PAGE, {"order": order, **window}))["coins"]
        tickers = [edge["node"]["ticker"] for edge in page["edges"]]
        assert tickers == [node["ticker"] for node in page["nodes"]]
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        assert page["pageInfo"]["endCursor"] == page["edges"][-1]["cursor"]
        is_first_read = not pages
        more, less = (
            ("hasPreviousPage", "hasNextPage") if backward else ("hasNextPage", "hasPreviousPage")
        )
        assert page["pageInfo"][less] is not is_first_read
        pages = [tickers, *pages] if backward else [*pages, tickers]
        if not page["pageInfo"][more]:
            return pages
        cursor = page["pageInfo"]["startCursor" if backward else "endCursor"]


async def test_every_order_pages_both_ways_through_each_coin_once(
    service: Service, coins: list[dict[str, Any]]
) -> None:
    for field, direction in ORDERS:
        expected = in_order(coins, field, direction)
        order = {"field": field, "direction": direction}
        for size in (1, 6):
            forward = await walk(service, order, size, backward=False)
            assert list(itertools.chain(*forward)) == expected
            assert {len(page) for page in forward[:-1]} == {size}
            backward = await walk(service, order, size, backward=True)
            assert list(itertools.chain(*backward)) == expected


async def test_a_slice_between_two_cursors(service: Service, coins: list[dict[str, Any]]) -> None:
    for field, direction in ORDERS:
        order = {"field": field, "direction": direction}
        edges = (await ask(service, PAGE, {"order": order, "first": 18}))["coins"]["edges"]
        cursors = [edge["cursor"] for edge in edges]
        expected = in_order(coins, field, direction)
        for start, end in ((0, 17), (3, 9), (12, 17), (15, 17), (14, 16), (5, 6), (9, 3), (17, 0)):
            window = {"order": order, "after": cursors[start], "before": cursors[end]}
            # Nothing lies between cursors in the wrong order.
            inner = expected[start + 1 : end]
            forward = (await ask(service, PAGE, {**window, "first": 3}))["coins"]
            backward = (await ask(service, PAGE, {**window, "last": 3}))["coins"]
            assert [node["ticker"] for node in forward["nodes"]] == inner[:3]
            assert [node["ticker"] for node in backward["nodes"]] == inner[-3:]
            # The coins of the cursors lie on either side of the page.
            for page in (forward, backward):
                assert page["pageInfo"]["hasNextPage"] is True
                assert page["pageInfo"]["hasPreviousPage"] is True


async def test_a_page_stays_right_while_coins_move(
    service: Service, rows: Rows, connection: Connection
) -> None:
    for index in range(6):
        await rows.coin(f"T{index}", market_cap_usd=str(100 - index))
    first = (await ask(service, PAGE, {"first": 3}))["coins"]
    # T5 overtakes all others, a new coin comes first, and the cursor's own coin disappears.
    await connection.execute(
        "UPDATE normalized_records SET market_cap_usd = 1000 WHERE ticker = 'T5'"
    )
    await rows.coin("NEW", market_cap_usd="2000")
    await connection.execute("DELETE FROM normalized_records WHERE ticker = 'T2'")
    second = (await ask(service, PAGE, {"first": 3, "after": first["pageInfo"]["endCursor"]}))[
        "coins"
    ]
    assert [node["ticker"] for node in first["nodes"]] == ["T0", "T1", "T2"]
    assert [node["ticker"] for node in second["nodes"]] == ["T3", "T4"]
    assert second["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": True,
        "startCursor": second["edges"][0]["cursor"],
        "endCursor": second["edges"][1]["cursor"],
    }


async def test_an_empty_page(service: Service, rows: Rows) -> None:
    nothing = (await ask(service, PAGE))["coins"]
    assert nothing["nodes"] == []
    assert nothing["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }
    await rows.coin("BTC")
    cursor = (await ask(service, PAGE))["coins"]["pageInfo"]["endCursor"]
    beyond = (await ask(service, PAGE, {"after": cursor}))["coins"]
    assert beyond["nodes"] == []
    assert beyond["pageInfo"]["hasPreviousPage"] is True
    assert beyond["pageInfo"]["hasNextPage"] is False


async def test_fifty_without_first_and_last_and_the_greatest_market_cap_first(
    service: Service, rows: Rows
) -> None:
    for index in range(55):
        await rows.coin(f"T{index:02}", market_cap_usd=str(index + 1))
    page = (await ask(service, PAGE))["coins"]
    assert len(page["nodes"]) == 50
    assert page["nodes"][0]["ticker"] == "T54"
    assert page["totalCount"] == 55
    assert len((await ask(service, PAGE, {"first": 250}))["coins"]["nodes"]) == 55


BAD_WINDOWS: list[tuple[dict[str, Any], str]] = [
    ({"first": 0}, "first"),
    ({"first": -1}, "first"),
    ({"first": 251}, "first"),
    ({"last": 0}, "last"),
    ({"last": 251}, "last"),
    ({"first": 1, "last": 1}, "last"),
    ({"after": ""}, "after"),
    ({"after": "nonsense"}, "after"),
    ({"after": "ä"}, "after"),
    ({"before": "bnVsbA"}, "before"),
    ({"after": "x" * 5000}, "after"),
    ({"after": encode_words("MARKET_CAP_USD:DESC", "NaN", "BTC")}, "after"),
    ({"after": encode_words("MARKET_CAP_USD:DESC", "1e5", "BTC")}, "after"),
    ({"after": encode_words("MARKET_CAP_USD:DESC", "1", "\0")}, "after"),
    ({"before": encode_words("MARKET_CAP_USD:DESC", 1, "BTC")}, "before"),
    (
        {
            "after": encode_words("CREATED_AT:DESC", "yesterday", "BTC"),
            "order": {"field": "CREATED_AT"},
        },
        "after",
    ),
    *(
        (
            {
                "after": encode_words("CREATED_AT:DESC", forged, "BTC"),
                "order": {"field": "CREATED_AT"},
            },
            "after",
        )
        for forged in (
            "2026-W01-1T00:00:00+00:00",
            "20260203T202111+00",
            "2026-02-03 20:21:11.25",
            "2026-02-30 20:21:11+00",
            "2026-02-03 20:21:11,25+00",
            "2026-02-03 20:21:11+00:00:00.5",
        )
    ),
    (
        {"after": encode_words("CREATED_AT:DESC", None, "BTC"), "order": {"field": "CREATED_AT"}},
        "after",
    ),
]


async def test_a_bad_window_names_its_argument(service: Service) -> None:
    for variables, argument in BAD_WINDOWS:
        error = await error_of(service, PAGE, variables)
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}, variables
        assert f'"{argument}"' in error["message"]


async def test_a_cursor_of_another_order_is_refused(service: Service, rows: Rows) -> None:
    await rows.coin("BTC")
    cursor = (await ask(service, PAGE))["coins"]["pageInfo"]["endCursor"]
    error = await error_of(
        service, PAGE, {"after": cursor, "order": {"field": "MARKET_CAP_USD", "direction": "ASC"}}
    )
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "after"}
    assert "another order" in error["message"]


async def test_the_order_of_a_direction_left_out_is_descending(
    service: Service, rows: Rows
) -> None:
    await rows.coin("A")
    await rows.coin("B")
    page = (await ask(service, PAGE, {"order": {"field": "TICKER"}}))["coins"]
    assert [node["ticker"] for node in page["nodes"]] == ["B", "A"]
