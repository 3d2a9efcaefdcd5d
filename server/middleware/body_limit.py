"""No request body beyond a limit, counted while it arrives."""

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 256 * 1024
TOO_LARGE = f"The body is larger than {MAX_BODY_BYTES} bytes"


class BodyLimit:
    """Answers 413 to a body of more than MAX_BODY_BYTES: at once where its length is told, else when it gets there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _told_length(scope) > MAX_BODY_BYTES:
            # The body is not read, so the connection cannot carry another request.
            response = JSONResponse({"detail": TOO_LARGE}, 413, {"Connection": "close"})
            await response(scope, receive, send)
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


def _told_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0
