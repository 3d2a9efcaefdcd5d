"""A sweep, one complete reading of a source: how far it is, what it did not find, and whether that is believed."""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.write.checkpoints import CheckpointRow, read_checkpoint, write_checkpoint
from db.write.listings import MissingListings, any_missing, count_missing, mark_missing
from db.write.source_pages import keep_groups, save_page
from ingestor.sources.records import Listing, Page, Source

MOST_MISSING = 20
MOST_MISSING_SHARE = 0.1
"""More missing listings than both, the second of the active ones, are rather a fault of the source than delistings."""
AGREEING_SWEEPS = 2
"""How many sweeps in a row after a doubted one must agree with it."""


class SweepStep(msgspec.Struct, frozen=True):
    """What a page did to its sweep: the tickers of listings that ended, and why none ended where that is in doubt."""

    ended: frozenset[str] = frozenset()
    doubt: str | None = None


class _Sweep(msgspec.Struct, frozen=True):
    """The sweep under way, after this page; `doubted` sweeps in a row before it were not believed."""

    started_at: datetime.datetime
    last_at: datetime.datetime | None
    dirty: bool
    emptied: bool
    doubted: int


def is_doubtful(missing: MissingListings, *, emptied: bool, doubted: int) -> bool:
    """Tell whether what a sweep misses looks like a fault of the source, however often it is said.

    `emptied` tells that one of its pages came empty that held records in the sweep before.
    """
    if not missing.missing:
        return False
    too_many = missing.missing > max(MOST_MISSING, MOST_MISSING_SHARE * missing.active)
    return too_many or emptied or doubted > 0


async def advance_sweep(
    connection: Connection,
    source: Source,
    page: Page,
    listings: Sequence[Listing],
    now: datetime.datetime,
    *,
    believe: bool,
) -> SweepStep:
    """Save the page's place in the sweep and the checkpoint after it; `listings` are those that it changed.

    At the sweep's end, listings that it did not find are ended: with `believe` however many they
    are, else only where `is_doubtful` does not hold, or where AGREEING_SWEEPS more have said the
    same.
    """
    sweep = await _with_page(connection, source, page)
    step, doubted = SweepStep(), sweep.doubted
    complete = page.sweep_groups is not None
    if page.sweep_groups is not None:
        changed = await keep_groups(connection, source.name, page.sweep_groups) or sweep.dirty
        if changed or await any_missing(connection, source.name):
            step = await _end_missing(connection, source, sweep, believe=believe)
        doubted = sweep.doubted + 1 if step.doubt else 0
    await write_checkpoint(
        connection,
        source.name,
        CheckpointRow(
            last_id=page.records[-1].external_id if page.records else None,
            last_timestamp=max((listing.observed_at for listing in listings), default=None),
            position=None if page.position is None else msgspec.json.encode(page.position),
            sweep_started_at=None if complete else sweep.started_at,
            sweep_dirty=sweep.dirty and not complete,
            sweep_emptied=sweep.emptied and not complete,
            doubted_sweeps=doubted,
            last_sweep_at=sweep.started_at if complete else None,
        ),
        now,
    )
    return step


async def _with_page(connection: Connection, source: Source, page: Page) -> _Sweep:
    before = await read_checkpoint(connection, source.name)
    saved = await save_page(
        connection,
        source.name,
        page.group,
        page.number,
        _external_ids(page),
        ends_group=page.ends_group,
    )
    if before is None:
        return _Sweep(page.fetched_at, None, saved.changed, saved.emptied, 0)
    return _Sweep(
        started_at=before.sweep_started_at or page.fetched_at,
        last_at=before.last_sweep_at,
        dirty=saved.changed or before.sweep_dirty,
        emptied=saved.emptied or before.sweep_emptied,
        doubted=before.doubted_sweeps,
    )


async def _end_missing(
    connection: Connection, source: Source, sweep: _Sweep, *, believe: bool
) -> SweepStep:
    missing = await count_missing(connection, source.name)
    doubtful = not believe and is_doubtful(missing, emptied=sweep.emptied, doubted=sweep.doubted)
    held = doubtful and sweep.doubted < AGREEING_SWEEPS
    ended = await mark_missing(
        connection,
        source.name,
        sweep_started_at=sweep.started_at,
        previous_sweep_at=sweep.last_at,
        # Where several sweeps had to agree, only what each of them missed is ended.
        missed_sweeps=0 if held else 2 if doubtful else source.missed_sweeps,
    )
    return SweepStep(
        ended, _sentence(source.name, missing, AGREEING_SWEEPS - sweep.doubted) if held else None
    )


def _sentence(source: str, missing: MissingListings, left: int) -> str:
    which = "the next sweep agrees" if left == 1 else f"the next {left} sweeps agree"
    return (
        f"{missing.missing:,} of {missing.active:,} active listings are missing from {source}: that looks like a fault "
        f"of the source, so none of them was ended. They end when {which}, or with a full refresh "
        f"(`kasparro trigger --source {source} --full`)."
    )


def _external_ids(page: Page) -> list[str]:
    """Return every external id that the page holds, readable or not, sorted: what its source still sends."""
    found = {record.external_id for record in page.records}
    found.update(rejection.external_id for rejection in page.rejections if rejection.external_id)
    return sorted(found)
