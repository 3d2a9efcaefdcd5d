"""Framings of a stream of results: server-sent events, or the parts of a multipart body."""

from typing import Protocol

from server.graphql.transport.media_types import BOUNDARY, EVENT_STREAM, MULTIPART


class Framing(Protocol):
    """One framing of results."""

    content_type: str
    heartbeat_seconds: float
    """The longest time without a frame."""
    opening: bytes
    """Sent at once, so that the client sees that the stream is open."""
    heartbeat: bytes
    complete: bytes
    """Sent after the last result."""

    def result(self, body: bytes, cursor: str | None) -> bytes:
        """Return the frame of a response, with its cursor."""


class ServerSentEvents:
    """GraphQL over SSE, one operation a request.

    https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md ("distinct connections mode").
    The id of an event is its cursor: EventSource sends it as Last-Event-ID when it reconnects.
    """

    content_type = f"{EVENT_STREAM}; charset=utf-8"
    heartbeat_seconds = 15.0
    opening = b":\n\n"
    heartbeat = b":\n\n"
    complete = b"event: complete\ndata: \n\n"

    def result(self, body: bytes, cursor: str | None) -> bytes:
        """Return an event."""
        event_id = b"" if cursor is None else b"id: %s\n" % cursor.encode()
        return b"%sevent: next\ndata: %s\n\n" % (event_id, body)


class MultipartSubscription:
    """Apollo's multipart protocol for subscriptions.

    https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol
    A part is complete for a client at the next boundary, so each part is sent with that boundary.
    """

    content_type = f'{MULTIPART};boundary="{BOUNDARY}";subscriptionSpec=1.0'
    heartbeat_seconds = 5.0
    _boundary = f"\r\n--{BOUNDARY}".encode()
    _head = b"\r\nContent-Type: application/json\r\n\r\n"
    heartbeat = _head + b"{}" + _boundary
    opening = _boundary + heartbeat
    complete = b"--\r\n"

    def result(self, body: bytes, cursor: str | None) -> bytes:  # noqa: ARG002  (a part has no cursor)
        """Return a part."""
        return b'%s{"payload":%s}%s' % (self._head, body, self._boundary)


FRAMINGS: dict[str, Framing] = {
    EVENT_STREAM: ServerSentEvents(),
    MULTIPART: MultipartSubscription(),
}
