"""The client, scheme and host that a trusted reverse proxy reports."""

from starlette.types import ASGIApp, Receive, Scope, Send

from server.http.client_address import Proxies

_SCHEMES = frozenset({"http", "https", "ws", "wss"})
_NAMES = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})


class Forwarded:
    """Reads X-Forwarded-For, -Proto and -Host of the proxies in FORWARDED_ALLOW_IPS.

    Of several values it reads the last one, which the nearest proxy added; the client may have
    sent the others.
    """

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request as the client sent it to the proxy."""
        client = scope.get("client")
        if client and self._proxies.trusts(client[0]):
            self._rewrite(scope)
        await self._app(scope, receive, send)

    def _rewrite(self, scope: Scope) -> None:
        given: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            if name in _NAMES:
                given.setdefault(name, []).append(value.decode("latin-1"))
        if b"x-forwarded-for" in given:
            behind = self._proxies.client_behind(",".join(given[b"x-forwarded-for"]))
            if behind is not None:
                scope["client"] = (behind, 0)
        if b"x-forwarded-proto" in given:
            scheme = _last(given[b"x-forwarded-proto"]).lower()
            if scheme in _SCHEMES:
                is_websocket = scope["type"] == "websocket"
                scheme = scheme.replace("ws", "http", 1)
                scope["scheme"] = scheme.replace("http", "ws", 1) if is_websocket else scheme
        if host := _last(given.get(b"x-forwarded-host", [""])):
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [(b"host", host.encode("latin-1")), *others]


def _last(values: list[str]) -> str:
    return values[-1].rpartition(",")[2].strip()
