"""How results are framed in an answer that has no end of its own: as server-sent events, or as parts of a multipart."""

from typing import Protocol

from server.graphql.transport.media_types import BOUNDARY, EVENT_STREAM, MULTIPART


class Framing(Protocol):
    """One way to frame results; all of its bytes together are one body."""

    content_type: str
    heartbeat_seconds: float
    """How long a stream may be quiet."""
    opening: bytes
    """Sent at once, so that a client knows that the stream stands."""
    heartbeat: bytes
    complete: bytes
    """Sent after the last result."""

    def result(self, body: bytes, cursor: str | None) -> bytes:
        """Return the frame of a response, and of the place in the outbox that it leads to."""


class ServerSentEvents:
    """GraphQL over SSE, one operation a request.

    https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md ("distinct connections mode").
    An event's id is its cursor: a browser's EventSource sends it as Last-Event-ID when it connects
    again.
    """

    content_type = f"{EVENT_STREAM}; charset=utf-8"
    heartbeat_seconds = 15.0
    opening = b":\n\n"
    heartbeat = b":\n\n"
    complete = b"event: complete\ndata: \n\n"

    def result(self, body: bytes, cursor: str | None) -> bytes:
        """Return an event."""
        place = b"" if cursor is None else b"id: %s\n" % cursor.encode()
        return b"%sevent: next\ndata: %s\n\n" % (place, body)


class MultipartSubscription:
    """Apollo's multipart protocol for subscriptions.

    https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol :
    a client takes a part for whole when it sees the next boundary, so that is sent along with the
    part before it.
    """

    content_type = f'{MULTIPART};boundary="{BOUNDARY}";subscriptionSpec=1.0'
    heartbeat_seconds = 5.0
    _boundary = f"\r\n--{BOUNDARY}".encode()
    _head = b"\r\nContent-Type: application/json\r\n\r\n"
    heartbeat = _head + b"{}" + _boundary
    opening = _boundary + heartbeat
    complete = b"--\r\n"

    def result(self, body: bytes, cursor: str | None) -> bytes:  # noqa: ARG002  (a part has no place for it)
        """Return a part."""
        return b'%s{"payload":%s}%s' % (self._head, body, self._boundary)


FRAMINGS: dict[str, Framing] = {
    EVENT_STREAM: ServerSentEvents(),
    MULTIPART: MultipartSubscription(),
}
