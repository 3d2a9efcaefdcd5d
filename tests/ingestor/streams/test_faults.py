"""The client against each fault of the simulated exchanges."""

import asyncio
import contextlib
import time

import aiohttp
import msgspec
import pytest
from aiohttp import web

from ingestor.http.egress import Egress
from ingestor.streams.following.client import StreamClient
from ingestor.streams.records import Frame, Gap, Tick
from ingestor.streams.venue import Budget, KeepAlive
from ingestor.streams.venues import VENUES
from kasparro.simulator.venues.app import serving_venues
from kasparro.simulator.venues.exchange import SimulatedExchange
from kasparro.simulator.venues.faults import StreamFault
from kasparro.simulator.venues.prices import TickingMarket
from kasparro.simulator.venues.replay import replay
from kasparro.simulator.venues.sessions import RecordedSession
from tests.ingestor.streams.streaming import (
    QUICK,
    Collected,
    QuickVenue,
    exchange_of,
    live,
    streaming,
    symbols_of,
    synthetic_session,
    ticks_of,
)

SLOW = 10_000.0
"""A pace at which only the machine is the limit."""


async def send(
    exchange: SimulatedExchange, session: RecordedSession, first: int, last: int
) -> None:
    part = msgspec.structs.replace(session, frames=session.frames[first:last])
    await replay(exchange, part, speed=SLOW)


def reasons(collected: Collected) -> list[str]:
    return [gap.reason for gap in collected.gaps]


def lost(sent: list[Tick], collected: Collected) -> list[Tick]:
    """Return what did not arrive, after a check that all of it lies in a gap."""
    missing = [tick for tick in sent if tick not in set(collected.ticks)]
    for tick in missing:
        assert any(gap.covers(tick.symbol, tick.observed_ns) for gap in collected.gaps), tick
    return missing


@pytest.mark.parametrize("venue", VENUES)
async def test_frames_that_come_twice_or_in_disorder_count_once_and_are_no_loss(
    venue: str,
) -> None:
    exchange = exchange_of(venue)
    session = synthetic_session(exchange, 60, seed=1)
    sent = ticks_of(venue, session.frames)
    async with streaming(exchange) as collected:
        await send(exchange, session, 0, 10)
        exchange.apply(StreamFault(kind="duplicate", count=10))
        exchange.apply(StreamFault(kind="disorder", count=5))
        await send(exchange, session, 10, len(session.frames))
        await collected.until(lambda got: len(got.ticks) == len(sent))
        state = collected.client.state
    assert sorted(collected.ticks, key=sent.index) == sent
    assert collected.ticks != sent
    assert state.duplicates == 10
    assert collected.gaps == []


async def test_a_hole_in_the_numbers_of_trades_is_a_gap_of_that_symbol() -> None:
    exchange = exchange_of("coinbase", coins=2)
    session = synthetic_session(exchange, 100, seed=1)
    sent = ticks_of("coinbase", session.frames)
    async with streaming(exchange) as collected:
        await send(exchange, session, 0, 100)
        exchange.apply(StreamFault(kind="jump", count=2))
        await send(exchange, session, 100, 200)
        await collected.until(lambda got: len(got.ticks) == len(sent) - 2)
    missing = lost(sent, collected)
    assert reasons(collected) == ["sequence"]
    assert {tick.symbol for tick in missing} == {collected.gaps[0].symbol}
    assert len(missing) == 2


async def test_a_trade_that_is_the_last_for_a_while_is_missed_by_a_heartbeat() -> None:
    exchange = exchange_of("coinbase", coins=2)
    market = TickingMarket(exchange.pairs[:1], 1)
    async with streaming(exchange) as collected:
        now_ns = time.time_ns()
        exchange.publish_ticks(market.ticks(1, at_ns=now_ns - 2 * 10**9))
        exchange.heartbeat()
        exchange.apply(StreamFault(kind="jump", count=2))
        exchange.publish_ticks(market.ticks(1, at_ns=now_ns - 10**9))
        exchange.heartbeat()
        await asyncio.sleep(0.1)
        assert collected.gaps == []  # the trade may still be on its way
        exchange.heartbeat()
        await collected.until(lambda got: got.gaps)
    assert reasons(collected) == ["sequence"]
    assert collected.gaps[0].covers(collected.ticks[0].symbol, now_ns - 10**9)


@pytest.mark.parametrize("venue", ["binance", "kraken"])
async def test_a_socket_that_stays_open_and_silent_is_replaced(venue: str) -> None:
    exchange = exchange_of(venue)
    session = synthetic_session(exchange, 90, seed=1)
    sent = ticks_of(venue, session.frames)
    quick = QuickVenue(venue, silence_seconds=0.3)
    async with streaming(exchange, venue=quick) as collected:
        await send(exchange, session, 0, 30)
        await collected.until(lambda got: len(got.ticks) == 30)
        exchange.apply(StreamFault(kind="silence", seconds=3))
        await asyncio.sleep(0)
        await send(exchange, session, 30, 60)
        async with asyncio.timeout(5):
            while exchange.connections < 2 or collected.client.state.status != "live":
                await asyncio.sleep(0.01)
        await send(exchange, session, 60, 90)
        await collected.until(lambda got: sent[-1] in got.ticks)
    assert reasons(collected) == ["silence"]
    assert 15 <= len(lost(sent, collected)) <= 30


async def test_a_venue_that_answers_pings_and_sends_no_price_is_replaced() -> None:
    exchange = exchange_of("okx")
    quick = QuickVenue(
        "okx",
        keep_alive=KeepAlive(0.05, "ping"),
        silence_seconds=30.0,
        tick_silence_seconds=0.4,
    )
    async with streaming(exchange, venue=quick) as collected:
        async with asyncio.timeout(5):
            while exchange.connections < 2:
                await asyncio.sleep(0.01)
        assert exchange.received.count("ping") >= 3
        assert collected.client.state.reconnects >= 1


@pytest.mark.parametrize("venue", ["binance", "okx", "bitstamp"])
async def test_a_shutdown_that_is_announced_costs_nothing(venue: str) -> None:
    """Binance's serverShutdown, OKX's notice, Bitstamp's request to reconnect."""
    exchange = exchange_of(venue)
    session = synthetic_session(exchange, 600, seed=1)
    sent = ticks_of(venue, session.frames)
    async with streaming(exchange) as collected:
        await send(exchange, session, 0, 50)
        exchange.apply(StreamFault(kind="shutdown", seconds=1.0))
        part = msgspec.structs.replace(session, frames=session.frames[50:])
        await replay(exchange, part, speed=2 * 550 / 1.5)
        await collected.until(lambda got: len(got.ticks) == len(sent))
    assert exchange.connections == 2
    assert collected.ticks == sent
    assert collected.gaps == []


async def test_two_connections_overlap_before_the_cut_after_a_day() -> None:
    exchange = exchange_of("binance")
    session = synthetic_session(exchange, 600, seed=1)
    sent = ticks_of("binance", session.frames)
    quick = QuickVenue("binance", longest_seconds=0.5)
    async with streaming(exchange, venue=quick) as collected:
        await replay(exchange, session, speed=2 * 600 / 1.6)
        await collected.until(lambda got: len(got.ticks) == len(sent))
        state = collected.client.state
    assert exchange.connections >= 3
    assert state.reconnects == exchange.connections - 1 or state.reconnects >= 2
    assert state.duplicates > 0
    assert collected.ticks == sent
    assert collected.gaps == []


async def test_a_planned_replacement_that_comes_too_late_is_told_as_such() -> None:
    exchange = exchange_of("bitstamp")
    session = synthetic_session(exchange, 60, seed=1)
    sent = ticks_of("bitstamp", session.frames)
    async with streaming(exchange) as collected:
        await send(exchange, session, 0, 20)
        await collected.until(lambda got: len(got.ticks) == 20)
        exchange.apply(StreamFault(kind="refuse", seconds=0.5, status=503))
        exchange.apply(StreamFault(kind="shutdown", seconds=0.2))
        await asyncio.sleep(0.3)
        await send(exchange, session, 20, 40)
        await live(collected.client)
        async with asyncio.timeout(5):
            while not exchange.clients:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        await send(exchange, session, 40, 60)
        await collected.until(lambda got: sent[-1] in got.ticks)
    assert reasons(collected) == ["planned_cut"]
    assert len(lost(sent, collected)) == 20


@pytest.mark.parametrize("kind", ["wrong_json", "half_frame"])
async def test_a_frame_that_is_broken_is_disclosed(kind: str) -> None:
    exchange = exchange_of("kraken")
    session = synthetic_session(exchange, 60, seed=1)
    sent = ticks_of("kraken", session.frames)
    async with streaming(exchange) as collected:
        await send(exchange, session, 0, 30)
        exchange.apply(StreamFault(kind=kind))  # type: ignore[arg-type]  # one of two
        await send(exchange, session, 30, 31)
        await asyncio.sleep(0.2)
        await live(collected.client)
        await send(exchange, session, 31, 60)
        await collected.until(lambda got: sent[-1] in got.ticks)
        malformed = collected.client.state.malformed
    expected = {"wrong_json": ("malformed", 1), "half_frame": ("reconnect", 0)}[kind]
    assert (reasons(collected), malformed) == ([expected[0]], expected[1])
    assert len(lost(sent, collected)) <= 1


async def test_a_venue_that_sends_only_broken_frames_is_connected_to_again() -> None:
    exchange = exchange_of("okx")
    session = synthetic_session(exchange, 40, seed=1)
    async with streaming(exchange) as collected:
        await send(exchange, session, 0, 10)
        exchange.apply(StreamFault(kind="wrong_json", count=QUICK.malformed_in_a_row))
        await send(exchange, session, 10, 10 + QUICK.malformed_in_a_row)
        async with asyncio.timeout(5):
            while exchange.connections < 2:
                await asyncio.sleep(0.01)
        assert "cannot be read" in (collected.client.state.problem or "") or (
            collected.client.state.status == "live"
        )
    assert set(reasons(collected)) == {"malformed"}


async def test_one_bad_entry_of_an_array_costs_no_other() -> None:
    exchange = exchange_of("binance")
    good = '{"e":"24hrMiniTicker","E":1790000000000,"s":"BTCUSD","c":"5","v":"1","q":"5"}'
    bad = good.replace('"5"', '"high"').replace("BTCUSD", "ETHUSD")
    async with streaming(exchange) as collected:
        exchange.publish(f"[{bad},{good}]")
        await collected.until(lambda got: got.ticks)
        state = collected.client.state
    assert [tick.symbol for tick in collected.ticks] == ["BTCUSD"]
    assert state.malformed == 1
    assert reasons(collected) == ["malformed"]


async def test_a_burst_of_ten_times_as_many_ticks_arrives_whole() -> None:
    exchange = exchange_of("bybit", coins=50)
    session = synthetic_session(exchange, 5_000, seed=1)
    sent = ticks_of("bybit", session.frames)
    async with streaming(exchange) as collected:
        for frame in session.frames:
            exchange.publish(frame.text)
        await collected.until(lambda got: len(got.ticks) == len(sent))
    assert collected.ticks == sent
    assert collected.gaps == []


async def test_a_reader_that_stops_bounds_memory_and_what_is_dropped_is_a_gap() -> None:
    exchange = exchange_of("okx")
    session = synthetic_session(exchange, 3_000, seed=1)
    sent = ticks_of("okx", session.frames)
    policy = msgspec.structs.replace(QUICK, queued_bytes=20_000, overload_seconds=0.1)
    async with serving_venues({"okx": exchange}) as addresses:
        client = StreamClient(
            QuickVenue("okx"), symbols_of(exchange), url=addresses["okx"].stream_url, policy=policy
        )
        async with client:
            await live(client)
            await send(exchange, session, 0, 2_900)
            async with asyncio.timeout(10):
                while client.dropped_frames < 100:
                    await asyncio.sleep(0.01)
            held = client._outlet._bytes
            collected = Collected(client)
            follower = asyncio.create_task(collected.follow())
            await asyncio.sleep(0.3)
            await send(exchange, session, 2_900, 3_000)
            await collected.until(lambda got: sent[-1] in got.ticks)
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower
    assert held <= 20_000 + 500
    assert "overload" in reasons(collected)
    assert len(lost(sent, collected)) >= 100


@pytest.mark.parametrize(("status", "is_refused"), [(451, True), (403, True), (503, False)])
async def test_a_venue_that_refuses_a_country_is_one_line_and_is_tried_again(
    status: int, *, is_refused: bool
) -> None:
    exchange = exchange_of("binance")
    exchange.apply(StreamFault(kind="refuse", seconds=0.4, status=status))
    async with serving_venues({"binance": exchange}) as addresses:
        client = StreamClient(
            QuickVenue("binance"), ["BTCUSD"], url=addresses["binance"].stream_url, policy=QUICK
        )
        async with client:
            async with asyncio.timeout(5):
                while client.state.problem is None:
                    await asyncio.sleep(0.005)
            assert client.state.problem == f"it answered {status}"
            assert client.state.is_refused is is_refused
            assert client.state.status == "down"
            await live(client)
            assert client.state.problem is None
            assert not client.state.is_refused


async def test_a_websocket_goes_through_the_proxy_of_the_settings_and_its_errors_name_it() -> None:
    egress = Egress(proxies={"https": "http://127.0.0.1:1"})
    venue = QuickVenue("kraken")
    url = "wss://ws.example.invalid/v2"
    async with StreamClient(venue, ["BTC/USD"], url=url, egress=egress, policy=QUICK) as client:
        async with asyncio.timeout(10):
            while client.state.problem is None:
                await asyncio.sleep(0.01)
        assert "the proxy http://127.0.0.1:1 could not be reached" in client.state.problem
        assert client.state.problem.endswith("check HTTPS_PROXY")


async def test_subscriptions_stay_within_the_budgets_and_sizes_of_a_venue() -> None:
    exchange = exchange_of("bybit", coins=25)
    quick = QuickVenue(
        "bybit", messages=Budget(2, 0.2), connections=Budget(1, 0.2), symbols_a_connection=20
    )
    started = asyncio.get_running_loop().time()
    async with streaming(exchange, venue=quick) as collected:
        seconds = asyncio.get_running_loop().time() - started
        assert collected.client.state.connections == 3
    # 51 markets: three connections, at most one in 0.2 s, with messages of at most 10 markets.
    assert seconds >= 0.3
    sizes = [len(msgspec.json.decode(text)["args"]) for text in exchange.received]
    assert sorted(sizes) == [1, 10, 10, 10, 10, 10] or sum(sizes) == 51
    assert max(sizes) == 10


async def test_a_ping_of_the_venue_is_answered_with_its_payload() -> None:
    pongs: list[bytes] = []

    async def serve(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(autoping=False)
        await websocket.prepare(request)
        await websocket.ping(b"1790000000000")
        async for message in websocket:
            pongs.extend([bytes(message.data)] if message.type == aiohttp.WSMsgType.PONG else [])
        return websocket

    app = web.Application()
    app.router.add_get("/ws", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"ws://127.0.0.1:{runner.addresses[0][1]}/ws"
        async with StreamClient(QuickVenue("binance"), ["BTCUSD"], url=url, policy=QUICK):
            async with asyncio.timeout(5):
                while not pongs:
                    await asyncio.sleep(0.01)
    finally:
        await runner.cleanup()
    assert pongs == [b"1790000000000"]


async def test_a_refused_symbol_is_reported_and_the_others_stream() -> None:
    exchange = exchange_of("binance")
    async with streaming(exchange, ["BTCUSD"]) as collected:
        for client in exchange.clients:
            client.send('{"error":{"code":2,"msg":"Invalid request: unknown symbol"},"id":1}')
        session = synthetic_session(exchange, 40, seed=2)
        await send(exchange, session, 0, 40)
        state = collected.client.state
        async with asyncio.timeout(5):
            while state.unknown + len(collected.ticks) < 40:
                await asyncio.sleep(0.01)
    assert "unknown symbol" in (state.last_refusal or "")
    assert state.refusals == 1
    assert {tick.symbol for tick in collected.ticks} == {"BTCUSD"}
    assert state.unknown > 0


async def test_a_time_in_the_future_is_counted_and_moves_nothing() -> None:
    exchange = exchange_of("binance")
    row = '[{"e":"24hrMiniTicker","E":%d,"s":"BTCUSD","c":"5","v":"1","q":"5"}]'
    async with streaming(exchange) as collected:
        exchange.publish(row % 4_000_000_000_000)
        exchange.publish(row % 1_790_000_000_000)
        await collected.until(lambda got: got.ticks)
        assert collected.client.state.future == 1
    assert len(collected.ticks) == 1
    assert isinstance(collected.events[0], Frame)
    assert not [event for event in collected.events if isinstance(event, Gap)]
