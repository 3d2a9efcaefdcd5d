"""Loaders: what the fields of one level ask for, one by one, is read with one statement.

They remember nothing: a context may live as long as a subscription does, and each message must show
what is true then.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import msgspec
from strawberry.dataloader import DataLoader

from db.connect.types import Connection
from db.read.candles import (
    CandleRow,
    CandleSpan,
    HistoryPart,
    PricePointRow,
    candles_of,
    history_of,
)
from db.read.coins import CoinRow, coins_by_id, coins_by_ticker
from db.read.listings import (
    ListingKey,
    ListingRow,
    PayloadKey,
    listings_by_key,
    listings_of_tickers,
    newest_payloads,
)
from db.read.requests import RequestRow, requests_by_id
from db.read.runs import (
    RejectionRow,
    RunRow,
    count_rejections,
    last_runs,
    rejections_of_runs,
    runs_by_id,
    runs_of_requests,
)
from db.read.sources import SourceCheckpointRow, checkpoints_of_sources, listing_counts
from db.source_files import SourceFileRow, files_of_sources

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Missing = TypeVar("Missing")

Reading = Callable[[], AbstractAsyncContextManager[Connection]]
"""Takes a connection to read with, or one of the primary."""

Argument = TypeVar("Argument", bound=Hashable)
HistoryKey = tuple[str, HistoryPart]
CandlesKey = tuple[str, CandleSpan]
"""A ticker and what is wanted of it."""

RejectionsKey = tuple[int, int | None, int]
"""A run's number, the rejection's number after which to begin, and how many."""


def _batched(
    reading: Reading,
    read: Callable[[Connection, list[Key]], Awaitable[Mapping[Key, Value]]],
    missing: Callable[[], Missing],
) -> DataLoader[Key, Value | Missing]:
    async def load(keys: list[Key]) -> Sequence[Value | Missing]:
        async with reading() as connection:
            found = await read(connection, list(dict.fromkeys(keys)))
        return [found[key] if key in found else missing() for key in keys]

    return DataLoader(load_fn=load, cache=False)


def _none() -> None:
    return None


async def _contributing(
    connection: Connection, tickers: list[str]
) -> Mapping[str, list[ListingRow]]:
    return await listings_of_tickers(connection, tickers, contributing=True)


async def _rivals(connection: Connection, tickers: list[str]) -> Mapping[str, list[ListingRow]]:
    return await listings_of_tickers(connection, tickers, contributing=False)


async def _rejections(
    connection: Connection, keys: list[RejectionsKey]
) -> Mapping[RejectionsKey, list[RejectionRow]]:
    """Read with one statement for each pair of arguments; a document has few of those, whatever the number of runs."""
    runs: defaultdict[tuple[int | None, int], list[int]] = defaultdict(list)
    for run, after, limit in keys:
        runs[after, limit].append(run)
    found: dict[RejectionsKey, list[RejectionRow]] = {}
    for (after, limit), numbers in runs.items():
        read = await rejections_of_runs(connection, numbers, after, limit)
        found.update({(run, after, limit): rows for run, rows in read.items()})
    return found


async def _history(
    connection: Connection, keys: list[HistoryKey]
) -> Mapping[HistoryKey, list[PricePointRow]]:
    """Read with one statement for each set of arguments, whatever the number of coins."""
    found: dict[HistoryKey, list[PricePointRow]] = {}
    for part, tickers in _by_argument(keys).items():
        read = await history_of(connection, tickers, part)
        found.update({(ticker, part): rows for ticker, rows in read.items()})
    return found


async def _candles(
    connection: Connection, keys: list[CandlesKey]
) -> Mapping[CandlesKey, list[CandleRow]]:
    """Read with one statement for each set of arguments, whatever the number of coins."""
    found: dict[CandlesKey, list[CandleRow]] = {}
    for span, tickers in _by_argument(keys).items():
        read = await candles_of(connection, tickers, span)
        found.update({(ticker, span): rows for ticker, rows in read.items()})
    return found


def _by_argument(keys: list[tuple[str, Argument]]) -> dict[Argument, list[str]]:
    tickers: defaultdict[Argument, list[str]] = defaultdict(list)
    for ticker, argument in keys:
        tickers[argument].append(ticker)
    return tickers


class Loaders:
    """One loader for each thing that a field asks for by a key."""

    def __init__(self, reading: Reading, writing: Reading) -> None:
        # A replica may lag behind: who has just made a request must find it, so the primary is
        # asked.
        self.coins: DataLoader[str, CoinRow | None] = _batched(reading, coins_by_ticker, _none)
        self.coins_by_id: DataLoader[str, CoinRow | None] = _batched(reading, coins_by_id, _none)
        self.listings: DataLoader[ListingKey, ListingRow | None] = _batched(
            reading, listings_by_key, _none
        )
        self.contributing: DataLoader[str, list[ListingRow]] = _batched(
            reading, _contributing, list
        )
        self.rivals: DataLoader[str, list[ListingRow]] = _batched(reading, _rivals, list)
        self.payloads: DataLoader[PayloadKey, msgspec.Raw | None] = _batched(
            reading, newest_payloads, _none
        )
        self.runs: DataLoader[int, RunRow | None] = _batched(reading, runs_by_id, _none)
        self.last_runs: DataLoader[str, RunRow | None] = _batched(reading, last_runs, _none)
        self.rejections: DataLoader[RejectionsKey, list[RejectionRow]] = _batched(
            reading, _rejections, list
        )
        self.rejection_counts: DataLoader[int, int] = _batched(reading, count_rejections, int)
        self.history: DataLoader[HistoryKey, list[PricePointRow]] = _batched(
            reading, _history, list
        )
        self.candles: DataLoader[CandlesKey, list[CandleRow]] = _batched(reading, _candles, list)
        self.requests: DataLoader[int, RequestRow | None] = _batched(writing, requests_by_id, _none)
        self.runs_of_requests: DataLoader[int, list[RunRow]] = _batched(
            writing, runs_of_requests, list
        )
        self.checkpoints: DataLoader[str, SourceCheckpointRow | None] = _batched(
            reading, checkpoints_of_sources, _none
        )
        self.files: DataLoader[str, list[SourceFileRow]] = _batched(reading, files_of_sources, list)
        self.listing_counts: DataLoader[str, int] = _batched(reading, listing_counts, int)
