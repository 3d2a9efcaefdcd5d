"""Simulated exchanges over HTTP: websockets, lists of markets, controls."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from kasparro.simulator.venues.exchange import SimulatedExchange
from kasparro.simulator.venues.faults import StreamFault

CONTROL = "/_control/streams"
SHUTDOWN_SECONDS = 0.2


class VenueAddress(msgspec.Struct, frozen=True):
    """The URLs of one simulated exchange."""

    stream_url: str
    api_url: str


def create_venues_app(exchanges: Mapping[str, SimulatedExchange]) -> web.Application:
    """Return the exchanges at `/<venue>/ws` and `/<venue>/api`, with their controls."""
    app = web.Application()
    for name, exchange in exchanges.items():
        app.router.add_get(f"/{name}/ws", exchange.serve)
        app.router.add_get(f"/{name}/api{exchange.protocol.markets_path}", _markets(exchange))

    async def add_fault(request: web.Request) -> web.Response:
        try:
            fault = msgspec.json.decode(await request.read(), type=StreamFault)
        except msgspec.DecodeError as error:
            return _json({"error": str(error)}, status=400)
        names = [name for name in exchanges if fault.venue in (None, name)]
        for name in names:
            exchanges[name].apply(fault)
        return _json({"venues": names})

    async def show(_: web.Request) -> web.Response:
        return _json(
            {
                name: {"clients": len(exchange.clients), "connections": exchange.connections}
                for name, exchange in exchanges.items()
            }
        )

    async def close(_: web.Application) -> None:
        for exchange in exchanges.values():
            await exchange.close()

    app.router.add_post(f"{CONTROL}/faults", add_fault)
    app.router.add_get(CONTROL, show)
    app.on_shutdown.append(close)
    return app


@asynccontextmanager
async def serving_venues(
    exchanges: Mapping[str, SimulatedExchange], host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[dict[str, VenueAddress]]:
    """Serve exchanges during the block; yield their URLs. Raises OSError if the port is used."""
    runner = web.AppRunner(
        create_venues_app(exchanges), shutdown_timeout=SHUTDOWN_SECONDS, access_log=None
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        name, bound_port = runner.addresses[0][:2]
        root = f"{name}:{bound_port}"
        yield {
            venue: VenueAddress(f"ws://{root}/{venue}/ws", f"http://{root}/{venue}/api")
            for venue in exchanges
        }
    finally:
        await runner.cleanup()


def _markets(exchange: SimulatedExchange) -> Any:  # noqa: ANN401 - aiohttp's type of a handler is private
    async def handle(_: web.Request) -> web.Response:
        return web.Response(
            body=exchange.protocol.markets(exchange.pairs), content_type="application/json"
        )

    return handle


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(document), status=status, content_type="application/json"
    )
