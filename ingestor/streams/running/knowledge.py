"""What the database knows of the assets that markets may trade, read again and again."""

import datetime
from collections import defaultdict
from collections.abc import Iterable

from db.connect.types import Connection
from db.streams.candidates import CandidateRow, read_candidates, read_labels
from ingestor.streams.asset_choice import AssetCandidate
from ingestor.streams.book import MarketBook
from ingestor.streams.conflation import MarketKey
from ingestor.streams.publishing import ConsensusPublisher, ListedAsset

KNOWN_FOR = datetime.timedelta(days=1)
"""An older price of an asset is not compared with that of a market."""


async def refresh_knowledge(
    connection: Connection,
    book: MarketBook,
    publisher: ConsensusPublisher,
    now: datetime.datetime,
) -> None:
    """Give the book the candidates and labels of its markets, and the publisher their names."""
    rows = await read_candidates(connection, sorted(book.tickers), now - KNOWN_FOR)
    candidates = defaultdict[str, list[AssetCandidate]](list)
    for row in rows:
        candidates[row.ticker].append(AssetCandidate(row.asset, row.price_usd, row.is_owner))
    book.candidates = dict(candidates)
    publisher.assets = _listed(rows)
    labels = await read_labels(connection, sorted(book.venues))
    book.labels = {
        MarketKey(row.venue, row.symbol): None if row.is_banned else row.asset for row in labels
    }


def _listed(rows: Iterable[CandidateRow]) -> dict[str, ListedAsset]:
    """Return how each asset is listed: under the ticker that it owns, else under its first."""
    listed: dict[str, ListedAsset] = {}
    for row in sorted(rows, key=lambda row: (not row.is_owner, row.ticker)):
        listed.setdefault(row.asset, ListedAsset(row.ticker, row.name))
    return listed
