"""The application: every route in one table, and what each request passes on its way there."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

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
from server.rest.answers import ERROR_HANDLERS
from server.rest.data import get_data, on_bad_parameters
from server.rest.health import get_health, get_live, get_ready
from server.rest.openapi import get_openapi
from server.rest.parameters import BadParametersError
from server.rest.root import get_root
from server.rest.schema import get_schema
from server.rest.stats import get_stats
from server.rest.trigger import post_trigger
from server.state import ServerState


class ExplorerOr:
    """/graphql: GraphiQL for a browser that asks for a page, the GraphQL application for everything else."""

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


def create_app(state: ServerState) -> Starlette:
    """Put the application together."""
    graphql = ExplorerOr(create_graphql_app(state))
    fast_path = FastPath(
        schema,
        state.readers,
        introspection=state.settings.introspection,
        documents=state.documents,
        data_version=lambda: state.data_version,
        answers_bytes=state.settings.response_cache_bytes,
    )
    settings = state.settings
    origins = settings.cors_origins
    app = Starlette(
        routes=[
            # The first ones are found soonest.
            Route("/graphql", graphql),
            WebSocketRoute("/graphql", graphql),
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
        ],
        middleware=[
            *(
                [Middleware(Forwarded, proxies=Proxies(settings.forwarded_allow_ips))]
                if settings.forwarded_allow_ips
                else []
            ),
            *([Middleware(Prefix, prefix=settings.root_path)] if settings.root_path else []),
            Middleware(CacheHeaders),
            Middleware(RequestLog),
            Middleware(SecurityHeaders),
            Middleware(AllowedHosts, hosts=Hosts(settings)),
            *([_cors(origins)] if origins else []),
            Middleware(BodyLimit),
            Middleware(InFlightLimit, places=state.places, health_places=state.health_places),
            Middleware(WebSocketOrigin, allowed=origins),
            Middleware(EndStreams, stopping=state.stopping),
            Middleware(FastQueries, fast_path=fast_path),
            Middleware(Compression),
        ],
        exception_handlers={
            **ERROR_HANDLERS,
            BadParametersError: on_bad_parameters,
            404: on_not_found,
        },
    )
    app.router.redirect_slashes = (
        False  # `on_not_found` redirects, by a path without scheme and host
    )
    app.state.server = state
    return app


def _cors(origins: tuple[str, ...]) -> Middleware:
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=[
            "*"
        ],  # whatever the page asks for is named in the answer: clients send headers of their own
        expose_headers=["ETag", "X-Request-ID", "Retry-After", "Content-Disposition"],
        max_age=600,
    )
