"""The bounded queue between connections and their reader; what it drops it discloses as a gap."""

import asyncio
import collections

from ingestor.streams.following.gap_tracker import GapTracker
from ingestor.streams.following.policy import StreamPolicy
from ingestor.streams.records import Frame, Gap, StreamEvent


class Outlet:
    """A queue of frames and gaps, bounded by the bytes of its frames.

    A frame waits for room, which slows its connection down. After `overload_seconds` without room
    frames are dropped until half of the queue is free: prices that wait longer are old.
    """

    def __init__(self, venue: str, policy: StreamPolicy) -> None:
        self._events = collections.deque[StreamEvent]()
        self._bytes = 0
        self._queued_gaps = 0
        self._most, self._most_gaps = policy.queued_bytes, policy.queued_gaps
        self._overload_seconds = policy.overload_seconds
        self._lost = GapTracker(venue, policy.disorder_seconds, None)
        self._room, self._filled = asyncio.Event(), asyncio.Event()
        self._room.set()
        self.dropped = 0
        """Frames that were dropped."""
        self.gaps = 0
        """Gaps that were queued."""

    async def put(self, frame: Frame) -> None:
        """Queue a frame, or drop it."""
        if self._lost.is_open and self._bytes > self._most // 2:
            self.dropped += 1
            return
        try:
            await self._wait_for_room()
        except (TimeoutError, asyncio.CancelledError) as error:
            # A connection that is stopped meanwhile has marked these ticks as seen.
            self._lost.open("overload")
            self.dropped += 1
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        if gap := self._lost.close(max(tick.observed_ns for tick in frame.ticks)):
            self.put_gap(gap)
        self._lost.observe(frame.ticks, frame.received_ns)
        self._bytes += len(frame.raw)
        self._add(frame)
        if self._bytes >= self._most:
            self._room.clear()

    def put_gap(self, gap: Gap) -> None:
        """Queue a gap, or take it into that of dropped frames: none is lost, and memory bounded."""
        if self._queued_gaps >= self._most_gaps:
            self._lost.include(gap)
            return
        self.gaps += 1
        self._queued_gaps += 1
        self._add(gap)

    async def wait(self) -> None:
        """Wait until there is an event, or until `wake` is called."""
        if not self._events:
            self._filled.clear()
            await self._filled.wait()

    def wake(self) -> None:
        """End a wait."""
        self._filled.set()

    def get_nowait(self) -> StreamEvent | None:
        """Return the next event, None if there is none yet."""
        return self._take() if self._events else None

    def open_gap(self, now_ns: int) -> Gap | None:
        """End the gap of dropped frames by our clock and return it, None without one."""
        return self._lost.close_at(now_ns)

    async def _wait_for_room(self) -> None:
        if not self._room.is_set():
            async with asyncio.timeout(self._overload_seconds):
                await self._room.wait()

    def _add(self, event: StreamEvent) -> None:
        self._events.append(event)
        self._filled.set()

    def _take(self) -> StreamEvent:
        event = self._events.popleft()
        if isinstance(event, Frame):
            self._bytes -= len(event.raw)
            if self._bytes < self._most:
                self._room.set()
        else:
            self._queued_gaps -= 1
        return event
