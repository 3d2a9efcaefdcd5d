"""Publish consensus prices: their rows, and the listings of the source `markets` in the merge."""

import datetime
import hashlib
from collections.abc import Mapping
from decimal import Context, Decimal

import msgspec

from db.streams.consensus import ConsensusRow, end_consensus, write_consensus
from db.write.coins import merge_coins
from db.write.listings import Listing, encode_listings, write_listings
from db.write.transaction import Outbox
from ingestor.sources.normalize import name_key
from ingestor.streams.contributions import ConsensusPrice, Contribution
from ingestor.streams.records import NANOSECONDS, to_datetime

SOURCE = "markets"
"""The source that speaks with the consensus prices in the merge."""
PRIORITY = 1_000
"""After every other source: `markets` has no name and no rank of its own."""
POLL_SECONDS = 100
"""A coin with a price of `markets` becomes stale after three of these, the age of a market's."""
REPEAT_SECONDS = 30
"""A consensus that stays equal is observed again after so long."""
_ROUNDED = Context(prec=18)


class ListedAsset(msgspec.Struct, frozen=True):
    """The ticker and the name under which `markets` lists an asset."""

    ticker: str
    name: str | None


class PublishedConsensus(msgspec.Struct, frozen=True):
    """What one transaction published: rows of consensus, listings, changed coins."""

    rows: int = 0
    listings: int = 0
    coins: int = 0


class ConsensusPublisher:
    """Writes what differs from the last batch that was committed.

    Below the quorum an asset has a row that says so, and `markets` does not speak: its listing
    stays as it was observed last. `oldest` is where history begins.
    """

    def __init__(self) -> None:
        self.assets: Mapping[str, ListedAsset] = {}
        self.oldest = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        self._rows: dict[str, ConsensusPrice] = {}
        self._listed: dict[str, ConsensusPrice] = {}
        self._pending: tuple[dict[str, ConsensusPrice], dict[str, ConsensusPrice]] = ({}, {})

    async def write(
        self, outbox: Outbox, consensus: Mapping[str, ConsensusPrice], now: datetime.datetime
    ) -> PublishedConsensus:
        """Write the consensus prices that changed; the transaction holds the write lock."""
        rows = {
            asset: found for asset, found in consensus.items() if self._rows.get(asset) != found
        }
        await write_consensus(outbox.connection, [_row(found) for found in rows.values()], now)
        if not self._rows or self._rows.keys() - consensus.keys():
            await end_consensus(outbox.connection, list(consensus))
        speaking = {asset: found for asset, found in consensus.items() if self._is_news(found)}
        coins = await self._write_listings(outbox, speaking, now) if speaking else []
        await outbox.add_coins(coins, now)
        self._pending = (dict(consensus), speaking)
        return PublishedConsensus(len(rows), len(speaking), len(coins))

    def commit(self) -> None:
        """Take what was written for committed."""
        self._rows, speaking = self._pending
        self._listed |= speaking

    def _is_news(self, found: ConsensusPrice) -> bool:
        if found.price is None or found.observed_ns is None or found.asset not in self.assets:
            return False
        before = self._listed.get(found.asset)
        if before is None or before.observed_ns is None:
            return True
        older_seconds = (found.observed_ns - before.observed_ns) / NANOSECONDS
        if older_seconds <= 0:
            return False
        return found.price != before.price or older_seconds >= REPEAT_SECONDS

    async def _write_listings(
        self, outbox: Outbox, speaking: Mapping[str, ConsensusPrice], now: datetime.datetime
    ) -> list[str]:
        listings = [_listing(self.assets[asset], found) for asset, found in speaking.items()]
        new = speaking.keys() - self._listed.keys()
        result = await write_listings(
            outbox.connection,
            SOURCE,
            "stream",
            encode_listings(listings, [b"null"] * len(listings), [(None, None)] * len(listings)),
            run_id=0,
            fetched_at=now,
            body=None,
            oldest=self.oldest,
            any_new=bool(new),
            renamed=speaking.keys(),
        )
        return await merge_coins(outbox.connection, result.tickers, now)


def _listing(asset: ListedAsset, found: ConsensusPrice) -> Listing:
    """Return the listing of an asset in `markets`.

    Without a volume: a few venues' is not that of the whole market, which other sources say.
    """
    name_words, core_words = name_key(asset.name)
    price = _ROUNDED.create_decimal(found.price or Decimal(0))
    said = f"{price} {found.observed_ns} {asset.ticker} {asset.name}"
    return Listing(
        external_id=found.asset,
        ticker=asset.ticker,
        symbol=asset.ticker,
        name=asset.name,
        name_words=name_words,
        core_words=core_words,
        rank=None,
        price_usd=price,
        market_cap_usd=None,
        volume_24h_usd=None,
        percent_change_24h=None,
        circulating_supply=None,
        total_supply=None,
        max_supply=None,
        observed_at=to_datetime(found.observed_ns or 0),
        content_hash=hashlib.blake2b(said.encode(), digest_size=16).digest(),
    )


def _row(found: ConsensusPrice) -> ConsensusRow:
    return ConsensusRow(
        found.asset,
        found.price,
        found.confidence,
        found.volume_24h_usd,
        found.venues,
        None if found.observed_ns is None else to_datetime(found.observed_ns),
        msgspec.json.encode([_contribution(one) for one in found.contributions]).decode(),
    )


def _contribution(one: Contribution) -> dict[str, object]:
    return {
        "venue": one.venue,
        "symbol": one.symbol,
        "price_usd": None if one.price_usd is None else str(_ROUNDED.plus(one.price_usd)),
        "weight": round(one.weight, 6),
        "deviation_percent": None
        if one.deviation is None
        else round(float(one.deviation) * 100, 4),
        "used": one.used,
        "reason": one.reason,
    }
