"""Websockets: the protocol graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from graphql import GraphQLError
from starlette.requests import HTTPConnection
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope, Send
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from server.auth.scheduler_token import PresentedToken
from server.graphql.execution.context import Context
from server.graphql.execution.document import DocumentRefusedError, OperationNotAllowedError
from server.graphql.execution.errors import limit_reached, mask, unavailable
from server.graphql.execution.persisted import text_of
from server.graphql.schema import schema
from server.graphql.transport.follow import follow
from server.graphql.transport.messages import (
    DECODER,
    ClientMessage,
    Complete,
    ConnectionInit,
    Ping,
    Subscribe,
)
from server.graphql.transport.request_body import RequestBody
from server.graphql.transport.subscription_task import SubscriptionTask
from server.graphql.transport.updates import response
from server.live.admission import RETRY_AFTER_SECONDS, FullError
from server.live.websocket_protocol import EXTENSION, WebSocketProtocol
from server.middleware.requests import request_id
from server.state import ServerState

PROTOCOL: Final = "graphql-transport-ws"
INIT_SECONDS = 10.0
"""The time-out of `connection_init`."""
IDLE_SECONDS = 300.0
"""How long a connection stays open without operations and messages."""
MAX_OPERATIONS = 100
"""Of one connection at once."""

_ONCE = frozenset({OperationType.QUERY, OperationType.MUTATION})
_REASON_BYTES = 123  # RFC 6455, 5.5


class ClosedError(Exception):
    """The connection must be closed, with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:_REASON_BYTES].decode(errors="ignore")


class WebSocketConnection:
    """One websocket, from its handshake to its end."""

    def __init__(self, state: ServerState, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        self._state = state
        self._receive = receive
        self._send = send
        self._protocol: WebSocketProtocol = scope["extensions"][EXTENSION]
        self._presented = PresentedToken.of_connection(connection, state.settings.cors_origins)
        self._client = self._presented.client
        self._protocol.rate_limit = state.rate_limits.of(self._client)
        self._is_supported = PROTOCOL in scope["subprotocols"]
        self._request_id = request_id(connection)
        self._parameters: dict[str, Any] | None = None
        self._operations: dict[str, asyncio.Task[None] | SubscriptionTask] = {}
        self._timeout: asyncio.Timeout | None = None

    async def serve(self) -> None:
        """Serve the client until either side closes."""
        await self._receive()
        try:
            with self._state.hub.connections.admit(self._client):
                await self._serve_accepted()
        except FullError as error:
            await self._refuse(error)

    async def _serve_accepted(self) -> None:
        try:
            await self._send(
                {
                    "type": "websocket.accept",
                    "subprotocol": PROTOCOL if self._is_supported else None,
                }
            )
            self._protocol.on_writable = self._flush
            await self._receive_all()
        except ClosedError as error:
            await self._send(
                {"type": "websocket.close", "code": error.code, "reason": error.reason}
            )
        except OSError:
            pass  # the client left during a response
        finally:
            self._protocol.on_writable = None
            await self._end_all()

    async def _receive_all(self) -> None:
        """Handle messages until the client leaves. Raises ClosedError."""
        if not self._is_supported:
            raise ClosedError(4406, "Subprotocol not acceptable")
        try:
            async with asyncio.timeout(INIT_SECONDS) as self._timeout:
                while (message := await self._receive())["type"] != "websocket.disconnect":
                    await self._handle(message)
                    self._reset_timeout()
        except TimeoutError:
            if self._parameters is None:
                raise ClosedError(4408, "Connection initialisation timeout") from None
            raise ClosedError(1000, "Idle") from None
        finally:
            self._timeout = None

    def _reset_timeout(self) -> None:
        """Wait for the next message, without a time-out while an operation runs."""
        if self._timeout is None or self._timeout.expired() or self._parameters is None:
            return
        now = asyncio.get_running_loop().time()
        self._timeout.reschedule(None if self._operations else now + IDLE_SECONDS)

    async def _handle(self, received: AsgiMessage) -> None:
        """Handle a message. Raises ClosedError."""
        match _decode(received):
            case ConnectionInit(payload):
                if self._parameters is not None:
                    raise ClosedError(4429, "Too many initialisation requests")
                self._parameters = payload or {}
                await self._send_message(type="connection_ack")
            case Ping(payload):
                await self._send_message(
                    type="pong", **({} if payload is None else {"payload": payload})
                )
            case Subscribe(number, payload):
                await self._subscribe(number, payload, len(received["text"]))
            case Complete(number):
                operation = self._operations.pop(number, None)
                if operation is not None:
                    self._end(operation)

    async def _subscribe(self, number: str, payload: RequestBody, size: int) -> None:
        if self._parameters is None:
            raise ClosedError(4401, "Unauthorized")
        if number in self._operations:
            raise ClosedError(4409, f"Subscriber for {number} already exists")
        if len(self._operations) >= MAX_OPERATIONS:
            reason = f"A connection may run {MAX_OPERATIONS} operations at once; complete one first"
            await self._send_errors(number, [unavailable(reason)])
            return
        self._operations[number] = asyncio.create_task(self._run(number, payload, size))

    async def _run(self, number: str, payload: RequestBody, size: int) -> None:
        """Run a query or a mutation to its end, a subscription until the hub has it."""
        context = Context(self._state, self._request_id, self._presented)
        context.connection_params = self._parameters
        try:
            try:
                text = text_of(payload, self._state.documents)
                async with self._state.concurrency.slot(self._client, size):
                    result = await schema.execute(
                        text,
                        payload.variables,
                        context,
                        operation_name=payload.operation_name,
                        allowed_operation_types=_ONCE,
                    )
            except OperationNotAllowedError:
                await self._follow(number, text, payload, context, size)
                return
            except FullError as error:
                del self._operations[number]
                await self._send_errors(number, [limit_reached(error)])
                return
            except DocumentRefusedError as error:
                result = PreExecutionError(data=None, errors=error.errors)
            if isinstance(result, PreExecutionError):
                del self._operations[number]
                await self._send_errors(number, result.errors or ())
                return
            await self._send_message(
                id=number, type="next", payload=response(result.data, result.errors)
            )
            # A client may use an id again after `complete`.
            del self._operations[number]
            await self._send_message(id=number, type="complete")
        except OSError:
            pass  # the client has left
        finally:
            self._reset_timeout()

    async def _follow(
        self, number: str, text: str | None, payload: RequestBody, context: Context, size: int
    ) -> None:
        subscription = SubscriptionTask(self._protocol, number, self._finish)
        try:
            async with self._state.concurrency.slot(self._client, size):
                followed = await follow(text, payload.variables, payload.operation_name, context)
                self._state.hub.subscriptions.enter(self._client)
                try:
                    subscription.subscriber = await self._state.hub.open(
                        followed, subscription.wake, self._client
                    )
                except BaseException:
                    self._state.hub.subscriptions.leave(self._client)
                    raise
        except DocumentRefusedError as error:
            errors = error.errors
        except FullError as error:
            errors = [limit_reached(error)]
        except Exception as error:  # noqa: BLE001  (the client gets the error)
            errors = mask([GraphQLError("", original_error=error)], self._request_id)
        else:
            self._operations[number] = subscription
            return
        del self._operations[number]
        await self._send_errors(number, errors)

    def _finish(self, subscription: SubscriptionTask) -> None:
        """Send the error that ended a subscription; the websocket is writable."""
        operation = self._operations.pop(subscription.number, None)
        if operation is None or subscription.subscriber is None:
            return
        errors = mask(
            [GraphQLError("", original_error=subscription.subscriber.error)], self._request_id
        )
        message = {
            "id": subscription.number,
            "type": "error",
            "payload": [error.formatted for error in errors],
        }
        self._protocol.write_text(b"", msgspec.json.encode(message), b"")
        self._end(subscription)
        self._reset_timeout()

    def _flush(self) -> None:
        """Send queued messages, one of each subscription in turn."""
        waiting = [
            operation
            for operation in self._operations.values()
            if isinstance(operation, SubscriptionTask)
        ]
        while waiting:
            waiting = [subscription for subscription in waiting if subscription.send_one()]

    def _end(self, operation: "asyncio.Task[None] | SubscriptionTask") -> None:
        if isinstance(operation, asyncio.Task):
            operation.cancel()
        elif operation.subscriber is not None:
            self._state.hub.close(operation.subscriber)
            self._state.hub.subscriptions.leave(self._client)

    async def _end_all(self) -> None:
        operations = list(self._operations.values())
        self._operations.clear()
        for operation in operations:
            self._end(operation)
        tasks = [operation for operation in operations if isinstance(operation, asyncio.Task)]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_message(self, **message: object) -> None:
        await self._send({"type": "websocket.send", "text": msgspec.json.encode(message).decode()})

    async def _send_errors(self, number: str, errors: Iterable[GraphQLError]) -> None:
        await self._send_message(
            id=number, type="error", payload=[error.formatted for error in errors]
        )

    async def _refuse(self, error: FullError) -> None:
        """Answer the handshake with 503."""
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"retry-after", b"%d" % RETRY_AFTER_SECONDS),
        ]
        await self._send(
            {"type": "websocket.http.response.start", "status": 503, "headers": headers}
        )
        await self._send({"type": "websocket.http.response.body", "body": str(error).encode()})


def _decode(received: AsgiMessage) -> ClientMessage:
    """Return a client's message. Raises ClosedError."""
    text = received.get("text")
    if text is None:
        raise ClosedError(4400, "WebSocket message type must be text")
    try:
        return DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ClosedError(4400, f"Invalid message: {error}") from None
