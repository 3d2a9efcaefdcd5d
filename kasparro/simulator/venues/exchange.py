"""A simulated exchange: its clients, what it publishes to them, and its faults."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from aiohttp import WSMsgType, web

from kasparro.simulator.venues.client import VenueClient
from kasparro.simulator.venues.faults import StreamFault
from kasparro.simulator.venues.protocols.protocol import (
    EVERY,
    SimulatedPair,
    SimulatedTick,
    VenueProtocol,
)

GOING_AWAY: Final = 1001
LOGGED_REQUESTS: Final = 1_000


class SimulatedExchange:
    """One venue. `publish` sends a frame to the clients that want it, through pending faults."""

    def __init__(self, protocol: VenueProtocol, pairs: Sequence[SimulatedPair] = ()) -> None:
        self.protocol = protocol
        self.pairs = list(pairs)
        self.clients: set[VenueClient] = set()
        self.connections = 0
        """Connections since the start."""
        self.received: deque[str] = deque(maxlen=LOGGED_REQUESTS)
        """What clients sent."""
        self.factor = 1.0
        """What the market multiplies this venue's prices by."""
        self.burst = 1
        """How many times as many ticks the market makes."""
        self._state: dict[str, str] = {}
        self._last: dict[str, SimulatedTick] = {}
        self._pending: list[StreamFault] = []
        self._held: str | None = None
        self._refused_until = 0.0
        self._refusal = 451
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one websocket until it ends."""
        if time.monotonic() < self._refused_until:
            return web.Response(status=self._refusal)
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        client = VenueClient(websocket, request)
        self.clients.add(client)
        self.connections += 1
        writer = asyncio.create_task(client.write())
        try:
            async for message in websocket:
                if message.type == WSMsgType.TEXT:
                    self._receive(client, message.data)
        finally:
            self.clients.discard(client)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return websocket

    def _receive(self, client: VenueClient, text: str) -> None:
        self.received.append(text)
        try:
            asked = self.protocol.request(text)
        except (ValueError, KeyError, TypeError):
            return
        for answer in asked.answers:
            client.send(answer)
        if EVERY in (asked.symbols, client.symbols):
            client.symbols = EVERY
        else:
            client.symbols |= asked.symbols
        if self.protocol.sends_state:
            for symbol in sorted(asked.symbols & self._state.keys()):
                client.send(self._state[symbol])

    def publish_ticks(self, ticks: Sequence[SimulatedTick]) -> None:
        """Publish ticks as the venue's frames."""
        for tick in ticks:
            self._last[self.protocol.symbol(tick.pair)] = tick
        for text in self.protocol.frames(ticks):
            self.publish(text)

    def publish(self, text: str) -> None:
        """Send a frame with data; pending faults change it."""
        symbols = self.protocol.symbols_of(text)
        if self.protocol.sends_state:
            self._state.update(dict.fromkeys(symbols, text))
        fault = self._take_fault()
        kind = None if fault is None else fault.kind
        if kind == "jump":
            return
        if kind == "disorder" and self._held is None:
            self._held = text
            return
        broken = text[: len(text) // 2] if kind == "wrong_json" else text
        for client in [client for client in self.clients if client.wants(symbols)]:
            if kind == "half_frame":
                client.send_half(text)
                continue
            client.send(broken)
            if kind == "duplicate":
                client.send(broken)
        if self._held is not None:
            held, self._held = self._held, None
            self._send(held)

    def _send(self, text: str) -> None:
        symbols = self.protocol.symbols_of(text)
        for client in self.clients:
            if client.wants(symbols):
                client.send(text)

    def _take_fault(self) -> StreamFault | None:
        if not self._pending:
            return None
        fault = self._pending[0]
        # A pair of frames changes places: the second one releases the first.
        if fault.kind != "disorder" or self._held is not None:
            fault.count -= 1
        if fault.count <= 0:
            self._pending.pop(0)
        return fault

    def heartbeat(self) -> None:
        """Send what the venue sends each second."""
        for symbol, text in self.protocol.heartbeats(self._last, time.time_ns()):
            for client in self.clients:
                if symbol == "*" or client.wants(frozenset({symbol})):
                    client.send(text)

    def apply(self, fault: StreamFault) -> None:
        """Begin a fault; one of frames waits for the next ones."""
        if fault.kind in {"jump", "duplicate", "disorder", "wrong_json", "half_frame"}:
            # Counted down here, and the same fault may be for several venues.
            self._pending.append(StreamFault(kind=fault.kind, count=fault.count))
        elif fault.kind == "manipulate":
            self.factor = fault.factor
        elif fault.kind == "refuse":
            self._refused_until = time.monotonic() + fault.seconds
            self._refusal = fault.status
        elif fault.kind == "cut":
            for client in list(self.clients):
                client.abort()
        else:
            task = asyncio.create_task(self._play(fault))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _play(self, fault: StreamFault) -> None:
        """Play a fault that takes time, on the clients of its beginning."""
        clients = list(self.clients)
        if fault.kind == "burst":
            self.burst = fault.count
        for client in clients:
            if fault.kind == "silence":
                client.is_muted = True
            elif fault.kind == "slow":
                client.delay_seconds = fault.seconds
            elif fault.kind == "day_cut":
                await client.close(GOING_AWAY, "24 hours")
            elif fault.kind == "shutdown" and self.protocol.shutdown is not None:
                client.send(self.protocol.shutdown)
        if fault.kind in {"burst", "silence", "shutdown"}:
            await asyncio.sleep(fault.seconds)
            self.burst = 1
        for client in clients:
            client.is_muted = False
            if fault.kind == "shutdown":
                await client.close(GOING_AWAY, "shutdown")

    async def close(self) -> None:
        """End what is under way, and every connection."""
        for task in list(self._tasks):
            task.cancel()
        for client in list(self.clients):
            client.abort()
        await asyncio.sleep(0)
