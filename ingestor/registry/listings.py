"""The addresses that the records of a page give themselves, such as the rows of a file."""

import datetime
from collections.abc import Sequence

from db.connect.types import Connection
from db.write.identity.addresses import ListedAddress, replace_addresses
from db.write.listings import Listing
from ingestor.registry.regroup import regroup


async def write_listing_addresses(
    connection: Connection, source: str, listings: Sequence[Listing], now: datetime.datetime
) -> frozenset[str]:
    """Replace the addresses of these listings; return the tickers to merge.

    Of several records of one listing the newest counts. A record that says nothing of addresses
    leaves those of its listing. The caller's transaction holds the write lock.
    """
    newest: dict[str, Listing] = {}
    for listing in listings:
        if listing.addresses is None:
            continue
        before = newest.get(listing.external_id)
        if before is None or listing.observed_at >= before.observed_at:
            newest[listing.external_id] = listing
    if not newest:
        return frozenset()
    given = [
        ListedAddress(external_id, token)
        for external_id, listing in newest.items()
        for token in listing.addresses or ()
    ]
    changed = await replace_addresses(connection, source, given, now, external_ids=newest)
    return await regroup(connection, source, changed)
