"""How events become messages: once for all subscribers that asked in the same words."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from db.events import Event
from server.live.message import Message


class Commit:
    """An event on its way, and what is read for it once: by whichever encoder needs it first, for all."""

    def __init__(self, event: Event, asked: Sequence[str]) -> None:
        self.event = event
        self.asked = asked
        """The names that anybody wants of it, in order."""
        self._rows: Mapping[str, Any] | None = None
        self._reading = asyncio.Lock()

    async def rows(
        self, read: Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]
    ) -> Mapping[str, Any]:
        """Return the rows of all names that are asked for."""
        async with self._reading:
            if self._rows is None:
                self._rows = await read(self.asked)
        return self._rows


class UpdateEncoder(Protocol):
    """Writes the responses of one operation. Errors of the database that pass are raised, and it is asked again.

    `cost` is about what one name costs, in values.
    """

    cost: int

    async def encode(
        self, commit: Commit, wants: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[Message]]:
        """Return the messages about an event for each list of names that somebody wants of it."""
