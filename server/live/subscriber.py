"""One subscriber: what waits to be sent to it, and how much it missed."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from server.live.feed import Feed
from server.live.group import Group
from server.live.message import Message

QUEUE_LIMIT = 256
QUEUE_BYTES = 4 * 1024 * 1024
"""One event is always let in, however large.

Few bodies are a subscriber's own: most are shared with others.
"""


class Subscriber:
    """Messages in order, each once, for one reader: `take` them whenever `wake` is called.

    It is *live* when its group's messages are queued; while it reads what it missed in the outbox
    they are let pass, and, towards the end of that, *held* until what comes before them is queued.
    """

    __slots__ = (
        "_bytes",
        "_fall_behind",
        "_held",
        "_lagged",
        "_live",
        "_queue",
        "_room",
        "_wake",
        "client",
        "closed",
        "cursor",
        "error",
        "feed",
        "group",
        "position",
        "reading",
    )

    def __init__(
        self,
        feed: Feed,
        group: Group,
        position: int,
        wake: Callable[[], None],
        fall_behind: Callable[["Subscriber"], None],
        *,
        client: str,
    ) -> None:
        self.feed = feed
        self.client = client
        self.group = group
        self.position = position
        """The event that was queued, or passed over, last."""
        self.closed = False
        self.cursor: str | None = None
        """The place of the response that was taken last."""
        self.error: Exception | None = None
        """Why it ended; there is no more once its queue is empty."""
        self.reading: asyncio.Task[None] | None = None
        """What reads the outbox for it."""
        self._wake = wake
        self._fall_behind = fall_behind
        self._live = feed.place is None
        self._queue: deque[Message] = deque()
        self._held: list[tuple[int, Sequence[Message]]] | None = None
        self._bytes = 0
        self._lagged = 0
        self._room: asyncio.Future[None] | None = None

    def take(self) -> bytes | None:
        """Return the next response, None while there is none."""
        taken = self.take_message()
        return None if taken is None else taken[0].telling(taken[1])

    def take_message(self) -> tuple[Message, int] | None:
        """Return the next message and how many were missed before it, None while there is none."""
        if not self._queue:
            return None
        message = self._queue.popleft()
        self._bytes -= len(message.body)
        self.cursor = message.cursor
        lagged, self._lagged = self._lagged, 0
        if not self._queue and self._room is not None and not self._room.done():
            self._room.set_result(None)
        return message, lagged

    @property
    def is_over(self) -> bool:
        """Whether it ended and everything before was taken."""
        return self.error is not None and not self._queue

    def offer(self, seq: int, messages: Sequence[Message]) -> None:
        """Take in what the group tells of an event."""
        if self.closed or self.error is not None or seq <= self.position:
            return
        if self._live:
            self.position = seq
            self._append(messages)
            self._wake()
        elif self._held is not None:
            self._held.append((seq, messages))
            if len(self._held) > QUEUE_LIMIT:
                # They stand in the outbox: it is read on.
                self._held = None

    def miss(self, seq: int, count: int) -> None:
        """Note that so many messages about an event are left out; who may miss nothing finds it in the outbox."""
        if self.closed or self.error is not None or seq <= self.position:
            return
        if not self._live:
            self._held = None
        elif self.feed.topic.complete:
            self._live = False
            self._fall_behind(self)
        else:
            self.position = seq
            self._lagged += count

    def _append(self, messages: Sequence[Message]) -> None:
        """Queue what belongs to one event, all of it or nothing."""
        size = sum(len(message.body) for message in messages)
        if self._queue and (
            len(self._queue) + len(messages) > QUEUE_LIMIT or self._bytes + size > QUEUE_BYTES
        ):
            self._drop_queue()
        if self._live:
            self._queue.extend(messages)
            self._bytes += size

    def _drop_queue(self) -> None:
        """Make room: a complete subscription goes back to the outbox, any other leaves out what waits, and says so."""
        if self.feed.topic.complete:
            # Nothing of its topic lies before the queue; what was purged there must not count as
            # lost.
            self.position = self._queue[0].seq - 1
            self._live = False
            self._fall_behind(self)
        else:
            self._lagged += len(self._queue)
        self._queue.clear()
        self._bytes = 0

    async def put(self, seq: int, messages: Sequence[Message]) -> None:
        """Queue what the outbox tells of an event, as soon as the reader has taken all before."""
        while self._queue:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        self._queue.extend(messages)
        self._bytes += sum(len(message.body) for message in messages)
        self.position = seq
        self._wake()

    def hold(self) -> None:
        """Keep, from now on, what the group tells."""
        self._held = []

    def go_live(self) -> bool:
        """Queue what was held; return False where it was too much: then the outbox must be read on."""
        held, self._held = self._held, None
        if held is None:
            return False
        self._live = True
        self.reading = None
        for seq, messages in held:
            # The outbox may have told of it already.
            self.offer(seq, messages)
        return True

    def end(self, error: Exception) -> None:
        """End it as soon as its queue is empty."""
        if self.error is None:
            self.error = error
            self.stop_reading()
            self._wake()

    def stop_reading(self) -> None:
        """Let the outbox be."""
        if self.reading is not None:
            self.reading.cancel()
            self.reading = None
