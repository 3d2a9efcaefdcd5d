"""What the cells of one column show, gathered over a whole file."""

import contextlib
import re
from collections.abc import Sequence
from typing import Literal

from ingestor.sources.files.numbers import Mark, decides_mark
from ingestor.sources.files.symbols import split_pair
from ingestor.sources.times import shows_day_first

__all__ = ["ChangeEvidence", "DateEvidence", "IdEvidence", "MarkEvidence", "PairEvidence"]

MAX_KEYS = 65_536
"""Tickers and names whose ids are compared; a file with more of them is judged by these."""
_FEW = 20
"""Rows; a column of changes without one above 1 in more rows than these holds fractions."""
_DIGITS = re.compile(r"\d[\d.,]*|[.,]\d+")
_GROUPED_BY_POINTS = re.compile(r"\.\d{3}\.\d")
_YEAR_LAST = re.compile(r"\d[/.-]\d{4}")
_NUMBER = re.compile(r"[+\-\u2212]?\s*\d*[.,]?\d+(?:e[+-]?\d+)?", re.IGNORECASE)


class MarkEvidence:
    """What a column of numbers shows of its decimal mark."""

    def __init__(self) -> None:
        self.has_commas = self.has_points = False
        self._shown: set[Mark] = set()

    def add(self, cells: Sequence[str]) -> None:
        """Look at some more cells."""
        if len(self._shown) > 1:
            return
        text = "\n".join(cells)
        self.has_points = self.has_points or "." in text
        if "," not in text and not _GROUPED_BY_POINTS.search(text):
            if Mark.POINT not in self._shown and any(
                decides_mark(match[0]) is Mark.POINT for match in _DIGITS.finditer(text[:4_096])
            ):
                self._shown.add(Mark.POINT)
            return
        self.has_commas = self.has_commas or "," in text
        for match in _DIGITS.finditer(text):
            if mark := decides_mark(match[0]):
                self._shown.add(mark)

    def _shows_point(self, text: str) -> bool:
        return any(decides_mark(match[0]) is Mark.POINT for match in _DIGITS.finditer(text))

    def decided(self) -> str | None:
        """Return the decimal mark, `?` if cells contradict each other, None if no cell shows it."""
        if len(self._shown) > 1:
            return "?"
        return next((mark.value for mark in self._shown), None)

    def of_file(self, elsewhere: set[str], delimiter: str | None) -> str:
        """Return the mark of the file's other columns, if they agree: this one does not show it."""
        if len(elsewhere) == 1:
            return next(iter(elsewhere))
        # A semicolon between cells is what programs write where the comma is the decimal mark.
        return "?" if elsewhere or (self.has_commas and delimiter != ",") else "."


class ChangeEvidence:
    """Whether a column of changes is in per cent or a fraction: a cell above 1 shows per cent."""

    def __init__(self) -> None:
        self.seen = 0
        self._percent = False

    def add(self, cells: Sequence[str]) -> None:
        """Look at some more cells."""
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
                self.seen += number > 0
                if number > 1:
                    self._percent = True
                    return

    def decided(self) -> Literal["percent", "fraction"] | None:
        """Return `percent` or `fraction`, None where too few cells say anything."""
        if self._percent:
            return "percent"
        return "fraction" if self.seen >= _FEW else None


class DateEvidence:
    """Whether the day comes first in dates such as 01/02/2026."""

    def __init__(self) -> None:
        self._shown: set[bool] = set()

    def add(self, cells: Sequence[str]) -> None:
        """Look at some more cells."""
        if len(self._shown) > 1 or not any("/" in cell or "-" in cell for cell in cells):
            return
        if _YEAR_LAST.search("\n".join(cells)):
            self._shown |= {
                shown
                for cell in cells
                if (shown := shows_day_first(cell.split(" ", 1)[0])) is not None
            }

    def decided(self) -> bool | None:
        """Return whether it does, None where no cell or both kinds of cells are there."""
        return next(iter(self._shown)) if len(self._shown) == 1 else None


class PairEvidence:
    """Whether all symbols of a file are pairs such as BTC/USDT."""

    def __init__(self, named: bool) -> None:  # noqa: FBT001 - what the header says
        self._named = named
        self._all = True
        self._any = False
        self.quotes: set[str] = set()

    def add(self, cells: Sequence[str]) -> None:
        """Look at some more cells."""
        if not self._all:
            return
        for cell in cells:
            if not cell.strip():
                continue
            pair = split_pair(cell)
            if pair is None:
                # A column called `pair` may hold some that are none, such as an index.
                self._all = self._named
                if not self._named:
                    return
                continue
            self._any = True
            self.quotes.add(pair[1])

    def decided(self) -> bool:
        """Return whether the cells are trading pairs."""
        return self._all and self._any


class IdEvidence:
    """Whether a column called `id` tells coins apart, or rows."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], str] = {}
        self._names: dict[str, tuple[str, str]] = {}
        self._reason: str | None = None
        self._first: int | None = None
        self._rows = 0
        self._counting = True

    def add(self, ids: Sequence[str], names: Sequence[tuple[str, str]]) -> None:
        """Look at some more ids, and the tickers and names beside them."""
        if self._reason is not None or (len(self._ids) >= MAX_KEYS and not self._counting):
            return
        for own, name in zip(ids, names, strict=True):
            own = own.strip()  # noqa: PLW2901 - as it is compared
            self._count(own)
            if not own:
                continue
            if len(self._ids) < MAX_KEYS:
                if self._ids.setdefault(name, own) != own:
                    self._reason = f"{name[0]!r} has {self._ids[name][:40]!r} and {own[:40]!r}"
                    return
                if self._names.setdefault(own, name) != name:
                    self._reason = (
                        f"{own[:40]!r} stands beside {self._names[own][0]!r} and {name[0]!r}"
                    )
                    return

    def _count(self, own: str) -> None:
        """Follow whether the ids only count the rows."""
        if self._counting:
            # Rows.
            number = int(own) if own.isascii() and own.isdecimal() and len(own) < 10 else None  # noqa: PLR2004
            if self._first is None:
                self._first = number
            self._counting = (
                number is not None and self._first in (0, 1) and number == self._first + self._rows
            )
        self._rows += 1

    def refused(self) -> str | None:
        """Return why the column is not an id, None where it is one."""
        if self._reason is None and self._counting and self._rows:
            return "it numbers the rows"
        return self._reason
