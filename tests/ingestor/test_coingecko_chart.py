"""CoinGecko's chart of a coin, read point by point."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from db.write.backfill import PastPrice
from ingestor.http.fetch import ResponseBody, Validators
from ingestor.sources.coingecko.chart import decode_chart
from ingestor.sources.errors import SourceMalformedError


def body(text: str) -> ResponseBody:
    return ResponseBody(text.encode(), datetime(2026, 11, 23, tzinfo=UTC), Validators())


def test_a_chart_keeps_every_digit_and_leaves_out_what_is_no_price_yet() -> None:
    found = decode_chart(
        body(
            '{"prices": [[1779027899041, 77953.825503824071234567], [1779028199661, null], '
            "[1779028299661, 0], "
            '[1893456000000, 5], [1779028399661, 3.84e-18]], "market_caps": '
            "[[1779027899041, 0], [1779028399661, 9]], "
            '"total_volumes": [[1779027899041, 18688431751.857048]]}'
        ),
        "bitcoin",
        "CoinGecko",
    )
    first = datetime(2026, 5, 17, 14, 24, 59, 41_000, tzinfo=UTC)
    last = datetime(2026, 5, 17, 14, 33, 19, 661_000, tzinfo=UTC)
    assert found == [
        PastPrice(
            "bitcoin",
            first,
            Decimal("77953.825503824071234567"),
            None,
            Decimal("18688431751.857048"),
        ),
        PastPrice("bitcoin", last, Decimal("3.84e-18"), Decimal(9), None),
    ]


@pytest.mark.parametrize(
    "side", ["N/A", "\u221e", True, {}, 1e300, float("nan"), float("inf")], ids=repr
)
def test_a_market_cap_or_volume_that_cannot_be_read_costs_no_point(side: object) -> None:
    times = (1779027899041, 1779028199661)
    chart = {
        "prices": [[times[0], 1.5], [times[1], 2.5]],
        "market_caps": [[times[0], side], [times[1], 7]],
        "total_volumes": [[times[1], side], ["?", 1], None],
    }
    found = decode_chart(body(json.dumps(chart)), "bitcoin", "CoinGecko")
    assert [(point.price_usd, point.market_cap_usd, point.volume_24h_usd) for point in found] == [
        (Decimal("1.5"), None, None),
        (Decimal("2.5"), Decimal(7), None),
    ]


def test_a_price_that_is_a_literal_for_no_number_is_no_point() -> None:
    found = decode_chart(
        body('{"prices": [[1779027899041, NaN], [1779028199661, 2]]}'), "bitcoin", "CoinGecko"
    )
    assert [point.price_usd for point in found] == [Decimal(2)]


@pytest.mark.parametrize("line", [None, {}, "none", 5, [[1]], [5]], ids=repr)
def test_a_line_that_is_none_is_missing(line: object) -> None:
    chart = {"prices": [[1779027899041, 1.5]], "market_caps": line}
    [point] = decode_chart(body(json.dumps(chart)), "bitcoin", "CoinGecko")
    assert (point.price_usd, point.market_cap_usd) == (Decimal("1.5"), None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"error": "coin not found"}', "missing required field `prices`"),
        ('{"prices": [[1, "NaN"]]}', "`$.prices[...][1]`"),
        ('{"prices": [[1, "x"]]}', "`$.prices[0][1]`"),
        ('{"prices": [[1, 1e400]]}', "`$.prices[...][1]`"),
        ('{"prices": [[1e40, 1]]}', "1E+40 is not a time - at `$.prices[...][0]`"),
    ],
)
def test_what_is_no_chart_is_refused_with_its_path(text: str, reason: str) -> None:
    with pytest.raises(
        SourceMalformedError, match="CoinGecko sent no chart of bitcoin: "
    ) as caught:
        decode_chart(body(text), "bitcoin", "CoinGecko")
    assert reason in str(caught.value)
