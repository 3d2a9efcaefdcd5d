"""Lists of objects that are JSON in a column of their row: decoded, and written as they are asked for."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from db.notes import decode_notes
from server.compiler.compiling import SelectedField
from server.compiler.fields import Values
from server.compiler.projection import Rows, rows_of_structs
from server.graphql.types.coin import PROVENANCE_FIELDS, provenance_of


class ProvenanceRelation:
    """Coin.provenance: JSON in a column."""

    needs = frozenset({"provenance", *PROVENANCE_FIELDS})

    def __init__(self, field: SelectedField) -> None:
        self._selection = field.selection()

    def values(self, rows: Rows) -> Values:
        """Return each coin's entries."""
        values = zip(*(rows.columns[name] for name in PROVENANCE_FIELDS), strict=True)
        entries = list(map(provenance_of, rows.columns["provenance"], values))  # type: ignore[arg-type]  # a column's values are objects here
        written = self._selection.write_plain(
            rows_of_structs(self._selection.needs, list(chain.from_iterable(entries)))
        )
        return parted(written, map(len, entries))


class Notes:
    """Run.notes."""

    needs = frozenset({"notes"})

    def __init__(self, field: SelectedField) -> None:
        self._selection = field.selection()

    def values(self, rows: Rows) -> Values:
        """Return each run's notes."""
        notes = list(map(decode_notes, rows.columns["notes"]))  # type: ignore[arg-type]  # a column's values are objects here
        written = self._selection.write_plain(
            rows_of_structs(self._selection.needs, list(chain.from_iterable(notes)))
        )
        return parted(written, map(len, notes))


class Inside:
    """A list of objects that stands in a column."""

    def __init__(self, field: SelectedField, column: str) -> None:
        self.needs = frozenset({column})
        self._column = column
        self._selection = field.selection()

    def values(self, rows: Rows) -> Values:
        """Return each row's objects."""
        lists: list[Sequence[Any]] = list(rows.columns[self._column])  # type: ignore[arg-type]  # a column's values are objects here
        entries = rows_of_structs(self._selection.needs, list(chain.from_iterable(lists)))
        return parted(self._selection.write_plain(entries), map(len, lists))


def parted(values: Sequence[Any], counts: Iterable[int]) -> list[Sequence[Any]]:
    """Return consecutive parts of `values`, so long as `counts` says."""
    parts, start = [], 0
    for count in counts:
        parts.append(values[start : start + count])
        start += count
    return parts
