"""CoinGecko's routes under `/coingecko/api/v3`."""

import asyncio
import hmac
import re
from typing import Final

import msgspec
from aiohttp import web

from kasparro.simulator import coingecko_rows as rows
from kasparro.simulator import errors
from kasparro.simulator.bodies import (
    MAX_CACHED_RECORDS,
    PLAIN_BODY,
    respond,
    stream_array,
    write_array,
)
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.simulator.simulation import PREFIXES, SIMULATION, Simulation

HEADERS: Final = {
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": "public, max-age=30",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "link, per-page, total",
    "Server": "cloudflare",
}
LARGEST_PAGE: Final = 250
DEFAULT_PAGE: Final = 100
PUBLIC_DAYS: Final = 365
LONGEST_CHART_DAYS: Final = 3_650
DEMO_KEY: Final = "x-cg-demo-api-key"
PRO_KEY: Final = "x-cg-pro-api-key"
_WHOLE: Final = re.compile(r"[0-9]{1,9}")


def add_routes(app: web.Application) -> None:
    """Serve the live market."""
    prefix = PREFIXES["coingecko"]
    app.router.add_get(f"{prefix}/ping", ping)
    app.router.add_get(f"{prefix}/coins/markets", _markets)
    app.router.add_get(f"{prefix}/coins/list", _list)
    app.router.add_get(f"{prefix}/coins/{{id}}/market_chart", _chart)
    app.router.add_get(f"{prefix}/{{path:.*}}", not_found)


def refuse(simulation: Simulation, request: web.Request, now: float) -> web.Response | None:
    """Return 401 for keys (the vendor's codes 10002 and 10010), 429 over the limits, or None."""
    limits, key, clock = (
        simulation.limits["coingecko"],
        simulation.keys.get("coingecko"),
        simulation.market.now,
    )
    wait = limits.wait_seconds(now)
    request_key = _key(request)
    if key and not request_key:
        return errors.coingecko(401, errors.KEY_MISSING, shape="status", now=clock, code=10002)
    if key and not hmac.compare_digest(request_key.encode(), key.encode()):
        return errors.coingecko(401, errors.KEY_WRONG, shape="status", now=clock, code=10010)
    if limits.is_spent:
        return errors.coingecko(429, errors.RATE_LIMITED, shape="error_status", now=clock)
    if wait is not None:
        return errors.coingecko(
            429, errors.RATE_LIMITED, shape="status", now=clock, headers={"Retry-After": str(wait)}
        )
    return None


def _key(request: web.Request) -> str:
    names = (PRO_KEY, DEMO_KEY)
    header = next((request.headers[name] for name in names if name in request.headers), "")
    return header or next(
        (
            request.query[name]
            for name in (n.replace("-", "_") for n in names)
            if name in request.query
        ),
        "",
    )


def page_of(request: web.Request) -> int:
    """Return the requested page, from 1; unreadable text is page 1, as at CoinGecko."""
    return max(_whole(request.query.get("page"), 1), 1)


async def ping(_request: web.Request) -> web.Response:
    """Return the answer of a health check."""
    body = msgspec.json.encode({"gecko_says": "(V3) To the Moon!"})
    return web.Response(body=body, headers=HEADERS)


async def _markets(request: web.Request) -> web.StreamResponse:
    simulation = request.app[SIMULATION]
    refusal = refuse_currency(request, simulation.market.now)
    if refusal:
        return refusal
    if request.query.get("order", "market_cap_desc") != "market_cap_desc":
        return errors.coingecko(
            422, "only order=market_cap_desc is simulated", shape="error", now=simulation.market.now
        )
    per_page = min(max(_whole(request.query.get("per_page"), DEFAULT_PAGE), 1), LARGEST_PAGE)
    page = page_of(request)
    ids = request.query.get("ids", "")

    async def write(still: SimulatedMarket) -> bytes:
        if ids:
            found = (still.find("coingecko", external_id) for external_id in ids.split(","))
            numbers = [number for number in found if number is not None][
                (page - 1) * per_page : page * per_page
            ]
        else:
            # The first page after a tick sorts the whole market: seconds for a million coins.
            numbers = await asyncio.to_thread(still.gecko_page, page, per_page)
        return await write_array(still, numbers, rows.row)

    body = await simulation.bodies.get(
        simulation.market, f"{request.path} {per_page} {page} {ids}", write
    )
    headers = {**HEADERS, "per-page": str(per_page), "total": str(simulation.market.universe.coins)}
    return respond(request, body, headers, weak=True)


async def _list(request: web.Request) -> web.StreamResponse:
    simulation = request.app[SIMULATION]
    with_platforms = request.query.get("include_platform") == "true"
    row = _list_row_with_platforms if with_platforms else _list_row
    if simulation.market.universe.coins > MAX_CACHED_RECORDS and not request.get(PLAIN_BODY):
        still = simulation.market.snapshot()
        response = web.Response(
            body=stream_array(still, still.listed("coingecko"), row), headers=HEADERS
        )
        response.enable_compression()
        return response

    async def write(still: SimulatedMarket) -> bytes:
        return await write_array(still, still.listed("coingecko"), row)

    name = f"{request.path} {with_platforms}"
    body = await simulation.bodies.get(simulation.market, name, write)
    return respond(request, body, HEADERS, weak=True)


def _list_row(market: SimulatedMarket, asset: int) -> bytes:
    return msgspec.json.encode(rows.list_entry(market, asset))


def _list_row_with_platforms(market: SimulatedMarket, asset: int) -> bytes:
    return msgspec.json.encode(rows.list_entry_with_platforms(market, asset))


async def _chart(request: web.Request) -> web.StreamResponse:
    simulation = request.app[SIMULATION]
    market, now = simulation.market, simulation.market.now
    asset = market.find("coingecko", request.match_info["id"])
    if asset is None:
        return errors.coingecko(404, "coin not found", shape="error", now=now)
    refusal = refuse_currency(request, now) or _refuse_days(request, now)
    if refusal:
        return refusal
    days = LONGEST_CHART_DAYS if request.query["days"] == "max" else int(request.query["days"])
    interval = request.query.get("interval")

    async def write(still: SimulatedMarket) -> bytes:
        return await asyncio.to_thread(rows.chart, still, asset, days, interval)

    body = await simulation.bodies.get(market, f"{request.path} {days} {interval}", write)
    return respond(request, body, HEADERS, weak=True)


def refuse_currency(request: web.Request, now: int) -> web.Response | None:
    """Return 422 unless `vs_currency` is usd."""
    currency = request.query.get("vs_currency")
    if not currency:
        return errors.coingecko(422, "Missing parameter vs_currency", shape="error", now=now)
    if currency != "usd":
        return errors.coingecko(422, "invalid vs_currency", shape="error", now=now)
    return None


def _refuse_days(request: web.Request, now: int) -> web.Response | None:
    days = request.query.get("days")
    if not days:
        return errors.coingecko(422, "Missing parameter days", shape="error", now=now)
    if days != "max" and not 1 <= _whole(days, 0) <= LONGEST_CHART_DAYS:
        return errors.coingecko(422, "invalid days", shape="error", now=now)
    is_paid = PRO_KEY in request.headers
    if not is_paid and (days == "max" or int(days) > PUBLIC_DAYS):
        return errors.coingecko(401, errors.TOO_OLD, shape="error_status", now=now, code=10012)
    if not is_paid and request.query.get("interval") == "hourly":
        return errors.coingecko(401, errors.PRO_ONLY, shape="timestamp", now=now, code=10005)
    return None


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and _WHOLE.fullmatch(text) else default


async def not_found(request: web.Request) -> web.Response:
    """Return the answer to an unknown path."""
    now = request.app[SIMULATION].market.now
    return errors.coingecko(
        404, "Incorrect path. Please check https://www.coingecko.com/api/", shape="error", now=now
    )
