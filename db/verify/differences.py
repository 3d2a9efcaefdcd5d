"""The differences that a check finds: counted, and the first of them kept as examples."""

from collections.abc import Iterable

import msgspec

from db.connect.types import Connection


class Difference(msgspec.Struct, frozen=True):
    """A value that is not what it should be: `where` names the row, `what` the value.

    None stands for a missing row or value.
    """

    where: str
    what: str
    stored: str | None
    expected: str | None


class CheckOutcome(msgspec.Struct, frozen=True):
    """The result of a check: how many rows it compared, and how many values differ.

    `rule` says what has to hold, `remedy` what to do about a difference. `notes` say what the check
    left out, and what is not wrong but worth knowing.
    """

    name: str
    rule: str
    remedy: str
    rows: int
    differences: int
    examples: tuple[Difference, ...]
    notes: tuple[str, ...] = ()


class Tally:
    """Counts rows and differences of one check, and keeps the first `limit` of these."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.rows = 0
        self.differences = 0
        self.examples: list[Difference] = []
        self.notes: list[str] = []

    def add(self, found: Iterable[Difference]) -> None:
        """Count differences."""
        for difference in found:
            self.differences += 1
            if len(self.examples) < self._limit:
                self.examples.append(difference)

    def join(self, other: "Tally") -> None:
        """Add the counts and examples of another part of the same check."""
        self.rows += other.rows
        self.differences += other.differences
        self.examples += other.examples[: self._limit - len(self.examples)]
        self.notes += [note for note in other.notes if note not in self.notes]

    def result(self, name: str, rule: str, remedy: str) -> CheckOutcome:
        """Return the result of the check."""
        return CheckOutcome(
            name,
            rule,
            remedy,
            self.rows,
            self.differences,
            tuple(self.examples),
            tuple(self.notes),
        )


_LIMITED = """
SELECT d.place, d.what, d.stored, d.expected, count(*) OVER () AS total
FROM ({statement}) AS d (place, what, stored, expected)
ORDER BY d.place, d.what
LIMIT {limit}
"""


async def find_differences(
    connection: Connection, tally: Tally, statement: str, *arguments: object, limit: int
) -> None:
    """Add what a statement finds: rows of place, what, stored and expected, as text.

    Only `limit` rows are read, whatever their number.
    """
    text = _LIMITED.format(statement=statement, limit=limit)
    rows = await connection.fetch(text, *arguments)
    tally.add(Difference(row[0], row[1], row[2], row[3]) for row in rows)
    if rows:
        tally.differences += rows[0]["total"] - len(rows)
