"""The check of the origin of websockets: the server's own, or one of CORS_ORIGINS."""

import re
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.middleware.websocket_refusal import refuse_websocket

FORBIDDEN = 403
SHOWN_CHARACTERS = 200
_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[^\[\]:/?#@\s]+)(?::(\d{1,5}))?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """A web origin (RFC 6454, section 4)."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}" + (
            "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        )


def parse_origin(text: str) -> Origin | None:
    """Return the origin of an Origin header; None for `null` and other schemes."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return None
    scheme, host, port = match.groups()
    scheme = scheme.lower()
    return Origin(scheme, host.lower(), int(port) if port else _DEFAULT_PORTS[scheme])


def own_origin(scope: Scope) -> Origin | None:
    """Return the origin of the server, by the scheme and the Host header of a request."""
    scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
    return parse_origin(f"{scheme}://{Headers(scope=scope).get('host', '')}")


class WebSocketOrigin:
    """Refuses a handshake of another origin (403): the same-origin policy excludes websockets."""

    def __init__(self, app: ASGIApp, allowed: tuple[str, ...]) -> None:
        self._app = app
        self._all = "*" in allowed
        self._allowed = frozenset(parse_origin(origin) for origin in allowed if origin != "*")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, or refuse the handshake."""
        if scope["type"] == "websocket":
            text = Headers(scope=scope).get("origin")
            # Only browsers send it, and only they connect without the will of their user.
            if text is not None and not self._may_connect(parse_origin(text), own_origin(scope)):
                await refuse_websocket(receive, send, FORBIDDEN, _reason(text, own_origin(scope)))
                return
        await self._app(scope, receive, send)

    def _may_connect(self, origin: Origin | None, own: Origin | None) -> bool:
        return self._all or (origin is not None and (origin == own or origin in self._allowed))


def _reason(text: str, own: Origin | None) -> str:
    return (
        f"A page of the origin {text[:SHOWN_CHARACTERS]!r} may not connect: this server's own is"
        f" {own}. Add that origin to CORS_ORIGINS; or, behind a proxy, set FORWARDED_ALLOW_IPS to"
        " the proxy's address, so that its X-Forwarded-Proto and X-Forwarded-Host are believed"
    )
