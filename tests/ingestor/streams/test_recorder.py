"""Streams in the database: newest values, every gap, and the frames that prove them."""

import datetime
from collections.abc import Callable
from decimal import Decimal

import asyncpg
import pytest

from db.connect.types import Connection
from db.streams.gaps import last_observed_at
from db.streams.markets import (
    ListedMarket,
    MappedMarket,
    MarketUpdate,
    map_markets,
    save_markets,
    write_markets,
)
from db.streams.segments import purge_segments, read_segment
from ingestor.streams import recorder as recorder_module
from ingestor.streams.following.client import StreamClient
from ingestor.streams.recorder import MarketRecorder
from ingestor.streams.records import Frame, Gap, Tick, to_datetime
from ingestor.streams.segments import DamagedSegmentError, SegmentBuilder, read_frames
from ingestor.streams.venues import VENUES
from kasparro.simulator.venues.app import serving_venues
from kasparro.simulator.venues.faults import StreamFault
from kasparro.simulator.venues.replay import replay
from tests.ingestor.streams.streaming import (
    QUICK,
    QuickVenue,
    exchange_of,
    live,
    symbols_of,
    synthetic_session,
    ticks_of,
)

SECOND = 10**9
NOW = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC)
NOW_NS = int(NOW.timestamp()) * SECOND
MARKETS = [
    ListedMarket("BTC/USD", "BTC", "USD", "online", is_trading=True),
    ListedMarket("ETH/USD", "ETH", "USD", "online", is_trading=True),
]


def frame(number: int, *ticks: Tick) -> Frame:
    raw = b'{"number":%d}' % number
    return Frame("kraken", NOW_NS + number, raw, list(ticks))


def tick(price: str, at: int, symbol: str = "BTC/USD", volume: str | None = None) -> Tick:
    return Tick(
        symbol,
        Decimal(price),
        NOW_NS + at * SECOND,
        volume_24h_base=None if volume is None else Decimal(volume),
    )


async def stored(connection: Connection) -> dict[str, tuple[object, ...]]:
    rows = await connection.fetch(
        "SELECT symbol, price, volume_24h_base, segment, frame FROM markets ORDER BY symbol"
    )
    return {row["symbol"]: tuple(row)[1:] for row in rows}


async def test_the_list_of_a_venue_is_kept_and_what_it_drops_trades_no_more(
    connection: Connection,
) -> None:
    assert await save_markets(connection, "kraken", MARKETS, NOW) == 2
    assert await save_markets(connection, "kraken", MARKETS, NOW) == 0
    await save_markets(connection, "okx", MARKETS[:1], NOW)
    halted = ListedMarket("ETH/USD", "ETH", "USD", "cancel_only", is_trading=False)
    assert await save_markets(connection, "kraken", [halted], NOW) == 2
    assert await save_markets(connection, "kraken", [halted], NOW) == 0
    rows = await connection.fetch(
        "SELECT venue, symbol, status, is_trading FROM markets ORDER BY venue, symbol"
    )
    assert [tuple(row) for row in rows] == [
        ("kraken", "BTC/USD", "not listed", False),
        ("kraken", "ETH/USD", "cancel_only", False),
        ("okx", "BTC/USD", "online", True),
    ]
    assert await save_markets(connection, "kraken", [], NOW) == 0


async def test_an_older_batch_never_undoes_a_newer_one(connection: Connection) -> None:
    await save_markets(connection, "kraken", MARKETS, NOW)

    def update(price: int, seconds: int, volume: int | None = None) -> MarketUpdate:
        at = NOW + datetime.timedelta(seconds=seconds)
        base = None if volume is None else Decimal(volume)
        return MarketUpdate("kraken", "BTC/USD", Decimal(price), at, volume_24h_base=base)

    assert await write_markets(connection, [update(1, 5, 9)]) == 1
    assert await write_markets(connection, [update(2, 4, 8)]) == 0
    assert await write_markets(connection, [update(3, 6)]) == 1
    assert (await stored(connection))["BTC/USD"][:2] == (3, 9)
    unlisted = MarketUpdate("kraken", "NEW/USD", Decimal(1), NOW)
    assert await write_markets(connection, [unlisted]) == 0
    assert await last_observed_at(connection, "kraken") == NOW + datetime.timedelta(seconds=6)
    assert await last_observed_at(connection, "okx") is None


async def test_the_asset_of_a_market_is_saved_with_its_reason(connection: Connection) -> None:
    await save_markets(connection, "kraken", MARKETS, NOW)
    mapped = [
        MappedMarket("kraken", "BTC/USD", "coinpaprika:btc-bitcoin", "owner"),
        MappedMarket("kraken", "ETH/USD", None, "no_agreement"),
    ]
    assert await map_markets(connection, mapped) == 2
    assert await map_markets(connection, mapped) == 0
    assert await map_markets(connection, []) == 0
    with pytest.raises(asyncpg.CheckViolationError):
        await map_markets(connection, [MappedMarket("kraken", "BTC/USD", "x:y", "no_price")])


async def test_a_batch_writes_the_newest_values_the_gaps_and_the_frames(
    connection: Connection,
) -> None:
    await save_markets(connection, "kraken", MARKETS, NOW)
    recorder = MarketRecorder()
    recorder.take(frame(1, tick("1.10", 1, volume="5"), tick("7", 1, "ETH/USD")))
    recorder.take(frame(2, tick("1.30", 3)))
    recorder.take(frame(3, tick("1.20", 2)))
    gap = Gap("kraken", None, NOW_NS, NOW_NS + 1_500, "silence")
    recorder.take(gap)
    batch = await recorder.flush(connection, NOW)
    assert (batch.markets, batch.unlisted, batch.gaps, batch.segments) == (2, 0, 1, 1)
    key = NOW_NS + 1
    assert await stored(connection) == {
        "BTC/USD": (Decimal("1.30"), 5, key, 1),
        "ETH/USD": (7, None, key, 0),
    }
    found = await read_segment(connection, "kraken", key)
    assert found is not None
    sha256, content = found
    frames = read_frames(content, sha256)
    assert [(one.received_ns, one.raw) for one in frames] == [
        (NOW_NS + n, b'{"number":%d}' % n) for n in (1, 2, 3)
    ]
    row = await connection.fetchrow("SELECT * FROM stream_gaps")
    assert row is not None
    assert (row["source"], row["symbol"], row["reason"]) == ("kraken", None, "silence")
    assert (row["began_at"], row["ended_at"]) == (NOW, NOW + datetime.timedelta(microseconds=2))
    again = await recorder.flush(connection, NOW)
    assert (again.markets, again.gaps, again.segments) == (0, 0, 0)


async def test_a_batch_that_fails_is_written_whole_by_the_next_one(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save_markets(connection, "kraken", MARKETS, NOW)
    recorder = MarketRecorder()
    monkeypatch.setattr(recorder_module, "MAX_SEGMENTS", 3)
    async with connection.transaction():
        pass
    await connection.execute("ALTER TABLE stream_gaps RENAME TO away")
    for number in range(6):
        recorder.take(frame(10 * number, tick(str(number + 1), number)))
        recorder.take(Gap("kraken", "BTC/USD", NOW_NS, NOW_NS + number, "sequence"))
        with pytest.raises(asyncpg.UndefinedTableError):
            await recorder.flush(connection, NOW)
    assert recorder.frames_left_out == 3
    assert (await stored(connection))["BTC/USD"][0] is None
    await connection.execute("ALTER TABLE away RENAME TO stream_gaps")
    batch = await recorder.flush(connection, NOW)
    assert (batch.markets, batch.gaps, batch.segments) == (1, 6, 3)
    # The frame of the newest price found no room: it names none, instead of a wrong one.
    assert (await stored(connection))["BTC/USD"] == (6, None, None, None)
    recorder.take(frame(99, tick("9", 9)))
    await recorder.flush(connection, NOW)
    assert (await stored(connection))["BTC/USD"] == (9, None, NOW_NS + 99, 0)


def test_gaps_that_cannot_be_written_become_one_that_covers_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_GAPS", 10)
    recorder = MarketRecorder()
    gaps = [Gap("kraken", "A", n, n + 2, "sequence") for n in range(11)]
    for gap in gaps:
        recorder.take(gap)
    assert recorder._gaps == [Gap("kraken", None, 0, 12, "overload")]


async def test_old_segments_go_except_those_of_a_newest_price(connection: Connection) -> None:
    await save_markets(connection, "kraken", MARKETS, NOW)
    recorder = MarketRecorder()
    for number in range(4):
        symbol = "ETH/USD" if number == 1 else "BTC/USD"
        recorder.take(frame(number, tick("1", number, symbol)))
        await recorder.flush(connection, NOW)
    deleted = await purge_segments(connection, NOW + datetime.timedelta(hours=1))
    kept = await connection.fetch("SELECT segment FROM stream_segments ORDER BY segment")
    assert deleted == 2
    assert [row["segment"] - NOW_NS for row in kept] == [1, 3]


def test_a_damaged_segment_is_noticed() -> None:
    builder = SegmentBuilder("kraken")
    builder.add(frame(1))
    segment = builder.take()
    assert segment is not None
    with pytest.raises(DamagedSegmentError, match="sha256"):
        read_frames(segment.content, bytes(32))
    with pytest.raises(DamagedSegmentError, match="decompressed"):
        read_frames(segment.content[:-3], segment.sha256)
    assert builder.take() is None


def test_two_segments_never_have_one_key() -> None:
    builder = SegmentBuilder("kraken")
    places = []
    for _ in range(3):
        places.append(builder.add(frame(5)))
        builder.take()
    assert len({place.segment for place in places if place}) == 3


def test_frames_beyond_the_most_bytes_are_counted() -> None:
    builder = SegmentBuilder("kraken", most=60)
    assert [builder.add(frame(n)) is None for n in range(4)] == [False, False, True, True]
    assert builder.left_out == 2


@pytest.mark.parametrize("venue", VENUES)
async def test_a_stored_stream_can_be_read_again_from_its_frames(
    connection: Connection, venue: str
) -> None:
    """After cuts: every tick that was not in a gap comes out of the segments, in its digits."""
    exchange = exchange_of(venue)
    session = synthetic_session(exchange, 300, seed=9)
    sent = ticks_of(venue, session.frames)
    recorder = MarketRecorder()
    listed = VENUES[venue].read_markets(exchange.protocol.markets(exchange.pairs))
    await save_markets(
        connection,
        venue,
        [ListedMarket(m.symbol, m.base, m.quote, m.status, m.is_trading) for m in listed],
        NOW,
    )

    def cut(number: int, _: object) -> None:
        if number in (100, 200):
            exchange.apply(StreamFault(kind="cut"))

    async with serving_venues({venue: exchange}) as addresses:
        client = StreamClient(
            QuickVenue(venue), symbols_of(exchange), url=addresses[venue].stream_url, policy=QUICK
        )
        async with client:
            await live(client)
            await replay(exchange, session, speed=2_000, before=cut)
            async for event in client:
                recorder.take(event)
                if isinstance(event, Frame) and sent[-1] in event.ticks:
                    break
        for event in client.rest():
            recorder.take(event)
    await recorder.flush(connection, NOW)
    await check_stored(connection, venue, sent)


async def check_stored(connection: Connection, venue: str, sent: list[Tick]) -> None:
    reader, again = VENUES[venue].reader(), list[Tick]()
    by_frame: dict[tuple[int, int], list[Tick]] = {}
    for row in await connection.fetch("SELECT * FROM stream_segments ORDER BY segment"):
        for number, raw in enumerate(read_frames(row["content"], row["sha256"])):
            ticks = reader.read(raw.raw, raw.received_ns).ticks
            by_frame[row["segment"], number] = ticks
            again += ticks
    gaps = await connection.fetch("SELECT * FROM stream_gaps")
    covered: Callable[[Tick], bool] = lambda one: any(  # noqa: E731 - a short one
        gap["began_at"] <= one.observed_at <= gap["ended_at"]
        for gap in gaps
        if gap["symbol"] in (None, one.symbol)
    )
    assert [one for one in sent if one not in again and not covered(one)] == []
    assert gaps
    for row in await connection.fetch("SELECT * FROM markets WHERE price IS NOT NULL"):
        named = by_frame[row["segment"], row["frame"]]
        assert (row["symbol"], row["price"], row["observed_at"]) in [
            (one.symbol, one.price, to_datetime(one.observed_ns)) for one in named
        ]
