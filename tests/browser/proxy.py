"""A reverse proxy that serves a server below a prefix, or responds to some paths itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"}
)

Change = Callable[[web.Request], web.Response | None]
"""Returns the proxy's response to a request; None passes the request to the server."""


class Proxy:
    """A running proxy; `url` ends with the prefix. `change` may be set at any time."""

    def __init__(self, upstream: str, prefix: str) -> None:
        self.url = ""
        self.change: Change | None = None
        self._upstream = upstream
        self._prefix = prefix
        self._client = aiohttp.ClientSession(auto_decompress=False)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Forward a request and its response."""
        own = self.change and self.change(request)
        if own is not None:
            return own
        if not request.raw_path.startswith(f"{self._prefix}/"):
            raise web.HTTPNotFound
        url = self._upstream + request.raw_path.removeprefix(self._prefix)
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP
        }
        if "upgrade" in request.headers.get("Connection", "").lower():
            return await self._websocket(request, url, headers)
        return await self._http(request, url, headers)

    async def close(self) -> None:
        await self._client.close()

    async def _http(self, request: web.Request, url: str, headers: dict[str, str]) -> web.Response:
        body = await request.read() or None
        try:
            async with self._client.request(
                request.method, url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                kept = [
                    (name, value)
                    for name, value in answer.headers.items()
                    if name.lower() not in HOP_BY_HOP
                ]
                return web.Response(body=await answer.read(), status=answer.status, headers=kept)
        except aiohttp.ClientError:
            raise web.HTTPBadGateway from None

    async def _websocket(
        self, request: web.Request, url: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        protocols = [word.strip() for word in headers.pop("Sec-WebSocket-Protocol", "").split(",")]
        asked = {
            name: value for name, value in headers.items() if not name.startswith("Sec-WebSocket-")
        }
        try:
            there = await self._client.ws_connect(url, headers=asked, protocols=protocols)
        except aiohttp.ClientError:
            raise web.HTTPBadGateway from None
        here = web.WebSocketResponse(protocols=protocols)
        await here.prepare(request)

        async def to_server() -> None:
            async for message in here:
                await there.send_str(message.data)

        async def to_client() -> None:
            async for message in there:
                await here.send_str(message.data)

        pumps = [asyncio.create_task(pump()) for pump in (to_server, to_client)]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await there.close()
            await here.close()
        return here


@asynccontextmanager
async def running_proxy(upstream: str, prefix: str = "") -> AsyncIterator[Proxy]:
    """Run a proxy in front of the server at `upstream` until the context ends."""
    proxy = Proxy(upstream, prefix)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        proxy.url = f"http://{host}:{port}{prefix}"
        yield proxy
    finally:
        await runner.cleanup()
        await proxy.close()
