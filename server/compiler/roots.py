"""The fields of Query: each reads with one statement what it is asked for, and leaves the rest to the links."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from db.connect.types import Connection
from db.demo import is_demo
from db.read.coins import count_coins
from db.read.listings import count_listings
from db.read.runs import RunRow
from db.read.sources import all_sources
from db.read.stats import last_failure, last_success
from server.compiler.arguments import RunTime
from server.compiler.compiling import CompileRequest
from server.compiler.nodes import NodeById, coin, listing, nodes_by_id, run_by_id
from server.compiler.pages import coins, listings, runs
from server.compiler.projection import FieldSelection, rows_of_structs


class Root(Protocol):
    """A field of Query."""

    async def read(self, run: RunTime) -> object:
        """Return its value in the response."""


class SourcesRoot:
    """sources."""

    def __init__(self, asked: CompileRequest) -> None:
        self._selection = asked.selection()

    async def read(self, run: RunTime) -> object:
        """Read all of them."""
        rows = await all_sources(run.connection)
        return await self._selection.write(rows_of_structs(self._selection.needs, rows), run)


class StatsRoot:
    """stats: each field reads for itself."""

    _VALUES: Mapping[str, Callable[[Connection], Awaitable[int | bool]]] = {
        "isDemo": is_demo,
        "totalNormalized": count_coins,
        "totalListings": count_listings,
    }
    _RUNS: Mapping[str, Callable[[Connection], Awaitable[RunRow | None]]] = {
        "lastSuccess": last_success,
        "lastFailure": last_failure,
    }

    def __init__(self, asked: CompileRequest) -> None:
        self._type_name = asked.type.name
        self._fields = {
            name: None
            if field is None
            else (field.name, field.selection() if field.name in self._RUNS else None)
            for name, field in asked.fields().items()
        }

    async def read(self, run: RunTime) -> object:
        """Read what is asked for."""
        return {name: await self._value(field, run) for name, field in self._fields.items()}

    async def _value(self, field: tuple[str, FieldSelection | None] | None, run: RunTime) -> object:
        if field is None:
            return self._type_name
        name, selection = field
        if selection is None:
            return await self._VALUES[name](run.connection)
        row = await self._RUNS[name](run.connection)
        written = await selection.write(
            rows_of_structs(selection.needs, [] if row is None else [row]), run
        )
        return written[0] if written else None


ROOTS: Mapping[str, Callable[[CompileRequest], Root]] = {
    "coin": coin,
    "coins": coins,
    "listing": listing,
    "listings": listings,
    "node": NodeById,
    "nodes": nodes_by_id,
    "run": run_by_id,
    "runs": runs,
    "sources": SourcesRoot,
    "stats": StatsRoot,
}
"""Every field of Query."""
