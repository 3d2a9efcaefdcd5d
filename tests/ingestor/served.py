"""A provider that a test words itself, behind a real HTTP server, and a fetch from it."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from ingestor.http.fetch import Fetch, FetchLimits, Provider

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OUR_KEY = "CG-key-of-ours"


def provider(url: str, *, key: str | None = OUR_KEY) -> Provider:
    return Provider(
        name="CoinGecko",
        url=url,
        url_variable="COINGECKO_URL",
        key=key,
        key_header="x-cg-demo-api-key",
        key_variable="COINGECKO_API_KEY",
        calls=1000,
        per_seconds=1,
    )


class RequestLog:
    """A server with one route, and every request that it got."""

    def __init__(self, url: str, requests: list[web.Request]) -> None:
        self.url = url
        self.requests = requests


Serve = Callable[[Handler], Awaitable[RequestLog]]


def saying(status: int, body: str | bytes, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        sent = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return web.Response(
            status=status, body=body.encode() if isinstance(body, str) else body, headers=sent
        )

    return handler


async def get(
    url: str, *, key: str | None = OUR_KEY, limits: FetchLimits | None = None
) -> bytes | None:
    fetch = Fetch(provider(url, key=key), limits)
    try:
        return (await fetch.get("coins/markets", {"page": "2"})).content
    finally:
        await fetch.close()
