"""How things stand: every source with its last run and checkpoint, as the server reads them, and the worst coins."""

import datetime

import msgspec

from db.connect.types import Connection
from db.demo import is_demo
from db.loop_problems import read_problems
from db.read.health import read_stats
from db.read.quality import DoubtfulCoin, worst_coins
from db.read.runs import RunRow, last_runs
from db.read.sizes import Sizes, read_sizes
from db.read.sources import (
    SourceCheckpointRow,
    SourceRow,
    all_sources,
    checkpoints_of_sources,
    listing_counts,
)
from kasparro.supervise.process_lock import LockHolder


class SourceStatus(msgspec.Struct, frozen=True):
    """One source; None for what there is not yet."""

    source: SourceRow
    listings: int
    last_run: RunRow | None
    checkpoint: SourceCheckpointRow | None


class Status(msgspec.Struct, frozen=True):
    """What `kasparro status` shows; `running` is the `kasparro up` of this state folder, `problems` its hindrances.

    `disk_bytes` is what an embedded database takes of the disk, its log of changes included; None
    for any other.
    """

    running: LockHolder | None
    demo: bool
    coins: int
    sizes: Sizes
    disk_bytes: int | None
    problems: list[str]
    sources: list[SourceStatus]
    worst: list[DoubtfulCoin]


async def read_status(
    connection: Connection, running: LockHolder | None, disk_bytes: int | None
) -> Status:
    """Read it all in one snapshot."""
    problems = await read_problems(connection)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        rows = await all_sources(connection)
        names = [row.name for row in rows]
        counts = await listing_counts(connection, names)
        runs = await last_runs(connection, names)
        checkpoints = await checkpoints_of_sources(connection, names)
        stats = await read_stats(connection)
        worst = await worst_coins(connection, datetime.datetime.now(datetime.UTC))
        sizes = await read_sizes(connection)
        demo = await is_demo(connection)
    sources = [
        SourceStatus(row, counts.get(row.name, 0), runs.get(row.name), checkpoints.get(row.name))
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
    )
