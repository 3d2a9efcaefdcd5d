"""Coinbase Exchange: every match with its number, a ticker each 5 s, a heartbeat each second.

https://docs.cdp.coinbase.com/exchange/docs/websocket-channels
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ingestor.streams.numbers import exact_amount, exact_price
from ingestor.streams.records import Tick, VenueMarket
from ingestor.streams.times import iso_ns
from ingestor.streams.venue import (
    Budget,
    FrameReader,
    KeepAlive,
    Missed,
    Reading,
    SubscribeMessage,
    VenueLimits,
    decode_list,
    portions,
)

_PRODUCTS_A_MESSAGE = 100
_MATCHES = frozenset({"match", "last_match"})


class _CoinbaseMessage(msgspec.Struct, gc=False):
    type: str
    product_id: str = ""
    price: str = ""
    time: str = ""
    trade_id: int | None = None
    last_trade_id: int | None = None
    last_size: str | None = None
    size: str | None = None
    volume_24h: str | None = None
    message: str = ""
    reason: str = ""


class _Product(msgspec.Struct):
    id: str
    base_currency: str
    quote_currency: str
    status: str
    trading_disabled: bool = False


_MESSAGE = msgspec.json.Decoder(_CoinbaseMessage)
_PRODUCTS = msgspec.json.Decoder(list[_Product])


class Coinbase:
    """Coinbase's public feed; the numbers of trades show whether one was lost."""

    name: Final = "coinbase"
    stream_url: Final = "wss://ws-feed.exchange.coinbase.com"
    api_url: Final = "https://api.exchange.coinbase.com"
    limits: Final = VenueLimits(
        connections=Budget(8, 1.0), messages=Budget(8, 1.0), silence_seconds=10.0
    )
    keep_alive: Final = KeepAlive(20.0)

    def markets_request(self) -> tuple[str, Mapping[str, str]]:
        """Return path and query of the list of markets."""
        return "products", {}

    def read_markets(self, body: bytes) -> list[VenueMarket]:
        """Return the markets. Raises SourceMalformedError."""
        return [
            VenueMarket(
                self.name,
                row.id,
                row.base_currency,
                row.quote_currency,
                row.status,
                row.status == "online" and not row.trading_disabled,
            )
            for row in decode_list(_PRODUCTS, body, self.name)
        ]

    def subscribe(self, symbols: Sequence[str]) -> list[SubscribeMessage]:
        """Return messages of at most 100 products: one that is unknown refuses its message."""
        return [
            SubscribeMessage(
                msgspec.json.encode(
                    {
                        "type": "subscribe",
                        "product_ids": products,
                        "channels": ["matches", "ticker_batch", "heartbeat"],
                    }
                ).decode(),
                1,
            )
            for products in portions(symbols, _PRODUCTS_A_MESSAGE)
        ]

    def reader(self) -> FrameReader:
        """Return the reader of a connection."""
        return _CoinbaseReader()


class _CoinbaseReader:
    """Checks that the trades of each product are numbered without a hole."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}
        """The number and time of each product's last trade."""
        self._due: dict[str, int] = {}
        """The last trade that the heartbeat before named."""

    def read(self, raw: bytes, received_ns: int) -> Reading:  # noqa: ARG002 - its frames have times
        message = _MESSAGE.decode(raw)
        if message.type in _MATCHES:
            return self._match(message)
        if message.type == "ticker":
            return _ticker(message)
        if message.type == "heartbeat":
            return self._heartbeat(message)
        if message.type == "subscriptions":
            return Reading(answers=1)
        if message.type == "error":
            return Reading(answers=1, refusals=(f"{message.message}: {message.reason}",))
        return Reading(ignored=1)

    def _match(self, message: _CoinbaseMessage) -> Reading:
        price = exact_price(message.price, "$.price")
        if price is None:
            return Reading(ignored=1)
        product, number = message.product_id, message.trade_id
        size = exact_amount(message.size, "$.size")
        tick = Tick(product, price, iso_ns(message.time), size, sequence=number)
        return Reading(ticks=[tick], missed=self._before(product, number, tick.observed_ns))

    def _before(self, product: str, number: int | None, observed_ns: int) -> tuple[Missed, ...]:
        """Return what is missing before a trade of this number."""
        if number is None:
            return ()
        last = self._last.get(product)
        if last is not None and number <= last[0]:
            return ()
        self._last[product] = (number, observed_ns)
        if last is None or number == last[0] + 1:
            return ()
        return (Missed(product, since_ns=last[1], until_ns=observed_ns),)

    def _heartbeat(self, message: _CoinbaseMessage) -> Reading:
        """Report a trade that the heartbeat before named and that has not arrived since.

        A trade may follow its number by a moment, and a heartbeat come between.
        """
        product = message.product_id
        due, last = self._due.get(product), self._last.get(product)
        if message.last_trade_id is not None:
            self._due[product] = message.last_trade_id
        if due is None or last is None or last[0] >= due:
            return Reading()
        self._last[product] = (due, last[1])
        missed = Missed(product, since_ns=last[1], until_ns=iso_ns(message.time))
        return Reading(missed=(missed,))


def _ticker(message: _CoinbaseMessage) -> Reading:
    price = exact_price(message.price, "$.price")
    if price is None or not message.time:  # a product without a trade
        return Reading(ignored=1)
    tick = Tick(
        message.product_id,
        price,
        iso_ns(message.time),
        exact_amount(message.last_size, "$.last_size"),
        exact_amount(message.volume_24h, "$.volume_24h"),
    )
    return Reading(ticks=[tick])
