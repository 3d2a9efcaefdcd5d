"""What a reprocess changes: counted by table and field, each with a few samples."""

import itertools
from collections.abc import Iterable

import asyncpg
import msgspec

# The first and the last in order: two samples without sorting what may be millions.
_COUNTED = """
SELECT
    field, count(*) AS rows,
    CASE WHEN count(*) > 1 THEN json_build_array(min(sample), max(sample))
        ELSE json_build_array(min(sample)) END
        AS samples
FROM (SELECT field, ARRAY[id, old, new] AS sample FROM difference) AS d
GROUP BY field
ORDER BY field
"""


def counted(statement: str) -> str:
    """Return a statement, so far only its CTEs, that ends in counts of its CTE `difference`: id, field, old, new."""
    return statement + _COUNTED


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One row's value, before and after; None where there is none."""

    id: str
    old: str | None
    new: str | None


class Change(msgspec.Struct, frozen=True):
    """How many rows of a table change in a field, or are added or removed whole."""

    table: str
    field: str
    rows: int
    samples: list[Sample]


_SAMPLES = msgspec.json.Decoder(list[Sample])


def read_changes(table: str, rows: Iterable[asyncpg.Record]) -> list[Change]:
    """Return what a statement that ends with COUNTED said of `table`."""
    return [
        Change(table, row["field"], row["rows"], _SAMPLES.decode(row["samples"])) for row in rows
    ]


def merge_changes(changes: Iterable[Change]) -> list[Change]:
    """Add up what was counted in several steps, in the order of the tables' first steps."""
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
