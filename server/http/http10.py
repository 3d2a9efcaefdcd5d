"""Responses to requests of HTTP/1.0."""

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def disable_chunks(cycle: RequestResponseCycle) -> None:
    """End a response without a length with its connection, for HTTP/1.0 (RFC 9112, 6.1 and 6.3)."""
    send, has_length = cycle.send, True

    async def send_without_chunks(message: ASGISendEvent) -> None:
        nonlocal has_length
        if message["type"] == "http.response.start":
            has_length = any(
                name.lower() == b"content-length" for name, _ in message.get("headers", ())
            )
            cycle.chunked_encoding = None if has_length else False
        elif message["type"] == "http.response.body" and not has_length:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = send_without_chunks  # type: ignore[method-assign]  # uvicorn creates the cycle
    cycle.waiting_for_100_continue = False
