"""Encodes events as messages, once for all subscribers to the same operation."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from db.events import Event
from server.live.message import Message


class SharedEvent:
    """An event and its rows; the first encoder that needs the rows reads them for all."""

    def __init__(self, event: Event, names: Sequence[str]) -> None:
        self.event = event
        self.names = names
        """All names of the event that any subscriber follows, sorted."""
        self._rows: Mapping[str, Any] | None = None
        self._reading = asyncio.Lock()

    async def rows(
        self, read: Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]
    ) -> Mapping[str, Any]:
        """Return the rows of `names`."""
        async with self._reading:
            if self._rows is None:
                self._rows = await read(self.names)
        return self._rows


class UpdateEncoder(Protocol):
    """Encodes the responses of one operation.

    `cost` is approximately the number of values for one name.
    """

    cost: int

    async def encode(
        self, shared: SharedEvent, name_lists: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[Message]]:
        """Return the messages about an event for each list of names.

        Raises errors of the database; the caller repeats it after a temporary one.
        """
