"""The type StreamGap: a stretch of time in which prices of an exchange may be missing."""

import datetime
import enum

import strawberry


@strawberry.enum(description="Why prices may be missing.")
class StreamGapReason(enum.Enum):
    """The values are those of stream_gaps.reason."""

    RECONNECT = strawberry.enum_value(
        "reconnect", description="The connection was lost, or the venue refused it for a while."
    )
    SEQUENCE = strawberry.enum_value("sequence", description="The venue's own numbers have a hole.")
    SILENCE = strawberry.enum_value(
        "silence", description="The connection was open and carried nothing."
    )
    OVERLOAD = strawberry.enum_value(
        "overload", description="More came than could be taken, and frames were left out."
    )
    PLANNED_CUT = strawberry.enum_value(
        "planned_cut",
        description="The connection was to be replaced, and ended before its successor was ready.",
    )
    MALFORMED = strawberry.enum_value("malformed", description="A frame could not be read.")


@strawberry.type(
    name="StreamGap",
    description="A stretch of an exchange's time, both ends included, in which prices may be"
    " missing.",
)
class StreamGapType:
    """Its value is a `GapRow`."""

    source: str = strawberry.field(description="The venue.")
    symbol: str | None = strawberry.field(
        description="The venue's own symbol of the market; null for any of its markets."
    )
    began_at: datetime.datetime = strawberry.field(
        description="The last price before it, by the venue's clock."
    )
    ended_at: datetime.datetime = strawberry.field(
        description="The first price after it, by the venue's clock."
    )
    reason: StreamGapReason = strawberry.field(description="Why prices may be missing.")
    noticed_at: datetime.datetime = strawberry.field(description="When it was written.")
