"""The caching headers of every cacheable response (RFC 9111)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NEGOTIATED = "/graphql"
"""The media type of its responses depends on Accept."""


class CacheHeaders:
    """Adds `no-store` to responses without Cache-Control, and Accept to Vary for /graphql.

    Without Cache-Control a cache may store a response, even an error, for any time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request; adds missing headers to the response to a GET or HEAD."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_caching(scope["path"], message["headers"])
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _with_caching(path: str, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    extended = list(headers)
    if all(name.lower() != b"cache-control" for name, _ in extended):
        extended.append((b"cache-control", b"no-store"))
    if path == NEGOTIATED and not _varies_by_accept(extended):
        extended.append((b"vary", b"Accept"))
    return extended


def _varies_by_accept(headers: list[tuple[bytes, bytes]]) -> bool:
    values = [value.lower() for name, value in headers if name.lower() == b"vary"]
    return any(
        field.strip() in (b"accept", b"*") for value in values for field in value.split(b",")
    )
