"""Kraken: a ticker at each trade. The reader also reads the older version 1 of the protocol.

https://docs.kraken.com/api/docs/websocket-v2/ticker
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from ingestor.sources.errors import SourceUnavailableError
from ingestor.streams.numbers import exact_amount, exact_price
from ingestor.streams.records import Tick, VenueMarket
from ingestor.streams.times import iso_ns
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

_SYMBOLS_A_MESSAGE = 200
_VERSION_1 = {"XBT": "BTC", "XDG": "DOGE"}
"""The codes of version 1 and of the REST API that version 2 writes otherwise."""


class _KrakenTicker(msgspec.Struct, gc=False):
    symbol: str
    last: Decimal | None = None
    volume: Decimal | None = None
    timestamp: str | None = None


class _KrakenMessage(msgspec.Struct, gc=False):
    channel: str | None = None
    method: str | None = None
    success: bool | None = None
    error: str | None = None
    errorMessage: str | None = None  # noqa: N815 - version 1
    event: str | None = None
    status: str | None = None
    data: msgspec.Raw = msgspec.Raw()


class _KrakenTickerV1(msgspec.Struct, gc=False):
    last: tuple[str, str] = msgspec.field(name="c")
    volume: tuple[str, str] = msgspec.field(name="v")


class _Pair(msgspec.Struct):
    wsname: str | None = None
    status: str = "online"


class _AssetPairs(msgspec.Struct):
    error: list[str]
    result: dict[str, _Pair] = {}


_MESSAGE = msgspec.json.Decoder(_KrakenMessage)
_TICKERS = msgspec.json.Decoder(list[_KrakenTicker])
_VERSION_1_FRAME = msgspec.json.Decoder(list[msgspec.Raw])
_VERSION_1_TICKER = msgspec.json.Decoder(_KrakenTickerV1)
_TEXT = msgspec.json.Decoder(str)
_PAIRS = msgspec.json.Decoder(_AssetPairs)


class Kraken:
    """Kraken's public feed, version 2."""

    name: Final = "kraken"
    stream_url: Final = "wss://ws.kraken.com/v2"
    api_url: Final = "https://api.kraken.com"
    # After maintenance at most one connection in 5 s.
    limits: Final = VenueLimits(
        connections=Budget(1, 5.0), messages=Budget(10, 1.0), silence_seconds=10.0
    )
    keep_alive: Final = KeepAlive(30.0, '{"method":"ping"}')

    def markets_request(self) -> tuple[str, Mapping[str, str]]:
        """Return path and query of the list of markets."""
        return "0/public/AssetPairs", {}

    def read_markets(self, body: bytes) -> list[VenueMarket]:
        """Return the markets with the codes of version 2.

        Raises SourceUnavailableError for an error of Kraken, SourceMalformedError.
        """
        listed = decode_list(_PAIRS, body, self.name)
        if listed.error:
            raise SourceUnavailableError(f"kraken sent no list of markets: {listed.error[0]}")
        markets = []
        for row in listed.result.values():
            if row.wsname is None:  # a dark pool
                continue
            base, _, quote = _version_2(row.wsname).partition("/")
            markets.append(
                VenueMarket(
                    self.name,
                    f"{base}/{quote}",
                    base,
                    quote,
                    row.status,
                    row.status == "online",
                )
            )
        return markets

    def subscribe(self, symbols: Sequence[str]) -> list[SubscribeMessage]:
        """Return messages of at most 200 symbols; each symbol is answered."""
        return [
            SubscribeMessage(_subscribe(number, part), len(part))
            for number, part in enumerate(portions(symbols, _SYMBOLS_A_MESSAGE), 1)
        ]

    def reader(self) -> FrameReader:
        """Return the reader of a connection; it has no state."""
        return _KrakenReader()


def _subscribe(number: int, symbols: Sequence[str]) -> str:
    parameters = {
        "channel": "ticker",
        "symbol": symbols,
        "event_trigger": "trades",
        "snapshot": True,
    }
    message = {"method": "subscribe", "params": parameters, "req_id": number}
    return msgspec.json.encode(message).decode()


class _KrakenReader:
    def read(self, raw: bytes, received_ns: int) -> Reading:
        if raw[:1] == b"[":
            return _read_version_1(raw, received_ns)
        message = _MESSAGE.decode(raw)
        if message.channel == "ticker":
            return _read_tickers(message.data, received_ns)
        if message.method == "subscribe" or message.event == "subscriptionStatus":
            problem = message.error or message.errorMessage
            return Reading(answers=1, refusals=() if problem is None else (problem,))
        return Reading()


def _read_tickers(data: msgspec.Raw, received_ns: int) -> Reading:
    ticks = []
    rows = _TICKERS.decode(data)
    for row in rows:
        price = None if row.last is None else exact_price(row.last, "$.last")
        if price is not None:
            observed_ns = received_ns if row.timestamp is None else iso_ns(row.timestamp)
            volume = exact_amount(row.volume, "$.volume")
            ticks.append(Tick(row.symbol, price, observed_ns, None, volume))
    return Reading(ticks=ticks, ignored=len(rows) - len(ticks))


def _version_2(pair: str) -> str:
    return "/".join(_VERSION_1.get(code, code) for code in pair.split("/"))


def _read_version_1(raw: bytes, received_ns: int) -> Reading:
    """Read `[340, {"c": [price, size], "v": [today, 24 h], …}, "ticker", "XBT/USD"]`.

    A ticker has no time: it is observed when it is received.
    """
    frame: list[Any] = _VERSION_1_FRAME.decode(raw)
    if len(frame) != 4 or bytes(frame[2]) != b'"ticker"':  # noqa: PLR2004 - as above
        return Reading(ignored=1)
    ticker = _VERSION_1_TICKER.decode(frame[1])
    price = exact_price(ticker.last[0], "$[1].c[0]")
    if price is None:
        return Reading(ignored=1)
    size = exact_amount(ticker.last[1], "$[1].c[1]")
    volume = exact_amount(ticker.volume[1], "$[1].v[1]")
    symbol = _version_2(_TEXT.decode(frame[3]))
    return Reading(ticks=[Tick(symbol, price, received_ns, size, volume)])
