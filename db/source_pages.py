"""Source pages: which external ids each page of a source's newest sweep held."""

from collections.abc import Sequence

from db.types import Connection

_SAVE = """
INSERT INTO source_pages AS p (source, page_group, number, external_ids) VALUES ($1, $2, $3, $4)
ON CONFLICT (source, page_group, number) DO UPDATE SET external_ids = excluded.external_ids
WHERE p.external_ids <> excluded.external_ids
RETURNING 1
"""
_DROP_AFTER = "DELETE FROM source_pages WHERE source = $1 AND page_group = $2 AND number > $3 RETURNING 1"
_KEEP_GROUPS = "DELETE FROM source_pages WHERE source = $1 AND page_group <> ALL ($2::text[]) RETURNING 1"


async def save_page(
    connection: Connection, source: str, group: str, number: int, external_ids: Sequence[str], *, ends_group: bool
) -> bool:
    """Save what a page held, sorted; the last one of its group ends it there. Tell whether the set changed."""
    changed = await connection.fetchval(_SAVE, source, group, number, external_ids) is not None
    if ends_group:
        changed = bool(await connection.fetch(_DROP_AFTER, source, group, number)) or changed
    return changed


async def keep_groups(connection: Connection, source: str, groups: Sequence[str]) -> bool:
    """Forget the pages of all other groups of `source`. Tell whether there were any."""
    return bool(await connection.fetch(_KEEP_GROUPS, source, list(groups)))
