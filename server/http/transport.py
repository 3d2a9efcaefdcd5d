"""A transport that sends a response's head and body in one write."""

import asyncio
from typing import Any

MAX_COPIED_BYTES = 65_536
"""A longer body is written separately: copying it takes as long as a second write."""


class CoalescingTransport:
    """A transport that delays a write until the next one, or the next iteration of the loop.

    uvicorn writes the head, then the body, and uvloop sends each at once: two system calls and two
    packets, which are a fifth of the cost of a response of 8 KB.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.plain = transport
        # Called for each response: an attribute is faster than `__getattr__`.
        self.is_closing = transport.is_closing
        self._pending: bytes | None = None
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (any attribute of a transport)
        return getattr(self.plain, name)

    def write(self, data: bytes) -> None:
        """Write `data` together with the pending data, or make it pending."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            if len(data) > MAX_COPIED_BYTES:
                self.plain.write(pending)
                self.plain.write(data)
            else:
                self.plain.write(pending + data)
        else:
            self._pending = data
            self._loop.call_soon(self._flush)

    def write_eof(self) -> None:
        """Write pending data, then the end of the stream."""
        self._flush()
        self.plain.write_eof()

    def close(self) -> None:
        """Write pending data, then close."""
        self._flush()
        self.plain.close()

    def _flush(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self.plain.write(pending)
