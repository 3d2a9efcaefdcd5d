"""Long work in short steps, so that a request that comes meanwhile does not wait for all of it."""

import asyncio
import time

STEP_SECONDS = 0.001


class Pace:
    """Of one piece of work; `rest` often."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + STEP_SECONDS

    async def rest(self) -> None:
        """Let others have their turn, where the step was long enough."""
        if time.perf_counter() > self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + STEP_SECONDS
