"""The check of the Host header, against DNS rebinding."""

import functools
import ipaddress
import re
import socket

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from common.settings import Settings
from server.middleware.websocket_refusal import refuse_websocket

MISDIRECTED = 421  # RFC 9110, 15.5.20
SHOWN_CHARACTERS = 100
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\[\]:]+)(:\d*)?")
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


class Hosts:
    """The names and addresses of a server.

    They are localhost, HOST, the address of the connection, and ALLOWED_HOSTS. A server that
    listens on every address (0.0.0.0 or ::) also has the name of its machine and any IP address:
    a client may see the address of a router or of a container's host. DNS rebinding needs a name,
    so addresses are safe.
    """

    def __init__(self, settings: Settings) -> None:
        listens_everywhere = settings.host in ("0.0.0.0", "::")  # noqa: S104 - read, not bound
        own = [*_LOCAL, _bracketed(settings.host.lower())]
        if listens_everywhere:
            machine = socket.gethostname().lower()
            own += [machine, f"{machine}.local", machine.partition(".")[0]]
        named = settings.allowed_hosts
        self._all = "*" in named
        self._any_address = listens_everywhere
        self._names = frozenset([*own, *(name for name in named if not name.startswith("*."))])
        self._endings = tuple(name[1:] for name in named if name.startswith("*."))
        self.allows = functools.lru_cache(maxsize=256)(self._allows)

    def _allows(self, host: bytes, local_address: str | None) -> bool:
        """Return whether a Host header is valid on a connection to `local_address`."""
        if self._all:
            return True
        match = _HOST.fullmatch(host.decode("latin-1").lower())
        if match is None:
            return False
        name = match["name"].removesuffix(".")
        if name in self._names or name.endswith(self._endings):
            return True
        try:
            address = str(ipaddress.ip_address(name.strip("[]")))
        except ValueError:
            return False
        return self._any_address or address == local_address


class AllowedHosts:
    """Answers 421 to a request, or a websocket's handshake, for another host."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, or refuse it."""
        server = scope.get("server")
        local_address = server[0] if server else None
        for name, value in scope.get("headers", ()):
            # A client of HTTP/1.0 may send none; it is not a browser.
            if name == b"host" and not self._hosts.allows(value, local_address):
                await _refuse(value, scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _refuse(host: bytes, scope: Scope, receive: Receive, send: Send) -> None:
    shown = host.decode("latin-1")[:SHOWN_CHARACTERS]
    detail = (
        f"This server does not answer for the host {shown!r}. If it should, add the name to"
        " ALLOWED_HOSTS; behind a proxy, that is the name that the proxy passes on in Host, or in"
        " X-Forwarded-Host where FORWARDED_ALLOW_IPS names the proxy"
    )
    if scope["type"] == "websocket":
        await refuse_websocket(receive, send, MISDIRECTED, detail)
    else:
        await JSONResponse({"detail": detail}, MISDIRECTED)(scope, receive, send)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
