"""The stream of one venue: frames with new ticks, and every gap between them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import aiohttp
from aiolimiter import AsyncLimiter
from yarl import URL

from ingestor.http.egress import Egress
from ingestor.streams.following.connection import Dialer
from ingestor.streams.following.outlet import Outlet
from ingestor.streams.following.policy import StreamPolicy
from ingestor.streams.following.shard import Shard
from ingestor.streams.following.state import StreamState
from ingestor.streams.records import Gap, StreamEvent
from ingestor.streams.venue import Venue, portions


class StreamClient:
    """Streams the ticks of `symbols`; a context manager, and an iterator without end.

    Connections that are lost are opened again: the iterator yields a gap for what may be missing,
    before the first frame after it. `since_ns` is the venue's time up to which an earlier client
    delivered everything; what lies between is a gap too.
    """

    def __init__(
        self,
        venue: Venue,
        symbols: Sequence[str],
        *,
        url: str | None = None,
        egress: Egress | None = None,
        policy: StreamPolicy | None = None,
        clock: Callable[[], int] = time.time_ns,
        since_ns: int | None = None,
    ) -> None:
        self.state = StreamState(venue=venue.name)
        self._venue, self._symbols = venue, list(dict.fromkeys(symbols))
        self._url = URL(url or venue.stream_url)
        self._egress = egress or Egress()
        self._policy = policy or StreamPolicy()
        self._clock, self._since_ns = clock, since_ns
        self._outlet = Outlet(venue.name, self._policy)
        self._shards: list[Shard] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        limits = self._venue.limits
        self._session = self._egress.open_session(cookie_jar=aiohttp.DummyCookieJar())
        dialer = Dialer(
            self._url,
            self._session,
            self._egress,
            AsyncLimiter(limits.connections.calls, limits.connections.per_seconds),
            self._policy,
        )
        size = limits.symbols_a_connection or max(1, len(self._symbols))
        self._shards = [
            Shard(
                venue=self._venue,
                symbols=part,
                dialer=dialer,
                outlet=self._outlet,
                state=self.state,
                clock=self._clock,
                since_ns=self._since_ns,
            )
            for part in portions(self._symbols, size)
        ]
        self.state.connections = len(self._shards)
        self._tasks = [asyncio.create_task(shard.run()) for shard in self._shards]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._outlet.wake())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._session is not None:
            await self._session.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        """Return the next frame or gap. Raises what a task raised that should never end."""
        while (event := self._outlet.get_nowait()) is None:
            for task in self._tasks:
                if task.done():
                    task.result()
                    raise StopAsyncIteration
            await self._outlet.wait()
        return event

    def rest(self, *, with_gaps: bool = True) -> list[StreamEvent]:
        """Return what is queued, and the gaps that are still open, which end now.

        For the end of a client: `async with` has been left. `with_gaps=False` leaves out the gaps
        of connections, for a client that another one has replaced; that of dropped frames stays.
        """
        events: list[StreamEvent] = []
        while (event := self._outlet.get_nowait()) is not None:
            events.append(event)
        now_ns = self._clock()
        open_gaps: list[Gap | None] = [self._outlet.open_gap(now_ns)]
        if with_gaps:
            open_gaps += [shard.open_gap() for shard in self._shards]
        return events + [gap for gap in open_gaps if gap is not None]

    @property
    def dropped_frames(self) -> int:
        """Frames that were dropped because nothing took them; each lies in a gap."""
        return self._outlet.dropped

    @property
    def gaps(self) -> int:
        """Gaps that were yielded or queued."""
        return self._outlet.gaps
