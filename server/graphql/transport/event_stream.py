"""The results of one operation as a stream, in one response."""

import asyncio
from collections.abc import AsyncGenerator, Collection

import msgspec
from graphql import GraphQLError
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from strawberry.types.graphql import OperationType
from strawberry.utils.aio import aclosing

from server.graphql.execution.context import Context
from server.graphql.execution.document import DocumentRefusedError, OperationNotAllowedError
from server.graphql.execution.errors import limit_reached, mask
from server.graphql.execution.execute import body_of
from server.graphql.execution.persisted import text_of
from server.graphql.schema import schema
from server.graphql.transport.follow import follow
from server.graphql.transport.framings import Framing
from server.graphql.transport.request_body import RequestBody
from server.http.client_address import client_address
from server.live.admission import RETRY_AFTER_SECONDS, FullError
from server.middleware.body_limit import announced_length
from server.state import ServerState

STALLED_SECONDS = 60.0
"""How long a client may read nothing of the response."""

_HEADERS = [(b"cache-control", b"no-cache"), (b"vary", b"Accept"), (b"x-accel-buffering", b"no")]
LAST_EVENT_ID = "Last-Event-ID"


class EventStream:
    """The streamed response to one request."""

    def __init__(
        self,
        state: ServerState,
        request: RequestBody,
        allowed: Collection[OperationType],
        framing: Framing,
    ) -> None:
        self._state = state
        self._request = request
        self._allowed = allowed
        self._framing = framing
        self._last_event_id: str | None = None
        self._woken = asyncio.Event()
        self._left = False
        self._client = ""
        self._size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send results until they end or the client leaves."""
        if scope["method"] == "HEAD":
            await self._start(send)
            await send({"type": "http.response.body", "body": b""})
            return
        self._last_event_id = Headers(scope=scope).get(LAST_EVENT_ID)
        client = self._client = client_address(scope)
        self._size = announced_length(scope)
        try:
            with (
                self._state.hub.connections.admit(client),
                self._state.hub.subscriptions.admit(client),
            ):
                await self._send_all(
                    Context.create(self._state, HTTPConnection(scope)), receive, send
                )
        except FullError as error:
            body = {"errors": [limit_reached(error).formatted]}
            await JSONResponse(body, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})(
                scope, receive, send
            )

    async def _start(self, send: Send) -> None:
        headers = [(b"content-type", self._framing.content_type.encode()), *_HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _send_all(self, context: Context, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(self._wait_for_leave(receive))
        try:
            await self._start(send)
            await _send_part(send, self._framing.opening)
            async with aclosing(self._parts(context)) as parts:
                async for part in parts:
                    await _send_part(send, part)
            if not self._left:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (OSError, TimeoutError):
            pass  # the client has left, or does not read: its connection is closed
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
                text = text_of(request, self._state.documents)
                async with self._state.concurrency.slot(self._client, self._size):
                    result = await schema.execute(
                        text,
                        request.variables,
                        context,
                        operation_name=request.operation_name,
                        allowed_operation_types=self._allowed,
                    )
                yield self._framing.result(msgspec.json.encode(body_of(result)), None)
            except OperationNotAllowedError as error:
                if error.operation_type is not OperationType.SUBSCRIPTION:
                    raise
                async with aclosing(self._updates(text, context)) as updates:
                    async for update in updates:
                        yield update
        except DocumentRefusedError as error:
            yield self._errors(error.errors)
        except FullError as error:
            yield self._errors([limit_reached(error)])
        except Exception as error:  # noqa: BLE001  (the client gets the error)
            yield self._errors(mask([GraphQLError("", original_error=error)], context.request_id))
        if not self._left:
            yield self._framing.complete

    def _errors(self, errors: list[GraphQLError]) -> bytes:
        return self._framing.result(
            msgspec.json.encode({"errors": [error.formatted for error in errors]}), None
        )

    async def _updates(self, text: str | None, context: Context) -> AsyncGenerator[bytes, None]:
        """Yield updates, and heartbeats between them, until the client leaves."""
        request = self._request
        async with self._state.concurrency.slot(self._client, self._size):
            followed = await follow(
                text,
                request.variables,
                request.operation_name,
                context,
                last_event_id=self._last_event_id,
            )
        async with self._state.hub.subscribe(
            followed, self._woken.set, context.client
        ) as subscriber:
            while not self._left:
                self._woken.clear()
                while (body := subscriber.take()) is not None:
                    yield self._framing.result(body, subscriber.cursor)
                if subscriber.error is not None and subscriber.is_over:
                    raise subscriber.error
                try:
                    async with asyncio.timeout(self._framing.heartbeat_seconds):
                        await self._woken.wait()
                except TimeoutError:
                    yield self._framing.heartbeat


async def _send_part(send: Send, part: bytes) -> None:
    async with asyncio.timeout(STALLED_SECONDS):
        await send({"type": "http.response.body", "body": part, "more_body": True})
