"""What a venue's file declares: its limits, its messages, and the reader of its frames."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from ingestor.sources.errors import SourceMalformedError
from ingestor.streams.records import Tick, VenueMarket

VenueList = TypeVar("VenueList")


class Budget(msgspec.Struct, frozen=True):
    """At most `calls` in any stretch of `per_seconds`."""

    calls: float
    per_seconds: float


class KeepAlive(msgspec.Struct, frozen=True):
    """What is sent every `every_seconds`; without a text, a ping frame of the protocol."""

    every_seconds: float
    text: str | None = None


class VenueLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a venue's connections; times are seconds.

    A connection that carries no frame for `silence_seconds`, or no tick for
    `tick_silence_seconds`, is replaced. `longest_seconds` is the age at which a venue cuts a
    connection, None if it does not. `sends_state` says that a subscription is answered with the
    last tick of each symbol, however old it is.
    """

    connections: Budget
    messages: Budget
    silence_seconds: float
    tick_silence_seconds: float = 120.0
    longest_seconds: float | None = None
    symbols_a_connection: int | None = None
    sends_state: bool = True


class SubscribeMessage(msgspec.Struct, frozen=True):
    """A message that subscribes, and the number of answers that confirm it."""

    text: str
    answers: int


class Missed(msgspec.Struct, frozen=True):
    """Ticks that the venue sent and that did not arrive; `symbol` None is any.

    `since_ns` and `until_ns` are the venue's times around them, where the reader knows them.
    """

    symbol: str | None = None
    is_malformed: bool = False
    since_ns: int | None = None
    until_ns: int | None = None


class Reading(msgspec.Struct, gc=False):
    """What a frame says.

    `answers` confirm or refuse a subscription; `refusals` are the venue's own texts. `ignored`
    counts entries that hold no price, and kinds of message that are not read.
    """

    ticks: list[Tick] = []
    answers: int = 0
    refusals: tuple[str, ...] = ()
    missed: tuple[Missed, ...] = ()
    wants_reconnect: bool = False
    ignored: int = 0


class FrameReader(Protocol):
    """Reads the frames of one connection, in their order."""

    def read(self, raw: bytes, received_ns: int) -> Reading:
        """Return what a frame says. Raises msgspec.DecodeError for one that cannot be read."""
        ...


class Venue(Protocol):
    """One exchange: how its markets are listed, subscribed to, and read."""

    @property
    def name(self) -> str:
        """The name in SOURCES, settings and rows."""
        ...

    @property
    def stream_url(self) -> str:
        """The default URL of the websocket."""
        ...

    @property
    def api_url(self) -> str:
        """The default URL of the REST API that has the list of markets."""
        ...

    @property
    def limits(self) -> VenueLimits:
        """The bounds of its connections."""
        ...

    @property
    def keep_alive(self) -> KeepAlive:
        """What keeps a connection open."""
        ...

    def markets_request(self) -> tuple[str, Mapping[str, str]]:
        """Return path and query of the list of markets."""
        ...

    def read_markets(self, body: bytes) -> list[VenueMarket]:
        """Return the spot markets of the list. Raises SourceMalformedError."""
        ...

    def subscribe(self, symbols: Sequence[str]) -> list[SubscribeMessage]:
        """Return the messages that subscribe to the ticks of these symbols."""
        ...

    def reader(self) -> FrameReader:
        """Return the reader of a new connection."""
        ...


def decode_list(decoder: msgspec.json.Decoder[VenueList], body: bytes, venue: str) -> VenueList:
    """Return a decoded list of markets. Raises SourceMalformedError."""
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise SourceMalformedError(f"{venue} sent no list of markets: {error}") from None


def portions(symbols: Sequence[str], size: int) -> list[Sequence[str]]:
    """Return the symbols in their order, in portions of at most `size`."""
    return [symbols[start : start + size] for start in range(0, len(symbols), size)]
