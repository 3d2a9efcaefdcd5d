"""CoinPaprika: every ticker in one body, https://docs.coinpaprika.com/api-reference/rest-api."""

import datetime
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Literal

import msgspec
from yarl import URL

from common.display import without_user_info
from common.settings import Settings
from ingestor.http.fetch import Fetch, Provider, Validators, open_fetch
from ingestor.sources.built_in import CoinPaprikaSettings
from ingestor.sources.contracts import contract_pages
from ingestor.sources.decode import decode_record, split
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.lenient import Field, number, read_leniently, text
from ingestor.sources.listing import ListingPaths, make_listing
from ingestor.sources.nonfinite import REPLACED, replacement_notes
from ingestor.sources.normalize import not_negative, positive, rank_of, signed
from ingestor.sources.records import (
    OBSERVED_AT,
    AddressPage,
    Checkpoint,
    Listing,
    Page,
    Record,
    RecordError,
)

FREE_HOST = "api.coinpaprika.com"
PRO_URL = "https://api-pro.coinpaprika.com/v1"


class _Usd(msgspec.Struct, gc=False):
    price: Decimal | None = None
    market_cap: Decimal | None = None
    volume_24h: Decimal | None = None
    percent_change_24h: Decimal | None = None


class _Quotes(msgspec.Struct, gc=False):
    usd: _Usd = msgspec.field(name="USD", default_factory=_Usd)


class _TickerRow(msgspec.Struct, gc=False):
    symbol: str
    name: str | None = None
    rank: Decimal | None = None
    circulating_supply: Decimal | None = None
    total_supply: Decimal | None = None
    max_supply: Decimal | None = None
    last_updated: str | int | float | None = None
    quotes: _Quotes = msgspec.field(default_factory=_Quotes)
    observed: str | None = msgspec.field(name=OBSERVED_AT, default=None)
    replaced: dict[str, str] | None = msgspec.field(name=REPLACED, default=None)


_TICKER = msgspec.json.Decoder(_TickerRow)
_FIELDS = (
    Field(("quotes", "USD", "price"), number(positive), side=False),
    Field(("name",), text),
    Field(("rank",), number(rank_of)),
    Field(("quotes", "USD", "market_cap"), number(positive)),
    Field(("quotes", "USD", "volume_24h"), number(not_negative)),
    Field(("quotes", "USD", "percent_change_24h"), number(signed)),
    Field(("circulating_supply",), number(positive)),
    Field(("total_supply",), number(positive)),
    Field(("max_supply",), number(positive)),
)


class _BodyPosition(msgspec.Struct, frozen=True):
    """The URL and validators of the newest stored body."""

    url: str
    validators: Validators


class CoinPaprika:
    """All tickers in one array without pages; a body that is stored is not sent again (304)."""

    kind: Literal["api", "file"] = "api"
    priority = 10
    missed_sweeps: Literal[1, 2] = 2

    def __init__(self, fetch: Fetch, *, name: str = "coinpaprika", poll_seconds: int = 300) -> None:
        self.name = name
        self.poll_seconds = poll_seconds
        self._fetch = fetch
        self._registry_fetch = fetch.apart()

    async def pages(
        self, checkpoint: Checkpoint | None, *, full: bool
    ) -> AsyncGenerator[Page, None]:
        """Yield the only page, or none if it did not change. Raises SourceError."""
        body = await self._fetch.get(
            "tickers", {"quotes": "USD"}, None if full else self._validators(checkpoint)
        )
        if body.content is None:
            return
        records, rejections = split(body.content, self._fetch.provider.name, body.fetched_at)
        if not records and not rejections:
            # It would end every listing.
            raise SourceMalformedError(
                f"{self._fetch.provider.name} sent an empty list of coins - at `$`"
            )
        yield Page(
            group="",
            number=1,
            fetched_at=body.fetched_at,
            records=records,
            rejections=rejections,
            position=_BodyPosition(without_user_info(self._fetch.provider.url), body.validators),
            ends_group=True,
            sweep_groups=("",),
            body=body.page,
        )

    def _validators(self, checkpoint: Checkpoint | None) -> Validators | None:
        if checkpoint is None or checkpoint.position is None:
            return None
        position = msgspec.convert(checkpoint.position, _BodyPosition)
        return (
            position.validators
            if position.url == without_user_info(self._fetch.provider.url)
            else None
        )

    def to_listing(self, record: Record, fetched_at: datetime.datetime) -> Listing:
        """Normalise one ticker. Raises RecordError."""
        try:
            return _listing(decode_record(record, _TICKER), record, fetched_at)
        except RecordError:
            return read_leniently(
                record, _TICKER, _FIELDS, lambda ticker: _listing(ticker, record, fetched_at)
            )

    async def addresses(self) -> AsyncGenerator[AddressPage, None]:
        """Yield the platforms, then the contracts on each. Raises SourceError."""
        async for page in contract_pages(self._registry_fetch, self.name):
            yield page

    async def close(self) -> None:
        """Close the connections."""
        await self._fetch.close()
        await self._registry_fetch.close()


_PATHS = ListingPaths(
    price_usd="$.quotes.USD.price",
    market_cap_usd="$.quotes.USD.market_cap",
    volume_24h_usd="$.quotes.USD.volume_24h",
    percent_change_24h="$.quotes.USD.percent_change_24h",
)


def _listing(ticker: _TickerRow, record: Record, fetched_at: datetime.datetime) -> Listing:
    usd = ticker.quotes.usd
    return make_listing(
        record,
        fetched_at,
        symbol=ticker.symbol,
        name=ticker.name,
        rank=ticker.rank,
        price_usd=usd.price,
        market_cap_usd=usd.market_cap,
        volume_24h_usd=usd.volume_24h,
        percent_change_24h=usd.percent_change_24h,
        circulating_supply=ticker.circulating_supply,
        total_supply=ticker.total_supply,
        max_supply=ticker.max_supply,
        observed=ticker.observed or ticker.last_updated,
        notes=replacement_notes(ticker.replaced) if ticker.replaced else (),
        paths=_PATHS,
    )


def create(settings: Settings, *, name: str = "coinpaprika") -> CoinPaprika:
    """Make the source of the settings; a key selects the pro host. Raises SettingsError."""
    own = CoinPaprikaSettings.load(settings)
    key, url = own.api_source_key, own.coinpaprika_url
    if key and URL(url).host == FREE_HOST:
        url = PRO_URL
    provider = Provider(
        name="CoinPaprika",
        url=url,
        url_variable="COINPAPRIKA_URL",
        key=key,
        key_header="Authorization",
        key_variable="API_SOURCE_KEY",
        calls=10,
        per_seconds=1,
    )
    return CoinPaprika(
        open_fetch(settings, provider),
        name=name,
        poll_seconds=settings.poll_seconds,
    )
