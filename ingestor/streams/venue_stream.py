"""One venue from its list of markets to the recorder: it lists, streams, and lists again."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Self

import msgspec
import structlog

from common.backoff import Backoff, BackoffPolicy
from ingestor.http.egress import Egress
from ingestor.http.fetch import Fetch
from ingestor.sources.errors import SourceError
from ingestor.streams.following.client import StreamClient
from ingestor.streams.following.policy import StreamPolicy
from ingestor.streams.following.state import StreamState
from ingestor.streams.markets import fetch_markets
from ingestor.streams.recorder import MarketRecorder
from ingestor.streams.records import VenueMarket
from ingestor.streams.venue import Venue

_log = structlog.stdlib.get_logger(__name__)


class VenuePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a venue is followed; times are seconds.

    The list of markets is read again each `list_seconds`. `since_ns` is the venue's time up to
    which an earlier run has written: what lies between is a gap.
    """

    url: str | None = None
    egress: Egress = Egress()
    policy: StreamPolicy = StreamPolicy()
    list_seconds: float = 3600.0
    list_backoff: BackoffPolicy = BackoffPolicy(first_seconds=5.0, longest_seconds=300.0)
    since_ns: int | None = None


class StreamTotals(msgspec.Struct, frozen=True):
    """Messages, reconnects and gaps of a stream since its start."""

    messages: int = 0
    reconnects: int = 0
    gaps: int = 0

    def plus(self, other: Self) -> "StreamTotals":
        """Return the sum of both."""
        return StreamTotals(
            self.messages + other.messages,
            self.reconnects + other.reconnects,
            self.gaps + other.gaps,
        )


def _totals(client: StreamClient) -> StreamTotals:
    return StreamTotals(client.state.messages, client.state.reconnects, client.gaps)


class VenueStream:
    """Follows every market of a venue that trades, until it is cancelled."""

    def __init__(
        self,
        venue: Venue,
        fetch: Fetch,
        recorder: MarketRecorder,
        plan: VenuePlan,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.list_problem: str | None = None
        """Why the list could not be read at the last attempt, None if it could."""
        self._venue, self._fetch, self._recorder = venue, fetch, recorder
        self._plan, self._clock = plan, clock
        self._follower: _Follower | None = None
        self._before = StreamTotals()

    @property
    def state(self) -> StreamState:
        """The state of the stream; `down` until the list has been read."""
        if self._follower is None:
            return StreamState(venue=self._venue.name, problem=self.list_problem)
        return self._follower.client.state

    @property
    def totals(self) -> StreamTotals:
        """What was counted since the start, over every change of the symbols."""
        now = StreamTotals() if self._follower is None else _totals(self._follower.client)
        return self._before.plus(now)

    async def run(self) -> None:
        """List and follow until cancelled."""
        follower = self._follow(await self._list(), self._plan.since_ns)
        self._follower = follower
        try:
            while True:
                await follower.wait(self._plan.list_seconds)
                symbols = await self._list()
                if set(symbols) != set(follower.symbols):
                    follower = self._follower = await self._replace(follower, symbols)
        finally:
            await follower.stop()

    def _follow(self, symbols: Sequence[str], since_ns: int | None = None) -> "_Follower":
        client = StreamClient(
            self._venue,
            symbols,
            url=self._plan.url,
            egress=self._plan.egress,
            policy=self._plan.policy,
            clock=self._clock,
            since_ns=since_ns,
        )
        return _Follower(client, symbols, self._recorder)

    async def _replace(self, old: "_Follower", symbols: Sequence[str]) -> "_Follower":
        """Return a follower of other symbols, after it has run beside the old one for a while.

        What both deliver reaches the recorder twice, which keeps one value a market.
        """
        new = self._follow(symbols)
        try:
            while new.client.state.status != "live":
                await new.wait(self._plan.policy.check_seconds)
            await new.wait(self._plan.policy.overlap_seconds)
        except BaseException:
            await new.stop()
            raise
        await old.stop(is_replaced=True)
        self._before = self._before.plus(_totals(old.client))
        return new

    async def _list(self) -> list[str]:
        """Return the symbols that trade, and hand the list to the recorder; try until it works."""
        backoff = Backoff(self._plan.list_backoff)
        while True:
            try:
                markets = await fetch_markets(self._venue, self._fetch)
            except SourceError as error:
                seconds = backoff.next_seconds()
                # As for connections: one line for a venue that refuses again and again.
                if self.list_problem != str(error):
                    self.list_problem = str(error)
                    await _log.awarning(
                        "stream.no_list",
                        venue=self._venue.name,
                        message=self.list_problem,
                        retry_seconds=round(seconds, 3),
                    )
                await asyncio.sleep(seconds)
            else:
                self.list_problem = None
                self._recorder.take_list(self._venue.name, markets)
                return _trading(markets)


class _Follower:
    """A client, and the task that hands its events to the recorder."""

    def __init__(
        self, client: StreamClient, symbols: Sequence[str], recorder: MarketRecorder
    ) -> None:
        self.client, self.symbols = client, symbols
        self._recorder = recorder
        self._task = asyncio.create_task(self._run())

    async def wait(self, seconds: float) -> None:
        """Wait; raise what the task raised, which should never end."""
        await asyncio.wait([self._task], timeout=seconds)
        if self._task.done():
            self._task.result()

    async def stop(self, *, is_replaced: bool = False) -> None:
        """End the client and record what is left: frames, and open gaps unless it is replaced."""
        self._task.cancel()
        await asyncio.wait([self._task])
        for event in self.client.rest(with_gaps=not is_replaced):
            self._recorder.take(event)

    async def _run(self) -> None:
        async with self.client:
            async for event in self.client:
                self._recorder.take(event)


def _trading(markets: Sequence[VenueMarket]) -> list[str]:
    return [market.symbol for market in markets if market.is_trading]
