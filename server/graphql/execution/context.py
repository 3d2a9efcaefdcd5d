"""What resolvers are given: one context for a request, an operation of a websocket, or what subscribers share."""

import datetime
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Concatenate, ParamSpec, TypeVar

import strawberry
from starlette.requests import HTTPConnection

from db.connect.types import Connection
from server.auth.scheduler_token import TOKEN_HEADER, PresentedToken
from server.deadline import SCOPE_KEY, DeadlineConnection, deadline_from_now
from server.graphql.execution.loaders import Loaders
from server.live.hub import Hub
from server.middleware.requests import request_id
from server.state import ServerState

P = ParamSpec("P")
T = TypeVar("T")

NOTHING_SHOWN = PresentedToken()


def end_of_minute() -> datetime.datetime:
    """Return the instant at which the present minute ends."""
    return datetime.datetime.now(datetime.UTC).replace(
        second=0, microsecond=0
    ) + datetime.timedelta(minutes=1)


class Context:
    """The server's state, the request's id, what its client shows, and loaders.

    `connection_params` is the payload of a websocket's `connection_init`. All statements of a
    request end by one deadline, set by the first of them; what subscribers share `outlives`
    requests, and each of its statements has the time of one.
    """

    def __init__(
        self,
        state: ServerState,
        request_id: str,
        shown: PresentedToken = NOTHING_SHOWN,
        *,
        deadline: float | None = None,
        outlives: bool = False,
    ) -> None:
        self.state = state
        self.request_id = request_id
        self.connection_params: dict[str, Any] | None = None
        self.loaders = Loaders(self.reading, self.writing)
        self._shown = shown
        self._deadline = deadline
        self._outlives = outlives

    @classmethod
    def create(cls, state: ServerState, connection: HTTPConnection) -> "Context":
        """Return the context of an HTTP request or a websocket."""
        shown = PresentedToken.by(connection, state.settings.cors_origins)
        return cls(state, request_id(connection), shown, deadline=connection.scope.get(SCOPE_KEY))

    @property
    def hub(self) -> Hub:
        """Where subscriptions get their events from."""
        return self.state.hub

    @property
    def client(self) -> str:
        """The client's address."""
        return self._shown.client

    @property
    def now(self) -> datetime.datetime:
        """The instant that a request which names no other means, to the minute: all its candles end at the same one."""
        return end_of_minute()

    @property
    def presented(self) -> PresentedToken:
        """What the client shows: its token is in the header or in `connection_init`."""
        if self._shown.token is None:
            for name, value in (self.connection_params or {}).items():
                if name.lower() == TOKEN_HEADER.lower() and isinstance(value, str):
                    return self._shown._replace(token=value)
        return self._shown

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """Take a connection to read with. Raises TimeoutError."""
        return self.state.reading(self._end())

    def writing(self) -> DeadlineConnection:
        """Take a connection of the primary. Raises TimeoutError."""
        return self.state.writing(self._end())

    def _end(self) -> float | None:
        if self._deadline is None and not self._outlives:
            self._deadline = deadline_from_now()
        return self._deadline

    async def read(
        self,
        function: Callable[Concatenate[Connection, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call a function of `db` with a connection to read with."""
        async with self.reading() as connection:
            return await function(connection, *args, **kwargs)


Info = strawberry.Info[Context, None]
