"""Evidence from the cells of one column, collected over a whole file."""

import contextlib
import re
from collections.abc import Sequence
from typing import Literal

from ingestor.sources.files.numbers import Mark, infer_mark
from ingestor.sources.files.symbols import split_pair
from ingestor.sources.times import infer_day_first

__all__ = ["ChangeEvidence", "DateEvidence", "IdEvidence", "MarkEvidence", "PairEvidence"]

MAX_KEYS = 65_536
"""Coins whose ids are compared; the first ones decide for a file with more."""
_MIN_CHANGES = 20
"""A column with this many changes, none of them above 1, holds fractions."""
_MAX_ROW_DIGITS = 10
_DIGITS = re.compile(r"\d[\d.,]*|[.,]\d+")
_GROUPED_BY_POINTS = re.compile(r"\.\d{3}\.\d")
_YEAR_LAST = re.compile(r"\d[/.-]\d{4}")
_NUMBER = re.compile(r"[+\-\u2212]?\s*\d*[.,]?\d+(?:e[+-]?\d+)?", re.IGNORECASE)


class MarkEvidence:
    """Finds the decimal mark of a column of numbers."""

    def __init__(self) -> None:
        self.has_commas = self.has_points = False
        self._marks: set[Mark] = set()

    def add(self, cells: Sequence[str]) -> None:
        """Add the evidence of more cells."""
        if len(self._marks) > 1:
            return
        text = "\n".join(cells)
        self.has_points = self.has_points or "." in text
        if "," not in text and not _GROUPED_BY_POINTS.search(text):
            if Mark.POINT not in self._marks and self._shows_point(text[:4_096]):
                self._marks.add(Mark.POINT)
            return
        self.has_commas = self.has_commas or "," in text
        for match in _DIGITS.finditer(text):
            if mark := infer_mark(match[0]):
                self._marks.add(mark)

    def _shows_point(self, text: str) -> bool:
        return any(infer_mark(match[0]) is Mark.POINT for match in _DIGITS.finditer(text))

    def decimal_mark(self) -> str | None:
        """Return the decimal mark, `?` if cells contradict each other, None if no cell shows it."""
        if len(self._marks) > 1:
            return "?"
        return next((mark.value for mark in self._marks), None)

    def default_mark(self, other_marks: set[str], delimiter: str | None) -> str:
        """Return the mark of a column that does not show it, from the marks of the others."""
        if len(other_marks) == 1:
            return next(iter(other_marks))
        # Programs separate cells with a semicolon where the comma is the decimal mark.
        return "?" if other_marks or (self.has_commas and delimiter != ",") else "."


class ChangeEvidence:
    """Finds whether changes are in per cent or fractions: a change above 1 is in per cent."""

    def __init__(self) -> None:
        self.nonzero_count = 0
        self._percent = False

    def add(self, cells: Sequence[str]) -> None:
        """Add the evidence of more cells."""
        if self._percent:
            return
        for cell in cells:
            if "%" in cell:
                self._percent = True
                return
            match = _NUMBER.fullmatch(cell.strip())
            if match is None:
                continue
            with contextlib.suppress(ValueError):
                number = abs(float(match[0].replace(",", ".").replace("\u2212", "-")))
                self.nonzero_count += number > 0
                if number > 1:
                    self._percent = True
                    return

    def unit(self) -> Literal["percent", "fraction"] | None:
        """Return `percent` or `fraction`, None if the column has too few changes."""
        if self._percent:
            return "percent"
        return "fraction" if self.nonzero_count >= _MIN_CHANGES else None


class DateEvidence:
    """Finds whether the day comes first in dates such as 01/02/2026."""

    def __init__(self) -> None:
        self._orders: set[bool] = set()

    def add(self, cells: Sequence[str]) -> None:
        """Add the evidence of more cells."""
        if len(self._orders) > 1 or not any("/" in cell or "-" in cell for cell in cells):
            return
        if _YEAR_LAST.search("\n".join(cells)):
            self._orders |= {
                day_first
                for cell in cells
                if (day_first := infer_day_first(cell.split(" ", 1)[0])) is not None
            }

    def day_first(self) -> bool | None:
        """Return whether the day comes first, None if no cell shows it or cells disagree."""
        return next(iter(self._orders)) if len(self._orders) == 1 else None


class PairEvidence:
    """Finds whether all symbols of a file are pairs such as BTC/USDT."""

    def __init__(self, *, is_pair_header: bool) -> None:
        self._is_pair_header = is_pair_header
        self._all = True
        self._any = False
        self.quotes: set[str] = set()

    def add(self, cells: Sequence[str]) -> None:
        """Add the evidence of more cells."""
        if not self._all:
            return
        for cell in cells:
            if not cell.strip():
                continue
            pair = split_pair(cell)
            if pair is None:
                # A column called `pair` may also hold other symbols, such as an index.
                self._all = self._is_pair_header
                if not self._is_pair_header:
                    return
                continue
            self._any = True
            self.quotes.add(pair[1])

    def are_pairs(self) -> bool:
        """Return whether the cells are trading pairs."""
        return self._all and self._any


class IdEvidence:
    """Finds whether a column called `id` identifies coins, or only numbers the rows."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], str] = {}
        self._names: dict[str, tuple[str, str]] = {}
        self._problem: str | None = None
        self._first: int | None = None
        self._rows = 0
        self._counting = True

    def add(self, ids: Sequence[str], names: Sequence[tuple[str, str]]) -> None:
        """Add the evidence of more ids, with the ticker and name of each."""
        if self._problem is not None or (len(self._ids) >= MAX_KEYS and not self._counting):
            return
        for own, name in zip(ids, names, strict=True):
            own = own.strip()  # noqa: PLW2901 - ids are compared without spaces
            self._count(own)
            if not own:
                continue
            if len(self._ids) < MAX_KEYS:
                if self._ids.setdefault(name, own) != own:
                    self._problem = f"{name[0]!r} has {self._ids[name][:40]!r} and {own[:40]!r}"
                    return
                if self._names.setdefault(own, name) != name:
                    self._problem = (
                        f"{own[:40]!r} stands beside {self._names[own][0]!r} and {name[0]!r}"
                    )
                    return

    def _count(self, own: str) -> None:
        """Check whether the ids still only count the rows."""
        if self._counting:
            is_row_number = own.isascii() and own.isdecimal() and len(own) < _MAX_ROW_DIGITS
            number = int(own) if is_row_number else None
            if self._first is None:
                self._first = number
            self._counting = (
                number is not None and self._first in (0, 1) and number == self._first + self._rows
            )
        self._rows += 1

    def problem(self) -> str | None:
        """Return why the column is not an id, None if it is one."""
        if self._problem is None and self._counting and self._rows:
            return "it numbers the rows"
        return self._problem
