"""Reads payloads: cut out of the bodies as they came, from the raw tables where that is not it."""

import asyncio
import contextlib
from collections.abc import Sequence

import asyncpg
import msgspec

from db.bodies import FRAME_BYTES, content_hash, unpack
from db.connect.types import Connection

PayloadKey = tuple[str, str, bytes]
"""Source, external id and content hash."""

# Only the frames that the record lies in are read. A body without content has the bytes of another.
_CUT = f"""
SELECT
    l.source, l.external_id, l.content_hash, l.body_offset, l.body_length,
    substring(
        coalesce(b.content, s.content)
        FROM 1 + (
            SELECT coalesce(sum(size), 0)::integer FROM unnest(f.sizes[1:f.first]) AS before (size)
        )
        FOR (
            SELECT coalesce(sum(size), 0)::integer
            FROM unnest(f.sizes[f.first + 1:f.last + 1]) AS of_record (size)
        )
    ) AS packed
FROM unnest($1::text[], $2::text[], $3::bytea[]) AS k (source, external_id, content_hash)
JOIN listings AS l ON l.source = k.source AND l.external_id = k.external_id
    AND l.content_hash = k.content_hash
JOIN bodies AS b ON b.id = l.body
LEFT JOIN bodies AS s ON s.id = b.same_as
CROSS JOIN LATERAL (
    SELECT
        coalesce(b.frames, s.frames) AS sizes, l.body_offset / {FRAME_BYTES} AS first,
        (l.body_offset + l.body_length - 1) / {FRAME_BYTES} AS last
) AS f
WHERE l.body_length > 0
ORDER BY b.id, l.body_offset
"""  # noqa: S608 - of a constant
_NEWEST = """
SELECT k.source, k.external_id, k.content_hash, p.payload
FROM unnest($1::text[], $2::text[], $3::bytea[]) AS k (source, external_id, content_hash)
JOIN sources AS s ON s.name = k.source
CROSS JOIN LATERAL (
    (
        SELECT r.payload FROM raw_api_records AS r
        WHERE s.kind = 'api' AND r.source = k.source AND r.external_id = k.external_id
          AND r.content_hash = k.content_hash
    )
    UNION ALL
    (
        SELECT r.payload FROM raw_csv_records AS r
        WHERE s.kind = 'file' AND r.source = k.source AND r.external_id = k.external_id
          AND r.content_hash = k.content_hash
    )
) AS p
"""


async def newest_payloads(
    connection: Connection, keys: Sequence[PayloadKey]
) -> dict[PayloadKey, msgspec.Raw]:
    """Return the payload, JSON, of each listing's present content, without white space around it.

    It has the bytes that the source sent. Where these are not JSON, or their body has expired, it
    is that of the raw tables.
    """
    rows = await connection.fetch(_CUT, *zip(*keys, strict=True))
    found = await asyncio.to_thread(_cut, rows) if rows else {}
    left = [key for key in keys if key not in found]
    if left:
        for row in await connection.fetch(_NEWEST, *zip(*left, strict=True)):
            found[row["source"], row["external_id"], row["content_hash"]] = row["payload"]
    return found


def _cut(rows: Sequence[asyncpg.Record]) -> dict[PayloadKey, msgspec.Raw]:
    """Return the records as they came whose hash is that of the listing, and that are JSON."""
    found: dict[PayloadKey, msgspec.Raw] = {}
    frames: dict[bytes, bytes] = {}
    for row in rows:
        if row["packed"] not in frames:
            frames = {row["packed"]: unpack(row["packed"])}
        start = row["body_offset"] % FRAME_BYTES
        sent = frames[row["packed"]][start : start + row["body_length"]]
        if content_hash(sent) != row["content_hash"]:
            continue
        # An answer has no line breaks, which some of its framings need.
        with contextlib.suppress(msgspec.DecodeError):
            payload = msgspec.Raw(msgspec.json.format(sent, indent=-1))
            found[row["source"], row["external_id"], row["content_hash"]] = payload
    return found
