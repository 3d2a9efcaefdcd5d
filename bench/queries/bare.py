"""`python -m bench.queries.bare`: bare Starlette routes with one statement each.

The JSON, the server, its settings and its pool are the same as ours.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.queries.documents import PAGE
from db.connect.pool import create_pool
from db.read.coins import COIN_ORDERS
from db.read.expressions import as_float
from db.read.keyset import KeysetPosition
from db.read.records import _PAGE as DATA_PAGE
from server.graphql.relay.cursors import encode_cursor
from server.state import POOL_SIZE

COINS: Final = f"""
SELECT n.ticker, n.name, trim_scale(n.price_usd)::text, n.market_cap_usd::text,
    n.volume_24h_usd::text,
    {as_float("n.percent_change_24h")}
FROM normalized_records AS n
ORDER BY n.market_cap_usd DESC NULLS LAST, n.ticker
LIMIT {PAGE + 1}
"""
_ORDER = COIN_ORDERS["MARKET_CAP_USD:DESC"]
_DATA = (Decimal("Infinity"), "", None, None, None, None, PAGE + 1, 0)


def _answer(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


async def _coins(request: Request) -> Response:
    await request.body()
    async with request.app.state.pool.acquire() as connection:
        rows = await connection.fetch(COINS)
    edges: list[dict[str, Any]] = [
        {
            "cursor": encode_cursor(_ORDER, KeysetPosition(cap, ticker)),
            "node": {
                "ticker": ticker,
                "name": name,
                "priceUsd": price,
                "marketCapUsd": cap,
                "volume24hUsd": volume,
                "percentChange24h": change,
            },
        }
        for ticker, name, price, cap, volume, change in rows[:PAGE]
    ]
    ends = {
        "hasNextPage": len(rows) > PAGE,
        "hasPreviousPage": False,
        "startCursor": edges[0]["cursor"],
        "endCursor": edges[-1]["cursor"],
    }
    return _answer({"data": {"coins": {"edges": edges, "pageInfo": ends}}})


async def _data(request: Request) -> Response:
    async with request.app.state.pool.acquire() as connection:
        rows = await connection.fetch(DATA_PAGE, *_DATA)
    records = [row["record"] for row in rows[:PAGE]]
    pagination = {"limit": PAGE, "offset": 0, "returned": len(records), "total": rows[0]["total"]}
    return _answer(
        {
            "data": records,
            "pagination": pagination,
            "meta": {"request_id": "", "api_latency_ms": 0.0},
        }
    )


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    async with await create_pool(os.environ["DATABASE_URL"], max_size=POOL_SIZE) as pool:
        app.state.pool = pool
        yield


def main() -> None:
    """Serve until a signal."""
    routes = [Route("/graphql", _coins, methods=["POST"]), Route("/data", _data)]
    app = Starlette(routes=routes, lifespan=_lifespan)
    uvicorn.run(
        app,
        port=int(os.environ["PORT"]),
        http="httptools",
        loop="uvloop",
        log_level="warning",
        server_header=False,
    )


if __name__ == "__main__":
    main()
