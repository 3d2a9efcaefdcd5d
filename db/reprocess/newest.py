"""The newest payload of each listing in the raw tables, after a rebuild has chosen another one."""

from db.connect.types import Connection
from db.reprocess.payloads import Kind, of_kind, payloads_of

_DIFFERING = """
SELECT DISTINCT l.body
FROM listings AS l
LEFT JOIN raw_api_records AS r ON r.source = l.source AND r.external_id = l.external_id
WHERE l.source = $1 AND l.body IS NOT NULL AND r.content_hash IS DISTINCT FROM l.content_hash
ORDER BY l.body
"""
_RESTORE = """
INSERT INTO raw_api_records AS r (
    source, external_id, payload, ingested_at, fetched_at, run_id, content_hash
)
SELECT l.source, l.external_id, p.payload::jsonb, b.arrived_at, b.fetched_at, b.run_id,
    l.content_hash
FROM unnest($2::text[], $3::bytea[], $4::text[]) AS p (external_id, content_hash, payload)
JOIN listings AS l ON l.source = $1 AND l.external_id = p.external_id AND l.body = $5
    AND l.content_hash = p.content_hash
JOIN bodies AS b ON b.id = l.body
ORDER BY l.external_id
ON CONFLICT (source, external_id) DO UPDATE SET
    payload = excluded.payload, ingested_at = excluded.ingested_at,
    fetched_at = excluded.fetched_at, run_id = excluded.run_id, content_hash = excluded.content_hash
WHERE r.content_hash <> excluded.content_hash
"""
_DIFFERING_IN, _RESTORE_IN = of_kind(_DIFFERING), of_kind(_RESTORE)


async def restore_payloads(connection: Connection, source: str, kind: Kind) -> None:
    """Replace the payloads that are not those of the listings of `source`, from the bodies."""
    for row in await connection.fetch(_DIFFERING_IN[kind], source):
        found = await payloads_of(connection, row["body"])
        if found:
            keys, payloads = [*found], [raw.decode() for raw in found.values()]
            external_ids, hashes = zip(*keys, strict=True)
            await connection.execute(
                _RESTORE_IN[kind], source, external_ids, hashes, payloads, row["body"]
            )
