"""Subscribers that asked for the same in the same words: what one is told, all are told."""

from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.live.subscriber import Subscriber
    from server.live.wording import Wording


class Group:
    """Its members want the same names, and get what is written once in their words."""

    __slots__ = ("key", "members", "wanted", "wording")

    def __init__(self, key: Hashable, wanted: frozenset[str] | None, wording: "Wording") -> None:
        self.key = key
        self.wanted = wanted
        self.wording = wording
        self.members: set[Subscriber] = set()
