"""No request body beyond a limit, counted while it arrives, and none in a coding that would have to be undone."""

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 256 * 1024
ENCODED = "The body has a Content-Encoding that this server does not read: send it without one"
TOO_LARGE = f"The body is larger than {MAX_BODY_BYTES} bytes"


class BodyLimit:
    """Answers 413 to a body of more than MAX_BODY_BYTES: at once where its length is told, else when it gets there.

    Answers 415 to one with a Content-Encoding (RFC 9110, section 15.5.16): its bytes are not what they stand for.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = _refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, TOO_LARGE, {"Connection": "close"})
            return message

        await self._app(scope, receive_counted, send)


def _refusal(scope: Scope) -> JSONResponse | None:
    """Return the answer to a body that is refused by its head; the connection closes, since the body is not read."""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > MAX_BODY_BYTES:
            return JSONResponse({"detail": TOO_LARGE}, 413, {"Connection": "close"})
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return JSONResponse({"detail": ENCODED}, 415, {"Connection": "close", "Accept-Encoding": "identity"})
    return None
