"""Ingest: compared with dlt's merge, with COPY of the same rows, and with many known listings."""

import contextlib
import datetime
import functools
import tempfile
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec

from bench.figures import Bounds, Figure
from bench.ingest import csv_file, floor, known
from bench.ingest.cycle import Cycles, cycles
from bench.ingest.provider import provider
from bench.lines import take
from bench.peers import dlt
from bench.postgres import Server, temporary_server
from bench.programs import ResourceUsage
from bench.rounds import Measure, medians

COINS: Final = 10_000
MEGABYTE: Final = 1_000_000
DISK_CYCLES: Final = 20
"""Cycles over which the growth of the tables is measured: the pages of an index split in waves."""
SHOWN: Final = 0.05
"""The megabytes from which on a table is named."""


class Size(msgspec.Struct, frozen=True):
    """The sizes of the measurements."""

    rounds: int
    known: int
    csv_rows: int
    csv_rounds: int


FULL, QUICK = Size(9, 1_000_000, 1_000_000, 2), Size(1, 50_000, 10_000, 1)


async def measure(*, quick: bool, lines: Collection[str]) -> list[Figure]:
    """Measure the lines, on one server with a database for each side."""
    size = QUICK if quick else FULL
    async with temporary_server() as server:
        measures = {
            line: functools.partial(take_line, server, size)
            for line, take_line in _MEASURES.items()
        }
        return await take(measures, lines)


async def _cycle(server: Server, size: Size) -> list[Figure]:
    """Time the changed cycle, the unchanged one, dlt's merge and COPY in turns, on one body."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        market = await enter(provider(COINS))
        ours = await enter(cycles(await server.database("ours"), market.coinpaprika_url, COINS))
        peer = await enter(dlt.merging(await server.database("peer"), market.tickers_url))
        tuned = await enter(
            dlt.merging(await server.database("tuned"), market.tickers_url, dlt.CSV)
        )
        body_bytes = 0

        async def changed() -> float:
            nonlocal body_bytes
            body_bytes = await market.move()
            return await ours.changed()

        async def least() -> float:
            return await floor.copy(ours.pool, await floor.cycle_rows(ours.pool))

        # The first of a round moves the prices for all of the round.
        sides: dict[str, Measure] = {
            "changed": changed,
            "unchanged": ours.unchanged,
            "dlt": peer,
            "tuned": tuned,
            "floor": least,
        }
        found = await medians(sides, size.rounds, warm_up=1, rotate=False)
        disk = await _disk(changed, ours)
    return [*_times(found, body_bytes), _disk_figure(disk, body_bytes)]


def _times(found: Mapping[str, float], body_bytes: int) -> list[Figure]:
    """Return the figures of the medians of `_cycle`'s sides, in seconds."""
    what = (
        f"cycle of {COINS:,} changed coins, {body_bytes / MEGABYTE:.1f} MB: raw, listings, merge, "
        "history, events"
    )
    figure = functools.partial(Figure, what=what, unit="s", ours=found["changed"])
    return [
        figure(
            against=f"{dlt.version()}, merge into one table",
            theirs=found["dlt"],
            bounds=Bounds(ratio_at_most=0.4),
        ),
        figure(against="the same, its rows by COPY", theirs=found["tuned"]),
        figure(
            against="COPY of the same rows, no index",
            theirs=found["floor"],
            bounds=Bounds(ratio_at_most=4),
        ),
        Figure(
            what="the same cycle with nothing changed, no row written",
            unit="s",
            ours=found["unchanged"],
            against="the changed cycle",
            theirs=found["changed"],
            bounds=Bounds(ratio_at_most=0.2),
        ),
    ]


def _disk_figure(disk: Mapping[str, float], body_bytes: int) -> Figure:
    return Figure(
        what=f"disk of a cycle of {COINS:,} changed coins: "
        + ", ".join(f"{table} {size:.1f}" for table, size in disk.items() if size > SHOWN),
        unit="MB",
        ours=sum(disk.values()),
        against="the body as it came",
        theirs=body_bytes / MEGABYTE,
        bounds=Bounds(at_most=3),
    )


async def _disk(changed: Measure, ours: Cycles) -> dict[str, float]:
    """Return the megabytes by which a cycle makes each table larger, on average."""
    before = after = await ours.stored_bytes()
    for _ in range(DISK_CYCLES):
        await changed()
        after = await ours.stored_bytes()
    return {
        table: (after[table] - before[table]) / DISK_CYCLES / MEGABYTE for table in sorted(after)
    }


async def _known(server: Server, size: Size) -> list[Figure]:
    """Time the changed cycle with many and with few known listings."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        market = await enter(provider(COINS))
        many_dsn = await server.database("many")
        await known.fill(many_dsn, size.known - COINS, datetime.datetime.now(datetime.UTC))
        many = await enter(cycles(many_dsn, market.coinpaprika_url, COINS))
        few = await enter(cycles(await server.database("few"), market.coinpaprika_url, COINS))

        def moved(cycle: Callable[[], Awaitable[float]]) -> Measure:
            async def measured() -> float:
                await market.move()
                return await cycle()

            return measured

        found = await medians(
            {"many": moved(many.changed), "few": moved(few.changed)}, size.rounds, warm_up=1
        )
    return [
        Figure(
            what=f"cycle of {COINS:,} changed coins, {size.known:,} listings known",
            unit="s",
            ours=found["many"],
            against=f"{COINS:,} known",
            theirs=found["few"],
            bounds=Bounds(ratio_at_most=1.3),
        )
    ]


async def _csv(server: Server, size: Size) -> list[Figure]:
    """Time the first load of a file into an empty database, and return each way's fastest."""
    usage: dict[str, list[ResourceUsage]] = {"ours": [], "dlt": [], "arrow": []}
    floors = []
    with tempfile.TemporaryDirectory(prefix="kasparro-bench-") as folder:
        path = Path(folder, "coins.csv")
        csv_file.write(path, size.csv_rows)
        for number in range(size.csv_rounds):
            dsn = await server.database(f"csv_ours_{number}")
            usage["ours"].append(await csv_file.load(dsn, path, size.csv_rows))
            empty = await server.database(f"csv_floor_{number}")
            floors.append(await floor.copy_load(dsn, empty, size.csv_rows))
            for name, form in (("dlt", dlt.DEFAULT), ("arrow", dlt.ARROW)):
                dsn = await server.database(f"csv_{name}_{number}")
                usage[name].append(await dlt.load_csv(dsn, path, form))
                await csv_file.check_dlt(dsn, size.csv_rows)
    seconds = {name: min(each.seconds for each in taken) for name, taken in usage.items()}
    memory = {name: max(each.peak_mb for each in taken) for name, taken in usage.items()}
    what = f"CSV of {size.csv_rows:,} rows, first load, start included"
    figure = functools.partial(Figure, what=what, unit="s", ours=seconds["ours"])
    merge = f"{dlt.version()} read_csv, merge into one table"
    return [
        figure(against=merge, theirs=seconds["dlt"], bounds=Bounds(ratio_at_most=0.8)),
        figure(against="dlt from Arrow batches", theirs=seconds["arrow"]),
        figure(against="COPY of the same rows, with indexes", theirs=min(floors)),
        Figure(
            what="memory of that load",
            unit="MB",
            ours=memory["ours"],
            against="dlt's",
            theirs=memory["dlt"],
            bounds=Bounds(at_most=150),
        ),
    ]


_MEASURES: Final[Mapping[str, Callable[[Server, Size], Awaitable[list[Figure]]]]] = {
    "cycle": _cycle,
    "known": _known,
    "csv": _csv,
}
