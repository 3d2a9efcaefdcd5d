"""Binance spot: one array of the changed markets a second.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ingestor.streams.numbers import exact_amount, exact_price
from ingestor.streams.records import Tick, VenueMarket
from ingestor.streams.times import MILLISECOND
from ingestor.streams.venue import (
    Budget,
    FrameReader,
    KeepAlive,
    Missed,
    Reading,
    SubscribeMessage,
    VenueLimits,
    decode_list,
)

_DAY = frozenset({"24hrMiniTicker", "24hrTicker", "1dTicker"})
_STATISTICS = _DAY | {"1hTicker", "4hTicker"}
_TRADES = frozenset({"aggTrade", "trade"})
_SUBSCRIBE = '{"method":"SUBSCRIBE","params":["!miniTicker@arr"],"id":1}'


class _Statistics(msgspec.Struct, gc=False):
    event: str = msgspec.field(name="e")
    time: int = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    close: str = msgspec.field(name="c")
    base_volume: str = msgspec.field(name="v")
    quote_volume: str = msgspec.field(name="q")


class _BinanceTrade(msgspec.Struct, gc=False):
    time: int = msgspec.field(name="T")
    symbol: str = msgspec.field(name="s")
    price: str = msgspec.field(name="p")
    quantity: str = msgspec.field(name="q")
    aggregate: int | None = msgspec.field(name="a", default=None)
    number: int | None = msgspec.field(name="t", default=None)


class _Wrapped(msgspec.Struct, gc=False):
    event: str | None = msgspec.field(name="e", default=None)
    data: msgspec.Raw = msgspec.Raw()
    id: int | None = None
    error: msgspec.Raw = msgspec.Raw()
    code: int | None = None


class _ExchangeSymbol(msgspec.Struct):
    symbol: str
    status: str
    base: str = msgspec.field(name="baseAsset")
    quote: str = msgspec.field(name="quoteAsset")
    is_spot: bool = msgspec.field(name="isSpotTradingAllowed", default=True)


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_ExchangeSymbol]


_ARRAY = msgspec.json.Decoder(list[_Statistics])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_ONE = msgspec.json.Decoder(_Statistics)
_TRADE = msgspec.json.Decoder(_BinanceTrade)
_MESSAGE = msgspec.json.Decoder(_Wrapped)
_MARKETS = msgspec.json.Decoder(_ExchangeInfo)


class Binance:
    """Binance's market data host; every market is in one stream."""

    name: Final = "binance"
    stream_url: Final = "wss://data-stream.binance.vision/ws"
    api_url: Final = "https://data-api.binance.vision"
    limits: Final = VenueLimits(
        connections=Budget(300, 300.0),
        messages=Budget(5, 1.0),
        silence_seconds=60.0,
        tick_silence_seconds=30.0,
        longest_seconds=86_400.0,
        sends_state=False,
    )
    keep_alive: Final = KeepAlive(20.0)

    def markets_request(self) -> tuple[str, Mapping[str, str]]:
        """Return path and query of the list of markets."""
        return "api/v3/exchangeInfo", {}

    def read_markets(self, body: bytes) -> list[VenueMarket]:
        """Return the spot markets. Raises SourceMalformedError."""
        return [
            VenueMarket(
                self.name, row.symbol, row.base, row.quote, row.status, row.status == "TRADING"
            )
            for row in decode_list(_MARKETS, body, self.name).symbols
            if row.is_spot
        ]

    def subscribe(self, symbols: Sequence[str]) -> list[SubscribeMessage]:
        """Return the message for all markets, whichever are wanted."""
        return [SubscribeMessage(_SUBSCRIBE, 1)] if symbols else []

    def reader(self) -> FrameReader:
        """Return the reader of a connection; it has no state."""
        return _BinanceReader()


class _BinanceReader:
    def read(self, raw: bytes, received_ns: int) -> Reading:
        if raw[:1] == b"[":
            return _array(raw)
        message = _MESSAGE.decode(raw)
        if data := bytes(message.data):
            return self.read(data, received_ns)
        if bytes(message.error) or message.code is not None:
            return Reading(answers=1, refusals=(raw.decode(errors="replace"),))
        if message.event is None:
            return Reading(answers=1) if message.id is not None else Reading(ignored=1)
        if message.event == "serverShutdown":
            return Reading(wants_reconnect=True)
        return _event(message.event, raw)


def _event(event: str, raw: bytes) -> Reading:
    if event in _TRADES:
        return _found(_trade(_TRADE.decode(raw)))
    if event in _STATISTICS:
        return _found(_statistics(_ONE.decode(raw)))
    return Reading(ignored=1)


def _found(tick: Tick | None) -> Reading:
    return Reading(ignored=1) if tick is None else Reading(ticks=[tick])


def _array(raw: bytes) -> Reading:
    try:
        found = [_statistics(row) for row in _ARRAY.decode(raw)]
        missed: list[Missed] = []
    except msgspec.ValidationError:
        found, missed = _one_by_one(raw)
    ticks = [tick for tick in found if tick is not None]
    return Reading(ticks=ticks, missed=tuple(missed), ignored=len(found) - len(ticks))


def _one_by_one(raw: bytes) -> tuple[list[Tick | None], list[Missed]]:
    """Return the ticks of an array of which an entry cannot be read: it must not cost the rest."""
    found: list[Tick | None] = []
    missed: list[Missed] = []
    for element in _ELEMENTS.decode(raw):
        try:
            is_known = _MESSAGE.decode(element).event in _STATISTICS
            found.append(_statistics(_ONE.decode(element)) if is_known else None)
        except msgspec.DecodeError:
            missed.append(Missed(is_malformed=True))
    return found, missed


def _statistics(row: _Statistics) -> Tick | None:
    price = exact_price(row.close, "$.c")
    if price is None:
        return None
    is_day = row.event in _DAY
    return Tick(
        row.symbol,
        price,
        row.time * MILLISECOND,
        None,
        exact_amount(row.base_volume, "$.v") if is_day else None,
        exact_amount(row.quote_volume, "$.q") if is_day else None,
    )


def _trade(row: _BinanceTrade) -> Tick | None:
    price = exact_price(row.price, "$.p")
    if price is None:
        return None
    return Tick(
        row.symbol,
        price,
        row.time * MILLISECOND,
        exact_amount(row.quantity, "$.q"),
        sequence=row.number if row.aggregate is None else row.aggregate,
    )
