"""A subscription of one websocket: writes its messages while the websocket is writable."""

from collections.abc import Callable

import msgspec

from server.live.deflate import MAX_STORED_BYTES, MIN_BYTES, stored_block
from server.live.message import Message
from server.live.subscriber import Subscriber
from server.live.websocket_protocol import WebSocketProtocol

_TAIL = b"}"
_DEFLATED_TAIL = stored_block(_TAIL, is_last=True)


class SubscriptionTask:
    """Sends updates with the operation's `id`; calls `finish` after the last one."""

    __slots__ = ("_deflates", "_finish", "_head", "_protocol", "number", "subscriber")

    def __init__(
        self,
        protocol: WebSocketProtocol,
        number: str,
        finish: Callable[["SubscriptionTask"], None],
    ) -> None:
        self.number = number
        self.subscriber: Subscriber | None = None
        self._protocol = protocol
        # Frames of one update differ only in the id.
        self._head = b'{"id":%s,"type":"next","payload":' % msgspec.json.encode(number)
        self._deflates = protocol.deflates and len(self._head) <= MAX_STORED_BYTES
        self._finish = finish

    def wake(self) -> None:
        """Send queued messages while the websocket is writable."""
        while self.send_one():
            pass

    def send_one(self) -> bool:
        """Send the oldest message; return False where there is none, or it cannot be written."""
        if self.subscriber is None or not self._protocol.is_writable:
            return False
        found = self.subscriber.take_message()
        if found is not None:
            self._send(*found)
            return True
        if self.subscriber.is_over:
            self._finish(self)
        return False

    def _send(self, message: Message, lagged: int) -> None:
        if self._deflates and not lagged and len(message.body) >= MIN_BYTES:
            self._protocol.write_deflated(
                stored_block(self._head), message.deflated(), _DEFLATED_TAIL
            )
        else:
            self._protocol.write_text(self._head, message.with_lagged(lagged), _TAIL)
