"""Bybit spot: a ticker of each market as a snapshot, at most each 50 ms.

https://bybit-exchange.github.io/docs/v5/websocket/public/ticker
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ingestor.sources.errors import SourceUnavailableError
from ingestor.streams.numbers import exact_amount, exact_price
from ingestor.streams.records import Tick, VenueMarket
from ingestor.streams.times import MILLISECOND
from ingestor.streams.venue import (
    Budget,
    FrameReader,
    KeepAlive,
    Reading,
    SubscribeMessage,
    VenueLimits,
    decode_list,
    portions,
)

_ARGUMENTS_A_MESSAGE = 10


class _BybitMessage(msgspec.Struct, gc=False):
    topic: str = ""
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    data: msgspec.Raw = msgspec.Raw()


class _BybitTicker(msgspec.Struct, gc=False):
    symbol: str
    last: str = msgspec.field(name="lastPrice", default="")
    base_volume: str | None = msgspec.field(name="volume24h", default=None)
    quote_volume: str | None = msgspec.field(name="turnover24h", default=None)


class _BybitTickerMessage(msgspec.Struct, gc=False):
    time: int = msgspec.field(name="ts")
    data: _BybitTicker


class _BybitTrade(msgspec.Struct, gc=False):
    time: int = msgspec.field(name="T")
    symbol: str = msgspec.field(name="s")
    price: str = msgspec.field(name="p")
    size: str = msgspec.field(name="v")


class _SpotSymbol(msgspec.Struct):
    symbol: str
    status: str
    base: str = msgspec.field(name="baseCoin")
    quote: str = msgspec.field(name="quoteCoin")


class _SpotSymbols(msgspec.Struct):
    rows: list[_SpotSymbol] = msgspec.field(name="list", default_factory=list)


class _InstrumentsInfo(msgspec.Struct):
    code: int = msgspec.field(name="retCode")
    message: str = msgspec.field(name="retMsg", default="")
    result: _SpotSymbols = msgspec.field(default_factory=_SpotSymbols)


_MESSAGE = msgspec.json.Decoder(_BybitMessage)
_TICKER = msgspec.json.Decoder(_BybitTickerMessage)
_TOPIC = b'"topic":"tickers.'
_TOPIC_BYTES = 64
"""The topic stands in the first bytes: then the frame is decoded in one pass."""
_TRADES = msgspec.json.Decoder(list[_BybitTrade])
_MARKETS = msgspec.json.Decoder(_InstrumentsInfo)


class Bybit:
    """Bybit's public feed of spot tickers."""

    name: Final = "bybit"
    stream_url: Final = "wss://stream.bybit.com/v5/public/spot"
    api_url: Final = "https://api.bybit.com"
    # The arguments of a connection may have 21,000 characters.
    limits: Final = VenueLimits(
        connections=Budget(5, 1.0),
        messages=Budget(10, 1.0),
        silence_seconds=30.0,
        symbols_a_connection=500,
    )
    keep_alive: Final = KeepAlive(20.0, '{"op":"ping"}')

    def markets_request(self) -> tuple[str, Mapping[str, str]]:
        """Return path and query of the list of markets, which has one page for spot."""
        return "v5/market/instruments-info", {"category": "spot"}

    def read_markets(self, body: bytes) -> list[VenueMarket]:
        """Return the spot markets.

        Raises SourceUnavailableError for an error of Bybit, SourceMalformedError.
        """
        listed = decode_list(_MARKETS, body, self.name)
        if listed.code != 0:
            raise SourceUnavailableError(
                f"bybit sent no list of markets: {listed.code} {listed.message}"
            )
        return [
            VenueMarket(
                self.name, row.symbol, row.base, row.quote, row.status, row.status == "Trading"
            )
            for row in listed.result.rows
        ]

    def subscribe(self, symbols: Sequence[str]) -> list[SubscribeMessage]:
        """Return messages of at most 10 markets; each message is answered once."""
        return [
            SubscribeMessage(
                msgspec.json.encode(
                    {"op": "subscribe", "args": [f"tickers.{symbol}" for symbol in part]}
                ).decode(),
                1,
            )
            for part in portions(symbols, _ARGUMENTS_A_MESSAGE)
        ]

    def reader(self) -> FrameReader:
        """Return the reader of a connection; it has no state."""
        return _BybitReader()


class _BybitReader:
    def read(self, raw: bytes, received_ns: int) -> Reading:  # noqa: ARG002 - its frames have times
        if _TOPIC in raw[:_TOPIC_BYTES]:
            return _read_ticker(raw)
        message = _MESSAGE.decode(raw)
        if message.op == "subscribe":
            refusals = () if message.success else (message.ret_msg,)
            return Reading(answers=1, refusals=refusals)
        if message.topic.startswith("tickers."):
            return _read_ticker(raw)
        if message.topic.startswith("publicTrade."):
            return _read_trades(message.data)
        return Reading(ignored=0 if message.op else 1)


def _read_ticker(raw: bytes) -> Reading:
    message = _TICKER.decode(raw)
    row = message.data
    price = exact_price(row.last, "$.data.lastPrice")
    if price is None:
        return Reading(ignored=1)
    tick = Tick(
        row.symbol,
        price,
        message.time * MILLISECOND,
        None,
        exact_amount(row.base_volume, "$.data.volume24h"),
        exact_amount(row.quote_volume, "$.data.turnover24h"),
    )
    return Reading(ticks=[tick])


def _read_trades(data: msgspec.Raw) -> Reading:
    ticks = []
    rows = _TRADES.decode(data)
    for row in rows:
        price = exact_price(row.price, "$.data.p")
        if price is not None:
            size = exact_amount(row.size, "$.data.v")
            ticks.append(Tick(row.symbol, price, row.time * MILLISECOND, size))
    return Reading(ticks=ticks, ignored=len(rows) - len(ticks))
