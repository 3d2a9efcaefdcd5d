"""The symbols of one connection: reconnects, replacements that overlap, duplicates, gaps."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from common.backoff import Backoff
from common.display import sanitize
from ingestor.streams.following.connection import Dialer, Ending, StreamConnection
from ingestor.streams.following.gap_tracker import GapTracker
from ingestor.streams.following.outlet import Outlet
from ingestor.streams.following.policy import StreamPolicy
from ingestor.streams.following.recent import RecentTicks
from ingestor.streams.following.state import StreamState
from ingestor.streams.records import NANOSECONDS, Frame, Gap, Tick
from ingestor.streams.venue import Reading, Venue

_log = structlog.stdlib.get_logger(__name__)


class Shard:
    """Keeps one connection for its symbols; while one replaces another there are two."""

    def __init__(
        self,
        *,
        venue: Venue,
        symbols: Sequence[str],
        dialer: Dialer,
        outlet: Outlet,
        state: StreamState,
        clock: Callable[[], int],
        since_ns: int | None,
    ) -> None:
        self._venue, self._symbols, self._dialer = venue, symbols, dialer
        self._wanted = frozenset(symbols)
        self._policy: StreamPolicy = dialer.policy
        self._outlet, self._state, self._clock = outlet, state, clock
        self._gap = GapTracker(venue.name, self._policy.disorder_seconds, since_ns)
        self._recent = RecentTicks(self._policy.recent_ticks)
        self._said: str | None = None
        self._backoff = Backoff(self._policy.backoff)
        self._live_at: float | None = None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        attempt = _Attempt(self._open(), self._clock)
        try:
            while True:
                await self._until_it_needs_another(attempt)
                if attempt.ending is None:
                    attempt = await self._hand_over(attempt)
                else:
                    await self._ended(attempt, attempt.ending)
                    attempt = _Attempt(self._open(), self._clock)
        finally:
            await attempt.stop()

    def open_gap(self) -> Gap | None:
        """End the open gap by our clock and return it, None without one."""
        return self._gap.close_at(self._clock())

    def _open(self) -> StreamConnection:
        return StreamConnection(self._venue, self._symbols, self._dialer, self._take)

    async def _until_it_needs_another(self, attempt: "_Attempt") -> None:
        """Wait until the connection ends or should be replaced; note when it is live."""
        while attempt.ending is None:
            if attempt.connection.live.is_set():
                self._note_live(attempt)
                if attempt.connection.replace.is_set():
                    return
            await attempt.wait(self._policy.check_seconds)
            self._close_quiet_gap()

    async def _ended(self, attempt: "_Attempt", ending: Ending) -> None:
        """Open a gap and wait before another attempt."""
        is_planned = attempt.connection.replace.is_set()
        self._gap.open("planned_cut" if is_planned else ending.reason)
        self._note_down(ending)
        seconds = self._backoff.next_seconds(attempt.ran_seconds if attempt.was_live else 0.0)
        # A venue that refuses again and again is one line, not one for each attempt.
        if attempt.was_live or self._said != self._state.problem:
            self._said = self._state.problem
            await _log.awarning(
                "stream.ended",
                venue=self._venue.name,
                reason=ending.reason,
                message=self._state.problem,
                retry_seconds=round(seconds, 3),
            )
        await asyncio.sleep(seconds)
        self._state.reconnects += 1

    async def _hand_over(self, old: "_Attempt") -> "_Attempt":
        """Return the connection that goes on: a successor, or the old one if none could start.

        Both run for `overlap_seconds`, so that nothing lies between them. A successor that is
        live when the old one ends leaves no gap either.
        """
        new = _Attempt(self._open(), self._clock)
        try:
            while new.ending is None and old.ending is None:
                if new.live_seconds >= self._policy.overlap_seconds:
                    break
                await asyncio.wait(
                    [old.task, new.task],
                    timeout=min(self._policy.check_seconds, self._policy.overlap_seconds / 4),
                    return_when=asyncio.FIRST_COMPLETED,
                )
        except BaseException:
            await new.stop()
            raise
        if new.ending is not None:
            self._state.problem = sanitize(new.ending.message)
            if old.ending is None:
                await asyncio.sleep(min(self._backoff.next_seconds(), self._policy.connect_seconds))
            return old
        if old.ending is not None and not new.was_live:
            self._gap.open("planned_cut")
            self._note_down(old.ending)
        await old.stop()
        self._state.reconnects += 1
        return new

    def _note_live(self, attempt: "_Attempt") -> None:
        if not attempt.is_counted:
            attempt.is_counted = True
            if self._live_at is None:
                self._state.live += 1
            self._live_at = asyncio.get_running_loop().time()
            self._gap.begin(self._clock())
            self._state.problem, self._state.is_refused = None, False

    def _note_down(self, ending: Ending) -> None:
        if self._live_at is not None:
            self._state.live -= 1
            self._live_at = None
        self._state.problem = sanitize(ending.message)
        self._state.is_refused = ending.is_refusal

    def _close_quiet_gap(self) -> None:
        """End a gap of markets that do not trade by our clock."""
        if self._live_at is None or not self._gap.is_open:
            return
        if asyncio.get_running_loop().time() - self._live_at > self._policy.quiet_seconds:
            self._publish(self._gap.close_at(self._clock()))

    def _publish(self, gap: Gap | None) -> None:
        if gap is not None:
            self._outlet.put_gap(gap)

    async def _take(self, connection: StreamConnection, raw: bytes, reading: Reading) -> None:
        """Queue the new ticks of a frame, after the gap that they end."""
        now_ns = self._clock()
        self._count(reading, now_ns)
        for missed in reading.missed:
            self._publish(self._gap.between(missed))
        if not reading.ticks:
            return
        ticks = self._select(reading.ticks, now_ns)
        if connection.live.is_set():
            self._publish(self._gap.close(self._live_ns(connection, ticks)))
        connection.received.update(tick.symbol for tick in reading.ticks)
        new = [tick for tick in ticks if self._recent.is_new(tick)]
        self._state.duplicates += len(ticks) - len(new)
        self._state.ticks += len(new)
        self._gap.observe(new, now_ns)
        if new:
            await self._outlet.put(Frame(self._venue.name, now_ns, raw, new))

    def _live_ns(self, connection: StreamConnection, ticks: Sequence[Tick]) -> int | None:
        """Return the newest time of the ticks that do not repeat an old state."""
        times = [
            tick.observed_ns
            for tick in ticks
            if not self._venue.limits.sends_state or tick.symbol in connection.received
        ]
        return max(times, default=None)

    def _select(self, ticks: Sequence[Tick], now_ns: int) -> list[Tick]:
        """Return the ticks of wanted symbols whose time is not in our future; count the others."""
        wanted = [tick for tick in ticks if tick.symbol in self._wanted]
        latest_ns = now_ns + int(self._policy.future_seconds * NANOSECONDS)
        past = [tick for tick in wanted if tick.observed_ns <= latest_ns]
        self._state.unknown += len(ticks) - len(wanted)
        self._state.future += len(wanted) - len(past)
        return past

    def _count(self, reading: Reading, now_ns: int) -> None:
        state = self._state
        state.messages += 1
        state.last_message_ns = now_ns
        state.ignored += reading.ignored
        state.malformed += sum(missed.is_malformed for missed in reading.missed)
        if reading.refusals:
            state.refusals += len(reading.refusals)
            state.last_refusal = sanitize(reading.refusals[-1])[:300]


class _Attempt:
    """A connection and the task that runs it."""

    def __init__(self, connection: StreamConnection, clock: Callable[[], int]) -> None:
        self.connection = connection
        self.is_counted = False
        self._started_at = asyncio.get_running_loop().time()
        self._live_at: float | None = None
        self.task = asyncio.create_task(connection.run(clock))
        self.task.add_done_callback(lambda _: connection.changed.set())

    @property
    def ending(self) -> Ending | None:
        """Why it ended, None while it runs. Raises what its task raised."""
        return self.task.result() if self.task.done() else None

    @property
    def was_live(self) -> bool:
        """Whether its subscriptions were confirmed."""
        return self.connection.live.is_set()

    @property
    def ran_seconds(self) -> float:
        """Seconds since its start."""
        return asyncio.get_running_loop().time() - self._started_at

    @property
    def live_seconds(self) -> float:
        """Seconds since its subscriptions were seen to be confirmed, 0 before."""
        if not self.was_live:
            return 0.0
        now = asyncio.get_running_loop().time()
        if self._live_at is None:
            self._live_at = now
        return now - self._live_at

    async def wait(self, seconds: float) -> None:
        """Wait until it ends, is live or should be replaced, at most some seconds."""
        changed = self.connection.changed
        changed.clear()
        if not self.task.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await changed.wait()

    async def stop(self) -> None:
        """End the connection."""
        self.task.cancel()
        await asyncio.wait([self.task])
