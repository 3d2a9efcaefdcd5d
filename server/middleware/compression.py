"""Answers in the content coding that their client asks for."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.compression import LEAST_BYTES, coding_for, encode

COMPRESSIBLE = frozenset(
    {
        "application/json",
        "application/graphql-response+json",
        "application/problem+json",
        "text/html",
        "text/plain",
    }
)
"""Neither streams nor exported files, which are sent while they are made."""


class Compression:
    """Compresses each answer that is there as a whole; neither streams nor what is small or encoded already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; its answer comes back in the best coding."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        held: Message | None = None

        async def send_encoded(message: Message) -> None:
            """Hold the head back until the first part of the body tells whether it is all of it."""
            nonlocal held
            if message["type"] == "http.response.start" and _is_compressible(
                Headers(raw=message["headers"])
            ):
                held = message
                return
            if held is not None:
                start, held = held, None
                if not message.get("more_body", False):
                    message = await _encoded(scope, start, message)
                await send(start)
            await send(message)

        await self._app(scope, receive, send_encoded)


def _is_compressible(headers: Headers) -> bool:
    media_type = headers.get("content-type", "").partition(";")[0]
    return media_type in COMPRESSIBLE and "content-encoding" not in headers


async def _encoded(scope: Scope, start: Message, message: Message) -> Message:
    """Return the body in the best coding, and say so in the head."""
    body = message.get("body", b"")
    if len(body) < LEAST_BYTES:
        return message
    headers = MutableHeaders(raw=list(start["headers"]))
    if "accept-encoding" not in headers.get("vary", "").lower():
        headers.add_vary_header("Accept-Encoding")
    written, coding = await encode(body, coding_for(scope["headers"]))
    if coding is not None:
        headers["content-encoding"] = coding
        headers["content-length"] = str(len(written))
        etag = headers.get("etag", "")
        if etag.startswith('"'):
            headers["etag"] = f"W/{etag}"  # a strong one is of bytes that are not sent
    start["headers"] = headers.raw
    return {**message, "body": written}
