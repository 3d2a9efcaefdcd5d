"""Rows of one file for one coin at one time: repeated ones, and ones that conflict."""

import enum
import itertools
from collections.abc import Sequence
from decimal import Decimal

from ingestor.sources.files.columns import Columns
from ingestor.sources.files.numbers import CurrencyError, Mark, read_cell
from ingestor.sources.records import RecordError

__all__ = ["Conflicts", "Verdict"]

MAX_FILTER_BITS = 26
"""Of a Bloom filter with one hash: 8 MiB.

Of a million rows it takes one in seventy for known when it is not.
"""
MIN_FILTER_BITS = 12
NEAR = Decimal("1.05")
"""Prices within this factor count as equal: lists that are read page by page repeat a coin."""
MAX_PRICES = 8
"""Different prices that are kept of one coin and time: more than one that is far off settle it."""


class Verdict(enum.Enum):
    """What becomes of a row; the value stands in its payload."""

    COUNTS = ""
    REPEATED = "repeated"
    """An earlier row of the file says the same: that one counts."""
    CONFLICT = "conflict"
    """Another row gives a price that is far from this one: none of them is believed."""


class _Several:
    __slots__ = ("first_was_read", "prices")

    def __init__(self) -> None:
        self.prices: list[str] = []
        self.first_was_read = False

    def add(self, price: str) -> None:
        if price not in self.prices and len(self.prices) < MAX_PRICES:
            self.prices.append(price)


class Conflicts:
    """Compares rows of one coin and time, in memory that does not grow with single rows.

    A first look over all rows (`add`) finds the keys that may stand twice, and the prices of all
    their rows but the first. While the rows are read in the same order (`judge`), the first one is
    compared with those.
    """

    def __init__(self, columns: Columns, place: dict[str, int], size: int | None = None) -> None:
        """Take the columns that identify a row, and the table's bytes, if known."""
        # A bit for each byte: a row has some tens of them.
        bits = (
            MAX_FILTER_BITS
            if size is None
            else min(max(size.bit_length(), MIN_FILTER_BITS), MAX_FILTER_BITS)
        )
        self._filter = bytearray(1 << (bits - 3))
        self._mask = (1 << bits) - 1
        roles = (columns.symbol, columns.name, columns.id, columns.address, columns.time)
        self._key = tuple(place[header] for header in roles if header is not None)
        self._price = place[columns.price or ""]
        self._several: dict[int, _Several] = {}
        self.mark = Mark.POINT
        self.counts = dict.fromkeys(Verdict, 0)

    def add(self, cells: Sequence[Sequence[str]]) -> None:
        """Look at some more rows, for the first time; `cells` are by column."""
        seen, mask = self._filter, self._mask
        prices = cells[self._price]
        keys = (
            zip(*[cells[place] for place in self._key], strict=True)
            if self._key
            else itertools.repeat((), len(prices))
        )
        for key, price in zip(map(hash, keys), prices, strict=True):
            byte, bit = (key & mask) >> 3, 1 << (key & 7)
            if seen[byte] & bit:
                self._several.setdefault(key, _Several()).add(price)
            else:
                seen[byte] |= bit

    def judge(self, cells: list[str]) -> Verdict:
        """Return what becomes of a row; the rows come in the order of the file."""
        if not self._several:
            return Verdict.COUNTS
        several = self._several.get(hash(tuple([cells[place] for place in self._key])))
        if several is None:
            return Verdict.COUNTS
        own = cells[self._price]
        several.add(own)
        verdict = Verdict.COUNTS
        if len(several.prices) > 1 and self._are_apart(several.prices):
            verdict = Verdict.CONFLICT
        elif several.first_was_read or (self._number(own) is None and len(several.prices) > 1):
            verdict = Verdict.REPEATED
        else:
            several.first_was_read = True
        self.counts[verdict] += 1
        return verdict

    def _are_apart(self, prices: list[str]) -> bool:
        numbers = [
            number for price in prices if (number := self._number(price)) is not None and number > 0
        ]
        return bool(numbers) and max(numbers) > min(numbers) * NEAR

    def _number(self, price: str) -> Decimal | None:
        try:
            number, _ = read_cell(price.strip(), self.mark, "$")
        except (RecordError, CurrencyError):
            return None
        return number if number is not None and number.is_finite() else None
