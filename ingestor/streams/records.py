"""What a stream yields: ticks in their frames, and gaps."""

import datetime
from decimal import Decimal
from typing import Literal

import msgspec

NANOSECONDS = 1_000_000_000

GapReason = Literal["reconnect", "sequence", "silence", "overload", "planned_cut", "malformed"]
"""Why ticks may be missing.

- `reconnect`: the connection was lost, or the venue refused it for a while
- `sequence`: the venue's own numbers have a hole
- `silence`: the connection was open and carried nothing
- `overload`: our own queue was full for too long, and frames were dropped
- `planned_cut`: the connection was to be replaced, and ended before its successor was ready
- `malformed`: a frame, or an entry of it, could not be read
"""


class Tick(msgspec.Struct, frozen=True, gc=False):
    """One observation of a market, every number exactly as the venue wrote it.

    `symbol` is the venue's own. `observed_ns` is the venue's clock, in nanoseconds since 1970;
    where a venue sends no time it is ours. `size` is that of the last trade, in the base currency.
    `sequence` identifies the observation within its symbol, where the venue numbers them.
    """

    symbol: str
    price: Decimal
    observed_ns: int
    size: Decimal | None = None
    volume_24h_base: Decimal | None = None
    volume_24h_quote: Decimal | None = None
    sequence: int | None = None

    @property
    def observed_at(self) -> datetime.datetime:
        """The venue's time, to the microsecond."""
        return to_datetime(self.observed_ns)


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A frame of a venue with its new ticks; `received_ns` is our clock."""

    venue: str
    received_ns: int
    raw: bytes
    ticks: list[Tick]


class Gap(msgspec.Struct, frozen=True):
    """A stretch of the venue's time in which ticks may be missing, both ends included.

    `symbol` is None if any market of the venue may be affected.
    """

    venue: str
    symbol: str | None
    from_ns: int
    to_ns: int
    reason: GapReason

    def covers(self, symbol: str, observed_ns: int) -> bool:
        """Return whether a tick of this symbol and time may be missing because of this gap."""
        return self.symbol in (None, symbol) and self.from_ns <= observed_ns <= self.to_ns


StreamEvent = Frame | Gap


class VenueMarket(msgspec.Struct, frozen=True):
    """A pair on a venue's list; `status` is the venue's own word for its state."""

    venue: str
    symbol: str
    base: str
    quote: str
    status: str
    is_trading: bool


def to_datetime(nanoseconds: int) -> datetime.datetime:
    """Return an instant in UTC, without what is below a microsecond."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.replace(microsecond=rest // 1_000)
