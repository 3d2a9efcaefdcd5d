"""What is known of a stream while it runs: for status, health and the log."""

from typing import Literal

import msgspec


class StreamState(msgspec.Struct, kw_only=True):
    """The counters of one venue's stream since its start.

    `problem` is why a connection ended last, until the stream is live again; `is_refused` says that
    the venue refuses this network or our request, so that a person has to act. `unknown` ticks are
    of symbols that were not asked for, `future` ticks of a time that lies in our future.
    """

    venue: str
    connections: int = 0
    live: int = 0
    messages: int = 0
    ticks: int = 0
    duplicates: int = 0
    ignored: int = 0
    malformed: int = 0
    unknown: int = 0
    future: int = 0
    reconnects: int = 0
    last_message_ns: int | None = None
    refusals: int = 0
    last_refusal: str | None = None
    problem: str | None = None
    is_refused: bool = False

    @property
    def status(self) -> Literal["live", "partial", "down"]:
        """Whether all, some or none of the connections deliver."""
        if self.live == 0:
            return "down"
        return "live" if self.live >= self.connections else "partial"
