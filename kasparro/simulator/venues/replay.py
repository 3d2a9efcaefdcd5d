"""Replay a recorded session, or any list of frames, through a simulated exchange."""

import asyncio
from collections.abc import Callable

from kasparro.simulator.venues.exchange import SimulatedExchange
from kasparro.simulator.venues.sessions import RecordedSession, SessionFrame


async def replay(
    exchange: SimulatedExchange,
    session: RecordedSession,
    *,
    speed: float,
    before: Callable[[int, SessionFrame], None] | None = None,
) -> int:
    """Publish the frames with data at `speed` times the recorded pace; return their number.

    Answers and heartbeats of the recording are left out: the exchange makes its own. `before` is
    called with the number of each frame before it is published.
    """
    started, count = asyncio.get_running_loop().time(), 0
    for frame in session.frames:
        if not exchange.protocol.symbols_of(frame.text):
            continue
        due = started + (frame.at - session.frames[0].at) / speed
        wait_seconds = due - asyncio.get_running_loop().time()
        # Clients run also where the pace is faster than this machine.
        await asyncio.sleep(max(0.0, wait_seconds))
        if before is not None:
            before(count, frame)
        exchange.publish(frame.text)
        count += 1
    return count
