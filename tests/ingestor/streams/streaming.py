"""A simulated exchange on a real port, a client of it, and what the client yields."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import msgspec

from common.backoff import BackoffPolicy
from ingestor.streams.following.client import StreamClient
from ingestor.streams.following.policy import StreamPolicy
from ingestor.streams.records import Frame, Gap, StreamEvent, Tick, VenueMarket
from ingestor.streams.venue import (
    Budget,
    FrameReader,
    KeepAlive,
    SubscribeMessage,
    Venue,
    VenueLimits,
)
from ingestor.streams.venues import VENUES
from kasparro.simulator.venues.app import serving_venues
from kasparro.simulator.venues.exchange import SimulatedExchange
from kasparro.simulator.venues.faults import StreamFault
from kasparro.simulator.venues.prices import TickingMarket, make_pairs
from kasparro.simulator.venues.protocols import PROTOCOLS
from kasparro.simulator.venues.sessions import RecordedSession, SessionFrame

QUICK = StreamPolicy(
    check_seconds=0.02,
    overlap_seconds=0.1,
    subscribe_seconds=2.0,
    close_seconds=0.2,
    backoff=BackoffPolicy(first_seconds=0.001, longest_seconds=0.01),
)
START_NS = 1_790_000_000 * 10**9
STEP_NS = 2 * 10**9
"""Twice the disorder of the policy: a gap covers few ticks more than were lost."""


class QuickVenue:
    """A venue with the limits of a test; everything else is the venue's own."""

    def __init__(self, name: str, **changes: object) -> None:
        self._venue: Venue = VENUES[name]
        self.name = name
        self.stream_url, self.api_url = self._venue.stream_url, self._venue.api_url
        unbounded = Budget(100_000, 1.0)
        limits = {"connections": unbounded, "messages": unbounded, **changes}
        keep_alive = limits.pop("keep_alive", self._venue.keep_alive)
        assert isinstance(keep_alive, KeepAlive)
        self.keep_alive = keep_alive
        self.limits: VenueLimits = msgspec.structs.replace(self._venue.limits, **limits)

    def markets_request(self) -> tuple[str, Mapping[str, str]]:
        return self._venue.markets_request()

    def read_markets(self, body: bytes) -> list[VenueMarket]:
        return self._venue.read_markets(body)

    def subscribe(self, symbols: Sequence[str]) -> list[SubscribeMessage]:
        return self._venue.subscribe(symbols)

    def reader(self) -> FrameReader:
        return self._venue.reader()


def exchange_of(venue: str, coins: int = 6) -> SimulatedExchange:
    return SimulatedExchange(PROTOCOLS[venue], make_pairs(coins))


def symbols_of(exchange: SimulatedExchange) -> list[str]:
    return [exchange.protocol.symbol(pair) for pair in exchange.pairs]


def synthetic_session(exchange: SimulatedExchange, steps: int, seed: int) -> RecordedSession:
    """Return frames of a market that ticks every two seconds."""
    market = TickingMarket(exchange.pairs, seed)
    frames = []
    for step in range(steps):
        market.move()
        at_ns = START_NS + step * STEP_NS
        texts = exchange.protocol.frames(market.ticks(1, at_ns=at_ns))
        frames += [SessionFrame(at_ns / 10**9, text) for text in texts]
    return RecordedSession(exchange.protocol.name, frames)


def ticks_of(venue: str, frames: Sequence[SessionFrame], received_ns: int = 0) -> list[Tick]:
    """Return the ticks of frames, read in their order by one reader."""
    reader = VENUES[venue].reader()
    return [
        tick for frame in frames for tick in reader.read(frame.text.encode(), received_ns).ticks
    ]


class Collected:
    """What a client has yielded so far; `arrived` is set at each event."""

    def __init__(self, client: StreamClient) -> None:
        self.client = client
        self.events: list[StreamEvent] = []
        self.arrived = asyncio.Event()

    @property
    def ticks(self) -> list[Tick]:
        return [tick for event in self.events if isinstance(event, Frame) for tick in event.ticks]

    @property
    def gaps(self) -> list[Gap]:
        return [event for event in self.events if isinstance(event, Gap)]

    async def until(self, met: Callable[["Collected"], object], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not met(self):
                self.arrived.clear()
                await self.arrived.wait()

    async def follow(self) -> None:
        async for event in self.client:
            self.events.append(event)
            self.arrived.set()


@contextlib.asynccontextmanager
async def streaming(
    exchange: SimulatedExchange,
    symbols: Sequence[str] | None = None,
    *,
    policy: StreamPolicy = QUICK,
    venue: Venue | None = None,
    since_ns: int | None = None,
    url: str | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> AsyncIterator[Collected]:
    """Serve the exchange and follow it; yield when the client is live."""
    name = exchange.protocol.name
    async with serving_venues({name: exchange}) as addresses:
        client = StreamClient(
            venue or QuickVenue(name),
            symbols_of(exchange) if symbols is None else symbols,
            url=url or addresses[name].stream_url,
            policy=policy,
            since_ns=since_ns,
            clock=clock,
        )
        collected = Collected(client)
        async with client:
            follower = asyncio.create_task(collected.follow())
            try:
                await live(client)
                yield collected
            finally:
                follower.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await follower
        collected.events += client.rest()


async def live(client: StreamClient, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while client.state.status != "live":
            await asyncio.sleep(0.005)


class SessionClock:
    """The clock of a replay: that of the frame published last."""

    def __init__(self, session: RecordedSession) -> None:
        self.now_ns = int(session.frames[0].at * 10**9)

    def __call__(self) -> int:
        return self.now_ns


async def replay_with_cuts(
    exchange: SimulatedExchange,
    client: StreamClient,
    session: RecordedSession,
    cuts: Mapping[int, StreamFault],
    clock: SessionClock | None = None,
) -> None:
    """Publish a session; before some frames a fault ends every connection.

    A few frames after most cuts it waits for the client, so that the machine's pace does not decide
    how much is lost. After every fifth it goes on at once: the next cut may hit a reconnect.
    """
    wait_at: int | None = None
    connections = 0
    for number, frame in enumerate(session.frames):
        if fault := cuts.get(number):
            exchange.apply(fault)
            connections = exchange.connections
            wait_at = None if number % 5 == 0 else number + 1 + number % 9
        if wait_at is not None and number >= wait_at:
            await _until_reconnected(exchange, client, connections)
            wait_at = None
        if clock is not None:
            clock.now_ns = int(frame.at * 10**9)
        exchange.publish(frame.text)
        await asyncio.sleep(0)
        # Let what was sent arrive now and then, as in life.
        if number % 7 == 0:
            await asyncio.sleep(0.001)
    await live(client)


async def _until_reconnected(
    exchange: SimulatedExchange, client: StreamClient, connections: int
) -> None:
    async with asyncio.timeout(20):
        while not (
            exchange.connections > connections
            and client.state.status == "live"
            and any(one.symbols for one in exchange.clients)
        ):
            await asyncio.sleep(0.001)
