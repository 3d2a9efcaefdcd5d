"""Where ticks may be missing: a gap opens at a loss and ends with the first live tick after it."""

from collections.abc import Sequence

from ingestor.streams.records import NANOSECONDS, Gap, GapReason, Tick
from ingestor.streams.venue import Missed


class GapTracker:
    """The open gap of one set of symbols, by the venue's clock.

    The time of a lost tick is unknown. It lies between the newest tick before the loss and the
    first live one after it, give or take `disorder_seconds`.
    """

    def __init__(self, venue: str, disorder_seconds: float, since_ns: int | None) -> None:
        self._venue = venue
        self._disorder_ns = int(disorder_seconds * NANOSECONDS)
        self._newest_ns = since_ns
        self._began_ns: int | None = None
        self._from_ns: int | None = None
        self._least_to_ns = 0
        self._reason: GapReason = "reconnect"
        if since_ns is not None:
            self.open("reconnect")

    @property
    def is_open(self) -> bool:
        """Whether a gap is open."""
        return self._from_ns is not None

    def begin(self, now_ns: int) -> None:
        """Take note that ticks can arrive from now on, by our clock; only the first note counts."""
        if self._began_ns is None:
            self._began_ns = now_ns

    def open(self, reason: GapReason) -> None:
        """Begin a gap, unless one is open or ticks could not arrive yet."""
        newest_ns = self._began_ns if self._newest_ns is None else self._newest_ns
        if self._from_ns is None and newest_ns is not None:
            self._from_ns = newest_ns - self._disorder_ns
            self._reason = reason

    def include(self, gap: Gap) -> None:
        """Take another gap into the open one, which begins with it if none is open."""
        if self._from_ns is None:
            self._from_ns, self._reason = gap.from_ns, "overload"
        self._from_ns = min(self._from_ns, gap.from_ns)
        self._least_to_ns = max(self._least_to_ns, gap.to_ns)

    def observe(self, ticks: Sequence[Tick], received_ns: int) -> None:
        """Take note of the times of ticks; one of the future counts as of now."""
        for tick in ticks:
            observed_ns = min(tick.observed_ns, received_ns)
            if self._newest_ns is None or observed_ns > self._newest_ns:
                self._newest_ns = observed_ns

    def close(self, live_ns: int | None) -> Gap | None:
        """End the gap with a live tick of this time; return it, None if none is open.

        A tick that is older than the gap's start leaves it open.
        """
        if self._from_ns is None or live_ns is None or live_ns < self._from_ns:
            return None
        return self._end(live_ns + self._disorder_ns)

    def close_at(self, now_ns: int) -> Gap | None:
        """End the gap by our clock; return it, None if none is open."""
        return None if self._from_ns is None else self._end(max(now_ns, self._from_ns))

    def between(self, missed: Missed) -> Gap | None:
        """Return the gap of a hole with known ends; open one and return None for another hole."""
        reason: GapReason = "malformed" if missed.is_malformed else "sequence"
        if missed.since_ns is None or missed.until_ns is None:
            self.open(reason)
            return None
        return Gap(
            self._venue,
            missed.symbol,
            missed.since_ns,
            missed.until_ns + self._disorder_ns,
            reason,
        )

    def _end(self, to_ns: int) -> Gap:
        to_ns = max(to_ns, self._least_to_ns)
        gap = Gap(self._venue, None, self._from_ns or 0, to_ns, self._reason)
        self._from_ns, self._least_to_ns = None, 0
        return gap
