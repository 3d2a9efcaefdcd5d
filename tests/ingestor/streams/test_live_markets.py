"""Six exchanges of the simulator as a program: lists, streams, and a consensus of its prices."""

import asyncio
import contextlib
import re
import signal
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import msgspec

from ingestor.http.fetch import Fetch, FetchLimits, Provider
from ingestor.streams.conflation import Conflation
from ingestor.streams.consensus import consensus_prices
from ingestor.streams.contributions import ConsensusPolicy, ConsensusPrice, MarketPrice
from ingestor.streams.following.client import StreamClient
from ingestor.streams.markets import fetch_markets
from ingestor.streams.records import Frame, VenueMarket
from ingestor.streams.venues import VENUES
from tests.conftest import Program, StartProgram
from tests.ingestor.streams.streaming import QUICK, QuickVenue

Addresses = Mapping[str, tuple[str, str]]
Markets = Mapping[tuple[str, str], VenueMarket]


def addresses_of(program: Program) -> Addresses:
    found = re.findall(r"simulator: (\w+) at (\S+), markets at (\S+)", program.text())
    return {venue: (stream, api) for venue, stream, api in found}


async def list_markets(addresses: Addresses) -> Markets:
    markets: dict[tuple[str, str], VenueMarket] = {}
    for name, (_, url) in addresses.items():
        provider = Provider(
            name=name, url=url, url_variable=f"{name.upper()}_URL", calls=10, per_seconds=1
        )
        fetch = Fetch(provider, FetchLimits(attempts=1))
        try:
            for market in await fetch_markets(VENUES[name], fetch):
                markets[name, market.symbol] = market
        finally:
            await fetch.close()
    return markets


async def follow(
    name: str, url: str, markets: Markets, conflation: Conflation, stop: asyncio.Event
) -> int:
    symbols = [symbol for venue, symbol in markets if venue == name]
    async with StreamClient(QuickVenue(name), symbols, url=url, policy=QUICK) as client:
        async for event in client:
            if isinstance(event, Frame):
                conflation.add_frame(event)
            if stop.is_set():
                break
        return client.gaps


def consensus_of_all(markets: Markets, conflation: Conflation) -> dict[str, ConsensusPrice]:
    rows = [
        MarketPrice(
            key.venue,
            key.symbol,
            markets[key].base,
            markets[key].quote,
            tick.price,
            tick.observed_ns,
            tick.volume_24h_base,
            tick.volume_24h_quote,
        )
        for key, tick in conflation.newest()
    ]
    newest_ns = max(row.observed_ns for row in rows)
    return consensus_prices(rows, newest_ns, ConsensusPolicy(quorum=3))


async def test_six_exchanges_give_one_price_and_the_one_that_lies_is_named(
    start_program: StartProgram,
) -> None:
    program = start_program(
        "-m", "kasparro.simulator.venues", "--port", "0", "--coins", "3", "--ticks", "100"
    )
    await program.wait_for("bitstamp at")
    addresses = addresses_of(program)
    assert list(addresses) == list(VENUES)
    markets = await list_markets(addresses)
    assert len(markets) == 6 * 7
    conflation, stop = Conflation(), asyncio.Event()
    tasks = [
        asyncio.create_task(follow(name, stream, markets, conflation, stop))
        for name, (stream, _) in addresses.items()
    ]
    try:
        await _until_all(markets, conflation)
        honest = consensus_of_all(markets, conflation)
        await _manipulate(addresses["okx"][0])
        await _until_it_lies(conflation)
        lied_to = consensus_of_all(markets, conflation)
    finally:
        stop.set()
        async with asyncio.timeout(20):
            gaps = await asyncio.gather(*tasks)
    assert sum(gaps) == 0
    for asset in ("BTC", "ETH", "USDT", "C0000"):
        before, after = honest[asset], lied_to[asset]
        assert before.price is not None
        assert after.price is not None
        # Bitstamp sends no volume of a day, which says so itself.
        reasons = {entry.venue: entry.reason for entry in after.contributions}
        assert reasons["bitstamp"] == "NO_VOLUME"
        assert reasons["okx"] == "DEVIATES"
        assert (before.venues, after.venues) == (5, 4)
        assert abs(after.price / before.price - 1) < 0.05
    assert await program.stop(signal.SIGTERM) == 0


async def _until_all(markets: Markets, conflation: Conflation) -> None:
    async with asyncio.timeout(30):
        while len(conflation) < len(markets):
            await asyncio.sleep(0.05)


async def _until_it_lies(conflation: Conflation) -> None:
    """Wait until every market of the lying venue has a new price."""
    before = {key: tick.price for key, tick in conflation.newest() if key.venue == "okx"}
    async with asyncio.timeout(30):
        while True:
            now = dict(conflation.newest())
            if all(now[key].price > 5 * price for key, price in before.items()):
                return
            await asyncio.sleep(0.05)


async def _manipulate(stream_url: str) -> None:
    """Let a venue's prices be ten times as high, through the simulator's control."""
    root = stream_url.replace("ws://", "http://").rpartition("/okx")[0]
    body = msgspec.json.encode({"kind": "manipulate", "venue": "okx", "factor": 10})
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{root}/_control/streams/faults", data=body) as response,
    ):
        assert await response.json() == {"venues": ["okx"]}


async def test_a_recording_is_replayed_by_the_program(
    start_program: StartProgram, tmp_path: Path
) -> None:
    row = (
        '{"arg":{"channel":"tickers","instId":"BTC-USD"},'
        '"data":[{"instId":"BTC-USD","last":"%s","ts":"1690000000519"}]}'
    )
    (tmp_path / "OKX.ws.1.0").write_text(
        "wss://ws.okx.com <-> 1.0\n" + f"1.5: {row % '20000.5'}\n" + f"1.6: {row % '20000.6'}\n",
        encoding="utf-8",
    )
    program = start_program(
        "-m", "kasparro.simulator.venues", "--port", "0", "--replay", str(tmp_path)
    )
    await program.wait_for("bitstamp at")
    url = addresses_of(program)["okx"][0]
    prices: list[str] = []
    async with StreamClient(QuickVenue("okx"), ["BTC-USD"], url=url, policy=QUICK) as client:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                async for event in client:
                    if isinstance(event, Frame):
                        prices += [str(tick.price) for tick in event.ticks]
                    if len(prices) == 2:
                        break
    assert sorted(prices) == ["20000.5", "20000.6"]
