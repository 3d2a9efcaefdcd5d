"""The type StreamState: whether a stream delivers, and how much."""

import datetime
import enum

import strawberry


@strawberry.enum(name="StreamHealth", description="Whether a stream delivers.")
class StreamHealth(enum.Enum):
    """The values are those of stream_states.state."""

    LIVE = strawberry.enum_value("live", description="All of its connections deliver.")
    PARTIAL = strawberry.enum_value("partial", description="Some of its connections deliver.")
    DOWN = strawberry.enum_value("down", description="None of its connections delivers.")


@strawberry.type(name="StreamState", description="A stream, since its ingestor started it.")
class StreamStateType:
    """Its value is a `StreamStatus`."""

    state: StreamHealth = strawberry.field(description="Whether it delivers.")
    problem: str | None = strawberry.field(description="Why it does not deliver, or not all.")
    started_at: datetime.datetime = strawberry.field(
        description="When the ingestor began to follow it."
    )
    updated_at: datetime.datetime = strawberry.field(
        description="When the ingestor last reported this."
    )
    last_message_at: datetime.datetime | None = strawberry.field(
        description="When its last message came."
    )
    messages: int = strawberry.field(description="The messages since its start.")
    messages_per_second: float = strawberry.field(
        description="The messages a second between the last two reports."
    )
    reconnects: int = strawberry.field(description="The reconnects since its start.")
    gaps: int = strawberry.field(description="The gaps since its start.")
