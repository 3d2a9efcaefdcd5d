"""Long work in short slices of time, so that other tasks of the event loop can run in between."""

import asyncio
import time

SLICE_SECONDS = 0.001


class TimeSlice:
    """The time slice of one task; call `end_if_over` often."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE_SECONDS

    async def end_if_over(self) -> None:
        """Yield to other tasks if the slice is over, then begin the next one."""
        if time.perf_counter() > self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + SLICE_SECONDS
