"""The fields of Query: each reads its rows with one statement, and relations the rest."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from graphql import get_nullable_type, is_leaf_type

from db.read.sources import all_sources
from server.compiler.arguments import RunTime
from server.compiler.compiling import SelectedField
from server.compiler.nodes import NodeById, NodesById, asset, coin, listing, run_by_id
from server.compiler.pages import ConnectionRoot
from server.compiler.projection import FieldSelection, rows_of_structs
from server.graphql.types.fields import ReadFigure, declaration_of


class Root(Protocol):
    """A field of Query."""

    async def read(self, run: RunTime) -> object:
        """Return its value in the response."""


class SourcesRoot:
    """sources."""

    def __init__(self, field: SelectedField) -> None:
        self._selection = field.selection()

    async def read(self, run: RunTime) -> object:
        """Read all sources."""
        rows = await all_sources(run.connection)
        return await self._selection.write(rows_of_structs(self._selection.needs, rows), run)


class StatsRoot:
    """stats: each field has its own statement."""

    def __init__(self, field: SelectedField) -> None:
        self._type_name = field.object_type.name
        self._figures = {
            name: None if figure is None else _figure(figure)
            for name, figure in field.fields().items()
        }

    async def read(self, run: RunTime) -> object:
        """Read the selected figures."""
        return {name: await self._value(figure, run) for name, figure in self._figures.items()}

    async def _value(
        self, figure: tuple[ReadFigure, FieldSelection | None] | None, run: RunTime
    ) -> object:
        if figure is None:
            return self._type_name
        read, selection = figure
        value: Any = await read(run.connection)
        if selection is None or value is None:
            return value
        return (await selection.write(rows_of_structs(selection.needs, [value]), run))[0]


def _figure(field: SelectedField) -> tuple[ReadFigure, FieldSelection | None]:
    read: ReadFigure = declaration_of(field.definition).source
    is_leaf = is_leaf_type(get_nullable_type(field.definition.type))
    return read, None if is_leaf else field.selection()


ROOTS: Mapping[str, Callable[[SelectedField], Root]] = {
    "asset": asset,
    "assets": ConnectionRoot,
    "coin": coin,
    "coins": ConnectionRoot,
    "listing": listing,
    "listings": ConnectionRoot,
    "markets": ConnectionRoot,
    "node": NodeById,
    "nodes": NodesById,
    "run": run_by_id,
    "runs": ConnectionRoot,
    "sources": SourcesRoot,
    "stats": StatsRoot,
    "streamGaps": ConnectionRoot,
    "token": asset,
}
"""Every field of Query."""
