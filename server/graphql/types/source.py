"""The type Source: how a source is set, how it fares, how far it got."""

import datetime
import enum

import strawberry

from db.read.runs import RunRow
from db.read.sources import SourceCheckpointRow, SourceRow
from db.source_files import SourceFileRow
from server.graphql.execution.context import Info
from server.graphql.types.fields import resolved
from server.graphql.types.run import Run
from server.graphql.types.source_file import SourceFile


@strawberry.enum(description="What kind of place a source is.")
class SourceKind(enum.Enum):
    """The values are those of sources.kind."""

    API = strawberry.enum_value("api", description="A provider's HTTP interface.")
    FILE = strawberry.enum_value("file", description="Files on a disk.")


@strawberry.enum(description="How a source fares.")
class SourceHealth(enum.Enum):
    """The values are those of `SourceRow.health`."""

    OK = strawberry.enum_value("ok", description="Its last run was a success, and none is overdue.")
    DEGRADED = strawberry.enum_value(
        "degraded",
        description="One or two failures in a row, or the last run was partial,"
        " or no run has ended for longer than three polls.",
    )
    DOWN = strawberry.enum_value("down", description="Three failures in a row, or more.")
    UNKNOWN = strawberry.enum_value("unknown", description="No run has ended yet.")


@strawberry.type(name="Checkpoint", description="How far a source got.")
class CheckpointType:
    """Its value is a `SourceCheckpointRow`."""

    last_id: str | None = strawberry.field(description="The id of the last record read.")
    last_timestamp: datetime.datetime | None = strawberry.field(
        description="The newest observation read."
    )
    updated_at: datetime.datetime = strawberry.field(description="When the checkpoint last moved.")


async def _listing_count(root: strawberry.Parent[SourceRow], info: Info) -> int:
    return await info.context.loaders.listing_counts.load(root.name)


async def _last_run(root: strawberry.Parent[SourceRow], info: Info) -> RunRow | None:
    return await info.context.loaders.last_runs.load(root.name)


async def _checkpoint(root: strawberry.Parent[SourceRow], info: Info) -> SourceCheckpointRow | None:
    return await info.context.loaders.checkpoints.load(root.name)


async def _files(root: strawberry.Parent[SourceRow], info: Info) -> list[SourceFileRow]:
    return await info.context.loaders.files.load(root.name)


@strawberry.type(name="Source", description="A place that listings come from.")
class SourceType:
    """Its value is a `SourceRow`."""

    name: str = strawberry.field(description='Such as "coinpaprika".')
    kind: SourceKind = strawberry.field(description="What kind of place it is.")
    enabled: bool = strawberry.field(description="Whether it is polled.")
    poll_seconds: int = strawberry.field(description="How long after one run the next begins.")
    health: SourceHealth = strawberry.field(description="How it fares.")
    consecutive_failures: int = strawberry.field(
        description="How many runs have failed since the last good one."
    )
    listing_count: int = resolved(_listing_count, "How many listings came from it, active or not.")
    last_run: Run | None = resolved(_last_run, "Its last run, under way or ended.")
    next_run_at: datetime.datetime | None = strawberry.field(description="When it is polled next.")
    checkpoint: CheckpointType | None = resolved(_checkpoint, "How far it got.")
    files: list[SourceFile] = resolved(
        _files, "How its files were read: the one read last first, 20 at most. None for a provider."
    )
