"""The state of one running simulator, and how requests find it."""

from asyncio import Event
from collections import deque
from typing import Final

from aiohttp import web
from msgspec import Struct, field

from kasparro.simulator.bodies import Bodies
from kasparro.simulator.faults import Faults
from kasparro.simulator.limits import RateLimits
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.market.universe import PROVIDERS, Provider
from kasparro.simulator.replay import Recording

PREFIXES: Final[dict[Provider, str]] = {
    "coinpaprika": "/coinpaprika/v1",
    "coingecko": "/coingecko/api/v3",
}
LOGGED_REQUESTS: Final = 10_000


class ReceivedCall(Struct):
    """A request to a provider; `status` is None before the answer, `fault` the kind played."""

    provider: Provider
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    status: int | None = None
    fault: str | None = None


class Simulation(Struct):
    """One market or one replay behind both providers' routes."""

    market: SimulatedMarket
    recording: Recording | None
    faults: Faults
    limits: dict[Provider, RateLimits]
    keys: dict[Provider, str]
    bodies: Bodies = field(default_factory=Bodies)
    received: deque[ReceivedCall] = field(default_factory=lambda: deque(maxlen=LOGGED_REQUESTS))
    stopping: Event = field(default_factory=Event)


SIMULATION: Final = web.AppKey("simulation", Simulation)


def provider_of(request: web.Request) -> Provider | None:
    """Return the provider of a request, None for the simulator's own routes."""
    return next((name for name in PROVIDERS if request.path.startswith(PREFIXES[name] + "/")), None)


def route_of(request: web.Request) -> str:
    """Return the path below the provider's prefix: `/coins/markets`."""
    provider = provider_of(request)
    return request.path.removeprefix(PREFIXES[provider]) if provider else request.path
