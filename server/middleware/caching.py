"""Every answer that a cache could keep says whether it may (RFC 9111), and what it depends on."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NEGOTIATED = "/graphql"
"""Here the media type of each answer depends on Accept."""


class CacheHeaders:
    """Forbids to store what says nothing of caching, and names Accept in Vary where an answer was chosen by it.

    Without a Cache-Control a cache may keep an answer, an error too, for as long as it thinks fit.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; the answer to a GET or HEAD gets what it lacks."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _told(scope["path"], message["headers"])
            await send(message)

        await self._app(scope, receive, send_told)


def _told(path: str, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    told = list(headers)
    if all(name.lower() != b"cache-control" for name, _ in told):
        told.append((b"cache-control", b"no-store"))
    if path == NEGOTIATED and not _varies_by_accept(told):
        told.append((b"vary", b"Accept"))
    return told


def _varies_by_accept(headers: list[tuple[bytes, bytes]]) -> bool:
    named = [value.lower() for name, value in headers if name.lower() == b"vary"]
    return any(field.strip() in (b"accept", b"*") for value in named for field in value.split(b","))
