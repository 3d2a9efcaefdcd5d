"""One client of a simulated exchange: what it subscribed to, and the queue of what it is sent."""

import asyncio
from collections import deque
from typing import Final

from aiohttp import web

from kasparro.simulator.venues.protocols.protocol import EVERY

QUEUED_FRAMES: Final = 10_000
"""A client that is further behind is closed, as venues do."""
POLICY_VIOLATION: Final = 1008
_TEXT_FRAME: Final = 0x81
_SHORT, _MEDIUM = 126, 65_536


class VenueClient:
    """A websocket with a queue of its own, so that a slow client delays no other."""

    def __init__(self, websocket: web.WebSocketResponse, request: web.Request) -> None:
        self.symbols: frozenset[str] = frozenset()
        self.is_muted = False
        self.delay_seconds = 0.0
        self._websocket, self._request = websocket, request
        self._queue = deque[str]()
        self._filled = asyncio.Event()

    def wants(self, symbols: frozenset[str]) -> bool:
        """Return whether it subscribed to one of the symbols."""
        return self.symbols == EVERY or not self.symbols.isdisjoint(symbols)

    def send(self, text: str) -> None:
        """Queue a frame."""
        if not self.is_muted:
            self._queue.append(text)
            self._filled.set()

    async def write(self) -> None:
        """Send what is queued until the connection ends."""
        while not self._websocket.closed:
            if not self._queue:
                self._filled.clear()
                await self._filled.wait()
                continue
            if len(self._queue) > QUEUED_FRAMES:
                await self.close(POLICY_VIOLATION, "slow consumer")
                return
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            try:
                await self._websocket.send_str(self._queue.popleft())
            except ConnectionError:
                return

    async def close(self, code: int, text: str) -> None:
        """Close the connection with a code."""
        await self._websocket.close(code=code, message=text.encode())

    def abort(self) -> None:
        """End the connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def send_half(self, text: str) -> None:
        """Send the head of a frame and half of its bytes, then end the connection."""
        payload = text.encode()
        transport = self._request.transport
        if transport is not None:
            transport.write(_head(len(payload)) + payload[: len(payload) // 2])
            transport.close()


def _head(length: int) -> bytes:
    """Return the head of a text frame without a mask (RFC 6455, section 5.2)."""
    if length < _SHORT:
        return bytes([_TEXT_FRAME, length])
    if length < _MEDIUM:
        return bytes([_TEXT_FRAME, _SHORT]) + length.to_bytes(2, "big")
    return bytes([_TEXT_FRAME, _SHORT + 1]) + length.to_bytes(8, "big")
