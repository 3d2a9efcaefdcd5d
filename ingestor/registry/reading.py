"""Read the registry of one source: fetch its bodies, then write everything in one transaction."""

import contextlib
import datetime
import functools
import sys
from collections.abc import Iterable, Mapping
from typing import Protocol

import anyio
import msgspec
import structlog
from anyio import to_thread

from common.backoff import BackoffPolicy
from db.connect.pool import borrow
from db.connect.types import Connection, Pool
from db.notes import Note, merge_notes
from db.write.api_calls import add_calls, count_calls
from db.write.identity.addresses import ListedAddress, replace_addresses, stored_chains
from db.write.registry import (
    WHOLE,
    RegistryPart,
    StoredPart,
    count_registry_failure,
    forget_parts,
    read_parts,
    read_registry_schedule,
    save_body,
    save_parts,
    set_registry_due,
)
from db.write.transaction import write_transaction
from ingestor.clock import utc_now
from ingestor.registry.regroup import regroup
from ingestor.run.heartbeat import keep_alive
from ingestor.run.lifecycle import source_lock
from ingestor.run.remerge import merge_again
from ingestor.sources.errors import SourceError, SourceUnavailableError
from ingestor.sources.records import AddressPage, SupportsAddresses, SupportsCallBudget

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_log = structlog.stdlib.get_logger(__name__)

RETRY = BackoffPolicy(first_seconds=300.0, longest_seconds=6 * 3600.0)
"""The wait after a reading that failed, by how many failed in a row."""
MIN_ADDRESSES = 20
"""A part with fewer may lose any share of them at once."""
DOUBTED_READINGS = 2
"""How often a part that lost more than half of its addresses is not believed."""
TIMEOUT_SECONDS = 1800.0
NOT_READ = "not read: "
"""The subject of a note on a part that could not be read begins so."""


class NamedRegistry(SupportsAddresses, Protocol):
    """A source that has a registry, and its name."""

    name: str


class ReadRegistry(msgspec.Struct, frozen=True):
    """The result of a reading: its counts, and the tickers of the coins that it changed."""

    parts: int
    listings: int
    addresses: int
    changed: int
    coins: list[str]
    notes: tuple[Note, ...]


class _Pages(msgspec.Struct, frozen=True):
    """The pages of a reading: those that are believed, and by part why another one is not."""

    read: list[AddressPage]
    failures: dict[str, str]
    doubtful_chains: frozenset[str]
    """No address on these is removed."""
    is_whole: bool
    """One page has all chains of the source, and is not believed."""


async def read_registry(
    pool: Pool,
    source: NamedRegistry,
    *,
    hours: int,
    full: bool = False,
) -> ReadRegistry | None:
    """Read the registry of `source` if it is due, or with `full` in any case.

    Returns None if it is not due, if another ingestor reads it, or if the reading failed; a failure
    is stored with the time of the next attempt, and does not touch what was read before.
    """
    async with borrow(pool) as connection, source_lock(connection, _lock(source.name)) as taken:
        if not taken or not (full or await is_due(connection, source.name, hours)):
            return None
        try:
            pages = await _fetch(pool, connection, source)
        except SourceError as error:
            await _fail(connection, source.name, error)
            return None
        result = await _write(connection, source.name, pages, hours)
    await _log.ainfo(
        "registry.read",
        source=source.name,
        bodies=result.parts,
        listings=result.listings,
        addresses=result.addresses,
        changed=result.changed,
        coins=len(result.coins),
        notes=sum(note.count for note in result.notes),
    )
    return result


def _lock(source: str) -> str:
    return f"registry of {source}"  # no source's name has a space


async def is_due(connection: Connection, source: str, hours: int) -> bool:
    """Return whether a registry is due: its source has had prices, and its time has come."""
    schedule = await read_registry_schedule(connection, source)
    seconds = (schedule.due_at - utc_now()).total_seconds()
    # The setting was made smaller, or a clock was wrong.
    return schedule.has_prices and (seconds <= 0 or seconds > hours * 3600)


async def _fetch(pool: Pool, connection: Connection, source: NamedRegistry) -> list[AddressPage]:
    """Return all pages. Raises SourceError."""
    await _prepare_calls(pool, connection, source)
    pages = []
    with anyio.move_on_after(TIMEOUT_SECONDS) as deadline:
        async with keep_alive(connection), contextlib.aclosing(source.addresses()) as reading:
            async for page in reading:
                pages.append(page)  # noqa: PERF401 - closed when the deadline passes
    if deadline.cancelled_caught:
        raise SourceUnavailableError(
            f"{source.name} took longer than {TIMEOUT_SECONDS:g} s to send its registry"
        )
    return pages


async def _prepare_calls(pool: Pool, connection: Connection, source: NamedRegistry) -> None:
    """Let calls be counted. Raises SourceUnavailableError if the month has none left."""
    if not isinstance(source, SupportsCallBudget):
        return
    now = utc_now()
    if not source.spare_calls(await count_calls(connection, source.name, now), now):
        raise SourceUnavailableError(
            f"{source.name} has no calls left this month beside those of the polls to come "
            f"({source.budget_variable})"
        )
    source.count_calls(functools.partial(_count_call, pool, source.name))


async def _count_call(pool: Pool, source: str) -> None:
    async with borrow(pool) as connection:
        await add_calls(connection, source, 1, utc_now())


async def _fail(connection: Connection, source: str, error: SourceError) -> None:
    failures = await count_registry_failure(connection, source, WHOLE, str(error))
    now = utc_now()
    retry_at = now + datetime.timedelta(seconds=RETRY.delay_seconds(failures))
    if isinstance(error, SourceUnavailableError) and error.retry_at is not None:
        retry_at = max(retry_at, error.retry_at)
    await set_registry_due(connection, source, retry_at)
    await _log.awarning(
        "registry.failed",
        source=source,
        reason=str(error),
        failures=failures,
        retry_seconds=round((retry_at - now).total_seconds()),
    )


def judge(pages: Iterable[AddressPage], stored: Mapping[str, StoredPart]) -> _Pages:
    """Return which pages are believed: not one that failed, or that lost most of its addresses."""
    read, failures, doubtful, is_whole = [], {}, set[str](), False
    for page in pages:
        failure = page.failure or _doubt(page, stored.get(page.part))
        if failure is None:
            read.append(page)
            continue
        failures[page.part] = failure
        is_whole = is_whole or page.chains is None
        doubtful.update(page.chains or ())
    return _Pages(read, failures, frozenset(doubtful), is_whole)


def _doubt(page: AddressPage, before: StoredPart | None) -> str | None:
    if before is None or before.addresses < MIN_ADDRESSES or before.failures >= DOUBTED_READINGS:
        return None
    if len(page.addresses) * 2 >= before.addresses:
        return None
    return (
        f"{page.part} has {len(page.addresses):,} addresses, it had {before.addresses:,}: that "
        f"looks like a fault, so none was removed; the reading after the next is believed"
    )


async def _write(
    connection: Connection,
    source: str,
    fetched: list[AddressPage],
    hours: int,
) -> ReadRegistry:
    """Write the pages, the groups and the coins that follow from them."""
    now = utc_now()
    packed = await to_thread.run_sync(_pack, fetched)
    async with write_transaction(connection) as outbox:
        pages = judge(fetched, await read_parts(connection, source))
        changed, tickers = await _write_addresses(connection, source, pages, now)
        coins = await merge_again(outbox, tickers, now)
        for page in fetched:
            if page.failure is None:
                await save_body(
                    connection,
                    source,
                    page.part,
                    page.fetched_at,
                    body=page.body,
                    packed=packed[page.part],
                )
        parts = await _save_parts(connection, source, pages, now, hours)
    return ReadRegistry(
        parts=len(pages.read),
        listings=parts.listings,
        addresses=parts.addresses,
        changed=changed,
        coins=coins,
        notes=parts.notes,
    )


def _pack(pages: list[AddressPage]) -> dict[str, bytes]:
    return {page.part: zstd.compress(page.body) for page in pages if page.failure is None}


async def _write_addresses(
    connection: Connection, source: str, pages: _Pages, now: datetime.datetime
) -> tuple[int, frozenset[str]]:
    """Replace the addresses of the source; return how many changed, and the tickers to merge."""
    given = [address for page in pages.read for address in page.addresses]
    chains: set[str] | None = None
    if pages.is_whole or pages.doubtful_chains:
        known = set() if pages.is_whole else await stored_chains(connection, source)
        chains = (known | {each.token.chain for each in given}) - pages.doubtful_chains
    changed = await replace_addresses(connection, source, given, now, chains=chains)
    return len(changed), await regroup(connection, source, changed)


async def _save_parts(
    connection: Connection, source: str, pages: _Pages, now: datetime.datetime, hours: int
) -> RegistryPart:
    """Save the reading of each part and of the whole; return the latter."""
    for part, error in pages.failures.items():
        await count_registry_failure(connection, source, part, error)
    await forget_parts(connection, source, [*(page.part for page in pages.read), *pages.failures])
    notes = [note for page in pages.read for note in page.notes]
    notes += [Note(NOT_READ + part, error) for part, error in pages.failures.items()]
    given = [address for page in pages.read for address in page.addresses]
    whole = _part(WHOLE, given, tuple(merge_notes(notes)))
    parts = [_part(page.part, page.addresses, page.notes) for page in pages.read]
    due_at = now + datetime.timedelta(hours=hours)
    await save_parts(connection, source, [*parts, whole], now, due_at)
    return whole


def _part(name: str, addresses: list[ListedAddress], notes: tuple[Note, ...]) -> RegistryPart:
    listings = len({each.external_id for each in addresses})
    return RegistryPart(part=name, listings=listings, addresses=len(addresses), notes=notes)
