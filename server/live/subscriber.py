"""A subscriber: its queue of messages, and the count of those it missed."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from server.live.feed import Feed
from server.live.group import SubscriberGroup
from server.live.message import Message

QUEUE_LIMIT = 256
QUEUE_BYTES = 4 * 1024 * 1024
"""An empty queue accepts one event of any size. Subscribers share most bodies."""


class Subscriber:
    """Messages in order, each once, for one reader; `wake` is called when there are new ones.

    A *live* subscriber queues the messages of its group. While it catches up from the outbox it
    ignores them. Towards the end of the catch-up it *buffers* them until all earlier messages are
    queued.
    """

    __slots__ = (
        "_buffer",
        "_bytes",
        "_drained",
        "_fall_behind",
        "_lagged",
        "_live",
        "_queue",
        "_wake",
        "catch_up_task",
        "client",
        "closed",
        "cursor",
        "error",
        "feed",
        "group",
        "position",
    )

    def __init__(
        self,
        feed: Feed,
        group: SubscriberGroup,
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
        """The last event that was queued or skipped."""
        self.closed = False
        self.cursor: str | None = None
        """The cursor of the last message that was taken."""
        self.error: Exception | None = None
        """Why it ended; the messages in its queue can still be taken."""
        self.catch_up_task: asyncio.Task[None] | None = None
        self._wake = wake
        self._fall_behind = fall_behind
        self._live = feed.start is None
        self._queue: deque[Message] = deque()
        self._buffer: list[tuple[int, Sequence[Message]]] | None = None
        self._bytes = 0
        self._lagged = 0
        self._drained: asyncio.Future[None] | None = None

    def take(self) -> bytes | None:
        """Return the next response, None if there is none."""
        found = self.take_message()
        return None if found is None else found[0].with_lagged(found[1])

    def take_message(self) -> tuple[Message, int] | None:
        """Return the next message and how many were missed before it, None if there is none."""
        if not self._queue:
            return None
        message = self._queue.popleft()
        self._bytes -= len(message.body)
        self.cursor = message.cursor
        lagged, self._lagged = self._lagged, 0
        if not self._queue and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        return message, lagged

    @property
    def is_over(self) -> bool:
        """Whether it ended and its queue is empty."""
        return self.error is not None and not self._queue

    def offer(self, seq: int, messages: Sequence[Message]) -> None:
        """Queue or buffer the group's messages about an event, or ignore them."""
        if self.closed or self.error is not None or seq <= self.position:
            return
        if self._live:
            self.position = seq
            self._append(messages)
            self._wake()
        elif self._buffer is not None:
            self._buffer.append((seq, messages))
            if len(self._buffer) > QUEUE_LIMIT:
                # The outbox has them: catching up reads them again.
                self._buffer = None

    def skip(self, seq: int, count: int) -> None:
        """Count messages about an event that are left out.

        A complete subscription reads them from the outbox instead.
        """
        if self.closed or self.error is not None or seq <= self.position:
            return
        if not self._live:
            self._buffer = None
        elif self.feed.topic.complete:
            self._live = False
            self._fall_behind(self)
        else:
            self.position = seq
            self._lagged += count

    def _append(self, messages: Sequence[Message]) -> None:
        """Queue all messages about one event, or none."""
        size = sum(len(message.body) for message in messages)
        if self._queue and (
            len(self._queue) + len(messages) > QUEUE_LIMIT or self._bytes + size > QUEUE_BYTES
        ):
            self._drop_queue()
        if self._live:
            self._queue.extend(messages)
            self._bytes += size

    def _drop_queue(self) -> None:
        """Empty the queue; a complete subscription catches up from the outbox, others lag."""
        if self.feed.topic.complete:
            # The topic has no event just before the queue: purged events there do not matter.
            self.position = self._queue[0].seq - 1
            self._live = False
            self._fall_behind(self)
        else:
            self._lagged += len(self._queue)
        self._queue.clear()
        self._bytes = 0

    async def put(self, seq: int, messages: Sequence[Message]) -> None:
        """Queue messages about an event of the outbox; waits until the queue is empty."""
        while self._queue:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
        self._queue.extend(messages)
        self._bytes += sum(len(message.body) for message in messages)
        self.position = seq
        self._wake()

    def start_buffering(self) -> None:
        """Buffer the messages of the group from now on."""
        self._buffer = []

    def go_live(self) -> bool:
        """Queue the buffered messages; return False where there were too many to buffer."""
        buffered, self._buffer = self._buffer, None
        if buffered is None:
            return False
        self._live = True
        self.catch_up_task = None
        for seq, messages in buffered:
            # `offer` ignores those that were read from the outbox.
            self.offer(seq, messages)
        return True

    def end(self, error: Exception) -> None:
        """End the subscription as soon as its queue is empty."""
        if self.error is None:
            self.error = error
            self.stop_catch_up()
            self._wake()

    def stop_catch_up(self) -> None:
        """Stop reading the outbox."""
        if self.catch_up_task is not None:
            self.catch_up_task.cancel()
            self.catch_up_task = None
