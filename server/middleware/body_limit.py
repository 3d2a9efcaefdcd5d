"""The limits of request bodies: their size, and the memory of incomplete ones.

A body with a content coding is refused.
"""

from collections import Counter

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.client_address import client_address

MAX_BODY_BYTES = 256 * 1024
ENCODED = "The body has a Content-Encoding that this server does not read: send it without one"
TOO_LARGE = f"The body is larger than {MAX_BODY_BYTES} bytes"
MAX_INCOMPLETE_BYTES = 64 * 1024 * 1024
"""Of all incomplete bodies."""
MAX_INCOMPLETE_BYTES_PER_CLIENT = 8 * 1024 * 1024
TOO_MUCH = "Too many bodies are arriving at once; send them one after the other"

# The rest of the body is not read, so the connection cannot have another request.
_CLOSE = {"Connection": "close"}
_RETRY_LATER = {"Connection": "close", "Retry-After": "1"}


class BodyLimit:
    """Reads the whole body before it passes on a request: the application never waits for a client.

    Answers 413 to a body of more than MAX_BODY_BYTES, 415 to one with a Content-Encoding (RFC 9110,
    section 15.5.16), and 503 to an incomplete one while there are too many.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._incomplete: Counter[str] = Counter()
        self._incomplete_total = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request after its body is read."""
        length = announced_length(scope) if scope["type"] == "http" else 0
        error = _error_response(scope, length) if scope["type"] == "http" else None
        if error is not None:
            await error(scope, receive, send)
            return
        if length == 0:
            await self._app(scope, receive, send)
            return
        message: Message | None = await receive()
        if message and message.get("more_body"):
            message = await self._read_rest(message, scope, receive, send)
        if message is None or message["type"] != "http.request":
            return

        async def receive_again() -> Message:
            nonlocal message
            if message is None:
                return await receive()
            whole, message = message, None
            return whole

        await self._app(scope, receive_again, send)

    async def _read_rest(
        self, message: Message, scope: Scope, receive: Receive, send: Send
    ) -> Message | None:
        """Return a message with the whole body, None if the request was answered here."""
        client, body = client_address(scope), bytearray()
        try:
            while message["type"] == "http.request":
                part = message.get("body", b"")
                body += part
                self._incomplete[client] += len(part)
                self._incomplete_total += len(part)
                if len(body) > MAX_BODY_BYTES:
                    await JSONResponse({"detail": TOO_LARGE}, 413, _CLOSE)(scope, receive, send)
                    return None
                if not message.get("more_body"):
                    return {**message, "body": bytes(body)}
                if self._is_full(client):
                    await JSONResponse({"detail": TOO_MUCH}, 503, _RETRY_LATER)(
                        scope, receive, send
                    )
                    return None
                message = await receive()
            return message
        finally:
            self._incomplete_total -= len(body)
            self._incomplete[client] -= len(body)
            if not self._incomplete[client]:
                del self._incomplete[client]

    def _is_full(self, client: str) -> bool:
        return (
            self._incomplete_total > MAX_INCOMPLETE_BYTES
            or self._incomplete[client] > MAX_INCOMPLETE_BYTES_PER_CLIENT
        )


def announced_length(scope: Scope) -> int:
    """Return the length of the body: 0 without one, MAX_BODY_BYTES for a chunked one."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return MAX_BODY_BYTES
    return 0


def _error_response(scope: Scope, length: int) -> JSONResponse | None:
    """Return the error for a body that the head shows to be invalid, else None."""
    if length > MAX_BODY_BYTES:
        return JSONResponse({"detail": TOO_LARGE}, 413, _CLOSE)
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return JSONResponse({"detail": ENCODED}, 415, {**_CLOSE, "Accept-Encoding": "identity"})
    return None
