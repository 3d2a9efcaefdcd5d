"""The middleware of the fast path: it answers queries to /graphql, or passes them on."""

from urllib.parse import parse_qsl

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.compiler.errors import OutOfTimeError
from server.compiler.fast_path import FastPath
from server.deadline import SCOPE_KEY, deadline_from_now
from server.graphql.execution.errors import DATABASE_SLOW, retry_after, unavailable
from server.graphql.transport.media_types import GRAPHQL_RESPONSE, JSON, accepted_types
from server.http.compression import coding_for
from server.http.etags import etag_of_body, matches
from server.http.weighted import field_value

PATH = "/graphql"
VARY = b"Accept, Accept-Encoding"

_JSON = JSON.encode()
# The fields that may name a document.
_DOCUMENT_PARAMETERS = frozenset({"query", "extensions", "documentId", "doc_id"})


class FastQueries:
    """Answers the queries that the fast path can answer; passes on all other requests."""

    def __init__(self, app: ASGIApp, fast_path: FastPath) -> None:
        self._app = app
        self._fast_path = fast_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
        elif scope["method"] == "POST":
            await self._post(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD"):
            await self._get(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        content_type, accept = _media_types(scope["headers"])
        media_type = _response_media_type(accept)
        if media_type is None or content_type.partition(b";")[0].strip().lower() != _JSON:
            await self._app(scope, receive, send)
            return
        buffered = BufferedBody(receive)
        body = await buffered.read()
        deadline = deadline_from_now()
        try:
            answer = (
                None
                if body is None
                else await self._fast_path.answer(body, coding_for(scope["headers"]), deadline)
            )
        except OutOfTimeError:
            await _timeout_response(media_type)(scope, receive, send)
            return
        if answer is None:
            scope[SCOPE_KEY] = deadline
            await self._app(scope, buffered.receive, send)
            return
        written, coding = answer
        headers = [
            (b"content-type", media_type + b"; charset=utf-8"),
            (b"content-length", b"%d" % len(written)),
        ]
        if coding is not None:
            headers += ((b"content-encoding", coding.encode()), (b"vary", VARY))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": written})

    async def _get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with an entity tag, so that the client gets 304 if nothing has changed."""
        media_type = _response_media_type(_media_types(scope["headers"])[1])
        body = None if media_type is None else body_of_query_string(scope["query_string"])
        deadline = deadline_from_now()
        try:
            answer = (
                None
                if body is None
                else await self._fast_path.answer(body, coding_for(scope["headers"]), deadline)
            )
        except OutOfTimeError:
            await _timeout_response(media_type)(scope, receive, send)
            return
        if answer is None or media_type is None:
            scope[SCOPE_KEY] = deadline
            await self._app(scope, receive, send)
            return
        written, coding = answer
        # The tag is a digest of the sent bytes, so it differs by media type and coding.
        etag = etag_of_body(media_type + written)
        headers = [(b"etag", etag.encode()), (b"cache-control", b"no-cache"), (b"vary", VARY)]
        status = 304 if matches(etag, field_value(scope["headers"], b"if-none-match")) else 200
        if status == 304:  # noqa: PLR2004 - Not Modified: it has no body
            written = b""
        else:
            headers.append((b"content-type", media_type + b"; charset=utf-8"))
            headers.append((b"content-length", b"%d" % len(written)))
            if coding is not None:
                headers.append((b"content-encoding", coding.encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": written})


def body_of_query_string(query_string: bytes) -> bytes | None:
    """Return the body of the equivalent POST; None if the application must read it."""
    try:
        given = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
        )
        parameters = dict(given)
        if len(parameters) != len(given) or parameters.keys().isdisjoint(_DOCUMENT_PARAMETERS):
            return None
        request: dict[str, object] = dict(parameters)
        for name in ("variables", "extensions"):
            if name in parameters:
                request[name] = msgspec.Raw(
                    msgspec.json.encode(msgspec.json.decode(parameters[name]))
                )
        return msgspec.json.encode(request)
    except (ValueError, msgspec.DecodeError, RecursionError):
        return None


def _media_types(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return the first Content-Type, and all fields of Accept joined."""
    accept = content_type = b""
    for name, value in headers:
        if name == b"content-type":
            content_type = content_type or value
        elif name == b"accept":
            accept = accept + b", " + value if accept else value
    return content_type, accept


def _response_media_type(accept: bytes) -> bytes | None:
    """Return the media type of the response to a query; None if the client prefers a stream."""
    accepted = accepted_types(accept)
    return None if accepted.prefers_stream else accepted.answer.encode()


def _timeout_response(media_type: bytes | None) -> Response:
    """Return the response to a request after its deadline: an error without data."""
    error = unavailable(DATABASE_SLOW)
    # With plain JSON, 200 for every GraphQL request (GraphQL over HTTP, 6.4.1).
    status = 503 if media_type == GRAPHQL_RESPONSE.encode() else 200
    headers = {
        "Content-Type": f"{(media_type or _JSON).decode()}; charset=utf-8",
        "Retry-After": str(retry_after([error])),
        "Cache-Control": "no-store",
    }
    return Response(msgspec.json.encode({"errors": [error.formatted]}), status, headers)


class BufferedBody:
    """A body that the middleware reads and the application can receive again."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: list[Message] = []
        self._refusal: HTTPException | None = None

    async def read(self) -> bytes | None:
        """Return the whole body; None if the client disconnected, or the body is too large."""
        try:
            message = await self._receive()
            self._messages.append(message)
            while message.get("more_body"):
                message = await self._receive()
                self._messages.append(message)
        except HTTPException as error:
            self._refusal = error  # raised again by `receive`: the application answers
            return None
        if message["type"] != "http.request":
            return None
        if len(self._messages) == 1:
            body: bytes = message.get("body", b"")
            return body
        return b"".join(part.get("body", b"") for part in self._messages)

    async def receive(self) -> Message:
        """Return the next message, first those that were already read. Raises HTTPException."""
        if self._messages:
            return self._messages.pop(0)
        if self._refusal is not None:
            raise self._refusal
        return await self._receive()
