"""CoinGecko's chart of one coin: three lines of [milliseconds since 1970, value], told as prices of the past."""

import datetime
from decimal import Decimal

import msgspec

from ingestor.errors import SourceMalformedError
from ingestor.fetch import Body
from ingestor.normalize import FUTURE, not_negative, positive
from ingestor.records import PastPrice, RecordError

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

_Line = list[tuple[Decimal, Decimal | None]]


class _Chart(msgspec.Struct, gc=False):
    prices: _Line
    market_caps: _Line = []
    total_volumes: _Line = []


_CHART = msgspec.json.Decoder(_Chart)


def decode_chart(body: Body, external_id: str, provider: str) -> list[PastPrice]:
    """Return the chart's points, every digit of them; those without a price, or of the future, are left out.

    Raises SourceMalformedError with the path inside the body.
    """
    try:
        chart = _CHART.decode(body.content or b"")
        caps, volumes = dict(chart.market_caps), dict(chart.total_volumes)
        return [
            PastPrice(
                external_id=external_id,
                at=at,
                price_usd=price,
                market_cap_usd=positive(caps.get(milliseconds), "$.market_caps[...][1]"),
                volume_24h_usd=not_negative(volumes.get(milliseconds), "$.total_volumes[...][1]"),
            )
            for milliseconds, amount in chart.prices
            if (price := positive(amount, "$.prices[...][1]")) is not None
            and (at := _time(milliseconds)) <= body.fetched_at + FUTURE
        ]
    except (msgspec.DecodeError, UnicodeDecodeError, RecordError) as error:
        raise SourceMalformedError(f"{provider} sent no chart of {external_id}: {error}") from None


def _time(milliseconds: Decimal) -> datetime.datetime:
    try:
        return _EPOCH + datetime.timedelta(milliseconds=int(milliseconds))
    except (ValueError, OverflowError):
        raise RecordError(f"{milliseconds} is no time - at `$.prices[...][0]`") from None
