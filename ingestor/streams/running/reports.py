"""What status and health show of the streams: a row for each venue, and one for `markets`."""

import datetime
from collections.abc import Sequence

from db.connect.types import Connection
from db.streams.states import StreamStateRow, save_states
from ingestor.streams.publishing import SOURCE
from ingestor.streams.recorder import MarketRecorder
from ingestor.streams.records import to_datetime
from ingestor.streams.venue_stream import VenueStream

NOT_CONNECTED = "not connected yet"
BELOW_QUORUM = "no asset has prices of enough venues for a consensus"
NO_VENUE = "no venue delivers prices"


class StreamReports:
    """Saves the states of streams since `started_at`."""

    def __init__(self, started_at: datetime.datetime) -> None:
        self._started_at = started_at
        self._messages: dict[str, int] = {}
        self._saved_at = started_at
        self._shown: list[tuple[str | bool, str | None]] = []

    def has_changed(self, streams: Sequence[VenueStream], recorder: MarketRecorder) -> bool:
        """Return whether a stream has another state or problem than the rows say."""
        return self._shown != _shown(streams, recorder)

    async def save(
        self,
        connection: Connection,
        streams: Sequence[VenueStream],
        recorder: MarketRecorder,
        now: datetime.datetime,
    ) -> None:
        """Save the rows of `streams`, and that of the consensus over them."""
        seconds = max((now - self._saved_at).total_seconds(), 1.0)
        rows = [self._venue(stream, seconds) for stream in streams]
        await save_states(connection, [*rows, _markets(rows, recorder)], self._started_at, now)
        self._messages = {row.source: row.messages for row in rows}
        self._saved_at, self._shown = now, _shown(streams, recorder)

    def _venue(self, stream: VenueStream, seconds: float) -> StreamStateRow:
        state, totals = stream.state, stream.totals
        return StreamStateRow(
            state.venue,
            state.status,
            _problem(stream),
            None if state.last_message_ns is None else to_datetime(state.last_message_ns),
            totals.messages,
            max(totals.messages - self._messages.get(state.venue, 0), 0) / seconds,
            totals.reconnects,
            totals.gaps,
        )


def _shown(
    streams: Sequence[VenueStream], recorder: MarketRecorder
) -> list[tuple[str | bool, str | None]]:
    shown: list[tuple[str | bool, str | None]] = [
        (stream.state.status, _problem(stream)) for stream in streams
    ]
    return [*shown, (_speaking(recorder) > 0, None)]


def _speaking(recorder: MarketRecorder) -> int:
    return sum(found.price is not None for found in recorder.consensus.values())


def _problem(stream: VenueStream) -> str | None:
    """Return why a stream does not deliver, or what keeps its list of markets from being read."""
    problem = stream.state.problem or stream.list_problem
    if problem is None and stream.state.status == "down":
        return NOT_CONNECTED
    return problem or stream.state.last_refusal


def _markets(rows: Sequence[StreamStateRow], recorder: MarketRecorder) -> StreamStateRow:
    speaking = _speaking(recorder)
    delivering = [row for row in rows if row.state != "down"]
    times = [row.last_message_at for row in rows if row.last_message_at is not None]
    left_out = recorder.frames_left_out
    problem = NO_VENUE if not delivering else None if speaking else BELOW_QUORUM
    if problem is None and left_out:
        problem = f"{left_out:,} frames were not kept: the database was away for too long"
    return StreamStateRow(
        SOURCE,
        "down" if not delivering else "live" if speaking else "partial",
        problem,
        max(times, default=None),
        sum(row.messages for row in rows),
        sum(row.messages_per_second for row in rows),
        sum(row.reconnects for row in rows),
        sum(row.gaps for row in rows),
    )
