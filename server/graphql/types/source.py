"""The type Source: its settings, its health and its checkpoint."""

import datetime
import enum

import strawberry

from db.read.runs import last_runs
from db.read.sources import checkpoints_of_sources, listing_counts
from db.read.streams import streams_of_sources
from db.source_files import MAX_FILES, files_of_sources
from server.graphql.execution.loaders import related_count, related_many, related_one
from server.graphql.markets.stream import StreamStateType
from server.graphql.types.fields import related
from server.graphql.types.run import Run
from server.graphql.types.source_file import SourceFile
from server.limits.scans import SCAN_COST


@strawberry.enum(description="The kind of a source.")
class SourceKind(enum.Enum):
    """The values are those of sources.kind."""

    API = strawberry.enum_value("api", description="The HTTP API of a provider.")
    FILE = strawberry.enum_value("file", description="Files on a disk.")
    STREAM = strawberry.enum_value(
        "stream",
        description="Live prices of an exchange, or the consensus over all of them (`markets`).",
    )


@strawberry.enum(description="The health of a source.")
class SourceHealth(enum.Enum):
    """The values are those of `SourceRow.health`."""

    OK = strawberry.enum_value(
        "ok", description="Its last run was a success, and none is overdue; a stream is live."
    )
    DEGRADED = strawberry.enum_value(
        "degraded",
        description="One or two failures in a row, or the last run was partial,"
        " or no run has ended for longer than three polls. Of a stream, some connections are down.",
    )
    DOWN = strawberry.enum_value(
        "down", description="Three or more failures in a row, or a stream that delivers nothing."
    )
    UNKNOWN = strawberry.enum_value("unknown", description="No run has ended yet.")


@strawberry.type(
    name="Checkpoint",
    description="The position that a source has reached; its next run continues there.",
)
class CheckpointType:
    """Its value is a `SourceCheckpointRow`."""

    last_id: str | None = strawberry.field(description="The id of the last record read.")
    last_timestamp: datetime.datetime | None = strawberry.field(
        description="The newest observation read."
    )
    updated_at: datetime.datetime = strawberry.field(
        description="When the checkpoint last changed."
    )


@strawberry.type(name="Source", description="A source of listings.")
class SourceType:
    """Its value is a `SourceRow`."""

    name: str = strawberry.field(description='Such as "coinpaprika".')
    kind: SourceKind = strawberry.field(description="The kind of the source.")
    enabled: bool = strawberry.field(description="Whether it is polled.")
    poll_seconds: int = strawberry.field(
        description="The time from one run to the next, in seconds."
    )
    health: SourceHealth = strawberry.field(description="The health of the source.")
    consecutive_failures: int = strawberry.field(
        description="The number of failed runs since the last successful one."
    )
    listing_count: int = related(
        related_count(["name"], listing_counts),
        "The number of its listings, active or not.",
        # One statement counts for all sources; about five are assumed.
        cost=SCAN_COST // 5,
    )
    last_run: Run | None = related(
        related_one(["name"], last_runs), "Its last run, in progress or ended."
    )
    next_run_at: datetime.datetime | None = strawberry.field(
        description="When the next poll is due."
    )
    checkpoint: CheckpointType | None = related(
        related_one(["name"], checkpoints_of_sources), "The position that it has reached."
    )
    files: list[SourceFile] = related(
        related_many(["name"], files_of_sources),
        "How its files were read, the most recent first, at most 20. Empty for a provider.",
        rows=MAX_FILES,
    )
    stream: StreamStateType | None = related(
        related_one(["name"], streams_of_sources),
        "Whether it delivers, if it is a stream; null for other kinds and before its start.",
    )
