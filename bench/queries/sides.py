"""The servers: ours with and without cache, and the peers; all run before a measurement."""

import contextlib
import sys
from collections.abc import AsyncIterator

import msgspec

from bench.load import Target
from bench.peers.postgraphile import postgraphile
from bench.programs import answers, running
from kasparro.supervise.ports import free_port


class Sides(msgspec.Struct, frozen=True):
    """The base URLs of the running servers; PostGraphile's has a path."""

    ours: str
    cached: str
    plain: str
    bare: str
    postgraphile: str


@contextlib.asynccontextmanager
async def running_sides(dsn: str) -> AsyncIterator[Sides]:
    """Run all servers over one database, with one process each."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        yield Sides(
            ours=await enter(_module("server", dsn, RESPONSE_CACHE_BYTES="0")),
            cached=await enter(_module("server", dsn)),
            plain=await enter(_module("bench.queries.plain", dsn, RESPONSE_CACHE_BYTES="0")),
            bare=await enter(_module("bench.queries.bare", dsn)),
            postgraphile=await enter(postgraphile(dsn)),
        )


@contextlib.asynccontextmanager
async def _module(name: str, dsn: str, **environment: str) -> AsyncIterator[str]:
    """Run one of our modules, without a log line for each request: peers write none."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    variables = {"DATABASE_URL": dsn, "PORT": str(port), "LOG_LEVEL": "WARNING", **environment}
    async with running((sys.executable, "-m", name), variables, answers(f"{url}/data")):
        yield url


def graphql(url: str, body: bytes) -> Target:
    """Return a request to our GraphQL."""
    return Target(f"{url}/graphql", body)
