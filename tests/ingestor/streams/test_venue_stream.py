"""A venue from its list to the database: new markets, refused lists, the end of a run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from common.backoff import BackoffPolicy
from common.settings import SettingsError, load_settings
from ingestor.http.fetch import Fetch, FetchLimits, Provider
from ingestor.sources.spec import SourceSpec, declared_settings
from ingestor.streams.recorder import MarketRecorder
from ingestor.streams.settings import STREAMS, venue_urls
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


@pytest.mark.parametrize("spec", STREAMS, ids=lambda spec: spec.name)
def test_the_addresses_of_a_venue_are_settings(spec: SourceSpec) -> None:
    venue = VENUES[spec.name]
    spec.check()
    assert spec.creator()(load_settings({}), name=spec.name) is venue
    assert venue_urls(load_settings({}), spec) == (venue.stream_url, venue.api_url)
    variable = f"{spec.name.upper()}_STREAM_URL"
    changed = load_settings({variable: "ws://127.0.0.1:9100/x/ws"})
    assert venue_urls(changed, spec)[0] == "ws://127.0.0.1:9100/x/ws"
    for wrong in ("https://a.example", "wss://", "wss://a b", "wss://a.example:0"):
        with pytest.raises(SettingsError, match=f"{variable} must be a ws or wss URL"):
            venue_urls(load_settings({variable: wrong}), spec)
    own = {f"{spec.name}_url", f"{spec.name}_stream_url"}
    assert set(declared_settings(spec.settings)) == own
