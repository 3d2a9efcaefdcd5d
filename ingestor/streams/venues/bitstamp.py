"""Bitstamp: every trade of each market. It sends no volume of 24 hours.

https://www.bitstamp.net/websocket/v2/
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ingestor.streams.numbers import exact_amount, exact_price
from ingestor.streams.records import Tick, VenueMarket
from ingestor.streams.times import MICROSECOND, count_ns
from ingestor.streams.venue import (
    Budget,
    FrameReader,
    KeepAlive,
    Reading,
    SubscribeMessage,
    VenueLimits,
    decode_list,
)

_CHANNEL = "live_trades_"


class _BitstampTrade(msgspec.Struct, gc=False):
    id: int
    price: str = msgspec.field(name="price_str")
    amount: str = msgspec.field(name="amount_str")
    time: str = msgspec.field(name="microtimestamp")


class _BitstampMessage(msgspec.Struct, gc=False):
    event: str
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class _TradingPair(msgspec.Struct):
    name: str
    url_symbol: str
    trading: str


_MESSAGE = msgspec.json.Decoder(_BitstampMessage)
_TRADE = msgspec.json.Decoder(_BitstampTrade)
_PAIRS = msgspec.json.Decoder(list[_TradingPair])


class Bitstamp:
    """Bitstamp's public feed of trades."""

    name: Final = "bitstamp"
    stream_url: Final = "wss://ws.bitstamp.net"
    api_url: Final = "https://www.bitstamp.net"
    # Trades of a day's quietest minute may be few.
    limits: Final = VenueLimits(
        connections=Budget(1, 1.0),
        messages=Budget(20, 1.0),
        silence_seconds=45.0,
        tick_silence_seconds=300.0,
        longest_seconds=90 * 86_400.0,
        sends_state=False,
    )
    keep_alive: Final = KeepAlive(20.0, '{"event":"bts:heartbeat"}')

    def markets_request(self) -> tuple[str, Mapping[str, str]]:
        """Return path and query of the list of markets."""
        return "api/v2/trading-pairs-info/", {}

    def read_markets(self, body: bytes) -> list[VenueMarket]:
        """Return the markets. Raises SourceMalformedError."""
        markets = []
        for row in decode_list(_PAIRS, body, self.name):
            base, _, quote = row.name.partition("/")
            markets.append(
                VenueMarket(
                    self.name, row.url_symbol, base, quote, row.trading, row.trading == "Enabled"
                )
            )
        return markets

    def subscribe(self, symbols: Sequence[str]) -> list[SubscribeMessage]:
        """Return one message a market."""
        return [
            SubscribeMessage(
                msgspec.json.encode(
                    {"event": "bts:subscribe", "data": {"channel": f"{_CHANNEL}{symbol}"}}
                ).decode(),
                1,
            )
            for symbol in symbols
        ]

    def reader(self) -> FrameReader:
        """Return the reader of a connection; it has no state."""
        return _BitstampReader()


class _BitstampReader:
    def read(self, raw: bytes, received_ns: int) -> Reading:  # noqa: ARG002 - its frames have times
        message = _MESSAGE.decode(raw)
        if message.event == "trade" and message.channel.startswith(_CHANNEL):
            return _read_trade(message)
        if message.event == "bts:subscription_succeeded":
            return Reading(answers=1)
        if message.event == "bts:error":
            return Reading(answers=1, refusals=(bytes(message.data).decode(errors="replace"),))
        if message.event == "bts:request_reconnect":
            return Reading(wants_reconnect=True)
        return Reading(ignored=0 if message.event == "bts:heartbeat" else 1)


def _read_trade(message: _BitstampMessage) -> Reading:
    trade = _TRADE.decode(message.data)
    price = exact_price(trade.price, "$.data.price_str")
    if price is None:
        return Reading(ignored=1)
    tick = Tick(
        message.channel.removeprefix(_CHANNEL),
        price,
        count_ns(trade.time, MICROSECOND),
        exact_amount(trade.amount, "$.data.amount_str"),
        sequence=trade.id,
    )
    return Reading(ticks=[tick])
