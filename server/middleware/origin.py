"""Websockets only for pages of our own origin or of those that CORS_ORIGINS names."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1


class WebSocketOrigin:
    """Refuses a handshake (403) whose Origin is foreign: the same-origin policy does not cover websockets."""

    def __init__(self, app: ASGIApp, allowed: tuple[str, ...]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse the handshake."""
        if scope["type"] == "websocket" and not self._may_connect(Headers(scope=scope)):
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "foreign origin"})
            return
        await self._app(scope, receive, send)

    def _may_connect(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        # Programs send none; only a browser can be made to connect without its user's will.
        if origin is None or "*" in self._allowed or origin in self._allowed:
            return True
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
