"""The streams of the venues that this ingestor follows, and what is written of them each second."""

import asyncio
import datetime
from collections.abc import Sequence

import msgspec
import structlog

from common.settings import Settings
from db.connect.clock import database_now
from db.connect.types import Connection
from db.schema.partitions import ensure_partitions
from db.streams.gaps import last_observed_at, purge_gaps
from db.streams.segments import purge_segments
from ingestor.clock import utc_now
from ingestor.http.egress import egress_of
from ingestor.http.fetch import Fetch
from ingestor.run.startup import retention_of
from ingestor.sources.errors import SourceError
from ingestor.streams.markets import open_markets_fetch
from ingestor.streams.recorder import MarketRecorder, RecordedBatch
from ingestor.streams.records import NANOSECONDS
from ingestor.streams.running.knowledge import refresh_knowledge
from ingestor.streams.running.reports import StreamReports
from ingestor.streams.venue import Venue
from ingestor.streams.venue_stream import VenuePlan, VenueStream

_log = structlog.stdlib.get_logger(__name__)

KNOWLEDGE_SECONDS = 30.0
FIRST_KNOWLEDGE_SECONDS = 2.0
"""The same until an asset is known, which the first poll brings."""
REPORT_SECONDS = 5.0
HOUSEKEEPING_SECONDS = 60.0


class FollowedVenue(msgspec.Struct, frozen=True):
    """A venue with the URLs of the settings."""

    venue: Venue
    stream_url: str
    api_url: str


class Following:
    """Follows venues from `start` to `stop`; `write` is called once a second meanwhile."""

    def __init__(self, settings: Settings, venues: Sequence[FollowedVenue]) -> None:
        self._settings, self._venues = settings, venues
        self.recorder = MarketRecorder()
        self._streams: list[VenueStream] = []
        self._fetches: list[Fetch] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._reports = StreamReports(utc_now())
        self._known_tickers: set[str] = set()
        self._due: dict[str, float] = {}

    async def start(self, connection: Connection) -> None:
        """Start to follow every venue; what lies after the last written price is a gap."""
        names = [followed.venue.name for followed in self._venues]
        written = [await last_observed_at(connection, name) for name in names]
        for followed, name, since in zip(self._venues, names, written, strict=True):
            fetch = open_markets_fetch(self._settings, followed.venue, followed.api_url)
            plan = VenuePlan(
                url=followed.stream_url,
                egress=egress_of(self._settings),
                since_ns=None if since is None else int(since.timestamp() * NANOSECONDS),
            )
            stream = VenueStream(followed.venue, fetch, self.recorder, plan)
            self._streams.append(stream)
            self._fetches.append(fetch)
            self._tasks.append(asyncio.create_task(self._follow(name, stream)))
        await _log.ainfo("streams.started", venues=names)

    async def _follow(self, name: str, stream: VenueStream) -> None:
        """Follow one venue; what a setting makes impossible concerns this venue alone."""
        try:
            await stream.run()
        except SourceError as error:
            stream.list_problem = error.in_full
            await _log.aerror("stream.failed", venue=name, message=error.in_full)

    async def write(self, connection: Connection) -> RecordedBatch:
        """Write a batch, and what is due beside it. Raises what a task raised."""
        for task in self._tasks:
            if task.done():
                task.result()
        now = utc_now()
        book = self.recorder.book
        is_known = any(choice.asset for choice in book.choices)
        seconds = KNOWLEDGE_SECONDS if is_known else FIRST_KNOWLEDGE_SECONDS
        if book.tickers - self._known_tickers or self._is_due("knowledge", seconds):
            self._known_tickers = book.tickers
            await refresh_knowledge(connection, book, self.recorder.publisher, now)
        if self._is_due("housekeeping", HOUSEKEEPING_SECONDS):
            await self._keep_house(connection)
        batch = await self.recorder.flush(connection, now)
        if self._is_due("report", REPORT_SECONDS) or self._reports.has_changed(
            self._streams, self.recorder
        ):
            await self._reports.save(connection, self._streams, self.recorder, now)
        return batch

    def _is_due(self, work: str, seconds: float) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._due.get(work, 0.0):
            return False
        self._due[work] = now + seconds
        return True

    async def _keep_house(self, connection: Connection) -> None:
        """Make room for the history to come, and delete what is older than the retention."""
        now = await database_now(connection)
        retention = retention_of(self._settings)
        await ensure_partitions(connection, now, retention)
        oldest = self.recorder.publisher.oldest = retention.oldest_history(now)
        hours = datetime.timedelta(hours=self._settings.stream_retention_hours)
        await purge_segments(connection, now - hours)
        await purge_gaps(connection, oldest)

    async def stop(self) -> None:
        """Stop following; what was received is in the recorder, with the gaps that are open."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for fetch in self._fetches:
            await fetch.close()
        self._tasks, self._fetches = [], []
