"""The contract addresses of listings, and the groups that they form."""

import datetime
from collections.abc import Collection, Mapping, Sequence

import msgspec

from common.chains import TokenAddress
from db.connect.types import Connection
from db.write.identity.bridges import bridge_all

Key = tuple[str, str]
"""A listing: its source and its external id there."""


class ListedAddress(msgspec.Struct, frozen=True, gc=False):
    """What a source says of one contract: which of its listings it is, and whether it is in use."""

    external_id: str
    token: TokenAddress
    active: bool = True


class AddressGroup(msgspec.Struct, frozen=True):
    """The group of one key, and the sorted chains on which the key itself has an address."""

    address_group: str
    chains: tuple[str, ...]


# $2 is NULL for all external ids, $3 for all chains. A row that is seen again has changed only if
# its `active` has.
_REPLACE = """
WITH given AS (
    SELECT DISTINCT ON (external_id, chain, address) *
    FROM unnest($4::text[], $5::text[], $6::text[], $7::boolean[])
        AS g (external_id, chain, address, active)
    ORDER BY external_id, chain, address, active DESC
),
gone AS (
    DELETE FROM listing_addresses AS a
    WHERE a.source = $1
        AND ($2::text[] IS NULL OR a.external_id = ANY ($2))
        AND ($3::text[] IS NULL OR a.chain = ANY ($3))
        AND NOT EXISTS (SELECT FROM given AS g WHERE g.external_id = a.external_id
            AND g.chain = a.chain AND g.address = a.address)
    RETURNING a.external_id, a.chain, a.address
),
changed AS (
    SELECT g.external_id, g.chain, g.address
    FROM given AS g
    LEFT JOIN listing_addresses AS a ON a.source = $1 AND a.external_id = g.external_id
        AND a.chain = g.chain AND a.address = g.address
    WHERE a.active IS DISTINCT FROM g.active
),
saved AS (
    INSERT INTO listing_addresses AS a (source, external_id, chain, address, active, seen_at)
    SELECT $1, external_id, chain, address, active, $8 FROM given
    ON CONFLICT (source, external_id, chain, address) DO UPDATE SET
        active = excluded.active, seen_at = greatest(a.seen_at, excluded.seen_at)
)
SELECT external_id, chain, address FROM gone UNION ALL SELECT * FROM changed
"""
# Those whose addresses changed; those with an address that was removed; those that were in a group
# with any of them; and all that are connected with these by shared addresses now.
_CONNECTED = """
WITH RECURSIVE touched AS (
    SELECT * FROM unnest($1::text[], $2::text[]) AS t (source, external_id)
    UNION
    SELECT a.source, a.external_id
    FROM unnest($3::text[], $4::text[]) AS t (chain, address)
    JOIN listing_addresses AS a ON a.chain = t.chain AND a.address = t.address AND a.active
),
started AS (
    SELECT * FROM touched
    UNION
    SELECT mate.source, mate.external_id
    FROM touched AS t
    JOIN address_groups AS own ON own.source = t.source AND own.external_id = t.external_id
    JOIN address_groups AS mate ON mate.address_group = own.address_group
),
connected AS (
    SELECT * FROM started
    UNION
    SELECT b.source, b.external_id
    FROM connected AS c
    JOIN listing_addresses AS a ON a.source = c.source AND a.external_id = c.external_id
        AND a.active
    JOIN listing_addresses AS b ON b.chain = a.chain AND b.address = a.address AND b.active
)
SELECT c.source, c.external_id, a.chain, a.address, g.address_group, g.chains
FROM connected AS c
LEFT JOIN listing_addresses AS a ON a.source = c.source AND a.external_id = c.external_id
    AND a.active
LEFT JOIN address_groups AS g ON g.source = c.source AND g.external_id = c.external_id
"""
_CHAINS = "SELECT DISTINCT chain FROM listing_addresses WHERE source = $1"
_DELETE_GROUPS = """
DELETE FROM address_groups AS g
USING unnest($1::text[], $2::text[]) AS t (source, external_id)
WHERE g.source = t.source AND g.external_id = t.external_id
"""
# The chains of a key come as one text: the arrays in an array must have one length.
_SAVE_GROUPS = """
INSERT INTO address_groups AS g (source, external_id, address_group, chains)
SELECT source, external_id, address_group, string_to_array(chains, E'\\n')
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    AS t (source, external_id, address_group, chains)
ORDER BY source, external_id
ON CONFLICT (source, external_id) DO UPDATE SET
    address_group = excluded.address_group, chains = excluded.chains
"""
_TICKERS = """
SELECT l.ticker
FROM unnest($1::text[], $2::text[]) AS t (source, external_id)
JOIN listings AS l ON l.source = t.source AND l.external_id = t.external_id
UNION
SELECT l.ticker
FROM address_groups AS g
JOIN listings AS l ON l.source = g.source AND l.external_id = g.external_id
WHERE g.address_group = ANY ($3::text[])
"""


class ChangedAddress(msgspec.Struct, frozen=True, gc=False):
    """An address that a listing has gained or lost, or that came into or out of use."""

    external_id: str
    token: TokenAddress


async def replace_addresses(
    connection: Connection,
    source: str,
    given: Sequence[ListedAddress],
    seen_at: datetime.datetime,
    *,
    external_ids: Collection[str] | None = None,
    chains: Collection[str] | None = None,
) -> list[ChangedAddress]:
    """Let `given` be all addresses of a source, of some of its listings or on some chains only.

    Returns the addresses that changed. The caller holds the write lock.
    """
    rows = await connection.fetch(
        _REPLACE,
        source,
        None if external_ids is None else sorted(external_ids),
        None if chains is None else sorted(chains),
        [each.external_id for each in given],
        [each.token.chain for each in given],
        [each.token.address for each in given],
        [each.active for each in given],
        seen_at,
    )
    return [ChangedAddress(row[0], TokenAddress(row[1], row[2])) for row in rows]


async def stored_chains(connection: Connection, source: str) -> set[str]:
    """Return the chains on which a source has addresses."""
    return {row["chain"] for row in await connection.fetch(_CHAINS, source)}


class ConnectedKeys(msgspec.Struct, frozen=True):
    """Keys that are connected by shared addresses: these, and the groups that are stored."""

    addresses: list[tuple[Key, TokenAddress]]
    stored: dict[Key, AddressGroup]


async def connected_keys(
    connection: Connection, source: str, changed: Sequence[ChangedAddress]
) -> ConnectedKeys:
    """Return all keys whose group can differ after these changes."""
    rows = await connection.fetch(
        _CONNECTED,
        [source] * len(changed),
        [each.external_id for each in changed],
        [each.token.chain for each in changed],
        [each.token.address for each in changed],
    )
    addresses, stored = [], {}
    for row in rows:
        key = row[0], row[1]
        if row[2] is not None:
            addresses.append((key, TokenAddress(row[2], row[3])))
        if row[4] is not None:
            stored[key] = AddressGroup(row[4], tuple(row[5]))
    return ConnectedKeys(addresses, stored)


async def save_groups(
    connection: Connection, stored: Mapping[Key, AddressGroup], groups: Mapping[Key, AddressGroup]
) -> frozenset[str]:
    """Write the groups that differ from the stored ones.

    Returns the tickers of the listings whose group or chains changed, and of those in a group with
    them, before or now.
    """
    gone = sorted(stored.keys() - groups.keys())
    changed = sorted(key for key, group in groups.items() if stored.get(key) != group)
    if gone:
        await connection.execute(_DELETE_GROUPS, *_columns(gone))
    if changed:
        await connection.execute(
            _SAVE_GROUPS,
            *_columns(changed),
            [groups[key].address_group for key in changed],
            ["\n".join(groups[key].chains) for key in changed],
        )
    touched = [*gone, *changed]
    names = {
        each.address_group for key in touched for each in (stored.get(key), groups.get(key)) if each
    }
    if not touched:
        return frozenset()
    rows = await connection.fetch(_TICKERS, *_columns(touched), sorted(names))
    return frozenset(row["ticker"] for row in rows) | await bridge_all(connection)


def _columns(keys: Sequence[Key]) -> tuple[list[str], list[str]]:
    return [source for source, _ in keys], [external_id for _, external_id in keys]
