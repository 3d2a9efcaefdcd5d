"""The simulator's own routes under `/_control`, for tests and demos."""

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from kasparro.simulator import coingecko_rows, coinpaprika_rows
from kasparro.simulator.faults import decode_faults
from kasparro.simulator.market.listing import ExpectedListing
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.market.universe import PROVIDERS, Provider
from kasparro.simulator.simulation import SIMULATION, Simulation

PREFIX: Final = "/_control"
MAX_EXPECTED: Final = 100_000

Expect = Callable[[SimulatedMarket, int], ExpectedListing]
_EXPECT: Final[dict[Provider, Expect]] = {
    "coinpaprika": coinpaprika_rows.expected_listing,
    "coingecko": coingecko_rows.expected_listing,
}
T = TypeVar("T")


class ScriptStep(Struct, forbid_unknown_fields=True):
    """Body of `POST /tick`."""

    ticks: int = 1


class ListedCoin(Struct, forbid_unknown_fields=True):
    """Body of `POST /delist` and `POST /relist`."""

    provider: Provider
    id: str


def add_routes(app: web.Application) -> None:
    """Serve the controls."""
    app.router.add_get(f"{PREFIX}/state", _state)
    app.router.add_post(f"{PREFIX}/tick", _tick)
    app.router.add_post(f"{PREFIX}/faults", _add_faults)
    app.router.add_get(f"{PREFIX}/faults", _faults)
    app.router.add_delete(f"{PREFIX}/faults", _clear_faults)
    app.router.add_post(f"{PREFIX}/delist", _delist)
    app.router.add_post(f"{PREFIX}/relist", _relist)
    app.router.add_get(f"{PREFIX}/expected", _expected)
    app.router.add_get(f"{PREFIX}/requests", _requests)
    app.router.add_delete(f"{PREFIX}/requests", _clear_requests)


@web.middleware
async def bad_request(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer 400 with one sentence for an invalid body or argument of a control."""
    try:
        return await handler(request)
    except (msgspec.DecodeError, ValueError) as error:
        if not request.path.startswith(PREFIX):
            raise
        return _json({"error": str(error)}, status=400)


def expected_listings(
    market: SimulatedMarket, provider: Provider, offset: int = 0, limit: int = MAX_EXPECTED
) -> list[ExpectedListing]:
    """Return the expected listings of a provider, CoinPaprika's in the order of its body."""
    expect = _EXPECT[provider]
    return [
        expect(market, number) for number in islice(market.listed(provider), offset, offset + limit)
    ]


def state_of(simulation: Simulation) -> dict[str, Any]:
    """Return the market's settings and clock, or the files of a replay."""
    market = simulation.market
    return {
        "mode": "replay" if simulation.recording else "live",
        "files": simulation.recording.names if simulation.recording else [],
        "coins": market.universe.coins,
        "assets": market.universe.size,
        "seed": market.universe.seed,
        "tick": market.tick,
        "now": market.now,
        "delisted": len(market.delisted),
        "faults": len(simulation.faults.queued),
        "requests": {name: simulation.limits[name].counted for name in PROVIDERS},
    }


def _json(document: Any, status: int = 200) -> web.Response:  # noqa: ANN401 - JSON
    return web.Response(
        body=msgspec.json.encode(document), status=status, content_type="application/json"
    )


async def _read(request: web.Request, kind: type[T]) -> T:
    return msgspec.json.decode(await request.read() or b"{}", type=kind)


async def _state(request: web.Request) -> web.Response:
    return _json(state_of(request.app[SIMULATION]))


async def _tick(request: web.Request) -> web.Response:
    simulation = request.app[SIMULATION]
    simulation.market.advance((await _read(request, ScriptStep)).ticks)
    return _json(state_of(simulation))


async def _add_faults(request: web.Request) -> web.Response:
    simulation = request.app[SIMULATION]
    simulation.faults.add(decode_faults(await request.read()))
    return _json(simulation.faults.queued, status=201)


async def _faults(request: web.Request) -> web.Response:
    return _json(request.app[SIMULATION].faults.queued)


async def _clear_faults(request: web.Request) -> web.Response:
    request.app[SIMULATION].faults.clear()
    return _json([])


async def _delist(request: web.Request) -> web.Response:
    coin, simulation = await _read(request, ListedCoin), request.app[SIMULATION]
    if not simulation.market.delist(coin.provider, coin.id):
        return _json({"error": f"{coin.provider} lists no {coin.id}"}, status=404)
    return _json(state_of(simulation))


async def _relist(request: web.Request) -> web.Response:
    coin, simulation = await _read(request, ListedCoin), request.app[SIMULATION]
    if not simulation.market.relist(coin.provider, coin.id):
        return _json({"error": f"{coin.id} is not delisted at {coin.provider}"}, status=404)
    return _json(state_of(simulation))


async def _expected(request: web.Request) -> web.Response:
    simulation = request.app[SIMULATION]
    if simulation.recording:
        return _json(
            {"error": "a replay serves recorded bytes and has no expected listings"}, status=404
        )
    provider = request.query.get("provider")
    names = [name for name in PROVIDERS if provider in (None, name)]
    if not names:
        raise ValueError(f"provider must be one of {', '.join(PROVIDERS)}")
    offset, limit = (
        int(request.query.get("offset", "0")),
        int(request.query.get("limit", str(MAX_EXPECTED))),
    )
    if offset < 0 or not 0 <= limit <= MAX_EXPECTED:
        raise ValueError(f"offset must be 0 or more, limit between 0 and {MAX_EXPECTED:,}")
    return _json(
        {name: expected_listings(simulation.market, name, offset, limit) for name in names}
    )


async def _requests(request: web.Request) -> web.Response:
    return _json(list(request.app[SIMULATION].received))


async def _clear_requests(request: web.Request) -> web.Response:
    request.app[SIMULATION].received.clear()
    return _json([])
