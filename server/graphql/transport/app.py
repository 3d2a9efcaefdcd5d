"""GraphQL over HTTP: media types, status codes, and the operations that each method allows.

https://graphql.github.io/graphql-over-http/draft/
The middleware checks origins, sizes of bodies and the number of requests in flight.
"""

from typing import Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from server.graphql.execution.context import Context
from server.graphql.execution.document import DocumentRefusedError, OperationNotAllowedError
from server.graphql.execution.errors import Code, error_with_code, retry_after, shorten_error
from server.graphql.execution.execute import body_of
from server.graphql.execution.persisted import text_of
from server.graphql.schema import schema
from server.graphql.transport.event_stream import EventStream
from server.graphql.transport.framings import FRAMINGS
from server.graphql.transport.media_types import (
    EVENT_STREAM,
    GRAPHQL_RESPONSE,
    JSON,
    AcceptedTypes,
    accepted_types,
)
from server.graphql.transport.request_body import RequestBody
from server.graphql.transport.websocket import PROTOCOL, WebSocketConnection
from server.http.etags import caching, etag_of_body, matches
from server.http.weighted import field_value
from server.state import ServerState

_READING = frozenset({OperationType.QUERY})
_ONCE = frozenset({OperationType.QUERY, OperationType.MUTATION})
_READING_METHODS = ("GET", "HEAD")
ALLOWED_METHODS = (*_READING_METHODS, "POST")


class GraphQLApp:
    """Answers POST, GET and HEAD for queries, streams and websockets."""

    def __init__(self, state: ServerState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; errors of HTTP have the shape of GraphQL errors."""
        if scope["type"] != "http":
            await WebSocketConnection(self._state, scope, receive, send).serve()
            return
        request = Request(scope, receive)
        accepted = accepted_types(field_value(scope["headers"], b"accept"))
        try:
            response = await self._respond(request, accepted)
        except HTTPException as error:
            response = _error_response(error, accepted.answer)
        except ClientDisconnect:
            return  # before its request was complete
        await response(scope, receive, send)

    async def _respond(self, request: Request, accepted: AcceptedTypes) -> ASGIApp:
        """Return the response to a request. Raises HTTPException."""
        body = await _read(request)
        allowed = _READING if request.method in _READING_METHODS else _ONCE
        if accepted.stream is not None and accepted.prefers_stream:
            return EventStream(self._state, body, allowed, FRAMINGS[accepted.stream])
        try:
            result = await self._execute(body, Context.create(self._state, request), allowed)
        except OperationNotAllowedError as error:
            if accepted.stream is not None and error.operation_type is OperationType.SUBSCRIPTION:
                return EventStream(self._state, body, allowed, FRAMINGS[accepted.stream])
            raise _not_allowed(error.operation_type) from None
        return _response(request, result, accepted.answer)

    async def _execute(
        self, body: RequestBody, context: Context, allowed: frozenset[OperationType]
    ) -> ExecutionResult:
        """Run an operation. Raises OperationNotAllowedError."""
        try:
            text = text_of(body, self._state.documents)
        except DocumentRefusedError as error:
            return PreExecutionError(data=None, errors=error.errors)
        return await schema.execute(
            text,
            body.variables,
            context,
            operation_name=body.operation_name,
            allowed_operation_types=allowed,
        )


def create_graphql_app(state: ServerState) -> ASGIApp:
    """Return the ASGI application that answers at /graphql."""
    return GraphQLApp(state)


async def _read(request: Request) -> RequestBody:
    """Return the body of a GraphQL request. Raises HTTPException for any other."""
    if request.method not in ALLOWED_METHODS:
        raise HTTPException(
            405,
            f"GraphQL is asked with {', '.join(ALLOWED_METHODS)}",
            {"Allow": ", ".join(ALLOWED_METHODS)},
        )
    value = (
        _from_query(request.query_params)
        if request.method in _READING_METHODS
        else await _from_body(request)
    )
    try:
        return msgspec.convert(value, RequestBody)
    except msgspec.ValidationError as error:
        raise HTTPException(
            400, f"The request cannot be read as a GraphQL request: {error}"
        ) from None


def _from_query(given: QueryParams) -> dict[str, Any]:
    value: dict[str, Any] = {
        name: given.get(name) for name in ("query", "operationName", "documentId", "doc_id")
    }
    for name in ("variables", "extensions"):
        text = given.get(name)
        value[name] = _decode_json(text, f'"{name}"') if text else None
    return value


async def _from_body(request: Request) -> object:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        # A page of another site could send a form or text/plain without a preflight (CORS).
        raise HTTPException(415, f"A request's Content-Type must be {JSON}")
    value = _decode_json(await request.body(), "The body")
    if isinstance(value, list):
        raise HTTPException(
            400, "Batches of operations are not supported: send one operation a request"
        )
    return value


def _decode_json(text: str | bytes, name: str) -> object:
    """Return JSON, strictly parsed: NaN and half surrogate pairs raise HTTPException."""
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise HTTPException(400, f"{name} cannot be read as JSON: {error}") from None
    return value


def _response(request: Request, result: ExecutionResult, media_type: str) -> Response:
    body = msgspec.json.encode(body_of(result))
    content_type = f"{media_type}; charset=utf-8"
    if request.method not in _READING_METHODS or result.errors:
        seconds = retry_after(result.errors)
        retry = None if seconds is None else {"Retry-After": str(seconds)}
        return Response(body, _status(result, media_type), retry, media_type=content_type)
    etag = etag_of_body(media_type.encode() + body)
    headers = {**caching(etag), "Vary": "Accept"}
    if matches(etag, field_value(request.scope["headers"], b"if-none-match")):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=content_type)


def _status(result: ExecutionResult, media_type: str) -> int:
    """Return the status code: with plain JSON, 200 for every GraphQL request (draft, 6.4.1)."""
    if not isinstance(result, PreExecutionError):
        return 200
    is_malformed = any(
        (error.extensions or {}).get("code") == Code.BAD_REQUEST for error in result.errors or ()
    )
    return 400 if is_malformed or media_type == GRAPHQL_RESPONSE else 200


def _not_allowed(operation_type: OperationType) -> HTTPException:
    if operation_type is OperationType.SUBSCRIPTION:
        return HTTPException(
            400, f"A subscription needs a websocket ({PROTOCOL}) or Accept: {EVENT_STREAM}"
        )
    return HTTPException(
        405,
        f"A {operation_type.value} must be sent with POST",
        {"Allow": ", ".join(ALLOWED_METHODS)},
    )


def _error_response(error: HTTPException, media_type: str) -> Response:
    body = {"errors": [shorten_error(error_with_code(error.detail, Code.BAD_REQUEST)).formatted]}
    return Response(
        msgspec.json.encode(body),
        error.status_code,
        error.headers,
        media_type=f"{media_type}; charset=utf-8",
    )
