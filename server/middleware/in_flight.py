"""A bound on the requests that are worked on at once: beyond it, an answer now is better than one too late."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_IN_FLIGHT = 256
RETRY_AFTER_SECONDS = 1
EXEMPT = frozenset({"/health/live"})


class InFlightLimit:
    """Answers 503 with Retry-After to the request beyond `limit`. A stream counts only until its answer begins."""

    def __init__(self, app: ASGIApp, limit: int = MAX_IN_FLIGHT) -> None:
        self._app = app
        self._limit = limit
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or turn it away."""
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            await self._app(scope, receive, send)
            return
        if self._in_flight >= self._limit:
            response = JSONResponse(
                {"detail": "Too many requests are being worked on; try again in a moment"},
                503,
                {"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
            await response(scope, receive, send)
            return
        self._in_flight += 1
        counted = True

        async def send_watched(message: Message) -> None:
            nonlocal counted
            if counted and message["type"] == "http.response.start" and is_event_stream(message):
                counted = False
                self._in_flight -= 1
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        finally:
            self._in_flight -= counted


def is_event_stream(start: Message) -> bool:
    """Whether the response that begins with this message has no end of its own."""
    for name, value in start["headers"]:
        if name == b"content-type":
            is_stream: bool = value.startswith((b"text/event-stream", b"multipart/mixed"))
            return is_stream
    return False
