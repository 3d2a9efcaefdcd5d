"""Requests go on once their body is there, which has a limit; so have the bodies that are still arriving.

A body in a coding that would have to be undone is refused.
"""

from collections import Counter

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.client_address import client_address

MAX_BODY_BYTES = 256 * 1024
ENCODED = "The body has a Content-Encoding that this server does not read: send it without one"
TOO_LARGE = f"The body is larger than {MAX_BODY_BYTES} bytes"
MOST_ARRIVING_BYTES = 64 * 1024 * 1024
"""Of all bodies of which a part has come and a part is missing."""
MOST_ARRIVING_BYTES_PER_CLIENT = 8 * 1024 * 1024
TOO_MUCH = "Too many bodies are arriving at once; send them one after the other"

# What is left of the body is not read, so the connection cannot carry another request.
_CLOSE = {"Connection": "close"}
_LATER = {"Connection": "close", "Retry-After": "1"}


class BodyLimit:
    """Reads a request's body, whole, before the request goes on: nothing behind waits for a client that is slow.

    Answers 413 to a body of more than MAX_BODY_BYTES: at once where its length is told, else when
    it gets there; 415 to one with a Content-Encoding (RFC 9110, section 15.5.16): its bytes are not
    what they stand for; and 503 to one that comes slowly while too many others do.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._arriving: Counter[str] = Counter()
        self._arriving_in_all = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body read."""
        length = announced_length(scope) if scope["type"] == "http" else 0
        refusal = _refusal(scope, length) if scope["type"] == "http" else None
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if length == 0:
            await self._app(scope, receive, send)
            return
        message: Message | None = await receive()
        if message and message.get("more_body"):
            message = await self._rest(message, scope, receive, send)
        if message is None or message["type"] != "http.request":
            return

        async def receive_again() -> Message:
            nonlocal message
            if message is None:
                return await receive()
            whole, message = message, None
            return whole

        await self._app(scope, receive_again, send)

    async def _rest(
        self, message: Message, scope: Scope, receive: Receive, send: Send
    ) -> Message | None:
        """Return the last message with the whole body in it, or None where the request was answered here."""
        client, body = client_address(scope), bytearray()
        try:
            while message["type"] == "http.request":
                part = message.get("body", b"")
                body += part
                self._arriving[client] += len(part)
                self._arriving_in_all += len(part)
                if len(body) > MAX_BODY_BYTES:
                    await JSONResponse({"detail": TOO_LARGE}, 413, _CLOSE)(scope, receive, send)
                    return None
                if not message.get("more_body"):
                    return {**message, "body": bytes(body)}
                if self._is_full(client):
                    await JSONResponse({"detail": TOO_MUCH}, 503, _LATER)(scope, receive, send)
                    return None
                message = await receive()
            return message
        finally:
            self._arriving_in_all -= len(body)
            self._arriving[client] -= len(body)
            if not self._arriving[client]:
                del self._arriving[client]

    def _is_full(self, client: str) -> bool:
        return (
            self._arriving_in_all > MOST_ARRIVING_BYTES
            or self._arriving[client] > MOST_ARRIVING_BYTES_PER_CLIENT
        )


def announced_length(scope: Scope) -> int:
    """Return how long the body is, 0 where there is none, and the most it may be where its length shows at its end."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return MAX_BODY_BYTES
    return 0


def _refusal(scope: Scope, length: int) -> JSONResponse | None:
    """Return the answer to a body that is refused by its head; the connection closes, since the body is not read."""
    if length > MAX_BODY_BYTES:
        return JSONResponse({"detail": TOO_LARGE}, 413, _CLOSE)
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return JSONResponse({"detail": ENCODED}, 415, {**_CLOSE, "Accept-Encoding": "identity"})
    return None
