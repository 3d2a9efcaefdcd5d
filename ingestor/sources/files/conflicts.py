"""Rows of one file for the same coin and time: repetitions and conflicts."""

import enum
import itertools
from collections.abc import Sequence
from decimal import Decimal

from ingestor.sources.files.columns import Columns
from ingestor.sources.files.numbers import CurrencyError, Mark, read_cell
from ingestor.sources.records import RecordError

__all__ = ["Conflicts", "Verdict"]

MAX_FILTER_BITS = 26
"""A Bloom filter with one hash and 8 MiB.

With a million rows, one new key in seventy is a false positive.
"""
MIN_FILTER_BITS = 12
NEAR = Decimal("1.05")
"""Prices within this factor count as equal: lists that were read by page repeat a coin."""
MAX_PRICES = 8
"""Different prices that are stored for one coin and time; two that are far apart conflict."""


class Verdict(enum.Enum):
    """How a row is used; the value is stored in its payload."""

    COUNTS = ""
    REPEATED = "repeated"
    """An earlier row of the file says the same; only that one is used."""
    CONFLICT = "conflict"
    """Another row has a price that is far from this one; neither is used."""


class _DuplicateKey:
    """The prices of the rows with one key."""

    __slots__ = ("is_first_read", "prices")

    def __init__(self) -> None:
        self.prices: list[str] = []
        self.is_first_read = False

    def add(self, price: str) -> None:
        if price not in self.prices and len(self.prices) < MAX_PRICES:
            self.prices.append(price)


class Conflicts:
    """Finds rows of the same coin and time; memory grows with the repeated rows only.

    The first pass over all rows (`add`) finds the keys that may be repeated, and the prices of all
    their rows except the first. The second pass in the same order (`judge`) compares the first row
    with those.
    """

    def __init__(self, columns: Columns, place: dict[str, int], size: int | None = None) -> None:
        """`place` is the index of each header; `size` is the table in bytes, if known."""
        # One bit for each byte of the table: a row has tens of bytes.
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
        self._duplicates: dict[int, _DuplicateKey] = {}
        self.mark = Mark.POINT
        self.counts = dict.fromkeys(Verdict, 0)

    def add(self, cells: Sequence[Sequence[str]]) -> None:
        """Add rows in the first pass; `cells` are by column."""
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
                self._duplicates.setdefault(key, _DuplicateKey()).add(price)
            else:
                seen[byte] |= bit

    def judge(self, cells: list[str]) -> Verdict:
        """Return how a row is used. Call it with the rows in the order of the file."""
        if not self._duplicates:
            return Verdict.COUNTS
        duplicate = self._duplicates.get(hash(tuple([cells[place] for place in self._key])))
        if duplicate is None:
            return Verdict.COUNTS
        own = cells[self._price]
        duplicate.add(own)
        verdict = Verdict.COUNTS
        if len(duplicate.prices) > 1 and self._are_apart(duplicate.prices):
            verdict = Verdict.CONFLICT
        elif duplicate.is_first_read or (self._number(own) is None and len(duplicate.prices) > 1):
            verdict = Verdict.REPEATED
        else:
            duplicate.is_first_read = True
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
