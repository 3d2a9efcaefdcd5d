"""The status of a Kasparro: its sources as the server reads them, and its worst coins."""

import datetime

import msgspec

from db.connect.types import Connection
from db.demo import is_demo
from db.loop_problems import read_problems
from db.read.health import read_stats
from db.read.quality import DoubtfulCoin, worst_coins
from db.read.registry import RegistryReading, registry_readings
from db.read.runs import RunRow, last_runs
from db.read.sizes import Sizes, read_sizes
from db.read.sources import (
    SourceCheckpointRow,
    SourceRow,
    all_sources,
    checkpoints_of_sources,
    listing_counts,
)
from db.read.streams import StreamStatus, stream_problems, streams_of_sources
from kasparro.supervise.process_lock import LockHolder


class SourceStatus(msgspec.Struct, frozen=True):
    """A source; None for a missing run, checkpoint or stream."""

    source: SourceRow
    listings: int
    last_run: RunRow | None
    checkpoint: SourceCheckpointRow | None
    stream: StreamStatus | None = None


class Status(msgspec.Struct, frozen=True):
    """The output of `kasparro status`; `running` is the `kasparro up` of this state folder.

    `problems` are those of its loops. `disk_bytes` is the size of an embedded database on disk,
    with its write-ahead log; None for any other database.
    """

    running: LockHolder | None
    demo: bool
    coins: int
    sizes: Sizes
    disk_bytes: int | None
    problems: list[str]
    sources: list[SourceStatus]
    worst: list[DoubtfulCoin]
    registries: list[RegistryReading]
    """Of the contract addresses of each source that has them."""


async def read_status(
    connection: Connection, running: LockHolder | None, disk_bytes: int | None
) -> Status:
    """Read everything in one snapshot."""
    problems = await read_problems(connection) + await stream_problems(connection)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        rows = await all_sources(connection)
        names = [row.name for row in rows]
        counts = await listing_counts(connection, names)
        runs = await last_runs(connection, names)
        checkpoints = await checkpoints_of_sources(connection, names)
        streams = await streams_of_sources(connection, names)
        stats = await read_stats(connection)
        worst = await worst_coins(connection, datetime.datetime.now(datetime.UTC))
        sizes = await read_sizes(connection)
        demo = await is_demo(connection)
        registries = await registry_readings(connection)
    sources = [
        SourceStatus(
            row,
            counts.get(row.name, 0),
            runs.get(row.name),
            checkpoints.get(row.name),
            streams.get(row.name),
        )
        for row in rows
    ]
    return Status(
        running=running,
        demo=demo,
        coins=stats.total_normalized,
        sizes=sizes,
        disk_bytes=disk_bytes,
        problems=problems,
        sources=sources,
        worst=worst,
        registries=registries,
    )
