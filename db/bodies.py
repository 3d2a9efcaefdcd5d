"""The bodies of sources as they came: the index of the records in one, and how a record is cut out.

A body is packed with zstd. Its index names the records that were written from it, which are those
that differed from the listing that was stored. A rebuild reads these and no others.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence

import msgspec

from db.connect.types import Connection

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 1
"""Of zstd: level 3 takes longer and packs frames of this size less well."""
FRAME_BYTES = 262_144
"""A body is packed by frames, so that a record is cut out of one or two of them.

CoinPaprika's 7.2 MB take 1.41 MB so, 1.44 MB by half as much, and 1.36 MB in one piece.
"""

_OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: LEVEL,
    zstd.CompressionParameter.checksum_flag: 1,
}

# A body without content has the bytes of another one, which arrived in the same hour.
_FIND = """
SELECT
    b.id, b.source, b.page_group, b.page_number, b.arrived_at, b.fetched_at, b.form, b.url,
    b.headers::text AS headers, b.size, b.sha256, coalesce(b.content, s.content) AS content
FROM bodies AS b
LEFT JOIN bodies AS s ON s.id = b.same_as AND s.arrived_at <= b.arrived_at
    AND s.arrived_at >= b.arrived_at - interval '1 hour'
WHERE b.id = $1
"""


class BodyDamagedError(Exception):
    """The bytes of a stored body do not have the hash or the size that was stored with them."""


class BodySlice(msgspec.Struct, frozen=True, gc=False):
    """A record that was written from a body.

    `payload` and `content_hash` are set where they are not the bytes of the slice and their hash: a
    NaN became null, a time was added, or the record stands in the payloads of a page.
    """

    external_id: str
    offset: int
    length: int
    payload: bytes | None = None
    content_hash: bytes | None = None


class _Index(msgspec.Struct, frozen=True, array_like=True):
    """The slices by column, which packs better; an offset counts from the end of the one before."""

    external_ids: list[str]
    gaps: list[int]
    lengths: list[int]
    payloads: dict[int, bytes]
    content_hashes: dict[int, bytes]


class StoredBody(msgspec.Struct, frozen=True):
    """A body with its packed content; `headers` are JSON."""

    id: int
    source: str
    page_group: str
    page_number: int
    arrived_at: object
    fetched_at: object
    form: str
    url: str | None
    headers: str
    size: int
    sha256: bytes
    content: bytes

    def unpack(self) -> bytes:
        """Return the bytes. Raises BodyDamagedError if they are not those that came."""
        return read_stored(self.id, self.content, self.size, self.sha256)


def pack(content: bytes) -> bytes:
    """Pack bytes."""
    return zstd.compress(content, options=_OPTIONS)


def pack_frames(content: bytes) -> list[bytes]:
    """Pack each FRAME_BYTES of a body; `unpack` takes any frames that follow each other."""
    return [
        pack(content[start : start + FRAME_BYTES]) for start in range(0, len(content), FRAME_BYTES)
    ]


def unpack(packed: bytes) -> bytes:
    """Return the bytes that `pack` and `pack_frames` have packed."""
    return zstd.decompress(packed)


def read_stored(body: int, packed: bytes, size: int, sha256: bytes) -> bytes:
    """Return the bytes of a body. Raises BodyDamagedError if they are not those that came."""
    try:
        content = unpack(packed)
    except zstd.ZstdError as error:
        raise BodyDamagedError(f"The body {body} cannot be unpacked: {error}") from None
    digest = hashlib.sha256(content)
    if len(content) != size or digest.digest() != sha256:
        raise BodyDamagedError(
            f"The body {body} has the SHA-256 {digest.hexdigest()} and {len(content):,} bytes; "
            f"it came with {sha256.hex()} and {size:,}"
        )
    return content


def content_hash(raw: bytes) -> bytes:
    """Return the 16-byte BLAKE2b digest of a record's bytes: equal records have equal digests."""
    return hashlib.blake2b(raw, digest_size=16).digest()


def pack_index(slices: Sequence[BodySlice]) -> bytes:
    """Pack the index of a body."""
    gaps, end = [], 0
    for one in slices:
        gaps.append(one.offset - end)
        end = one.offset + one.length
    index = _Index(
        [one.external_id for one in slices],
        gaps,
        [one.length for one in slices],
        {place: one.payload for place, one in enumerate(slices) if one.payload is not None},
        {
            place: one.content_hash
            for place, one in enumerate(slices)
            if one.content_hash is not None
        },
    )
    return pack(msgspec.msgpack.encode(index))


def read_index(packed: bytes) -> Iterator[BodySlice]:
    """Yield the slices that an index names."""
    index = msgspec.msgpack.decode(unpack(packed), type=_Index)
    end = 0
    rows = zip(index.external_ids, index.gaps, index.lengths, strict=True)
    for place, (external_id, gap, length) in enumerate(rows):
        offset = end + gap
        end = offset + length
        yield BodySlice(
            external_id,
            offset,
            length,
            index.payloads.get(place),
            index.content_hashes.get(place),
        )


def cut(content: bytes, one: BodySlice) -> tuple[bytes, bytes]:
    """Return the payload of a record and its content hash."""
    sent = content[one.offset : one.offset + one.length]
    return (
        sent if one.payload is None else one.payload,
        content_hash(sent) if one.content_hash is None else one.content_hash,
    )


def without_repetition(content: bytes, one: BodySlice) -> BodySlice:
    """Return a slice without the payload and the content hash that `cut` finds in the body."""
    sent = content[one.offset : one.offset + one.length]
    return BodySlice(
        one.external_id,
        one.offset,
        one.length,
        None if one.payload == sent else one.payload,
        None if one.content_hash == content_hash(sent) else one.content_hash,
    )


async def find_body(connection: Connection, body: int) -> StoredBody | None:
    """Return the body with this id, None if there is none, or none any more."""
    row = await connection.fetchrow(_FIND, body)
    return None if row is None else StoredBody(**row)
