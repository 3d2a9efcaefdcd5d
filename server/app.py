"""The application: its routes, and the middleware that each request passes."""

from collections.abc import Iterator

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from common.settings import Settings
from server.compiler.fast_path import FastPath
from server.compiler.http import FastQueries
from server.graphql.schema import schema
from server.graphql.transport.app import create_graphql_app
from server.http.client_address import Proxies
from server.http.redirects import on_not_found
from server.middleware.body_limit import BodyLimit
from server.middleware.caching import CacheHeaders
from server.middleware.compression import Compression
from server.middleware.forwarded import Forwarded
from server.middleware.hosts import AllowedHosts, Hosts
from server.middleware.in_flight import InFlightLimit
from server.middleware.origin import WebSocketOrigin
from server.middleware.prefix import Prefix
from server.middleware.requests import RequestLog
from server.middleware.security_headers import SecurityHeaders
from server.middleware.streams import EndStreams
from server.pages import explorer_page, get_asset, get_dashboard, get_docs, wants_html
from server.rest.data import get_data, on_bad_parameters
from server.rest.health import get_health, get_live, get_ready
from server.rest.openapi import get_openapi
from server.rest.parameters import BadParametersError
from server.rest.responses import ERROR_HANDLERS
from server.rest.root import get_root
from server.rest.schema import get_schema
from server.rest.stats import get_stats
from server.rest.trigger import post_trigger
from server.state import ServerState


class ExplorerOr:
    """/graphql: GraphiQL for a browser that requests a page, else the GraphQL application."""

    def __init__(self, graphql: ASGIApp) -> None:
        self._graphql = graphql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            request = Request(scope)
            if wants_html(request) and "query" not in request.query_params:
                page = await explorer_page(request)
                await page(scope, receive, send)
                return
        await self._graphql(scope, receive, send)


ROUTES = [
    Route("/", get_root),
    Route("/health", get_health),
    Route("/health/live", get_live),
    Route("/health/ready", get_ready),
    Route("/data", get_data),
    Route("/stats", get_stats),
    Route("/trigger-etl", post_trigger, methods=["POST"]),
    Route("/openapi.json", get_openapi),
    Route("/schema.graphql", get_schema),
    Route("/docs", get_docs),
    Route("/dashboard", get_dashboard),
    Route("/dashboard/{page:path}", get_dashboard),
    Route("/static/{folder}/{name}", get_asset),
]
"""All routes but /graphql."""


def create_app(state: ServerState) -> Starlette:
    """Return the application: its routes, its middleware and its error handlers."""
    graphql = ExplorerOr(create_graphql_app(state))
    app = Starlette(
        # Starlette tries routes in order: the most frequent ones are first.
        routes=[Route("/graphql", graphql), WebSocketRoute("/graphql", graphql), *ROUTES],
        middleware=[*_proxy_middleware(state.settings), *_middleware(state)],
        exception_handlers={
            **ERROR_HANDLERS,
            BadParametersError: on_bad_parameters,
            404: on_not_found,
        },
    )
    # `on_not_found` redirects, to a path without scheme and host.
    app.router.redirect_slashes = False
    app.state.server = state
    return app


def _proxy_middleware(settings: Settings) -> Iterator[Middleware]:
    """Yield the middleware behind a reverse proxy."""
    if settings.forwarded_allow_ips:
        yield Middleware(Forwarded, proxies=Proxies(settings.forwarded_allow_ips))
    if settings.root_path:
        yield Middleware(Prefix, prefix=settings.root_path)


def _middleware(state: ServerState) -> Iterator[Middleware]:
    """Yield the middleware, outermost first."""
    settings = state.settings
    fast_path = FastPath(
        schema,
        state.readers,
        introspection=settings.introspection,
        documents=state.documents,
        data_version=lambda: state.data_version,
        response_cache_bytes=settings.response_cache_bytes,
    )
    yield Middleware(CacheHeaders)
    yield Middleware(RequestLog)
    yield Middleware(SecurityHeaders)
    yield Middleware(AllowedHosts, hosts=Hosts(settings))
    if settings.cors_origins:
        yield _cors(settings.cors_origins)
    yield Middleware(BodyLimit)
    yield Middleware(
        InFlightLimit, concurrency=state.concurrency, health_concurrency=state.health_concurrency
    )
    yield Middleware(WebSocketOrigin, allowed=settings.cors_origins)
    yield Middleware(EndStreams, stopping=state.stopping)
    yield Middleware(FastQueries, fast_path=fast_path)
    yield Middleware(Compression)


def _cors(origins: tuple[str, ...]) -> Middleware:
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "HEAD", "POST"],
        # Clients send headers of their own; the response names those that the page asks for.
        allow_headers=["*"],
        expose_headers=["ETag", "X-Request-ID", "Retry-After", "Content-Disposition"],
        max_age=600,
    )
