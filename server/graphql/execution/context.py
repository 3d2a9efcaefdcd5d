"""The context of resolvers: of a request, an operation of a websocket, or a subscription."""

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

NO_TOKEN = PresentedToken()


def end_of_minute() -> datetime.datetime:
    """Return the time at which the present minute ends."""
    return datetime.datetime.now(datetime.UTC).replace(
        second=0, microsecond=0
    ) + datetime.timedelta(minutes=1)


class Context:
    """The server's state, the request's id, the client's token, and loaders.

    `connection_params` is the payload of a websocket's `connection_init`. All statements of a
    request end by one deadline, which the first of them sets. A subscription `outlives` requests:
    each of its statements has its own deadline.
    """

    def __init__(
        self,
        state: ServerState,
        request_id: str,
        presented: PresentedToken = NO_TOKEN,
        *,
        deadline: float | None = None,
        outlives: bool = False,
    ) -> None:
        self.state = state
        self.request_id = request_id
        self.connection_params: dict[str, Any] | None = None
        self.loaders = Loaders(self.reading, self.writing)
        self._presented = presented
        self._deadline = deadline
        self._outlives = outlives

    @classmethod
    def create(cls, state: ServerState, connection: HTTPConnection) -> "Context":
        """Return the context of an HTTP request or a websocket."""
        presented = PresentedToken.of_connection(connection, state.settings.cors_origins)
        return cls(
            state, request_id(connection), presented, deadline=connection.scope.get(SCOPE_KEY)
        )

    @property
    def hub(self) -> Hub:
        """The source of the events of subscriptions."""
        return self.state.hub

    @property
    def client(self) -> str:
        """The client's address."""
        return self._presented.client

    @property
    def now(self) -> datetime.datetime:
        """The end of the present minute: the default end of candles."""
        return end_of_minute()

    @property
    def presented_token(self) -> PresentedToken:
        """The client's token, of the header or of `connection_init`."""
        if self._presented.token is None:
            for name, value in (self.connection_params or {}).items():
                if name.lower() == TOKEN_HEADER.lower() and isinstance(value, str):
                    return self._presented._replace(token=value)
        return self._presented

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """Acquire a connection for reading. Raises TimeoutError."""
        return self.state.reading(self._end())

    def writing(self) -> DeadlineConnection:
        """Acquire a connection of the primary. Raises TimeoutError."""
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
        """Call a function of `db` with a connection for reading."""
        async with self.reading() as connection:
            return await function(connection, *args, **kwargs)


Info = strawberry.Info[Context, None]
