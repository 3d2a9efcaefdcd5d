"""The simulated exchanges: controls, faults on the wire, slow clients, prices."""

import asyncio
import json
from decimal import Decimal

import aiohttp
import pytest

from kasparro.simulator.venues import client as venue_client
from kasparro.simulator.venues.app import serving_venues
from kasparro.simulator.venues.exchange import SimulatedExchange
from kasparro.simulator.venues.faults import StreamFault
from kasparro.simulator.venues.prices import TickingMarket, make_pairs
from kasparro.simulator.venues.protocols import PROTOCOLS

PAIRS = make_pairs(3)
SUBSCRIBE = {
    "binance": '{"method":"SUBSCRIBE","params":["!miniTicker@arr"],"id":1}',
    "coinbase": '{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches"]}',
    "kraken": '{"method":"subscribe","params":{"channel":"ticker","symbol":["BTC/USD"]}}',
    "okx": '{"op":"subscribe","args":[{"channel":"tickers","instId":"BTC-USD"}]}',
    "bybit": '{"op":"subscribe","args":["tickers.BTCUSD"]}',
    "bitstamp": '{"event":"bts:subscribe","data":{"channel":"live_trades_btcusd"}}',
}


def exchange_of(venue: str) -> SimulatedExchange:
    return SimulatedExchange(PROTOCOLS[venue], PAIRS)


@pytest.mark.parametrize("venue", PROTOCOLS)
async def test_a_client_gets_what_it_subscribed_to_and_nothing_else(
    venue: str, client: aiohttp.ClientSession
) -> None:
    exchange = exchange_of(venue)
    market = TickingMarket(PAIRS)
    async with (
        serving_venues({venue: exchange}) as addresses,
        client.ws_connect(addresses[venue].stream_url) as websocket,
    ):
        exchange.publish_ticks(market.ticks(20))
        await websocket.send_str("not json")
        await websocket.send_str(SUBSCRIBE[venue])
        answer = await websocket.receive_str(timeout=5)
        while not exchange.clients or not next(iter(exchange.clients)).symbols:
            await asyncio.sleep(0.01)
        exchange.publish_ticks(market.ticks(60))
        frames = [await websocket.receive_str(timeout=5)]
    assert "BTC" in answer.upper() or "result" in answer or "success" in answer
    wanted = exchange.protocol.symbol(next(p for p in PAIRS if (p.base, p.quote) == ("BTC", "USD")))
    for frame in frames:
        assert wanted in exchange.protocol.symbols_of(frame)


async def test_a_client_that_does_not_read_is_closed_when_it_is_too_far_behind(
    client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venue_client, "QUEUED_FRAMES", 50)
    exchange = exchange_of("binance")
    async with (
        serving_venues({"binance": exchange}) as addresses,
        client.ws_connect(addresses["binance"].stream_url) as websocket,
    ):
        await websocket.send_str(SUBSCRIBE["binance"])
        await websocket.receive_str(timeout=5)
        exchange.apply(StreamFault(kind="slow", seconds=0.2))
        await asyncio.sleep(0.01)
        for _ in range(80):
            exchange.publish_ticks(TickingMarket(PAIRS).ticks(1))
        async with asyncio.timeout(5):
            async for _ in websocket:
                pass
        assert websocket.close_code == venue_client.POLICY_VIOLATION


async def test_faults_come_through_the_control_and_a_wrong_one_is_refused(
    client: aiohttp.ClientSession,
) -> None:
    exchanges = {name: exchange_of(name) for name in ("okx", "kraken")}
    async with serving_venues(exchanges) as addresses:
        root = addresses["okx"].api_url.rpartition("/okx")[0] + "/_control/streams"
        async with client.post(f"{root}/faults", data='{"kind":"refuse","status":403}') as answer:
            assert await answer.json() == {"venues": ["okx", "kraken"]}
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await client.ws_connect(addresses["kraken"].stream_url)
        async with client.post(f"{root}/faults", data='{"kind":"earthquake"}') as answer:
            assert answer.status == 400
            assert "earthquake" in (await answer.json())["error"]
        async with client.get(root) as answer:
            assert await answer.json() == {
                name: {"clients": 0, "connections": 0} for name in exchanges
            }


async def test_a_burst_ends_after_its_time() -> None:
    exchange = exchange_of("okx")
    exchange.apply(StreamFault(kind="burst", count=10, seconds=0.1))
    await asyncio.sleep(0.02)
    assert exchange.burst == 10
    async with asyncio.timeout(5):
        while exchange.burst != 1:
            await asyncio.sleep(0.01)


def test_equal_seeds_give_equal_ticks_and_prices_near_the_true_one() -> None:
    one, two, other = (TickingMarket(PAIRS, seed) for seed in (5, 5, 6))
    assert one.ticks(50, at_ns=1) == two.ticks(50, at_ns=1)
    assert one.ticks(50, at_ns=1) != other.ticks(50, at_ns=1)
    one.move()
    for tick in one.ticks(50, at_ns=1):
        true = one.usd[tick.pair.base] / one.usd[tick.pair.quote]
        assert abs(float(tick.price) / true - 1) < 0.01
        assert Decimal(tick.volume_quote) > 0
    lied = two.ticks(1, factor=10.0, at_ns=1)[0]
    true = two.usd[lied.pair.base] / two.usd[lied.pair.quote]
    assert 9 < float(lied.price) / true < 11


def test_kraken_sends_numbers_as_json_numbers() -> None:
    text = PROTOCOLS["kraken"].frames(TickingMarket(PAIRS).ticks(1, at_ns=1_790_000_000 * 10**9))[0]
    row = json.loads(text, parse_float=Decimal)["data"][0]
    assert isinstance(row["last"], Decimal | int)
    assert row["timestamp"] == "2026-09-21T14:13:20.000000Z"
