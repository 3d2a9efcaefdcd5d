"""Ticks of exchanges: decode and conflate on one core, and the way through a websocket."""

import asyncio
import sys
import time
import tracemalloc
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, cast

from bench.figures import Bounds, Figure
from bench.streams_live import measure_live
from ingestor.streams.conflation import Conflation
from ingestor.streams.consensus import consensus_prices
from ingestor.streams.contributions import MarketPrice
from ingestor.streams.following.client import StreamClient
from ingestor.streams.following.policy import StreamPolicy
from ingestor.streams.following.recent import RecentTicks
from ingestor.streams.records import Frame
from ingestor.streams.venues import VENUES
from kasparro.simulator.venues.prices import TickingMarket, make_pairs
from kasparro.simulator.venues.protocols import PROTOCOLS
from kasparro.simulator.venues.protocols.protocol import SimulatedPair

COINS, QUICK_COINS = 1_000, 100
TICKS, QUICK_TICKS = 30_000, 5_000
MEMORY_TICKS, QUICK_MEMORY_TICKS = 60_000, 5_000
"""Half of them fill the window of recent ticks."""
ROUNDS = 7
TICKS_A_SECOND: Final = 1_000
"""Of each market list: Binance's array of a second holds as many."""
RATE: Final = Bounds(at_least=50_000)
RECENT_TICKS: Final = StreamPolicy().recent_ticks
OFFERED_TICKS: Final = 4_000
LISTEN_SECONDS, QUICK_LISTEN_SECONDS = 10.0, 2.0


async def measure(*, quick: bool) -> list[Figure]:
    """Measure each venue's frames, the consensus of all markets, and a client of the simulator."""
    coins, ticks = (QUICK_COINS, QUICK_TICKS) if quick else (COINS, TICKS)
    pairs = make_pairs(coins)
    figures = [_decode(name, pairs, ticks) for name in VENUES]
    figures.append(_memory(pairs, QUICK_MEMORY_TICKS if quick else MEMORY_TICKS))
    figures.append(_consensus(pairs))
    figures.append(await _listen(QUICK_LISTEN_SECONDS if quick else LISTEN_SECONDS))
    return figures + await measure_live(quick=quick)


def _frames(name: str, pairs: Sequence[SimulatedPair], ticks: int) -> list[bytes]:
    """Return the frames of a venue with about as many ticks, of a market that moves."""
    market, protocol = TickingMarket(pairs), PROTOCOLS[name]
    frames = []
    for second in range(ticks // TICKS_A_SECOND):
        market.move()
        found = market.ticks(TICKS_A_SECOND, at_ns=(1_790_000_000 + second) * 10**9)
        frames += [text.encode() for text in protocol.frames(found)]
    return frames


def _decode(name: str, pairs: Sequence[SimulatedPair], ticks: int) -> Figure:
    """Take the ticks of frames from their bytes to the newest value of each market."""
    frames = _frames(name, pairs, ticks)
    rates = []
    for _ in range(ROUNDS):
        conflation = Conflation()
        # The time of a core: other programs of the machine do not count.
        started = time.process_time()
        taken = _conflate(name, frames, conflation)
        rates.append(conflation.ticks / (time.process_time() - started))
        if not taken:
            raise RuntimeError(f"the frames of {name} hold no tick")
    return Figure(
        what=f"decode, deduplicate and conflate frames of {name}",
        unit="ticks/s",
        ours=max(rates),
        bounds=RATE,
    )


def _conflate(name: str, frames: Sequence[bytes], conflation: Conflation) -> int:
    """Conflate frames, with a batch taken every thousand; return the values taken."""
    reader, recent, taken = VENUES[name].reader(), RecentTicks(RECENT_TICKS), 0
    for number, raw in enumerate(frames):
        ticks = [tick for tick in reader.read(raw, 0).ticks if recent.is_new(tick)]
        conflation.add_frame(Frame(name, 0, raw, ticks))
        if number % 1_000 == 0:
            taken += len(conflation.take())
    return taken + len(conflation.take())


def _memory(pairs: Sequence[SimulatedPair], ticks: int) -> Figure:
    """Compare the memory held after half of the ticks and after all of them."""
    frames = _frames("okx", pairs, ticks)
    reader, recent, conflation = VENUES["okx"].reader(), RecentTicks(RECENT_TICKS), Conflation()
    held = []
    tracemalloc.start()
    try:
        for part in (frames[: len(frames) // 2], frames[len(frames) // 2 :]):
            for raw in part:
                new = [tick for tick in reader.read(raw, 0).ticks if recent.is_new(tick)]
                conflation.add_frame(Frame("okx", 0, raw, new))
            conflation.take()
            held.append(tracemalloc.get_traced_memory()[0] / 1e6)
    finally:
        tracemalloc.stop()
    return Figure(
        what=f"memory held after {ticks:,} ticks of {len(pairs):,} markets",
        unit="MB",
        ours=held[1],
        against="after half of them",
        theirs=held[0],
        bounds=Bounds(ratio_at_most=1.05) if ticks == MEMORY_TICKS else None,
    )


def _consensus(pairs: Sequence[SimulatedPair]) -> Figure:
    """Compute the consensus of all assets over five venues with all markets."""
    now_ns, markets = 1_790_000_000 * 10**9, []
    for number, venue in enumerate(list(VENUES)[:5]):
        for tick in TickingMarket(pairs, seed=number).ticks(10 * len(pairs), at_ns=now_ns):
            pair = tick.pair
            row = _market(venue, pair, tick.price, now_ns)
            markets.append(row)
    unique = list({(row.venue, row.symbol): row for row in markets}.values())
    started = time.perf_counter()
    prices = consensus_prices(unique, now_ns)
    seconds = time.perf_counter() - started
    return Figure(
        what=f"consensus of {len(prices):,} assets over {len(unique):,} markets",
        unit="ms",
        ours=seconds * 1_000,
        bounds=Bounds(at_most=1_000),
    )


def _market(venue: str, pair: SimulatedPair, price: str, now_ns: int) -> MarketPrice:
    return MarketPrice(
        venue,
        f"{pair.base}/{pair.quote}",
        pair.base,
        pair.quote,
        Decimal(price),
        now_ns,
        volume_24h_quote=Decimal(1_000_000),
    )


async def _listen(seconds: float) -> Figure:
    """Follow a simulated exchange of another process, and count what arrives in a second."""
    options = ("--port", "0", "--venue", "okx", "--ticks", str(OFFERED_TICKS))
    command = ("-m", "kasparro.simulator.venues", *options)
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE)
    try:
        url = await _stream_url(cast("asyncio.StreamReader", process.stdout), "okx")
        pairs = make_pairs(500)
        symbols = [PROTOCOLS["okx"].symbol(pair) for pair in pairs]
        conflation = Conflation()
        async with StreamClient(VENUES["okx"], symbols, url=url) as client:
            started = time.perf_counter()
            async for event in client:
                if isinstance(event, Frame):
                    conflation.add_frame(event)
                if time.perf_counter() - started > seconds:
                    break
            rate = client.state.ticks / (time.perf_counter() - started)
    finally:
        process.terminate()
        await process.wait()
    return Figure(
        what="ticks through a websocket of a simulator on the same machine",
        unit="ticks/s",
        ours=rate,
        against="offered",
        theirs=OFFERED_TICKS,
    )


async def _stream_url(output: asyncio.StreamReader, venue: str) -> str:
    """Return the URL that the simulator prints for a venue."""
    async for line in output:
        words = line.decode().replace(",", "").split()
        if venue in words:
            return words[words.index("at") + 1]
    raise RuntimeError("the simulator ended before it printed its addresses")
