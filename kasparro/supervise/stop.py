"""The one wish to end: the user's, by a signal, or that of a process that cannot go on."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio


class Stop:
    """Set once by whoever wants the end.

    `reason` is what a process gave for it, None when the user wished it; `signal` is then the
    number of the first one.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.signal = 0
        self.on_impatience: Callable[[], None] = lambda: None
        self._event = anyio.Event()
        self._starting: anyio.CancelScope | None = None

    def wish(self, reason: str | None = None) -> None:
        """Ask for the end; of several reasons the first is kept."""
        self.reason = self.reason or reason
        self._event.set()
        if self._starting is not None:
            self._starting.cancel()

    def is_wished(self) -> bool:
        """Tell whether the end was asked for."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return as soon as the end is asked for."""
        await self._event.wait()

    @contextmanager
    def cancels(self) -> Iterator[None]:
        """Leave the block as soon as the end is asked for."""
        with anyio.CancelScope() as self._starting:
            yield
        self._starting = None

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take SIGINT, SIGTERM and a closed terminal for the wish, and each further one for impatience."""
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGINT, signal.SIGTERM]
        if (
            signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        ):  # nohup has it ignored, and that stays
            numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._take_signal, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _take_signal(self, number: signal.Signals) -> None:
        if self.is_wished():
            self.on_impatience()
        self.signal = self.signal or number
        self.wish()
