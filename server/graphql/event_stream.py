"""Event streams: the protocol GraphQL over SSE, one operation a request.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md ("distinct connections mode")
"""

import asyncio
from collections.abc import AsyncGenerator, Collection

import msgspec
from graphql import GraphQLError
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from strawberry.http import GraphQLRequestData
from strawberry.types.graphql import OperationType
from strawberry.utils.aio import aclosing

from server.client_address import client_address
from server.graphql.context import Context
from server.graphql.errors import full, mask
from server.graphql.execution import OperationNotAllowedError, RefusedError
from server.graphql.follow import follow
from server.graphql.schema import schema
from server.graphql.updates import response
from server.live.admission import RETRY_AFTER_SECONDS, FullError
from server.middleware.body_limit import announced_length
from server.state import ServerState

HEARTBEAT_SECONDS = 15.0
STALLED_SECONDS = 60.0
"""How long a client may read nothing of what is sent to it."""

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_HEARTBEAT = b":\n\n"
_COMPLETE = b"event: complete\ndata: \n\n"


class EventStream:
    """The answer to one request that asks for an event stream."""

    def __init__(self, state: ServerState, request: GraphQLRequestData, allowed: Collection[OperationType]) -> None:
        self._state = state
        self._request = request
        self._allowed = allowed
        self._woken = asyncio.Event()
        self._left = False
        self._client = ""
        self._size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send results as they come, until they end or the client leaves."""
        client = self._client = client_address(scope)
        self._size = announced_length(scope)
        try:
            with self._state.hub.connections.admit(client), self._state.hub.subscriptions.admit(client):
                await self._send_all(Context.create(self._state, HTTPConnection(scope)), receive, send)
        except FullError as error:
            refusal = {"errors": [full(error).formatted]}
            await JSONResponse(refusal, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})(scope, receive, send)

    async def _send_all(self, context: Context, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(self._wait_for_leave(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await _send_part(send, _HEARTBEAT)
            async with aclosing(self._parts(context)) as parts:
                async for part in parts:
                    await _send_part(send, part)
            if not self._left:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (OSError, TimeoutError):
            pass  # the client has left, or does not read: what is open of its answer is closed with the connection
        finally:
            leaving.cancel()

    async def _wait_for_leave(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._left = True
        self._woken.set()

    async def _parts(self, context: Context) -> AsyncGenerator[bytes, None]:
        request = self._request
        try:
            try:
                async with self._state.places.hold(self._client, self._size):
                    result = await schema.execute(
                        request.query,
                        request.variables,
                        context,
                        operation_name=request.operation_name,
                        allowed_operation_types=self._allowed,
                    )
                yield _next(msgspec.json.encode(response(result.data, result.errors)))
            except OperationNotAllowedError as error:
                if error.operation_type is not OperationType.SUBSCRIPTION:
                    raise
                async with aclosing(self._updates(context)) as updates:
                    async for update in updates:
                        yield update
        except RefusedError as error:
            yield _errors(error.errors)
        except FullError as error:
            yield _errors([full(error)])
        except Exception as error:  # noqa: BLE001  (whatever it was, the client is told)
            yield _errors(mask([GraphQLError("", original_error=error)], context.request_id))
        if not self._left:
            yield _COMPLETE

    async def _updates(self, context: Context) -> AsyncGenerator[bytes, None]:
        """Yield updates and, where there are none for long, heartbeats, until the client leaves."""
        request = self._request
        async with self._state.places.hold(self._client, self._size):
            followed = await follow(request.query, request.variables, request.operation_name, context)
        async with self._state.hub.subscribe(followed, self._woken.set, context.client) as subscriber:
            while not self._left:
                self._woken.clear()
                while (body := subscriber.take()) is not None:
                    yield _next(body)
                if subscriber.error is not None and subscriber.is_over:
                    raise subscriber.error
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await self._woken.wait()
                except TimeoutError:
                    yield _HEARTBEAT


async def _send_part(send: Send, part: bytes) -> None:
    async with asyncio.timeout(STALLED_SECONDS):
        await send({"type": "http.response.body", "body": part, "more_body": True})


def _next(body: bytes) -> bytes:
    return b"event: next\ndata: %s\n\n" % body


def _errors(errors: list[GraphQLError]) -> bytes:
    return _next(msgspec.json.encode({"errors": [error.formatted for error in errors]}))
