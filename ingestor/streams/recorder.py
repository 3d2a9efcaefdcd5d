"""From streams to the database: one batch a second, however many ticks arrive."""

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from db.connect.types import Connection
from db.streams.gaps import StreamGap, add_gaps
from db.streams.markets import (
    ListedMarket,
    MappedMarket,
    MarketUpdate,
    map_markets,
    save_markets,
    write_markets,
)
from db.streams.segments import FrameSegment, add_segments
from db.write.transaction import write_transaction
from ingestor.streams.book import BookPage, MarketBook
from ingestor.streams.conflation import Conflation, MarketKey
from ingestor.streams.contributions import ConsensusPrice
from ingestor.streams.publishing import ConsensusPublisher
from ingestor.streams.records import (
    NANOSECONDS,
    Frame,
    Gap,
    StreamEvent,
    Tick,
    VenueMarket,
    to_datetime,
)
from ingestor.streams.segments import FramePlace, SegmentBuilder

MAX_GAPS = 10_000
MAX_SEGMENTS = 60
"""Segments that wait for a database that is away; then frames are left out and counted."""
_MICROSECOND = datetime.timedelta(microseconds=1)


class RecordedBatch(msgspec.Struct, frozen=True):
    """What one transaction wrote; `unlisted` are markets that the table does not have.

    `coins` are those that changed by it.
    """

    markets: int
    unlisted: int
    gaps: int
    segments: int
    coins: int


class MarketRecorder:
    """Takes the events of all venues; `flush` writes what changed since the last one.

    If `flush` fails, the next one writes all of it: the newest values, every gap, and the segments
    up to a bound. Memory does not grow with the time that a database is away.
    """

    def __init__(
        self,
        conflation: Conflation | None = None,
        book: MarketBook | None = None,
        publisher: ConsensusPublisher | None = None,
    ) -> None:
        self.conflation = conflation or Conflation()
        self.book = book or MarketBook()
        self.publisher = publisher or ConsensusPublisher()
        self.consensus: dict[str, ConsensusPrice] = {}
        """The consensus prices of the last flush, by asset."""
        self._mapped: dict[MarketKey, MappedMarket] = {}
        self.frames_left_out = 0
        """Frames that are not kept, because the database was away for too long."""
        self._builders: dict[str, SegmentBuilder] = {}
        self._places: dict[MarketKey, FramePlace] = {}
        self._segments: list[FrameSegment] = []
        self._gaps: list[Gap] = []
        self._lists: dict[str, list[ListedMarket]] = {}

    def take(self, event: StreamEvent) -> None:
        """Take a frame or a gap."""
        if isinstance(event, Gap):
            self._gaps.append(event)
            if len(self._gaps) > MAX_GAPS:
                self._merge_gaps()
            return
        place = self._keep(event)
        for tick in event.ticks:
            self.conflation.add(event.venue, tick)
            key = MarketKey(event.venue, tick.symbol)
            if place is None:
                self._places.pop(key, None)
            elif self.conflation.is_newest(event.venue, tick):
                self._places[key] = place

    def take_list(self, venue: str, markets: Sequence[VenueMarket]) -> None:
        """Take the newest list of a venue's markets, which the next flush writes."""
        self.book.set_list(venue, markets)
        self._lists[venue] = [
            ListedMarket(market.symbol, market.base, market.quote, market.status, market.is_trading)
            for market in markets
        ]

    def _keep(self, frame: Frame) -> FramePlace | None:
        if len(self._segments) >= MAX_SEGMENTS:
            self.frames_left_out += 1
            return None
        builder = self._builders.setdefault(frame.venue, SegmentBuilder(frame.venue))
        place = builder.add(frame)
        if place is None:
            self.frames_left_out += 1
        return place

    def _merge_gaps(self) -> None:
        """Make one gap of each venue out of all: it covers more, and nothing is lost."""
        merged: dict[str, Gap] = {}
        for gap in self._gaps:
            before = merged.get(gap.venue, gap)
            merged[gap.venue] = Gap(
                gap.venue,
                None,
                min(before.from_ns, gap.from_ns),
                max(before.to_ns, gap.to_ns),
                "overload",
            )
        self._gaps = list(merged.values())

    async def flush(self, connection: Connection, now: datetime.datetime) -> RecordedBatch:
        """Write markets, gaps, segments, consensus prices and their coins in one transaction.

        Assets and prices in USD are those of the book at `now`.
        """
        page = self._turn(now)
        lists, self._lists = self._lists, {}
        changed = self.conflation.take()
        gaps, self._gaps = self._gaps, []
        self._segments += [
            segment for builder in self._builders.values() if (segment := builder.take())
        ]
        segments, self._segments = self._segments, []
        mapped, self._mapped = self._mapped, {}
        updates = _updates(changed, self._places, page.prices_usd)
        try:
            async with write_transaction(connection) as outbox:
                for venue, markets in lists.items():
                    await save_markets(connection, venue, markets, now)
                await add_segments(connection, segments)
                written = await write_markets(connection, updates)
                await map_markets(connection, list(mapped.values()))
                await add_gaps(connection, [_stored(gap) for gap in gaps], now)
                published = await self.publisher.write(outbox, page.consensus, now)
        except BaseException:
            self._lists = lists | self._lists
            self._mapped = mapped | self._mapped
            self.conflation.put_back(changed)
            self._gaps = gaps + self._gaps
            self._segments = segments + self._segments
            raise
        self.publisher.commit()
        return RecordedBatch(
            written, len(changed) - written, len(gaps), len(segments), published.coins
        )

    def _turn(self, now: datetime.datetime) -> BookPage:
        now_ns = int(now.timestamp()) * NANOSECONDS
        page = self.book.turn(self.conflation.newest(), now_ns)
        self.consensus = page.consensus
        self._mapped |= {
            key: MappedMarket(key.venue, key.symbol, choice.asset, choice.reason)
            for key, choice in page.changed.items()
        }
        return page


def _updates(
    changed: Mapping[MarketKey, Tick],
    places: Mapping[MarketKey, FramePlace],
    prices_usd: Mapping[MarketKey, Decimal],
) -> list[MarketUpdate]:
    updates = []
    for key, tick in changed.items():
        place = places.get(key)
        updates.append(
            MarketUpdate(
                key.venue,
                key.symbol,
                tick.price,
                tick.observed_at,
                prices_usd.get(key),
                volume_24h_base=tick.volume_24h_base,
                volume_24h_quote=tick.volume_24h_quote,
                segment=None if place is None else place.segment,
                frame=None if place is None else place.frame,
            )
        )
    return updates


def _stored(gap: Gap) -> StreamGap:
    """Return a gap as a row: its end is rounded up to a microsecond."""
    ended_at = to_datetime(gap.to_ns)
    if gap.to_ns % 1_000:
        ended_at += _MICROSECOND
    return StreamGap(gap.venue, gap.symbol, to_datetime(gap.from_ns), ended_at, gap.reason)
