"""What resolvers are given: one context for a request, an operation of a websocket, or what subscribers share."""

import datetime
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import strawberry
from starlette.requests import HTTPConnection

from db.types import Connection
from server.graphql.loaders import Loaders
from server.live.hub import Hub
from server.middleware.requests import request_id
from server.state import ServerState

TOKEN_HEADER = "X-Scheduler-Token"  # noqa: S105  (a header's name)

P = ParamSpec("P")
T = TypeVar("T")


def end_of_minute() -> datetime.datetime:
    """Return the instant at which the present minute ends."""
    return datetime.datetime.now(datetime.UTC).replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)


class Context:
    """The server's state, the request's id and token, and loaders.

    `connection_params` is the payload of a websocket's `connection_init`.
    """

    def __init__(self, state: ServerState, request_id: str, header_token: str | None = None) -> None:
        self.state = state
        self.request_id = request_id
        self.connection_params: dict[str, Any] | None = None
        self.loaders = Loaders(state.reading, state.writing)
        self._header_token = header_token

    @classmethod
    def create(cls, state: ServerState, connection: HTTPConnection) -> "Context":
        """Return the context of an HTTP request or a websocket."""
        return cls(state, request_id(connection), connection.headers.get(TOKEN_HEADER))

    @property
    def hub(self) -> Hub:
        """Where subscriptions get their events from."""
        return self.state.hub

    @property
    def now(self) -> datetime.datetime:
        """The instant that a request which names no other means, to the minute: all its candles end at the same one."""
        return end_of_minute()

    @property
    def token(self) -> str | None:
        """The scheduler token that was presented, in the header or in `connection_init`."""
        if self._header_token is not None:
            return self._header_token
        for name, value in (self.connection_params or {}).items():
            if name.lower() == TOKEN_HEADER.lower() and isinstance(value, str):
                return value
        return None

    async def read(
        self, function: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function of `db` with a connection to read with."""
        async with self.state.reading() as connection:
            return await function(connection, *args, **kwargs)


Info = strawberry.Info[Context, None]
