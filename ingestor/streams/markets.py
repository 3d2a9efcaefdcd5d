"""The markets of a venue, from its REST list."""

from common.settings import Settings
from ingestor.http.fetch import Fetch, Provider, open_fetch
from ingestor.sources.errors import SourceMalformedError
from ingestor.streams.records import VenueMarket
from ingestor.streams.venue import Venue


async def fetch_markets(venue: Venue, fetch: Fetch) -> list[VenueMarket]:
    """Return the spot markets of a venue. Raises SourceError; an empty list is malformed."""
    path, query = venue.markets_request()
    body = await fetch.get(path, query)
    markets = venue.read_markets(body.content or b"")
    if not markets:
        raise SourceMalformedError(f"{venue.name} sent an empty list of markets - at `$`")
    return markets


def open_markets_fetch(settings: Settings, venue: Venue, url: str | None = None) -> Fetch:
    """Return the fetch for a venue's list; `<VENUE>_URL` is the setting that errors name."""
    return open_fetch(
        settings,
        Provider(
            name=venue.name,
            url=url or venue.api_url,
            url_variable=f"{venue.name.upper()}_URL",
            calls=1,
            per_seconds=1.0,
        ),
    )
