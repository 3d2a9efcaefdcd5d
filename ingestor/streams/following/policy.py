"""How a stream client behaves, whatever the venue: waits, bounds, back-off."""

import msgspec

from common.backoff import BackoffPolicy


class StreamPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a stream client; times are seconds.

    - `disorder_seconds`: how far the times of a venue's frames may run backwards. A gap is longer
      by this on both sides. In the recorded sessions they do not, after the state at the start.
    - `planned_share`: the share of a venue's longest connection after which it is replaced
    - `overlap_seconds`: how long the old connection and its successor both run
    - `overload_seconds`: how long a frame waits for room in the queue before frames are dropped
    - `quiet_seconds`: a gap ends by our clock if no tick ends it for so long
    """

    connect_seconds: float = 10.0
    subscribe_seconds: float = 30.0
    close_seconds: float = 1.0
    disorder_seconds: float = 1.0
    planned_share: float = 0.97
    overlap_seconds: float = 5.0
    overload_seconds: float = 5.0
    quiet_seconds: float = 60.0
    check_seconds: float = 1.0
    future_seconds: float = 300.0
    queued_bytes: int = 4 * 1024 * 1024
    queued_gaps: int = 1_000
    malformed_in_a_row: int = 10
    recent_ticks: int = 16_384
    max_frame_bytes: int = 8 * 1024 * 1024
    backoff: BackoffPolicy = BackoffPolicy(
        first_seconds=1.0, longest_seconds=60.0, steady_seconds=60.0
    )
