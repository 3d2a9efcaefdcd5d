"""What a simulated exchange needs from a venue's protocol."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from msgspec import Struct

EVERY: frozenset[str] = frozenset({"*"})
"""Subscribed to all markets."""


class SimulatedPair(Struct, frozen=True):
    """A market of an exchange."""

    base: str
    quote: str
    is_trading: bool = True


class SimulatedTick(Struct, frozen=True):
    """A trade with the volumes of its day; numbers are texts, as venues write them.

    `number` counts the trades of its market, `at_ns` is nanoseconds since 1970.
    """

    pair: SimulatedPair
    price: str
    size: str
    volume_base: str
    volume_quote: str
    number: int
    at_ns: int


class ClientRequest(Struct, frozen=True):
    """What a client's message gets: answers, and the symbols that it subscribes to."""

    answers: list[str] = []
    symbols: frozenset[str] = frozenset()


class VenueProtocol(Protocol):
    """One venue's messages."""

    @property
    def name(self) -> str:
        """The venue."""
        ...

    @property
    def markets_path(self) -> str:
        """The path of the list of markets."""
        ...

    @property
    def sends_state(self) -> bool:
        """Whether a subscription is answered with the last tick of each symbol."""
        ...

    @property
    def shutdown(self) -> str | None:
        """The message before the venue's end, None if it sends none."""
        ...

    def symbol(self, pair: SimulatedPair) -> str:
        """Return the venue's name of a pair."""
        ...

    def request(self, text: str) -> ClientRequest:
        """Return what a client's message gets. Raises ValueError for one that is not understood."""
        ...

    def symbols_of(self, text: str) -> frozenset[str]:
        """Return the symbols of a frame with data, none for another message."""
        ...

    def frames(self, ticks: Sequence[SimulatedTick]) -> list[str]:
        """Return the frames of ticks that happen together."""
        ...

    def heartbeats(self, last: dict[str, SimulatedTick], now_ns: int) -> list[tuple[str, str]]:
        """Return what is sent each second, as symbols and texts; the symbol "*" is everyone's."""
        ...

    def markets(self, pairs: Sequence[SimulatedPair]) -> bytes:
        """Return the list of markets."""
        ...


def compact(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def read_object(text: str) -> dict[str, Any]:
    """Return a JSON object. Raises ValueError for anything else."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one error for what is not understood
    return value


def iso_time(at_ns: int, digits: int = 6) -> str:
    """Return `2026-11-30T12:00:00.123456Z`."""
    seconds, rest = divmod(at_ns, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}"[: 20 + digits] + "Z"
