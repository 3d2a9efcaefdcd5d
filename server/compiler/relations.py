"""Links: what belongs to the objects of a list is read with one statement for all of them, as the loaders do it."""

import datetime
import functools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from itertools import chain
from typing import Any

import msgspec
import strawberry

from db.connect.types import Connection
from db.read.candle_json import UNQUOTED, candle_texts
from db.read.candles import history_of
from db.read.coins import COINS
from db.read.listings import LISTINGS, listings_of_tickers_statement, newest_payloads
from db.read.runs import count_rejections, last_runs, rejections_of_runs, runs_of_requests
from db.read.sources import checkpoints_of_sources, listing_counts
from db.source_files import files_of_sources
from server.compiler.arguments import RunTime
from server.compiler.compiling import CompileRequest
from server.compiler.connections import ConnectionSelection, View
from server.compiler.errors import NotOursError
from server.compiler.fields import Values
from server.compiler.json_columns import Inside, Notes, ProvenanceRelation, parted
from server.compiler.projection import (
    LeafSelection,
    Link,
    PlainField,
    Rows,
    TypeName,
    rows_of_records,
    rows_of_structs,
)
from server.graphql.types.arguments import given
from server.graphql.types.history import CandleInterval, HistoryValue, candle_span, history_part
from server.graphql.types.rejections import RejectionsValue
from server.graphql.types.run import rejections_part

_UNSET: Any = strawberry.UNSET


def _unique(values: Values) -> list[Any]:
    return list(dict.fromkeys(values))


class ListingsRelation:
    """Coin.listings and Coin.rivals."""

    needs = frozenset({"ticker"})

    def __init__(self, asked: CompileRequest, *, contributing: bool) -> None:
        self._selection = asked.selection()
        query = LISTINGS.narrow(self._selection.needs | {"ticker"})
        self._names = [name for name, _ in query.columns]
        self._statement = listings_of_tickers_statement(query)
        self._contributing = contributing

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the listings of all tickers."""
        tickers = rows.columns["ticker"]
        if not tickers:
            return []
        records = await run.connection.fetch(self._statement, _unique(tickers), self._contributing)
        found = rows_of_records(self._names, records)
        groups: defaultdict[object, list[object]] = defaultdict(list)
        for ticker, listing in zip(
            found.columns["ticker"], await self._selection.write(found, run), strict=True
        ):
            groups[ticker].append(listing)
        return [groups.get(ticker, ()) for ticker in tickers]


class CoinOfListingRelation:
    """Listing.coin."""

    needs = frozenset({"ticker", "contributes"})

    def __init__(self, asked: CompileRequest) -> None:
        self._selection = asked.selection()
        query = COINS.narrow(self._selection.needs | {"ticker"})
        self._names = [name for name, _ in query.columns]
        self._statement = query.select("WHERE n.ticker = ANY ($1::text[])")

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the coins of the listings that give to one."""
        sides = list(zip(rows.columns["ticker"], rows.columns["contributes"], strict=True))
        tickers = _unique([ticker for ticker, contributes in sides if contributes])
        if not tickers:
            return [None] * rows.count
        found = rows_of_records(self._names, await run.connection.fetch(self._statement, tickers))
        coins = dict(
            zip(found.columns["ticker"], await self._selection.write(found, run), strict=True)
        )
        return [coins.get(ticker) if contributes else None for ticker, contributes in sides]


class PayloadRelation:
    """Listing.payload."""

    needs = frozenset({"source", "external_id", "content_hash"})

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the newest payloads of all listings."""
        keys: list[Any] = list(
            zip(
                *(rows.columns[name] for name in ("source", "external_id", "content_hash")),
                strict=True,
            )
        )
        payloads = await newest_payloads(run.connection, _unique(keys)) if keys else {}
        return [payloads.get(key) for key in keys]


class CandlesRelation:
    """Coin.candles: written by PostgreSQL."""

    needs = frozenset({"ticker"})

    def __init__(self, asked: CompileRequest) -> None:
        self._wanted = asked.argument(_candles_wanted)
        self._columns, self._pieces = _candle_pieces(asked)

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the candles of all tickers."""
        tickers = rows.columns["ticker"]
        if not tickers:
            return []
        interval, start, end = self._wanted.of(run)
        span = candle_span(interval, start, end or run.now)
        texts = await candle_texts(
            run.connection, _unique(tickers), span, self._columns, self._pieces
        )
        return [msgspec.Raw(f"[{texts[ticker] or ''}]".encode()) for ticker in tickers]  # type: ignore[index]  # tickers are texts


def _candles_wanted(
    interval: CandleInterval,
    start: datetime.datetime | None = _UNSET,
    end: datetime.datetime | None = _UNSET,
) -> tuple[str, datetime.datetime | None, datetime.datetime | None]:
    return interval.name, given(start), given(end)


def _candle_pieces(asked: CompileRequest) -> tuple[tuple[str, ...], list[str]]:
    """Return the columns of a candle and the text before, between and after them."""
    columns: list[str] = []
    pieces, piece = [], "{"
    for number, (name, part) in enumerate(asked.selection().parts.items()):
        piece += f'{"," * (number > 0)}"{name}":'
        if isinstance(part, TypeName):
            piece += f'"{part.name}"'
        elif isinstance(part, LeafSelection):
            quote = '"' * (part.column.name not in UNQUOTED)
            columns.append(part.column.name)
            pieces.append(piece + quote)
            piece = quote
        else:
            raise NotOursError
    return tuple(columns), [*pieces, piece + "}"]


class HistoryRelation:
    """Coin.history."""

    needs = frozenset({"ticker"})

    def __init__(self, asked: CompileRequest) -> None:
        self._part = asked.argument(history_part)
        self._connection = ConnectionSelection(asked)

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read a page of points of each ticker."""
        tickers: Any = rows.columns["ticker"]
        part = self._part.of(run)
        found = await history_of(run.connection, _unique(tickers), part) if tickers else {}
        return [await self._written(HistoryValue(found[ticker], part), run) for ticker in tickers]

    async def _written(self, page: HistoryValue, run: RunTime) -> object:
        rows = rows_of_structs(self._connection.needs, page.nodes)
        return await self._connection.write(
            View(rows, lambda: [edge.cursor for edge in page.edges], page.page_info, _none), run
        )


async def _none() -> int:
    raise NotOursError


class RejectionsRelation:
    """Run.rejections."""

    needs = frozenset({"id"})

    def __init__(self, asked: CompileRequest) -> None:
        self._part = asked.argument(rejections_part)
        self._connection = ConnectionSelection(asked)

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read a page of rejections of each run, and how many each has where that is asked for."""
        numbers: Any = rows.columns["id"]
        if not numbers:
            return []
        limit, after = self._part.of(run)
        found = await rejections_of_runs(run.connection, _unique(numbers), after, limit + 1)
        counts = (
            await count_rejections(run.connection, _unique(numbers))
            if self._connection.counts
            else {}
        )
        written = []
        for number in numbers:
            count = functools.partial(_count, counts.get(number, 0))
            written.append(
                await self._written(
                    RejectionsValue(found.get(number, []), limit, after, count), run
                )
            )
        return written

    async def _written(self, page: RejectionsValue, run: RunTime) -> object:
        rows = rows_of_structs(self._connection.needs, page.nodes)
        view = View(
            rows,
            lambda: [edge.cursor for edge in page.edges],
            page.page_info,
            lambda: page.total_count,
        )
        return await self._connection.write(view, run)


async def _count(number: int) -> int:
    return number


Read = Callable[[Connection, list[Any]], Awaitable[Mapping[Any, Any]]]


class _Keyed:
    def __init__(self, asked: CompileRequest, key: str, read: Read) -> None:
        self.needs = frozenset({key})
        self._key = key
        self._read = read
        self._selection = asked.selection()

    async def _found(self, keys: Values, run: RunTime) -> Mapping[Any, Any]:
        return await self._read(run.connection, _unique(keys)) if keys else {}

    async def _written(self, objects: Iterable[Any], run: RunTime) -> list[Any]:
        return await self._selection.write(
            rows_of_structs(self._selection.needs, list(objects)), run
        )


class OneRelation(_Keyed):
    """An object, or nothing, for each key."""

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the objects of all keys."""
        keys = rows.columns[self._key]
        found = await self._found(keys, run)
        written = await self._written(found.values(), run)
        objects: dict[Hashable, object] = dict(zip(found, written, strict=True))
        return [objects.get(key) for key in keys]


class ManyRelation(_Keyed):
    """A list of objects for each key."""

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Read the objects of all keys."""
        keys = rows.columns[self._key]
        found = await self._found(keys, run)
        lists = [found.get(key, ()) for key in keys]
        return parted(await self._written(chain.from_iterable(lists), run), map(len, lists))


class ListingCount:
    """Source.listingCount."""

    needs = frozenset({"name"})

    async def read(self, rows: Rows, run: RunTime) -> Values:
        """Count the listings of all sources."""
        names: Any = rows.columns["name"]
        counts = await listing_counts(run.connection, _unique(names)) if names else {}
        return [counts.get(name, 0) for name in names]


LINKS: Mapping[str, Callable[[CompileRequest], PlainField | Link]] = {
    "Coin.provenance": ProvenanceRelation,
    "Coin.listings": lambda asked: ListingsRelation(asked, contributing=True),
    "Coin.rivals": lambda asked: ListingsRelation(asked, contributing=False),
    "Coin.history": HistoryRelation,
    "Coin.candles": CandlesRelation,
    "Listing.coin": CoinOfListingRelation,
    "Listing.payload": lambda _: PayloadRelation(),
    "Run.notes": Notes,
    "Run.rejections": RejectionsRelation,
    "Source.listingCount": lambda _: ListingCount(),
    "Source.lastRun": lambda asked: OneRelation(asked, "name", last_runs),
    "Source.checkpoint": lambda asked: OneRelation(asked, "name", checkpoints_of_sources),
    "Source.files": lambda asked: ManyRelation(asked, "name", files_of_sources),
    "SourceFile.columns": lambda asked: Inside(asked, "columns"),
    "SourceFile.notes": lambda asked: Inside(asked, "notes"),
    "SourceFile.firstListings": lambda asked: Inside(asked, "first_listings"),
    "EtlRequest.runs": lambda asked: ManyRelation(asked, "id", runs_of_requests),
}
"""Every field that is more than columns of its row, by type and name."""
