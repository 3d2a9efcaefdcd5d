"""Source pages: the external ids on each page of a source's newest sweep."""

from collections.abc import Sequence

import msgspec

from db.connect.types import Connection

_SAVE = """
WITH before AS (
    SELECT cardinality(external_ids) AS size FROM source_pages WHERE source = $1 AND page_group = $2
        AND number = $3
),
saved AS (
    INSERT INTO source_pages AS p (source, page_group, number, external_ids) VALUES ($1, $2, $3, $4)
    ON CONFLICT (source, page_group, number) DO UPDATE SET external_ids = excluded.external_ids
    WHERE p.external_ids <> excluded.external_ids
    RETURNING 1
)
SELECT EXISTS (SELECT FROM saved), coalesce((SELECT size FROM before), 0) > 0
"""
_DROP_AFTER = (
    "DELETE FROM source_pages WHERE source = $1 AND page_group = $2 AND number > $3 RETURNING 1"
)
_DELETE_OTHER_GROUPS = (
    "DELETE FROM source_pages WHERE source = $1 AND page_group <> ALL ($2::text[]) RETURNING 1"
)


class PageChange(msgspec.Struct, frozen=True):
    """Whether the ids of a page, or of pages after it, changed; whether it has become empty."""

    changed: bool
    emptied: bool


async def save_page(
    connection: Connection,
    source: str,
    group: str,
    number: int,
    external_ids: Sequence[str],
    *,
    ends_group: bool,
) -> PageChange:
    """Save the sorted ids of a page; the last page of a group deletes the pages after it."""
    row = await connection.fetchrow(_SAVE, source, group, number, external_ids)
    assert row is not None  # noqa: S101 - the statement returns one row
    changed, was_filled = row
    if ends_group:
        changed = bool(await connection.fetch(_DROP_AFTER, source, group, number)) or changed
    return PageChange(changed, emptied=was_filled and not external_ids)


async def delete_other_groups(connection: Connection, source: str, groups: Sequence[str]) -> bool:
    """Delete the pages of all other groups of `source`; return whether there were any."""
    return bool(await connection.fetch(_DELETE_OTHER_GROUPS, source, list(groups)))
