"""A subscription of one websocket: what its subscriber takes goes to the wire, as long as that takes more."""

from collections.abc import Callable

import msgspec

from server.live.deflate import MOST_STORED_BYTES, WORTH_BYTES, stored
from server.live.message import Message
from server.live.subscriber import Subscriber
from server.live.wire import Wire

_TAIL = b"}"
_DEFLATED_TAIL = stored(_TAIL, is_last=True)


class SubscriptionTask:
    """Sends updates under the operation's `id`; calls `finish` once they are over and all are sent."""

    __slots__ = ("_deflates", "_finish", "_head", "_wire", "number", "subscriber")

    def __init__(
        self, wire: Wire, number: str, finish: Callable[["SubscriptionTask"], None]
    ) -> None:
        self.number = number
        self.subscriber: Subscriber | None = None
        self._wire = wire
        # Frames of one update differ in the id alone.
        self._head = b'{"id":%s,"type":"next","payload":' % msgspec.json.encode(number)
        self._deflates = wire.deflates and len(self._head) <= MOST_STORED_BYTES
        self._finish = finish

    def wake(self) -> None:
        """Send whatever waits, as far as the wire takes it."""
        while self.send_one():
            pass

    def send_one(self) -> bool:
        """Send what waits longest; return False where nothing does, or the wire takes no more."""
        if self.subscriber is None or not self._wire.is_writable:
            return False
        taken = self.subscriber.take_message()
        if taken is not None:
            self._send(*taken)
            return True
        if self.subscriber.is_over:
            self._finish(self)
        return False

    def _send(self, message: Message, lagged: int) -> None:
        if self._deflates and not lagged and len(message.body) >= WORTH_BYTES:
            self._wire.write_deflated(stored(self._head), message.deflated(), _DEFLATED_TAIL)
        else:
            self._wire.write_text(self._head, message.telling(lagged), _TAIL)
