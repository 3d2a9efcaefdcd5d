"""Groups: subscribers to the same operation and names, which get the same messages."""

from collections.abc import Hashable, Sequence
from typing import Protocol

from server.live.encoder import UpdateEncoder
from server.live.message import Message


class GroupMember(Protocol):
    """The interface of a subscriber for its group."""

    position: int

    def offer(self, seq: int, messages: Sequence[Message]) -> None:
        """Pass the messages about an event."""

    def skip(self, seq: int, count: int) -> None:
        """Report that `count` messages about an event were left out."""

    def end(self, error: Exception) -> None:
        """End the subscription."""


class SubscriberGroup:
    """Its members follow the same `names`, None for all, and share an encoder."""

    __slots__ = ("encoder", "key", "members", "names", "operation_key")

    def __init__(
        self, operation_key: Hashable, names: frozenset[str] | None, encoder: UpdateEncoder
    ) -> None:
        self.key = operation_key, names
        self.operation_key = operation_key
        self.names = names
        self.encoder = encoder
        self.members: set[GroupMember] = set()
