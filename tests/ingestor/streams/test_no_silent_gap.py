"""Cuts at random: what arrived and the disclosed gaps are the whole session, nothing twice."""

import asyncio
import collections
import random
from collections.abc import Sequence

import pytest

from ingestor.streams.records import Gap, Tick
from ingestor.streams.venues import VENUES
from kasparro.simulator.venues.exchange import SimulatedExchange
from kasparro.simulator.venues.faults import StreamFault, StreamFaultKind
from kasparro.simulator.venues.protocols import PROTOCOLS
from kasparro.simulator.venues.replay import replay
from kasparro.simulator.venues.sessions import RecordedSession
from tests.ingestor.streams.recorded import SESSIONS, needs_recordings, session_of
from tests.ingestor.streams.streaming import (
    QUICK,
    SessionClock,
    exchange_of,
    replay_with_cuts,
    streaming,
    synthetic_session,
    ticks_of,
)

CUTS = 200
STEPS = 25 * CUTS


def check_union(
    sent: Sequence[Tick], arrived: Sequence[Tick], gaps: Sequence[Gap]
) -> tuple[int, int]:
    """Check the promise; return how many ticks were lost, and how many lie in a gap."""
    counts = collections.Counter(arrived)
    assert [tick for tick, count in counts.items() if count > 1] == []
    assert counts.keys() <= set(sent)
    lost = [tick for tick in sent if tick not in counts]
    covered = [
        tick for tick in sent if any(gap.covers(tick.symbol, tick.observed_ns) for gap in gaps)
    ]
    assert set(lost) <= set(covered)
    return len(lost), len(covered)


@pytest.mark.parametrize("venue", VENUES)
async def test_two_hundred_cuts_leave_no_silent_gap_and_nothing_twice(venue: str) -> None:
    exchange = exchange_of(venue)
    session = synthetic_session(exchange, STEPS, seed=3)
    chance = random.Random(7)  # noqa: S311 - a seed
    kinds: tuple[StreamFaultKind, ...] = ("cut", "cut", "half_frame", "day_cut")
    cuts = {
        number: StreamFault(kind=kinds[number % len(kinds)])
        for number in chance.sample(range(20, len(session.frames) - 50), CUTS)
    }
    sent = ticks_of(venue, session.frames)
    async with streaming(exchange) as collected:
        await replay_with_cuts(exchange, collected.client, session, cuts)
        exchange.publish(session.frames[-1].text)
        await collected.until(lambda got: sent[-1] in got.ticks)
        state = collected.client.state
    lost, covered = check_union(sent, collected.ticks, collected.gaps)
    assert exchange.connections > CUTS / 2
    assert state.reconnects == exchange.connections - 1
    assert 0 < lost < len(sent) / 2
    # A gap tells little more than what was lost, or it would tell nothing: what a venue repeats as
    # its state when it is subscribed to, and what comes until a market ticks for the second time.
    assert covered <= lost + 2 * len(exchange.pairs) * len(collected.gaps)


@needs_recordings
@pytest.mark.parametrize("venue", [name for name in SESSIONS if name != "kraken"])
async def test_cuts_in_a_recorded_session_are_disclosed(venue: str) -> None:
    session = session_of(venue)
    exchange = SimulatedExchange(PROTOCOLS[venue])
    sent = _events(ticks_of(venue, session.frames), session)
    symbols = sorted({tick.symbol for tick in sent})
    chance = random.Random(5)  # noqa: S311 - a seed
    numbers = chance.sample(range(40, len(session.frames)), 8)
    cuts = {number: StreamFault(kind="cut") for number in numbers}
    clock = SessionClock(session)
    async with streaming(exchange, symbols, clock=clock) as collected:
        await replay_with_cuts(exchange, collected.client, session, cuts, clock)
        await asyncio.sleep(0.1)
    arrived = _events(collected.ticks, session)
    check_union(sent, arrived, collected.gaps)
    assert len(arrived) >= len(sent) / 3 or venue == "binance"  # two trades in all


def _events(ticks: Sequence[Tick], session: RecordedSession) -> list[Tick]:
    """Return the ticks since the session's start: older ones are a venue's state, not events."""
    started_ns = int(session.frames[0].at * 10**9)
    return list(dict.fromkeys(tick for tick in ticks if tick.observed_ns >= started_ns))


@pytest.mark.parametrize("venue", VENUES)
async def test_an_undisturbed_session_arrives_whole_and_without_a_gap(venue: str) -> None:
    exchange = exchange_of(venue)
    session = synthetic_session(exchange, 500, seed=4)
    sent = ticks_of(venue, session.frames)
    async with streaming(exchange) as collected:
        await replay(exchange, session, speed=10_000)
        await collected.until(lambda got: len(got.ticks) == len(sent))
    assert collected.ticks == sent
    assert collected.gaps == []


async def test_what_lies_between_two_runs_of_a_client_is_a_gap() -> None:
    exchange = exchange_of("binance")
    session = synthetic_session(exchange, 3, seed=4)
    since_ns = ticks_of("binance", session.frames)[0].observed_ns - 60 * 10**9
    async with streaming(exchange, since_ns=since_ns, policy=QUICK) as collected:
        await replay(exchange, session, speed=10_000)
        await collected.until(lambda got: len(got.ticks) == len(session.frames))
    first = collected.events[0]
    assert isinstance(first, Gap)
    assert first.reason == "reconnect"
    assert (first.from_ns, first.to_ns) == (
        since_ns - 10**9,
        collected.ticks[0].observed_ns + 10**9,
    )
    assert len(collected.gaps) == 1
