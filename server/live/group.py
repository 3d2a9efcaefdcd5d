"""Subscribers that asked for the same in the same words: what one is told, all are told."""

from collections.abc import Hashable
from typing import TYPE_CHECKING

from server.live.encoder import Encoder

if TYPE_CHECKING:
    from server.live.subscriber import Subscriber


class Group:
    """Its members want the same names, and get what one encoder writes of them."""

    __slots__ = ("encoder", "key", "members", "wanted")

    def __init__(self, key: Hashable, wanted: frozenset[str] | None, encoder: Encoder) -> None:
        self.key = key
        self.wanted = wanted
        self.encoder = encoder
        self.members: set[Subscriber] = set()
