"""The venues with a live stream, one file each."""

from collections.abc import Mapping
from typing import Final

from common.settings import Settings
from ingestor.streams.venue import Venue
from ingestor.streams.venues.binance import Binance
from ingestor.streams.venues.bitstamp import Bitstamp
from ingestor.streams.venues.bybit import Bybit
from ingestor.streams.venues.coinbase import Coinbase
from ingestor.streams.venues.kraken import Kraken
from ingestor.streams.venues.okx import Okx

VENUES: Final[Mapping[str, Venue]] = {
    venue.name: venue for venue in (Binance(), Coinbase(), Kraken(), Okx(), Bybit(), Bitstamp())
}
"""Every venue by its name."""


def create(_settings: Settings, *, name: str) -> Venue:
    """Return the venue of a stream that comes with Kasparro; it has no settings but its URLs."""
    return VENUES[name]
