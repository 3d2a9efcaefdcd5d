"""Compute the groups again that a change of addresses touches, and write those that differ."""

from collections.abc import Sequence

from anyio import to_thread

from db.connect.types import Connection
from db.write.identity.addresses import ChangedAddress, connected_keys, save_groups
from ingestor.registry.groups import group_addresses


async def regroup(
    connection: Connection, source: str, changed: Sequence[ChangedAddress]
) -> frozenset[str]:
    """Write the groups after these changes of a source; return the tickers to merge.

    The caller's transaction holds the write lock and has written the changes.
    """
    if not changed:
        return frozenset()
    connected = await connected_keys(connection, source, changed)
    groups = await to_thread.run_sync(group_addresses, connected.addresses)
    return await save_groups(connection, connected.stored, groups)
