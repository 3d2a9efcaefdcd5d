"""The request to stop the supervisor: by a signal, or by a process that cannot continue."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio


class Stop:
    """A request to stop, made once.

    `reason` is the message of a process, None after a signal; `signal` is the number of the first
    signal.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.signal = 0
        self.on_second_signal: Callable[[], None] = lambda: None
        self._event = anyio.Event()
        self._starting: anyio.CancelScope | None = None

    def request(self, reason: str | None = None) -> None:
        """Request the stop; the first of several reasons stays."""
        self.reason = self.reason or reason
        self._event.set()
        if self._starting is not None:
            self._starting.cancel()

    def is_requested(self) -> bool:
        """Return whether the stop was requested."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait until the stop is requested."""
        await self._event.wait()

    @contextmanager
    def cancels(self) -> Iterator[None]:
        """Cancel the block when the stop is requested."""
        with anyio.CancelScope() as self._starting:
            yield
        self._starting = None

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Stop on SIGINT, SIGTERM or SIGHUP; on a further one call `on_second_signal`."""
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
            numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._take_signal, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _take_signal(self, number: signal.Signals) -> None:
        if self.is_requested():
            self.on_second_signal()
        self.signal = self.signal or number
        self.request()
