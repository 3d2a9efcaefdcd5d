"""The changes of a reprocess: counted by table and field, each with up to two samples."""

import itertools
from collections.abc import Iterable

import asyncpg
import msgspec

# The first and the last in order: two samples without sorting millions of rows.
_COUNT_DIFFERENCE = """
SELECT
    field, count(*) AS rows,
    CASE WHEN count(*) > 1 THEN json_build_array(min(sample), max(sample))
        ELSE json_build_array(min(sample)) END
        AS samples
FROM (SELECT field, ARRAY[id, old, new] AS sample FROM difference) AS d
GROUP BY field
ORDER BY field
"""


def with_counts(statement: str) -> str:
    """Complete a statement that consists of CTEs: it then counts its CTE `difference`.

    The columns of `difference` are id, field, old and new.
    """
    return statement + _COUNT_DIFFERENCE


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One row's value before and after; None for a missing row or value."""

    id: str
    old: str | None
    new: str | None


class Change(msgspec.Struct, frozen=True):
    """How many rows of a table change in a field, are added, or are removed."""

    table: str
    field: str
    rows: int
    samples: list[Sample]


_SAMPLES = msgspec.json.Decoder(list[Sample])


def read_changes(table: str, rows: Iterable[asyncpg.Record]) -> list[Change]:
    """Return the changes of `table` that a statement made by `with_counts` found."""
    return [
        Change(table, row["field"], row["rows"], _SAMPLES.decode(row["samples"])) for row in rows
    ]


def merge_changes(changes: Iterable[Change]) -> list[Change]:
    """Add up the changes of several steps, in the order of the tables' first steps."""
    tables = list(dict.fromkeys(change.table for change in changes))
    ordered = sorted(changes, key=lambda change: (tables.index(change.table), change.field))
    return [
        _sum(list(same))
        for _, same in itertools.groupby(ordered, key=lambda change: (change.table, change.field))
    ]


def _sum(changes: list[Change]) -> Change:
    rows = sum(change.rows for change in changes)
    samples = sorted(
        {sample for change in changes for sample in change.samples}, key=lambda sample: sample.id
    )
    ends = samples[:1] + samples[-1:] if len(samples) > 1 else samples
    return Change(changes[0].table, changes[0].field, rows, ends)
