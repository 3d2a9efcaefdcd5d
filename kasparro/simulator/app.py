"""The simulator as an aiohttp application: `create_app(SimulatedMarket(...))`."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from msgspec import Struct

from kasparro.simulator import coingecko, coinpaprika, control, replay_routes
from kasparro.simulator.faults import Fault, Faults
from kasparro.simulator.limits import RateLimits
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.market.universe import PROVIDERS, Provider
from kasparro.simulator.replay import Recording
from kasparro.simulator.simulation import (
    PREFIXES,
    SIMULATION,
    ReceivedCall,
    Simulation,
    provider_of,
    route_of,
)
from kasparro.simulator.spoil import play

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SHUTDOWN_SECONDS: Final = 1.0


class Address(Struct, frozen=True):
    """The URLs of a running simulator: two bases for an ingestor, and the controls."""

    root: str
    simulation: Simulation

    @property
    def coinpaprika_url(self) -> str:
        """Value for COINPAPRIKA_URL."""
        return self.root + PREFIXES["coinpaprika"]

    @property
    def coingecko_url(self) -> str:
        """Value for COINGECKO_URL."""
        return self.root + PREFIXES["coingecko"]

    @property
    def control_url(self) -> str:
        """Base of the controls."""
        return self.root + control.PREFIX


def create_app(
    market: SimulatedMarket,
    *,
    recording: Recording | None = None,
    faults: list[Fault] | None = None,
    limits: Mapping[Provider, RateLimits] | None = None,
    keys: Mapping[Provider, str] | None = None,
) -> web.Application:
    """Return both providers' routes over a market or a recording, with the controls.

    Every request to a provider needs its key of `keys`.
    """
    app = web.Application(middlewares=[control.bad_request, _provider_rules])
    app[SIMULATION] = Simulation(
        market=market,
        recording=recording,
        faults=Faults(faults),
        limits={name: (limits or {}).get(name) or RateLimits() for name in PROVIDERS},
        keys=dict(keys or {}),
    )
    control.add_routes(app)
    if recording:
        replay_routes.add_routes(app, recording)
    else:
        coinpaprika.add_routes(app)
        coingecko.add_routes(app)
    app.on_shutdown.append(_release)
    return app


@asynccontextmanager
async def serving(
    app: web.Application, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Address]:
    """Serve an application during the block. Raises OSError if the port is used."""
    runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_SECONDS, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        name, bound_port = runner.addresses[0][:2]
        shown = f"[{name}]" if ":" in name else name
        yield Address(root=f"http://{shown}:{bound_port}", simulation=app[SIMULATION])
    finally:
        await runner.cleanup()


@web.middleware
async def _provider_rules(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Log a provider's request, apply its fault and its limits."""
    provider = provider_of(request)
    if provider is None:
        return await handler(request)
    received = ReceivedCall(
        provider=provider,
        method=request.method,
        path=route_of(request),
        query=dict(request.query),
        headers={name.lower(): value for name, value in request.headers.items()},
    )
    request.app[SIMULATION].received.append(received)
    response = await _answer(received, request, handler)
    received.status = response.status
    return response


async def _answer(
    received: ReceivedCall, request: web.Request, handler: Handler
) -> web.StreamResponse:
    simulation = request.app[SIMULATION]
    refuse = coinpaprika.refuse if received.provider == "coinpaprika" else coingecko.refuse
    refusal = refuse(simulation, request, time.monotonic())
    if refusal:
        return refusal
    fault = simulation.faults.take(received.provider, received.path, coingecko.page_of(request))
    if fault is None:
        return await handler(request)
    received.fault = fault.kind
    return await play(fault, received.provider, request, handler)


async def _release(app: web.Application) -> None:
    app[SIMULATION].stopping.set()
