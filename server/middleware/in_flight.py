"""Every request has a place while it is worked on: see `server.limits.concurrency`."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.client_address import client_address
from server.limits.concurrency import ConcurrencyLimit
from server.live.admission import FullError
from server.middleware.body_limit import announced_length

RETRY_AFTER_SECONDS = 1
LIVE = "/health/live"
"""Needs no place: it asks nothing but whether this process answers."""
HEALTH = "/health"
"""What begins so has places of its own, since what it tells of must not be how busy this server is."""


class InFlightLimit:
    """Lets a request wait for a place, and answers 503 with Retry-After where there is none in time.

    A place is left when the answer begins: then the work is done, but for exports and streams,
    which have bounds of their own. It stands behind what reads the body, so an unfinished body
    takes no place.
    """

    def __init__(
        self, app: ASGIApp, places: ConcurrencyLimit, health_places: ConcurrencyLimit
    ) -> None:
        self._app = app
        self._places = places
        self._health_places = health_places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on in its turn, or turn it away."""
        if scope["type"] != "http" or scope["path"] == LIVE:
            await self._app(scope, receive, send)
            return
        places = self._health_places if scope["path"].startswith(HEALTH) else self._places
        client = client_address(scope)
        try:
            if not places.take(client):
                await places.wait(client, announced_length(scope))
        except FullError as error:
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            await JSONResponse({"detail": str(error)}, 503, headers)(scope, receive, send)
            return
        has_place = True

        async def send_and_leave(message: Message) -> None:
            nonlocal has_place
            if has_place:
                has_place = False
                places.leave(client)
            await send(message)

        try:
            await self._app(scope, receive, send_and_leave)
        finally:
            if has_place:
                places.leave(client)


def is_event_stream(start: Message) -> bool:
    """Whether the response that begins with this message has no end of its own."""
    for name, value in start["headers"]:
        if name == b"content-type":
            is_stream: bool = value.startswith((b"text/event-stream", b"multipart/mixed"))
            return is_stream
    return False
