"""CoinPaprika's routes under `/coinpaprika/v1`."""

import asyncio
import hmac
from typing import Final

import msgspec
from aiohttp import web

from kasparro.simulator import coinpaprika_rows as rows
from kasparro.simulator import errors
from kasparro.simulator.bodies import (
    MAX_CACHED_RECORDS,
    PLAIN_BODY,
    Row,
    respond,
    stream_array,
    write_array,
)
from kasparro.simulator.market.contracts import PLATFORMS
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.simulation import PREFIXES, SIMULATION, Simulation

HEADERS: Final = {
    "Content-Type": "application/json; charset=UTF-8",
    "CF-Cache-Status": "DYNAMIC",
    "Server": "cloudflare",
}
ID_NOT_FOUND: Final = "id not found"


def add_routes(app: web.Application) -> None:
    """Serve the live market."""
    prefix = PREFIXES["coinpaprika"]
    app.router.add_get(f"{prefix}/tickers", _tickers)
    app.router.add_get(f"{prefix}/tickers/{{id}}", _ticker)
    app.router.add_get(f"{prefix}/coins", _coins)
    app.router.add_get(f"{prefix}/contracts", _platforms)
    app.router.add_get(f"{prefix}/contracts/{{platform}}", _contracts)
    app.router.add_get(f"{prefix}/{{path:.*}}", not_found)


def refuse(simulation: Simulation, request: web.Request, now: float) -> web.Response | None:
    """Return 403 for a wrong key, 429 or 402 over the limits, or None.

    The statuses, and the key in `Authorization` without a scheme, are those of the vendor's OpenAPI
    file.
    """
    limits = simulation.limits["coinpaprika"]
    wait = limits.wait_seconds(now)
    key = simulation.keys.get("coinpaprika")
    if key and not hmac.compare_digest(
        request.headers.get("Authorization", "").encode(), key.encode()
    ):
        return errors.coinpaprika(403, "invalid API key")
    if limits.is_spent:
        return errors.coinpaprika(
            402, "monthly limit of API calls exceeded, please upgrade your plan"
        )
    if wait is not None:
        return errors.coinpaprika(429, "too many requests", headers={"Retry-After": str(wait)})
    return None


async def _tickers(request: web.Request) -> web.StreamResponse:
    if request.query.get("quotes", "USD") != "USD":
        return errors.coinpaprika(400, "only quotes=USD is simulated")
    return await _all(request, rows.row)


async def _coins(request: web.Request) -> web.StreamResponse:
    return await _all(request, _coin_row)


def _coin_row(market: SimulatedMarket, asset: int) -> bytes:
    return msgspec.json.encode(rows.coin(market, asset))


async def _all(request: web.Request, row: Row) -> web.StreamResponse:
    simulation = request.app[SIMULATION]
    if simulation.market.universe.coins > MAX_CACHED_RECORDS and not request.get(PLAIN_BODY):
        still = simulation.market.snapshot()
        response = web.Response(
            body=stream_array(still, still.listed("coinpaprika"), row), headers=HEADERS
        )
        response.enable_compression()
        return response

    async def write(still: SimulatedMarket) -> bytes:
        return await write_array(still, still.listed("coinpaprika"), row)

    body = await simulation.bodies.get(simulation.market, request.path, write)
    return respond(request, body, HEADERS, weak=False)


async def _ticker(request: web.Request) -> web.StreamResponse:
    simulation = request.app[SIMULATION]
    market, external_id = simulation.market, request.match_info["id"]
    asset = market.find("coinpaprika", external_id)
    if asset is None:
        return errors.coinpaprika(404, ID_NOT_FOUND)

    async def write(still: SimulatedMarket) -> bytes:
        return rows.row(still, asset)

    return respond(
        request, await simulation.bodies.get(market, request.path, write), HEADERS, weak=False
    )


async def _platforms(_request: web.Request) -> web.Response:
    body = msgspec.json.encode([platform.paprika_id for platform in PLATFORMS])
    return web.Response(body=body, headers=HEADERS)


async def _contracts(request: web.Request) -> web.StreamResponse:
    simulation, name = request.app[SIMULATION], request.match_info["platform"]
    if name not in {platform.paprika_id for platform in PLATFORMS}:
        return errors.coinpaprika(404, ID_NOT_FOUND)

    async def write(still: SimulatedMarket) -> bytes:
        return await asyncio.to_thread(rows.contracts_on, still, name)

    body = await simulation.bodies.get(simulation.market, request.path, write)
    return respond(request, body, HEADERS, weak=False)


async def not_found(_request: web.Request) -> web.Response:
    """Return the answer to an unknown path, recorded for an unknown id."""
    return errors.coinpaprika(404, ID_NOT_FOUND)
