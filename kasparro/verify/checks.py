"""All checks of `kasparro verify`, in one pass."""

import datetime
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import anyio
import msgspec

from common.chains import TokenAddress
from db.connect.pool import borrow
from db.connect.types import Connection, Pool
from db.reprocess.payloads import PayloadRange
from db.schema.partitions import Retention
from db.verify import events
from db.verify.coins import CoinTallies, compare_coins, next_tickers
from db.verify.differences import CheckOutcome, Difference, Tally, find_differences
from db.verify.identity import active_addresses, stored_groups
from db.verify.payloads import spans_of
from db.verify.slices import count_listings_by_source
from db.verify.storage import bodies_from, check_partitions, read_clocks
from ingestor.registry.groups import group_addresses
from ingestor.sources.records import Source
from kasparro.verify.fetch_pass import FetchPass
from kasparro.verify.history import HistoryContext, HistoryTallies, VerifyBounds
from kasparro.verify.listing_pass import ListingPass
from kasparro.verify.payload_pass import PayloadPass
from kasparro.verify.rows import REPORT, REPROCESS, REPROCESS_FULL, ROW_CHECKS, CheckContext
from kasparro.verify.workers import DecodingProcesses

TICKERS = 2_000
"""Coins that are compared in one snapshot, about half a second."""

OnStep = Callable[[str], None]
"""Called with the name of each step as it begins."""


class VerifyReport(msgspec.Struct, frozen=True):
    """The results of all checks; `holds` says that nothing differs."""

    holds: bool
    checked_at: datetime.datetime
    checks: list[CheckOutcome]


async def verify(
    pool: Pool,
    sources: Sequence[Source],
    retention: Retention,
    *,
    limit: int,
    on_step: OnStep = lambda _: None,
    workers: DecodingProcesses | None = None,
) -> VerifyReport:
    """Run all checks, with at most `limit` examples each; nothing is written.

    `workers` decode the payloads, without them this process does.
    """
    async with pool.acquire() as connection:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            clocks = await read_clocks(connection)
            context = CheckContext(clocks, retention, await bodies_from(connection))
        checks = await _check_coins(connection, limit, on_step)
        checks += await _check_rows(connection, context, limit, on_step)
        notes = await _other_sources(connection, sources)
    tallies = HistoryTallies(limit)
    tallies.payloads.notes += notes
    checks += await _check_history(
        pool, sources, context, tallies, on_step=on_step, workers=workers
    )
    return VerifyReport(not any(one.differences for one in checks), clocks.now, checks)


async def _check_coins(connection: Connection, limit: int, on_step: OnStep) -> list[CheckOutcome]:
    on_step("coins")
    tallies = CoinTallies(limit)
    after = ""
    while True:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            tickers = await next_tickers(connection, after, TICKERS)
            if not tickers:
                break
            await compare_coins(connection, tickers, tallies)
        after = tickers[-1]
    return [
        tallies.coins.result(
            "coins.merge", "a coin is what the merge makes of its listings", REPROCESS
        ),
        tallies.flags.result(
            "coins.contributes", "the listings of a coin's owner contribute, no others", REPROCESS
        ),
        tallies.assets.result(
            "assets.listings", "a listing names the asset that the merge gives it", REPROCESS
        ),
    ]


async def _check_rows(
    connection: Connection, context: CheckContext, limit: int, on_step: OnStep
) -> list[CheckOutcome]:
    """Run the checks that are one statement each, and those of groups, gaps and partitions."""
    checks = []
    for check in ROW_CHECKS:
        on_step(check.name)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            checks.append(await check.run(connection, context, limit))
    on_step("storage")
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        checks.append(await _check_groups(connection, limit))
        checks.append(await _check_gaps(connection, limit))
        tally = Tally(limit)
        await check_partitions(connection, tally, context.clocks, context.retention)
    checks.append(
        tally.result(
            "storage.partitions",
            "partitions exist for now and the next days, none is past its retention",
            "the ingestor creates and drops them at its next run, and within the hour",
        )
    )
    return checks


async def _check_groups(connection: Connection, limit: int) -> CheckOutcome:
    addresses = [
        ((source, external_id), TokenAddress(chain, address))
        for source, external_id, chain, address in await active_addresses(connection)
    ]
    expected = {
        key: (group.address_group, group.chains)
        for key, group in group_addresses(addresses).items()
    }
    stored = await stored_groups(connection)
    tally = Tally(limit)
    tally.rows = len(stored)
    tally.add(
        Difference(
            ":".join(key), "address group", _group(stored.get(key)), _group(expected.get(key))
        )
        for key in sorted(stored.keys() | expected.keys())
        if stored.get(key) != expected.get(key)
    )
    return tally.result(
        "assets.groups",
        "the groups of listings are those that their contract addresses form",
        "the next reading of the registry forms the groups again",
    )


def _group(group: tuple[str, tuple[str, ...]] | None) -> str | None:
    return None if group is None else f"{group[0]} on {', '.join(group[1])}"


async def _check_gaps(connection: Connection, limit: int) -> CheckOutcome:
    tally = Tally(limit)
    tally.rows = await connection.fetchval(events.COUNT_EVENTS)
    await find_differences(connection, tally, events.TORN, limit=limit)
    row = await connection.fetchrow(events.HARMLESS)
    if row is not None and row["gaps"]:
        tally.notes.append(
            f"{row['numbers']:,} numbers are missing in {row['gaps']:,} places where a transaction "
            "was rolled back, or PostgreSQL crashed"
        )
    return tally.result(
        "events.gaps",
        "no event is missing between the events of one page",
        "a client that resumes may miss the change: let clients read their coins again",
    )


async def _check_history(
    pool: Pool,
    sources: Sequence[Source],
    context: CheckContext,
    tallies: HistoryTallies,
    *,
    on_step: OnStep,
    workers: DecodingProcesses | None,
) -> list[CheckOutcome]:
    done: defaultdict[str, int] = defaultdict(int)

    def on_progress(source: str, payloads: int) -> None:
        done[source] += payloads
        on_step(f"the history of {source}: {done[source]:,} payloads")

    for source in sources:
        on_progress(source.name, 0)
        history = HistoryContext(pool, source, _bounds(context), tallies, on_progress)
        explained = await _check_payloads(history, workers)
        await FetchPass(history).run(explained)
        await ListingPass(history).run()
    return [
        tallies.payloads.result(
            "payloads", "each listing's payload is stored and readable", REPORT
        ),
        tallies.listings.result(
            "listings.values", "a listing is what the newest of its payloads says", REPROCESS
        ),
        tallies.points.result(
            "points.values",
            "points are what the payloads say, within their retention",
            REPROCESS_FULL,
        ),
        tallies.held.result(
            "points.held",
            "a point is held exactly if its price jumps unconfirmed",
            REPROCESS_FULL,
        ),
        tallies.candles.result(
            "candles", "hours are the points that count, and days are the hours", REPROCESS_FULL
        ),
    ]


async def _check_payloads(
    history: HistoryContext, workers: DecodingProcesses | None
) -> Counter[datetime.datetime]:
    """Check the payloads of a source; return how many points of each fetch they explain."""
    async with borrow(history.pool) as connection:
        spans = await spans_of(connection, history.source.name, workers.count if workers else 1)
    explained: Counter[datetime.datetime] = Counter()

    async def check(span: PayloadRange) -> None:
        if workers is None:
            payloads = PayloadPass(history, span)
            await payloads.run()
            explained.update(payloads.explained)
            return
        found = await workers.check(
            history.source.name, history.bounds, span, history.tallies.limit
        )
        history.tallies.join(found.tallies)
        explained.update(found.explained)

    async with anyio.create_task_group() as group:
        for span in spans:
            group.start_soon(check, span)
    return explained


async def _other_sources(connection: Connection, sources: Sequence[Source]) -> list[str]:
    known = {source.name for source in sources}
    return [
        f"{source}: its {count:,} listings are not checked, because SOURCES does not name it"
        for source, count in await count_listings_by_source(connection)
        if source not in known
    ]


def _bounds(context: CheckContext) -> VerifyBounds:
    oldest = context.retention.oldest_history(context.clocks.now)
    day = oldest.replace(hour=0, minute=0, second=0, microsecond=0)
    return VerifyBounds(context.covered_from, oldest, day + datetime.timedelta(days=1))
