"""The sweep, one complete reading of a source: its progress, and the listings that it misses."""

import datetime
from collections.abc import Sequence

import msgspec

from db.connect.types import Connection
from db.write.checkpoints import CheckpointRow, read_checkpoint, write_checkpoint
from db.write.missing_listings import (
    MissingListings,
    any_missing,
    count_missing,
    mark_missing,
)
from db.write.source_pages import delete_other_groups, save_page
from ingestor.sources.records import Listing, Page, Source

MAX_MISSING = 20
MAX_MISSING_SHARE = 0.1
"""More missing listings than both (the second of the active ones) point to a faulty source."""
AGREEING_SWEEPS = 2
"""How many sweeps in a row must agree with a doubted one before its listings end."""


class SweepStep(msgspec.Struct, frozen=True):
    """The result of a page for its sweep: tickers of ended listings, or why none was ended."""

    ended_tickers: frozenset[str] = frozenset()
    doubt: str | None = None


class _Sweep(msgspec.Struct, frozen=True):
    """The sweep under way, after this page; `doubted` counts the doubted sweeps just before it."""

    started_at: datetime.datetime
    last_at: datetime.datetime | None
    dirty: bool
    emptied: bool
    doubted: int


def is_doubtful(missing: MissingListings, *, emptied: bool, doubted: int) -> bool:
    """Return whether the missing listings look like a fault of the source.

    `emptied` says that a page is empty which held records in the previous sweep.
    """
    if not missing.missing:
        return False
    too_many = missing.missing > max(MAX_MISSING, MAX_MISSING_SHARE * missing.active)
    return too_many or emptied or doubted > 0


async def advance_sweep(
    connection: Connection,
    source: Source,
    page: Page,
    listings: Sequence[Listing],
    now: datetime.datetime,
    *,
    accept_missing: bool,
) -> SweepStep:
    """Save the page of the sweep and the checkpoint; `listings` are those that it changed.

    The end of the sweep ends the listings that it misses. If many are missing (`is_doubtful`),
    AGREEING_SWEEPS more sweeps must agree first, unless `accept_missing` is set.
    """
    sweep = await _add_page(connection, source, page)
    step, doubted = SweepStep(), sweep.doubted
    complete = page.sweep_groups is not None
    if page.sweep_groups is not None:
        changed = (
            await delete_other_groups(connection, source.name, page.sweep_groups) or sweep.dirty
        )
        if changed or await any_missing(connection, source.name):
            step = await _end_missing(connection, source, sweep, accept_missing=accept_missing)
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


async def _add_page(connection: Connection, source: Source, page: Page) -> _Sweep:
    before = await read_checkpoint(connection, source.name)
    change = await save_page(
        connection,
        source.name,
        page.group,
        page.number,
        _external_ids(page),
        ends_group=page.ends_group,
    )
    if before is None:
        return _Sweep(page.fetched_at, None, change.changed, change.emptied, 0)
    return _Sweep(
        started_at=before.sweep_started_at or page.fetched_at,
        last_at=before.last_sweep_at,
        dirty=change.changed or before.sweep_dirty,
        emptied=change.emptied or before.sweep_emptied,
        doubted=before.doubted_sweeps,
    )


async def _end_missing(
    connection: Connection, source: Source, sweep: _Sweep, *, accept_missing: bool
) -> SweepStep:
    missing = await count_missing(connection, source.name)
    doubtful = not accept_missing and is_doubtful(
        missing, emptied=sweep.emptied, doubted=sweep.doubted
    )
    postpone = doubtful and sweep.doubted < AGREEING_SWEEPS
    tickers = await mark_missing(
        connection,
        source.name,
        sweep_started_at=sweep.started_at,
        previous_sweep_at=sweep.last_at,
        # If several sweeps had to agree, end only the listings that each of them missed.
        missed_sweeps=0 if postpone else 2 if doubtful else source.missed_sweeps,
    )
    return SweepStep(
        tickers,
        _sentence(source.name, missing, AGREEING_SWEEPS - sweep.doubted) if postpone else None,
    )


def _sentence(source: str, missing: MissingListings, left: int) -> str:
    which = "the next sweep agrees" if left == 1 else f"the next {left} sweeps agree"
    return (
        f"{missing.missing:,} of {missing.active:,} active listings are missing from {source}: "
        f"that looks like a fault of the source, so none of them was ended. They end "
        f"when {which}, or with a full refresh (`kasparro trigger --source {source} --full`)."
    )


def _external_ids(page: Page) -> list[str]:
    """Return all external ids of the page, readable or not, sorted."""
    ids = {record.external_id for record in page.records}
    ids.update(rejection.external_id for rejection in page.rejections if rejection.external_id)
    return sorted(ids)
