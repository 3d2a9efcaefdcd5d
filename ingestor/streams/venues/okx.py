"""OKX: a ticker of each market, at most each 100 ms.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-tickers-channel
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ingestor.sources.errors import SourceUnavailableError
from ingestor.streams.numbers import exact_amount, exact_price
from ingestor.streams.records import Tick, VenueMarket
from ingestor.streams.times import MILLISECOND, count_ns
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

_ARGUMENTS_A_MESSAGE = 200
"""About 10 KB of the 64 KB that a message may have."""
_CLOSES_SOON = "64008"
"""The notice that the service is upgraded and the connection will be closed."""


class _OkxArgument(msgspec.Struct, gc=False):
    channel: str = ""
    symbol: str = msgspec.field(name="instId", default="")


class _OkxRow(msgspec.Struct, gc=False):
    symbol: str = msgspec.field(name="instId")
    time: str = msgspec.field(name="ts")
    last: str = ""
    last_size: str | None = msgspec.field(name="lastSz", default=None)
    base_volume: str | None = msgspec.field(name="vol24h", default=None)
    quote_volume: str | None = msgspec.field(name="volCcy24h", default=None)
    trade_price: str = msgspec.field(name="px", default="")
    trade_size: str | None = msgspec.field(name="sz", default=None)
    trade_id: str | None = msgspec.field(name="tradeId", default=None)


class _OkxMessage(msgspec.Struct, gc=False):
    arg: _OkxArgument | None = None
    event: str | None = None
    code: str = ""
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw()


class _OkxTickers(msgspec.Struct, gc=False):
    data: list[_OkxRow]


class _Instrument(msgspec.Struct):
    symbol: str = msgspec.field(name="instId")
    base: str = msgspec.field(name="baseCcy")
    quote: str = msgspec.field(name="quoteCcy")
    state: str


class _Instruments(msgspec.Struct):
    code: str
    msg: str = ""
    data: list[_Instrument] = []


_MESSAGE = msgspec.json.Decoder(_OkxMessage)
_TICKERS = msgspec.json.Decoder(_OkxTickers)
_CHANNEL = b'{"arg":{"channel":"tickers",'
_DATA = b',"data":['
"""A frame that begins so, and has data, is decoded in one pass."""
_ROWS = msgspec.json.Decoder(list[_OkxRow])
_INSTRUMENTS = msgspec.json.Decoder(_Instruments)


class Okx:
    """OKX's public feed of spot tickers."""

    name: Final = "okx"
    stream_url: Final = "wss://ws.okx.com:8443/ws/v5/public"
    api_url: Final = "https://www.okx.com"
    # 480 requests an hour; a connection needs a few.
    limits: Final = VenueLimits(
        connections=Budget(3, 1.0), messages=Budget(3, 1.0), silence_seconds=30.0
    )
    keep_alive: Final = KeepAlive(20.0, "ping")

    def markets_request(self) -> tuple[str, Mapping[str, str]]:
        """Return path and query of the list of markets."""
        return "api/v5/public/instruments", {"instType": "SPOT"}

    def read_markets(self, body: bytes) -> list[VenueMarket]:
        """Return the spot markets.

        Raises SourceUnavailableError for an error of OKX, SourceMalformedError.
        """
        listed = decode_list(_INSTRUMENTS, body, self.name)
        if listed.code != "0":
            raise SourceUnavailableError(f"okx sent no list of markets: {listed.code} {listed.msg}")
        return [
            VenueMarket(self.name, row.symbol, row.base, row.quote, row.state, row.state == "live")
            for row in listed.data
        ]

    def subscribe(self, symbols: Sequence[str]) -> list[SubscribeMessage]:
        """Return messages of at most 200 markets; each market is answered."""
        return [
            SubscribeMessage(
                msgspec.json.encode(
                    {
                        "op": "subscribe",
                        "args": [{"channel": "tickers", "instId": symbol} for symbol in part],
                    }
                ).decode(),
                len(part),
            )
            for part in portions(symbols, _ARGUMENTS_A_MESSAGE)
        ]

    def reader(self) -> FrameReader:
        """Return the reader of a connection; it has no state."""
        return _OkxReader()


class _OkxReader:
    def read(self, raw: bytes, received_ns: int) -> Reading:  # noqa: ARG002 - its frames have times
        if raw == b"pong":
            return Reading()
        if raw.startswith(_CHANNEL) and _DATA in raw:
            return _read_rows(_TICKERS.decode(raw).data)
        message = _MESSAGE.decode(raw)
        if message.event is not None:
            return _event(message)
        if message.arg is None or not bytes(message.data):
            return Reading(ignored=1)
        if message.arg.channel not in {"tickers", "trades"}:
            return Reading(ignored=1)
        return _read_rows(_ROWS.decode(message.data))


def _read_rows(rows: list[_OkxRow]) -> Reading:
    ticks = [tick for tick in map(_tick, rows) if tick is not None]
    return Reading(ticks=ticks, ignored=len(rows) - len(ticks))


def _event(message: _OkxMessage) -> Reading:
    if message.event == "subscribe":
        return Reading(answers=1)
    if message.event == "error":
        return Reading(answers=1, refusals=(f"{message.code} {message.msg}",))
    return Reading(wants_reconnect=message.event == "notice" and message.code == _CLOSES_SOON)


def _tick(row: _OkxRow) -> Tick | None:
    price = exact_price(row.last or row.trade_price, "$.data.last")
    if price is None:
        return None
    return Tick(
        row.symbol,
        price,
        count_ns(row.time, MILLISECOND),
        exact_amount(row.last_size or row.trade_size, "$.data.lastSz"),
        exact_amount(row.base_volume, "$.data.vol24h"),
        exact_amount(row.quote_volume, "$.data.volCcy24h"),
        None if row.trade_id is None else count_ns(row.trade_id, 1),
    )
