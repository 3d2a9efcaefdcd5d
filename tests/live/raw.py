"""A client that is only a socket: it can send half a message, read nothing, and leave."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.server.conftest import Service

TIMEOUT_SECONDS = 60
HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


def frame(**message: object) -> bytes:
    """Return a text frame of a client, masked with zeros."""
    body = json.dumps(message).encode()
    length = bytes((0x80 | len(body),)) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2)
    return b"\x81" + length + bytes(4) + body


def subscribe(query: str, number: str = "1", after: str | None = None) -> bytes:
    """Return the frame that starts a subscription."""
    return frame(
        id=number, type="subscribe", payload={"query": query, "variables": {"after": after}}
    )


INIT = frame(type="connection_init")


class RawClient:
    """A socket, and the bytes that it received."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self._buffer = b""

    async def say(self, said: bytes) -> None:
        """Send bytes."""
        await asyncio.get_running_loop().sock_sendall(self.socket, said)

    async def shake_hands(self, *, said: bool = False) -> None:
        """Send the handshake, unless it was sent, and read the response."""
        if not said:
            await self.say(HANDSHAKE)
        while b"\r\n\r\n" not in self._buffer:
            await self._fill(len(self._buffer) + 1)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head

    async def next(self) -> dict[str, Any]:
        """Return the data of the next update."""
        while True:
            body = await self.frame()
            if body.startswith(b"{") and (message := json.loads(body))["type"] == "next":
                data: dict[str, Any] = message["payload"]["data"]
                return data

    async def take(self, count: int) -> list[dict[str, Any]]:
        """Return the data of the next updates."""
        return [await self.next() for _ in range(count)]

    async def frame(self) -> bytes:
        """Return the body of the next frame."""
        await self._fill(4)
        length, start = self._buffer[1], 2
        if length == 126:
            length, start = int.from_bytes(self._buffer[2:4]), 4
        await self._fill(start + length)
        body, self._buffer = self._buffer[start : start + length], self._buffer[start + length :]
        return body

    async def _fill(self, size: int) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while len(self._buffer) < size:
                data = await asyncio.get_running_loop().sock_recv(self.socket, 65_536)
                if not data:
                    raise ConnectionResetError
                self._buffer += data


@asynccontextmanager
async def raw_client(
    service: Service, *, receive_bytes: int | None = None
) -> AsyncIterator[RawClient]:
    """Connect, with a receive buffer of `receive_bytes` if it is given."""
    host, _, port = service.url.removeprefix("http://").partition(":")
    with socket.socket() as opened:
        if receive_bytes is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        opened.setblocking(False)  # noqa: FBT003 - the standard library's signature
        await asyncio.get_running_loop().sock_connect(opened, (host, int(port)))
        yield RawClient(opened)
