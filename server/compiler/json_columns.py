"""Lists of objects in columns of their row, such as the notes of a run."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from server.compiler.compiling import SelectedField
from server.compiler.fields import Values
from server.compiler.projection import Rows, rows_of_structs
from server.graphql.types.fields import NestedList


class NestedListPart:
    """A list, compiled from its declaration."""

    def __init__(self, field: SelectedField, nested: NestedList) -> None:
        self.needs = frozenset(nested.columns)
        self._nested = nested
        self._selection = field.selection()

    def values(self, rows: Rows) -> Values:
        """Return the objects of each row."""
        columns = [rows.columns[name] for name in self._nested.columns]
        lists = list(map(self._nested.decode, *columns))
        objects = rows_of_structs(self._selection.needs, list(chain.from_iterable(lists)))
        return split(self._selection.write_plain(objects), map(len, lists))


def split(values: Sequence[Any], counts: Iterable[int]) -> list[Sequence[Any]]:
    """Return consecutive parts of `values`; `counts` are their lengths."""
    parts, start = [], 0
    for count in counts:
        parts.append(values[start : start + count])
        start += count
    return parts
