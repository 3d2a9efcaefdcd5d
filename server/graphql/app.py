"""The HTTP side of GraphQL: Strawberry's ASGI view, held to the specification of GraphQL over HTTP.

https://graphql.github.io/graphql-over-http/draft/ : media types, status codes, and which operations a GET may ask for.
Origins, body sizes and the number of requests in flight are checked by the middleware in front.
"""

import json

import msgspec
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from server.graphql.context import Context
from server.graphql.errors import Code, coded, retry_after, shortened
from server.graphql.event_stream import EventStream
from server.graphql.execution import OperationNotAllowedError, Schema
from server.graphql.media_types import EVENT_STREAM, GRAPHQL_RESPONSE, JSON
from server.graphql.request_body import RequestBody
from server.graphql.schema import schema
from server.graphql.websocket import PROTOCOL, Connection
from server.state import ServerState

_READING = frozenset({OperationType.QUERY})
_ONCE = frozenset({OperationType.QUERY, OperationType.MUTATION})


class GraphQLApp(GraphQL[Context, None]):
    """Answers POST, GET for queries, event streams and websockets."""

    schema: Schema

    def __init__(self, state: ServerState) -> None:
        super().__init__(schema, graphql_ide=None, subscription_protocols=())
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; one that is no GraphQL request gets its error in GraphQL's shape."""
        if scope["type"] != "http":
            await Connection(self._state, scope, receive, send).serve()
            return
        request = Request(scope, receive)
        response: ASGIApp
        try:
            response = await (self._stream(request) if _wants_stream(request) else self.run(request))
        except HTTPException as error:
            response = _refusal(error, _media_type(request))
        except ClientDisconnect:
            return  # in the midst of its request
        await response(scope, receive, send)

    async def _stream(self, request: Request) -> EventStream:
        """Return the answer to who wants results as they come. Raises HTTPException."""
        adapter = self.request_adapter_class(request)
        if not self.is_request_allowed(adapter):
            raise HTTPException(405, "GraphQL only supports GET and POST requests.")
        data = await self.parse_http_body(adapter)
        allowed = _READING if request.method == "GET" else _ONCE
        return EventStream(self._state, data, allowed)

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002 - Strawberry's signature
        """Return what resolvers are given."""
        return Context.create(self._state, request)

    def should_render_graphql_ide(self, request: object) -> bool:  # noqa: ARG002 - Strawberry's signature
        """Leave the page for browsers to the route in front."""
        return False

    async def get_sub_response(self, request: Request) -> Response:  # type: ignore[override]  # a websocket has none
        """Return what the answer takes its media type and status from."""
        response = await super().get_sub_response(request)
        response.media_type = _media_type(request)
        return response

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData:
        """Return the request. Raises HTTPException for one that is none."""
        body = _from_query(request) if request.method == "GET" else await self._from_body(request)
        return GraphQLRequestData(
            query=body.query,
            variables=body.variables,
            operation_name=body.operation_name,
            extensions=body.extensions,
            protocol="http",
        )

    async def _from_body(self, request: AsyncHTTPRequestAdapter) -> RequestBody:
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        if media_type != JSON:
            # Besides, a form or text/plain could be sent by a foreign page without asking (CORS).
            raise HTTPException(415, f"A request's Content-Type must be {JSON}")
        try:
            value = self.decode_json(await request.get_body())
        except json.JSONDecodeError as error:
            raise HTTPException(400, f"The body is no JSON: {error.msg}") from None
        if isinstance(value, list):
            raise HTTPException(400, "Several operations in one request are not supported; send them one by one")
        return _checked(value)

    async def execute_operation(  # noqa: PLR0917  (Strawberry's signature)
        self,
        request: Request,  # noqa: ARG002 - the same
        request_adapter: AsyncHTTPRequestAdapter,
        request_data: GraphQLRequestData | list[GraphQLRequestData],
        context: Context,
        root_value: None,  # noqa: ARG002 - the same
        sub_response: Response,
    ) -> ExecutionResult:
        """Run a request's operation."""
        assert isinstance(request_data, GraphQLRequestData)  # noqa: S101  (lists are refused)
        allowed = _READING if request_adapter.method == "GET" else _ONCE
        try:
            result = await self.schema.execute(
                request_data.query,
                request_data.variables,
                context,
                operation_name=request_data.operation_name,
                allowed_operation_types=allowed,
            )
        except OperationNotAllowedError as error:
            raise _not_allowed(error.operation_type) from None
        sub_response.status_code = _status(result, sub_response.media_type)
        seconds = retry_after(result.errors)
        if seconds is not None:
            sub_response.headers["Retry-After"] = str(seconds)
        return result

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        """Return the answer as JSON."""
        waits = sub_response.headers.get("Retry-After")
        return Response(
            msgspec.json.encode(response_data),
            status_code=sub_response.status_code,
            headers=None if waits is None else {"Retry-After": waits},
            media_type=f"{sub_response.media_type}; charset=utf-8",
        )

    def decode_json(self, data: str | bytes) -> object:
        """Read JSON; strictly, so NaN and half surrogate pairs are refused. Raises json.JSONDecodeError."""
        try:
            decoded: object = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise json.JSONDecodeError(str(error), "", 0) from None
        return decoded

    def encode_json(self, data: object) -> str:
        """Write JSON; as text, because bytes would make binary frames of a websocket."""
        return msgspec.json.encode(data).decode()


def create_graphql_app(state: ServerState) -> ASGIApp:
    """Return the ASGI application that answers at /graphql."""
    return GraphQLApp(state)


def _from_query(request: AsyncHTTPRequestAdapter) -> RequestBody:
    given = {name: request.query_params.get(name) for name in ("query", "operationName")}
    parsed = {}
    for name in ("variables", "extensions"):
        text = request.query_params.get(name)
        try:
            parsed[name] = msgspec.json.decode(text) if text else None
        except (msgspec.DecodeError, RecursionError):
            raise HTTPException(400, f'"{name}" is no JSON') from None
    return _checked({**given, **parsed})


def _checked(value: object) -> RequestBody:
    try:
        return msgspec.convert(value, RequestBody)
    except msgspec.ValidationError as error:
        raise HTTPException(400, f"The request is no GraphQL request: {error}") from None


def _wants_stream(request: Request) -> bool:
    return EVENT_STREAM in request.headers.get("accept", "").lower()


def _media_type(request: Request) -> str:
    """Return the media type that a client asks for; plain JSON unless it names GraphQL's own."""
    return GRAPHQL_RESPONSE if GRAPHQL_RESPONSE in request.headers.get("accept", "").lower() else JSON


def _status(result: ExecutionResult, media_type: str | None) -> int:
    """Return the status code: with plain JSON, 200 for whatever was a GraphQL request (the draft's section 6.4.1)."""
    if not isinstance(result, PreExecutionError):
        return 200
    is_malformed = any((error.extensions or {}).get("code") == Code.BAD_REQUEST for error in result.errors or ())
    return 400 if is_malformed or media_type == GRAPHQL_RESPONSE else 200


def _not_allowed(operation_type: OperationType) -> HTTPException:
    if operation_type is OperationType.SUBSCRIPTION:
        return HTTPException(400, f"A subscription needs a websocket ({PROTOCOL}) or Accept: {EVENT_STREAM}")
    return HTTPException(405, f"A {operation_type.value} must be sent with POST")


def _refusal(error: HTTPException, media_type: str) -> Response:
    body = {"errors": [shortened(coded(error.reason, Code.BAD_REQUEST)).formatted]}
    headers = {"Allow": "GET, POST"} if error.status_code == 405 else None  # noqa: PLR2004 - Method Not Allowed names those that are
    return Response(msgspec.json.encode(body), error.status_code, headers, media_type=f"{media_type}; charset=utf-8")
