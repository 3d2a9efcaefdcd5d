"""A forward proxy on loopback: CONNECT for https, absolute URLs for http, one server for all."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

BLOCK_BYTES = 65_536


class ForwardProxy:
    """The requests to a proxy; it demands the user and password of `wants`, `user:password`."""

    def __init__(self, target_port: int, wants: str | None = None) -> None:
        self.port = 0
        self.asked: list[str] = []
        self._target_port = target_port
        self._wants = wants and f"Basic {base64.b64encode(wants.encode()).decode()}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection: one CONNECT, or one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, address, _ = head.split("\r\n", 1)[0].split(" ")
            self.asked.append(f"{method} {address}")
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            if self._wants is not None and fields.get("Proxy-Authorization") != self._wants:
                writer.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
                )
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                parts = urlsplit(address)
                path = f"{parts.path}?{parts.query}" if parts.query else parts.path
                own = (
                    f"{name}: {value}"
                    for name, value in fields.items()
                    if not name.startswith("Proxy-")
                )
                far_writer.write(
                    "\r\n".join([f"{method} {path} HTTP/1.1", *own, "", ""]).encode("latin-1")
                )
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while block := await reader.read(BLOCK_BYTES):
            writer.write(block)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def forward_proxy(target_port: int, wants: str | None = None) -> AsyncIterator[ForwardProxy]:
    """Serve a proxy as long as the context is open."""
    proxy = ForwardProxy(target_port, wants)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
