"""The evidence of a table's cells, and the rules of reading that follow from it."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from db.notes import Note
from ingestor.sources.files.columns import (
    PAIRS,
    Columns,
    columns_of,
    header_key,
    says_percent,
)
from ingestor.sources.files.conflicts import Conflicts
from ingestor.sources.files.evidence import (
    ChangeEvidence,
    DateEvidence,
    IdEvidence,
    MarkEvidence,
    PairEvidence,
)
from ingestor.sources.files.layout import ReadingRules
from ingestor.sources.files.mapping import Mapping
from ingestor.sources.files.tables.table import Table

MONEY = ("price", "market_cap", "volume")
NUMBERS = (*MONEY, "circulating_supply", "total_supply", "max_supply", "change")
BARE_VOLUMES = ("volume", "vol", "volume24h", "24hvolume", "vol24h", "24hvol", "totalvolume")
"""Headers of a volume that do not name its unit."""

_Mark = Literal[",", "?"]
_Cells = Sequence[Sequence[str]]
"""The cells of some rows, by column."""


class TableEvidence:
    """The evidence of all rows, by column."""

    def __init__(
        self, headers: tuple[str, ...], columns: Columns, first: list[list[str]], size: int | None
    ) -> None:
        self._headers = headers
        self._place = {header: place for place, header in enumerate(headers)}
        self.columns = columns
        self._ids = IdEvidence()
        by_first = IdEvidence()
        if first:
            self._add_ids(by_first, list(zip(*first, strict=True)))
        without_id = msgspec.structs.replace(columns, id=None) if by_first.problem() else columns
        self.conflicts = Conflicts(without_id, self._place, size)
        self._marks = {role: MarkEvidence() for role in NUMBERS if getattr(columns, role)}
        self._dates = DateEvidence()
        self._change = ChangeEvidence()
        self._pairs = PairEvidence(is_pair_header=header_key(columns.symbol or "") in PAIRS)
        self._undated = 0

    def add(self, rows: list[list[str]]) -> None:
        """Add the evidence of more rows."""
        if not rows:
            return
        cells = list(zip(*rows, strict=True))
        for role, evidence in self._marks.items():
            evidence.add(self._column(role, cells))
        if self.columns.change:
            self._change.add(self._column("change", cells))
        if self.columns.symbol:
            self._pairs.add(self._column("symbol", cells))
        if self.columns.time:
            times = self._column("time", cells)
            self._dates.add(times)
            self._undated += sum(not time or time.isspace() for time in times)
        self._add_ids(self._ids, cells)
        self.conflicts.add(cells)

    def _column(self, role: str, cells: _Cells) -> Sequence[str]:
        return cells[self._place[getattr(self.columns, role)]]

    def _add_ids(self, ids: IdEvidence, cells: _Cells) -> None:
        if self.columns.id and self.columns.symbol:
            symbols = self._column("symbol", cells)
            names = self._column("name", cells) if self.columns.name else [""] * len(symbols)
            ids.add(self._column("id", cells), list(zip(symbols, names, strict=True)))

    def decide(
        self, mapping: Mapping, table: Table, symbol: str | None, name: str | None
    ) -> tuple[ReadingRules, list[Note]]:
        """Return the rules by which the rows are read, and the notes on them.

        Removes the id from `columns` if the rows contradict it.
        """
        notes = [*table.form.notes, *self._drop_invalid_id(), *self._time_notes()]
        used = set(msgspec.structs.astuple(self.columns))
        unused = [header for header in self._headers if header.strip() and header not in used]
        if unused:
            notes.append(Note("columns", f"Columns that are not read: {', '.join(unused)}"))
        pairs = self._pairs.are_pairs() and symbol is None
        notes += self._pair_notes(pairs=pairs)
        rules = ReadingRules(
            columns=self._changed_columns(),
            marks=self._decimal_marks(mapping, table, notes),
            change=self._change_unit(mapping, notes),
            symbol=symbol,
            name=name,
            pairs=pairs,
            time_zone=mapping.time_zone,
            day_first=self._dates.day_first() if mapping.day_first is None else mapping.day_first,
        )
        return rules, notes

    def _drop_invalid_id(self) -> list[Note]:
        """Remove the id from the columns if the rows contradict it; return the note on that."""
        header, reason = self.columns.id, self._ids.problem()
        if header is None or not reason:
            return []
        self.columns = msgspec.structs.replace(self.columns, id=None)
        return [Note("id", f"The column {header!r} is not an id: {reason}")]

    def _time_notes(self) -> list[Note]:
        if self.columns.time is None:
            return [Note("time", "No column holds a time: rows are dated by the file")]
        if self._undated:
            text = "Rows without a time of their own are dated by the file"
            return [Note("time", text, self._undated)]
        return []

    def _changed_columns(self) -> dict[str, str | None]:
        """Return the columns that differ from those found by the headers alone."""
        default = columns_of(self._headers)
        return {
            role: header
            for role, header in msgspec.structs.asdict(self.columns).items()
            if header != getattr(default, role)
        }

    def _pair_notes(self, *, pairs: bool) -> list[Note]:
        notes = []
        if pairs and any(self._pairs.quotes - {"USD"}):
            quotes = ", ".join(sorted(self._pairs.quotes))
            text = f"Prices are of pairs in {quotes}; coins that stand for a dollar count as one"
            notes.append(Note("quotes", text))
        volume = self.columns.volume
        if (pairs or self.columns.currency) and header_key(volume or "") in BARE_VOLUMES:
            text = "The volume of pairs may count coins, and is read as US dollars"
            notes.append(Note(f"$.{volume}", f"{text} - at `$.{volume}`"))
        return notes

    def _decimal_marks(self, mapping: Mapping, table: Table, notes: list[Note]) -> dict[str, _Mark]:
        if mapping.decimal is not None:
            return dict.fromkeys(self._marks, ",") if mapping.decimal == "," else {}
        known = {mark for evidence in self._marks.values() if (mark := evidence.decimal_mark())}
        marks: dict[str, _Mark] = {}
        for role, evidence in self._marks.items():
            mark = evidence.decimal_mark()
            if mark is None and (evidence.has_commas or evidence.has_points):
                mark = evidence.default_mark(known, table.form.delimiter)
                if mark == "." and not known:
                    path = f"$.{getattr(self.columns, role)}"
                    what = (
                        "Commas are read as parting thousands"
                        if evidence.has_commas
                        else "Points are read as decimal"
                    )
                    notes.append(Note(path, f"{what}, no cell shows more - at `{path}`"))
            if mark in (",", "?"):
                marks[role] = "," if mark == "," else "?"
        return marks

    def _change_unit(
        self, mapping: Mapping, notes: list[Note]
    ) -> Literal["percent", "fraction"] | None:
        header = self.columns.change
        if header is None:
            return None
        if mapping.change or says_percent(header):
            return mapping.change
        unit = self._change.unit()
        if unit is None and self._change.nonzero_count:
            notes.append(
                Note(f"$.{header}", f"Per cent or fraction? No cell shows it - at `$.{header}`")
            )
        return unit
