"""GET /data: the older service's shape, exact figures, filters, pages."""

import datetime
import re
from typing import Any
from urllib.parse import quote

import pytest

from tests.server.conftest import NOW, AddCoin, Service

MICROSECOND = datetime.timedelta(microseconds=1)


def tickers(body: dict[str, Any]) -> list[str]:
    return [record["ticker"] for record in body["data"]]


async def test_a_record_has_the_shape_that_older_clients_know(
    service: Service, add_coin: AddCoin
) -> None:
    await add_coin(
        "BTC",
        name="Bitcoin",
        price_usd_exact="45000.5",
        market_cap_usd="850000000000",
        volume_24h_usd="1.50",
        percent_change_24h="-2.5",
    )
    body = await service.get("/data")
    assert body["data"] == [
        {
            "id": "merged_btc",
            "ticker": "BTC",
            "name": "Bitcoin",
            "price_usd": 45000.5,
            "market_cap_usd": 850000000000,
            "volume_24h_usd": 1.5,
            "percent_change_24h": -2.5,
            "source": "coinpaprika",
            "created_at": "2026-02-03T20:21:11.250000Z",
            "ingested_at": "2026-02-03T20:21:12.250000Z",
        }
    ]
    assert body["pagination"] == {"limit": 50, "offset": 0, "returned": 1, "total": 1}
    assert re.fullmatch(r"req-[0-9a-f]{12}", body["meta"]["request_id"])
    assert 0 < body["meta"]["api_latency_ms"] < 60_000


async def test_a_price_is_written_with_its_eight_decimals_and_never_through_a_float(
    service: Service, add_coin: AddCoin
) -> None:
    await add_coin("A", price_usd_exact="45000.5", market_cap_usd="3")
    await add_coin("B", price_usd_exact="123456789012345678.123456785", market_cap_usd="2")
    await add_coin(
        "C", price_usd_exact="0.000000000000000004", market_cap_usd="1.000000000000000000000000001"
    )
    await add_coin("D", price_usd_exact=None)
    async with service.client.get("/data") as response:
        text = await response.text()
    assert re.findall(r'"price_usd"\s*:\s*([^,]+),', text) == [
        "45000.50000000",
        "123456789012345678.12345678",
        "0.00000000",
        "null",
    ]
    assert "1.000000000000000000000000001" in text


async def test_the_greatest_market_cap_comes_first_and_unknown_ones_last(
    service: Service, add_coin: AddCoin
) -> None:
    for ticker, market_cap in (
        ("SMALL", "1"),
        ("NONE", None),
        ("TWINB", "5"),
        ("TWINA", "5"),
        ("BIG", "9"),
        ("ALSO", None),
    ):
        await add_coin(ticker, market_cap_usd=market_cap)
    assert tickers(await service.get("/data")) == ["BIG", "TWINA", "TWINB", "SMALL", "ALSO", "NONE"]


async def test_a_ticker_is_found_in_any_case_and_with_white_space(
    service: Service, add_coin: AddCoin
) -> None:
    await add_coin("BTC")
    await add_coin("ETH")
    for written in ("btc", "Btc", "%20BTC%C2%A0", "%EF%BC%A2TC"):
        assert tickers(await service.get(f"/data?ticker={written}")) == ["BTC"]
    assert await service.get("/data?ticker=DOGE") | {"meta": None} == {
        "data": [],
        "pagination": {"limit": 50, "offset": 0, "returned": 0, "total": 0},
        "meta": None,
    }


async def test_filters_narrow_together_and_empty_ones_do_not_count(
    service: Service, add_coin: AddCoin
) -> None:
    await add_coin("BTC", source="coingecko")
    await add_coin("ETH")
    await add_coin("XRP", created_at=NOW - datetime.timedelta(days=9))
    assert tickers(await service.get("/data?source=coinpaprika")) == ["ETH", "XRP"]
    assert tickers(await service.get("/data?source=coinpaprika&start_date=2026-02-01")) == ["ETH"]
    body = await service.get("/data?limit=50&offset=0&ticker=&source=&start_date=&end_date=")
    assert tickers(body) == ["BTC", "ETH", "XRP"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("start_date=2026-02-03", ["IN", "LATE"]),
        ("end_date=2026-02-03", ["EARLY", "IN"]),
        ("start_date=2026-02-03&end_date=2026-02-03", ["IN"]),
        ("end_date=20260203", ["EARLY", "IN"]),
        ("end_date=2026-W06-2", ["EARLY", "IN"]),
        ("end_date=2026W062", ["EARLY", "IN"]),
        ("end_date=2026-W05", []),
        ("end_date=2026-W06", ["EARLY", "IN", "LATE"]),
        ("start_date=20260203", ["IN", "LATE"]),
        ("end_date=20260203T00", ["EARLY"]),
        ("end_date=2026-02-03T00:00:00", ["EARLY"]),
        ("start_date=2026-02-03T23:59:59.999999Z", ["IN", "LATE"]),
        ("start_date=2026-02-04T01:00:00%2B01:00", ["LATE"]),
        ("start_date=2026-02-04T01:00:00+01:00", ["LATE"]),
        ("start_date=2026-02-03T19:00:00-0500", ["LATE"]),
        ("start_date=0001-01-01&end_date=9999-12-31", ["EARLY", "IN", "LATE"]),
        ("start_date=2026-03-01&end_date=2026-01-01", []),
    ],
)
async def test_a_period_holds_both_its_ends(
    service: Service, add_coin: AddCoin, query: str, found: list[str]
) -> None:
    midnight = datetime.datetime(2026, 2, 4, tzinfo=datetime.UTC)
    await add_coin("EARLY", created_at=midnight - datetime.timedelta(days=1) - MICROSECOND)
    await add_coin("IN", created_at=midnight - MICROSECOND)
    await add_coin("LATE", created_at=midnight)
    assert tickers(await service.get(f"/data?{query}")) == found


async def test_pages_by_offset_do_not_overlap_and_miss_nothing(
    service: Service, add_coin: AddCoin
) -> None:
    expected = [f"T{number:02}" for number in range(25)]
    for number, ticker in enumerate(expected):
        await add_coin(ticker, market_cap_usd=str(100 - number // 2) if number < 15 else None)
    found: list[str] = []
    for offset in range(0, 30, 5):
        body = await service.get(f"/data?limit=5&offset={offset}")
        found += tickers(body)
        assert body["pagination"] == {
            "limit": 5,
            "offset": offset,
            "returned": 5 if offset < 25 else 0,
            "total": 25,
        }
    assert found == expected


@pytest.mark.parametrize("limit", [1, 4, 5, 25, 200])
async def test_pages_by_cursor_stay_right_while_rows_come_and_go(
    service: Service, add_coin: AddCoin, limit: int
) -> None:
    expected = [f"T{number:02}" for number in range(25)]
    for number, ticker in enumerate(expected):
        await add_coin(ticker, market_cap_usd=str(100 - number // 2) if number < 15 else None)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        body = await service.get(f"/data?limit={limit}&cursor={quote(cursor)}")
        found += tickers(body)
        cursor = body["pagination"]["next_cursor"]
        # It is first, so an offset would show a record twice.
        await add_coin(f"NEW{len(found)}", market_cap_usd="1000")
    assert found == expected


async def test_a_cursor_is_decoded_for_any_market_cap(service: Service, add_coin: AddCoin) -> None:
    expected = {"GREAT": "1e100", "TEN": "1e1", "SMALL": "0.0000001", "TINY": "1e-100"}
    for ticker, market_cap in expected.items():
        await add_coin(ticker, market_cap_usd=market_cap)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        body = await service.get(f"/data?limit=1&cursor={quote(cursor)}")
        found += tickers(body)
        cursor = body["pagination"]["next_cursor"]
    assert found == list(expected)


@pytest.mark.parametrize(
    ("query", "name", "kind"),
    [
        ("limit=0", "limit", "greater_than_equal"),
        ("limit=201", "limit", "less_than_equal"),
        ("limit=ten", "limit", "int_parsing"),
        ("limit=", "limit", "int_parsing"),
        ("limit=1.5", "limit", "int_parsing"),
        (f"limit={'9' * 5000}", "limit", "int_parsing"),
        ("offset=-1", "offset", "greater_than_equal"),
        ("offset=9223372036854775807", "offset", "less_than_equal"),
        ("start_date=yesterday", "start_date", "datetime_from_date_parsing"),
        ("end_date=2026-02", "end_date", "datetime_from_date_parsing"),
        ("end_date=2026112911200", "end_date", "datetime_from_date_parsing"),
        ("end_date=2026-02-30", "end_date", "datetime_from_date_parsing"),
        ("end_date=0001-01-01T00:00:00%2B14:00", "end_date", "datetime_from_date_parsing"),
        ("ticker=%00", "ticker", "value_error"),
        (f"source={'x' * 201}", "source", "string_too_long"),
        ("cursor=nonsense", "cursor", "value_error"),
        ("cursor=WyIxZTk5OTk5OSIsIkEiXQ", "cursor", "value_error"),
        ("cursor=%F0%9F%92%A9", "cursor", "value_error"),
        # ["\u0663", "A"]: a digit, but not an ASCII one.
        ("cursor=WyLZoyIsIkEiXQ", "cursor", "value_error"),
        ("cursor=&offset=1", "offset", "value_error"),
    ],
)
async def test_a_bad_parameter_is_named(service: Service, query: str, name: str, kind: str) -> None:
    body = await service.get(f"/data?{query}", status=422)
    assert body == {
        "detail": [{"loc": ["query", name], "msg": body["detail"][0]["msg"], "type": kind}]
    }
    assert body["detail"][0]["msg"]


async def test_every_bad_parameter_is_named_at_once(service: Service) -> None:
    body = await service.get("/data?limit=0&offset=-1&start_date=x", status=422)
    assert [problem["loc"][1] for problem in body["detail"]] == ["limit", "offset", "start_date"]
    assert body["detail"][0]["msg"] == "Input should be greater than or equal to 1"


async def test_the_largest_offset_is_an_empty_page(service: Service, add_coin: AddCoin) -> None:
    await add_coin("BTC")
    body = await service.get(f"/data?offset={2**63 - 202}&limit=200")
    assert body["data"] == []
    assert body["pagination"]["total"] == 1
