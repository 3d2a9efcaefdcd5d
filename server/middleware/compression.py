"""The compression of responses."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.compression import MIN_BYTES, coding_for, encode

COMPRESSIBLE = frozenset(
    {
        "application/json",
        "application/graphql-response+json",
        "application/problem+json",
        "text/html",
        "text/plain",
    }
)
"""Without streams and exported files, which are sent while they are written."""


class Compression:
    """Compresses complete responses, unless they are small or encoded already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request; compresses its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def send_encoded(message: Message) -> None:
            """Delay the head until the first part of the body shows whether it is complete."""
            nonlocal start
            if message["type"] == "http.response.start" and _is_compressible(
                Headers(raw=message["headers"])
            ):
                start = message
                return
            if start is not None:
                head, start = start, None
                if not message.get("more_body", False):
                    message = await _encode(scope, head, message)
                await send(head)
            await send(message)

        await self._app(scope, receive, send_encoded)


def _is_compressible(headers: Headers) -> bool:
    media_type = headers.get("content-type", "").partition(";")[0]
    return media_type in COMPRESSIBLE and "content-encoding" not in headers


async def _encode(scope: Scope, head: Message, message: Message) -> Message:
    """Return the body in the best coding; sets the headers in `head`."""
    body = message.get("body", b"")
    if len(body) < MIN_BYTES:
        return message
    headers = MutableHeaders(raw=list(head["headers"]))
    if "accept-encoding" not in headers.get("vary", "").lower():
        headers.add_vary_header("Accept-Encoding")
    written, coding = await encode(body, coding_for(scope["headers"]))
    if coding is not None:
        headers["content-encoding"] = coding
        headers["content-length"] = str(len(written))
        etag = headers.get("etag", "")
        if etag.startswith('"'):
            headers["etag"] = f"W/{etag}"  # a strong one is of the bytes before encoding
    head["headers"] = headers.raw
    return {**message, "body": written}
