"""CoinGecko's chart of one coin: three lines of [milliseconds since 1970, value]."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from ingestor.http.fetch import ResponseBody
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.nonfinite import null_literals
from ingestor.sources.normalize import FUTURE, not_negative, positive
from ingestor.sources.records import PastPrice, RecordError

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class _Chart(msgspec.Struct, gc=False):
    """`prices` as they must be; the other lines cost no point, so they may be anything."""

    prices: list[tuple[Decimal, Decimal | None]]
    market_caps: msgspec.Raw = msgspec.Raw(b"[]")
    total_volumes: msgspec.Raw = msgspec.Raw(b"[]")


_CHART = msgspec.json.Decoder(_Chart)
_LINE = msgspec.json.Decoder(list[tuple[Decimal, Decimal | None]])
_ANY_LINE = msgspec.json.Decoder(float_hook=Decimal)


def decode_chart(body: ResponseBody, external_id: str, provider: str) -> list[PastPrice]:
    """Return the chart's points with every digit, without those that lack a price or lie ahead.

    A market cap or a volume that cannot be read is missing. Raises SourceMalformedError with the
    path inside the body.
    """
    try:
        chart = _CHART.decode(null_literals(body.content or b""))
        caps, volumes = _side(chart.market_caps, positive), _side(chart.total_volumes, not_negative)
        return [
            PastPrice(
                external_id=external_id,
                at=at,
                price_usd=price,
                market_cap_usd=caps.get(milliseconds),
                volume_24h_usd=volumes.get(milliseconds),
            )
            for milliseconds, amount in chart.prices
            if (price := positive(amount, "$.prices[...][1]")) is not None
            and (at := _time(milliseconds)) <= body.fetched_at + FUTURE
        ]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, RecordError) as error:
        raise SourceMalformedError(f"{provider} sent no chart of {external_id}: {error}") from None


def _side(
    line: bytes, bounded: Callable[[Decimal | None, str], Decimal | None]
) -> dict[Decimal, Decimal | None]:
    """Return the values of a line by their milliseconds; those that cannot be read are None."""
    try:
        points = _LINE.decode(line)
    except msgspec.ValidationError:
        points = [
            point for each in _list(_ANY_LINE.decode(line)) if (point := _point(each)) is not None
        ]
    values: dict[Decimal, Decimal | None] = {}
    for milliseconds, amount in points:
        try:
            values[milliseconds] = bounded(amount, "$")
        except RecordError:
            values[milliseconds] = None
    return values


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - JSON is anything
    return value if isinstance(value, list) else []


def _point(value: Any) -> tuple[Decimal, Decimal | None] | None:  # noqa: ANN401 - JSON is anything
    try:
        return msgspec.convert(value, tuple[Decimal, Decimal | None])
    except msgspec.ValidationError:
        return None


def _time(milliseconds: Decimal) -> datetime.datetime:
    try:
        return _EPOCH + datetime.timedelta(milliseconds=int(milliseconds))
    except (ValueError, OverflowError):
        raise RecordError(f"{milliseconds} is not a time - at `$.prices[...][0]`") from None
