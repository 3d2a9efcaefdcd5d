"""A subscription of one websocket: what its subscriber takes goes to the wire, as long as that takes more."""

from collections.abc import Callable

import msgspec

from server.live.subscriber import Subscriber
from server.live.wire import Wire


class Following:
    """Sends updates under the operation's `id`; calls `finish` once they are over and all are sent."""

    __slots__ = ("_finish", "_head", "_wire", "number", "subscriber")

    def __init__(self, wire: Wire, number: str, finish: Callable[["Following"], None]) -> None:
        self.number = number
        self.subscriber: Subscriber | None = None
        self._wire = wire
        # Frames of one update differ in the id alone.
        self._head = b'{"id":%s,"type":"next","payload":' % msgspec.json.encode(number)
        self._finish = finish

    def wake(self) -> None:
        """Send whatever waits, as far as the wire takes it."""
        while self.send_one():
            pass

    def send_one(self) -> bool:
        """Send what waits longest; return False where nothing does, or the wire takes no more."""
        if self.subscriber is None or not self._wire.is_writable:
            return False
        body = self.subscriber.take()
        if body is not None:
            self._wire.write_text(self._head, body, b"}")
            return True
        if self.subscriber.is_over:
            self._finish(self)
        return False
