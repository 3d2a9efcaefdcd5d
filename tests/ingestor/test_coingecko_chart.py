"""CoinGecko's chart of a coin, read point by point."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from db.history import PastPrice
from ingestor.errors import SourceMalformedError
from ingestor.fetch import Body, Validators
from ingestor.sources.coingecko_chart import decode_chart


def body(text: str) -> Body:
    return Body(text.encode(), datetime(2026, 11, 23, tzinfo=UTC), Validators())


def test_a_chart_keeps_every_digit_and_leaves_out_what_is_no_price_yet() -> None:
    found = decode_chart(
        body(
            '{"prices": [[1779027899041, 77953.825503824071234567], [1779028199661, null], [1779028299661, 0], '
            '[1893456000000, 5], [1779028399661, 3.84e-18]], "market_caps": [[1779027899041, 0], [1779028399661, 9]], '
            '"total_volumes": [[1779027899041, 18688431751.857048]]}'
        ),
        "bitcoin",
        "CoinGecko",
    )
    first = datetime(2026, 5, 17, 14, 24, 59, 41_000, tzinfo=UTC)
    last = datetime(2026, 5, 17, 14, 33, 19, 661_000, tzinfo=UTC)
    assert found == [
        PastPrice("bitcoin", first, Decimal("77953.825503824071234567"), None, Decimal("18688431751.857048")),
        PastPrice("bitcoin", last, Decimal("3.84e-18"), Decimal(9), None),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"error": "coin not found"}', "missing required field `prices`"),
        ('{"prices": [[1, "x"]]}', "`$.prices[0][1]`"),
        ('{"prices": [[1, 1e400]]}', "`$.prices[...][1]`"),
        ('{"prices": [[1e40, 1]]}', "1E+40 is no time - at `$.prices[...][0]`"),
    ],
)
def test_what_is_no_chart_is_refused_with_its_path(text: str, reason: str) -> None:
    with pytest.raises(SourceMalformedError, match="CoinGecko sent no chart of bitcoin: ") as caught:
        decode_chart(body(text), "bitcoin", "CoinGecko")
    assert reason in str(caught.value)
