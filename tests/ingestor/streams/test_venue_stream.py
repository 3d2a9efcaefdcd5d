"""A venue from its list to the database: new markets, refused lists, the end of a run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from common.backoff import BackoffPolicy
from common.settings import SettingsError, load_settings
from db.connect.pool import Pool
from ingestor.http.fetch import Fetch, FetchLimits, Provider
from ingestor.sources.spec import declared_settings
from ingestor.streams.batches import write_batches
from ingestor.streams.recorder import MarketRecorder
from ingestor.streams.settings import STREAM_SETTINGS, venue_urls
from ingestor.streams.venue_stream import VenuePlan, VenueStream
from ingestor.streams.venues import VENUES
from kasparro.simulator.venues.app import VenueAddress, serving_venues
from kasparro.simulator.venues.exchange import SimulatedExchange
from kasparro.simulator.venues.prices import TickingMarket
from kasparro.simulator.venues.protocols.protocol import SimulatedPair
from tests.ingestor.streams.streaming import QUICK, QuickVenue, exchange_of

PLAN = VenuePlan(
    policy=QUICK,
    list_seconds=0.1,
    list_backoff=BackoffPolicy(first_seconds=0.02, longest_seconds=0.1),
)


@contextlib.asynccontextmanager
async def following(
    exchange: SimulatedExchange,
    address: VenueAddress,
    recorder: MarketRecorder,
    api_url: str | None = None,
) -> AsyncIterator[VenueStream]:
    """Follow an exchange during the block; the stream may not be live yet."""
    name = exchange.protocol.name
    provider = Provider(
        name=name, url=api_url or address.api_url, url_variable="URL", calls=1000, per_seconds=1
    )
    fetch = Fetch(provider, FetchLimits(attempts=1, circuit_threshold=1_000))
    plan = msgspec.structs.replace(PLAN, url=address.stream_url)
    stream = VenueStream(QuickVenue(name), fetch, recorder, plan)
    task = asyncio.create_task(stream.run())
    try:
        yield stream
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await fetch.close()


async def until_live(stream: VenueStream, exchange: SimulatedExchange, clients: int = 1) -> None:
    async with asyncio.timeout(10):
        while stream.state.status != "live" or len(exchange.clients) != clients:
            await asyncio.sleep(0.01)


async def until_known(recorder: MarketRecorder, symbol: str) -> None:
    async with asyncio.timeout(10):
        while symbol not in {key.symbol for key, _ in recorder.conflation.newest()}:
            await asyncio.sleep(0.01)


async def test_a_market_that_is_listed_later_is_followed_and_nothing_is_lost_meanwhile() -> None:
    exchange = exchange_of("kraken", coins=2)
    recorder = MarketRecorder()
    async with serving_venues({"kraken": exchange}) as addresses:
        async with following(exchange, addresses["kraken"], recorder) as stream:
            await until_live(stream, exchange)
            market = TickingMarket(exchange.pairs)
            sent = 0
            exchange.pairs.append(SimulatedPair("NEW", "USD"))
            # Prices go on while the connections change.
            async with asyncio.timeout(10):
                while exchange.connections < 2 or len(exchange.clients) != 1:
                    exchange.publish_ticks(market.ticks(1))
                    sent += 1
                    await asyncio.sleep(0.01)
            exchange.publish_ticks(TickingMarket(exchange.pairs[-1:]).ticks(1))
            await until_known(recorder, "NEW/USD")
        assert recorder._gaps == []
        # Each price came at least once, and in the overlap twice: one value a market is kept.
        assert recorder.conflation.ticks >= sent + 1
        assert recorder.conflation.late == 0
    assert [market.symbol for market in recorder._lists["kraken"]][-1] == "NEW/USD"


async def test_a_list_that_is_refused_is_one_line_and_read_when_it_can_be() -> None:
    exchange, other = exchange_of("okx", coins=2), exchange_of("kraken", coins=2)
    recorder = MarketRecorder()
    async with serving_venues({"okx": exchange, "kraken": other}) as addresses:
        wrong = addresses["okx"].api_url + "/nowhere"
        async with (
            following(exchange, addresses["okx"], recorder, api_url=wrong) as refused,
            following(other, addresses["kraken"], recorder) as stream,
        ):
            await until_live(stream, other)
            assert refused.state.status == "down"
            assert "okx refused the request (404)" in (refused.state.problem or "")
            assert "check URL" in (refused.list_problem or "")
            other.publish_ticks(TickingMarket(other.pairs).ticks(5))
            async with asyncio.timeout(10):
                while recorder.conflation.ticks < 5:
                    await asyncio.sleep(0.01)


async def test_batches_are_written_each_second_and_once_more_at_the_end(pool: Pool) -> None:
    exchange = exchange_of("bybit", coins=2)
    recorder = MarketRecorder()
    async with serving_venues({"bybit": exchange}) as addresses:
        writer = asyncio.create_task(write_batches(pool, recorder, 0.05))
        async with following(exchange, addresses["bybit"], recorder) as stream:
            await until_live(stream, exchange)
            market = TickingMarket(exchange.pairs)
            exchange.publish_ticks(market.ticks(50))
            await _until_stored(pool, "SELECT count(*) FROM markets WHERE price > 0", 4)
        # What arrives last is written by the last batch.
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
    async with pool.acquire() as connection:
        prices = await connection.fetch("SELECT symbol, price, segment, frame FROM markets")
        segments = await connection.fetchval("SELECT sum(frames) FROM stream_segments")
    newest = {key.symbol: tick.price for key, tick in recorder.conflation.newest()}
    assert {row["symbol"]: row["price"] for row in prices if row["price"]} == newest
    assert segments == 50
    assert all(row["segment"] for row in prices if row["price"])


async def _until_stored(pool: Pool, statement: str, least: int) -> None:
    async with asyncio.timeout(10):
        while True:
            async with pool.acquire() as connection:
                if await connection.fetchval(statement) >= least:
                    return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("venue", VENUES)
def test_the_addresses_of_a_venue_are_settings(venue: str) -> None:
    assert venue_urls(load_settings({}), venue) == (VENUES[venue].stream_url, VENUES[venue].api_url)
    variable = f"{venue.upper()}_STREAM_URL"
    changed = load_settings({variable: "ws://127.0.0.1:9100/x/ws"})
    assert venue_urls(changed, venue)[0] == "ws://127.0.0.1:9100/x/ws"
    for wrong in ("https://a.example", "wss://", "wss://a b", "wss://a.example:0"):
        with pytest.raises(SettingsError, match=f"{variable} must be a ws or wss URL"):
            venue_urls(load_settings({variable: wrong}), venue)
    assert set(declared_settings(STREAM_SETTINGS[venue])) == {f"{venue}_url", f"{venue}_stream_url"}
