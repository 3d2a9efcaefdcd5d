"""The limit on requests in progress: each holds a slot of `server.limits.concurrency`."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.client_address import client_address
from server.limits.concurrency import ConcurrencyLimit
from server.live.admission import FullError
from server.middleware.body_limit import announced_length

RETRY_AFTER_SECONDS = 1
LIVE = "/health/live"
"""Needs no slot: it only shows that this process answers."""
HEALTH = "/health"
"""Paths with this prefix have slots of their own: they must answer under load too."""


class InFlightLimit:
    """Lets a request wait for a slot, and answers 503 with Retry-After after the time-out.

    The slot is released when the response starts: then the work is done, except for exports and
    streams, which have their own limits. The middleware before it reads the body, so an incomplete
    body holds no slot.
    """

    def __init__(
        self, app: ASGIApp, concurrency: ConcurrencyLimit, health_concurrency: ConcurrencyLimit
    ) -> None:
        self._app = app
        self._concurrency = concurrency
        self._health_concurrency = health_concurrency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request with a slot, or refuse it."""
        if scope["type"] != "http" or scope["path"] == LIVE:
            await self._app(scope, receive, send)
            return
        is_health = scope["path"].startswith(HEALTH)
        limit = self._health_concurrency if is_health else self._concurrency
        client = client_address(scope)
        try:
            if not limit.try_acquire(client):
                await limit.wait(client, announced_length(scope))
        except FullError as error:
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            await JSONResponse({"detail": str(error)}, 503, headers)(scope, receive, send)
            return
        has_slot = True

        async def send_and_release(message: Message) -> None:
            nonlocal has_slot
            if has_slot:
                has_slot = False
                limit.release(client)
            await send(message)

        try:
            await self._app(scope, receive, send_and_release)
        finally:
            if has_slot:
                limit.release(client)


def is_event_stream(start: Message) -> bool:
    """Return whether the response that starts with this message is a stream without an end."""
    for name, value in start["headers"]:
        if name == b"content-type":
            is_stream: bool = value.startswith((b"text/event-stream", b"multipart/mixed"))
            return is_stream
    return False
