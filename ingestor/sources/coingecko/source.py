"""CoinGecko: the markets by market cap, 250 a page, https://docs.coingecko.com/reference/coins-markets."""

import datetime
import math
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Literal
from urllib.parse import quote

import msgspec
from yarl import URL

from common.settings import Settings
from ingestor.http.fetch import Fetch, OnCall, Provider, Validators, open_fetch
from ingestor.sources.built_in import CoinGeckoSettings
from ingestor.sources.coingecko.chart import decode_chart
from ingestor.sources.coingecko.platforms import platforms_page
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
    Note,
    Page,
    PageBody,
    PastPrice,
    Record,
    RecordError,
    Rejection,
)

PER_PAGE = 250
CACHED_PAGES = 40
"""Pages in memory for a 304: 20 MB at most, their bodies included."""
PRO_HOST = "pro-api.coingecko.com"
DEMO_HOST = "api.coingecko.com"
MONTH_SECONDS = 30 * 24 * 3600
ADVICE = {
    10012: (
        "without a paid plan it gives the last 365 days only: use kasparro backfill --days 365, "
        "or set COINGECKO_API_KEY to the key of a paid plan"
    )
}
"""By CoinGecko's own codes, https://docs.coingecko.com/docs/common-errors-rate-limit."""
POLL_SHARE = 0.9
"""The share of the month's calls for polls; triggers, retries and backfills use the rest."""


class _MarketRow(msgspec.Struct, gc=False):
    symbol: str
    name: str | None = None
    market_cap_rank: Decimal | None = None
    current_price: Decimal | None = None
    market_cap: Decimal | None = None
    total_volume: Decimal | None = None
    price_change_percentage_24h: Decimal | None = None
    circulating_supply: Decimal | None = None
    total_supply: Decimal | None = None
    max_supply: Decimal | None = None
    last_updated: str | int | float | None = None
    observed: str | None = msgspec.field(name=OBSERVED_AT, default=None)
    replaced: dict[str, str] | None = msgspec.field(name=REPLACED, default=None)


_MARKET = msgspec.json.Decoder(_MarketRow)
_FIELDS = (
    Field(("current_price",), number(positive), side=False),
    Field(("name",), text),
    Field(("market_cap_rank",), number(rank_of)),
    Field(("market_cap",), number(positive)),
    Field(("total_volume",), number(not_negative)),
    Field(("price_change_percentage_24h",), number(signed)),
    Field(("circulating_supply",), number(positive)),
    Field(("total_supply",), number(positive)),
    Field(("max_supply",), number(positive)),
)


class _NextPage(msgspec.Struct, frozen=True):
    """The page to read next; 1 after a complete sweep."""

    page: int


class _CachedPage(msgspec.Struct, frozen=True):
    """A page as it last came, for the answer that it did not change (304)."""

    validators: Validators
    records: list[Record]
    rejections: list[Rejection]
    body: PageBody


class CoinGecko:
    """The pages of one sweep; a run that fails on page 7 resumes there.

    Coins move between pages while they are read.
    """

    kind: Literal["api", "file"] = "api"
    priority = 20
    missed_sweeps: Literal[1, 2] = 2
    budget_variable = "COINGECKO_MONTHLY_CALLS"

    def __init__(
        self,
        fetch: Fetch,
        *,
        name: str = "coingecko",
        poll_seconds: int = 300,
        page_count: int = 4,
        monthly_calls: int = 10_000,
    ) -> None:
        self.name = name
        self.poll_seconds = poll_seconds
        self._page_count = page_count
        self._monthly_calls = monthly_calls
        self._fetch = fetch
        self._registry_fetch = fetch.apart()
        self._cached: dict[int, _CachedPage] = {}

    async def pages(
        self, checkpoint: Checkpoint | None, *, full: bool
    ) -> AsyncGenerator[Page, None]:
        """Yield the pages from that of the checkpoint on; an empty one is the last.

        Raises SourceError.
        """
        number = 1
        if not full and checkpoint is not None and checkpoint.position is not None:
            number = msgspec.convert(checkpoint.position, _NextPage).page
        if number > self._page_count:
            number = 1  # COINGECKO_PAGES was larger when the checkpoint was written
        last, short = False, None
        while not last:
            fetched_at, read = await self._page(number, full=full)
            size = len(read.records) + len(read.rejections)
            if number == 1 and not size:
                # It would end every listing.
                raise SourceMalformedError(
                    f"{self._fetch.provider.name} sent an empty first page - at `$`"
                )
            # A page may lack a coin while coins move: only an empty one is the end.
            last = not size or number == self._page_count
            yield Page(
                group="",
                number=number,
                fetched_at=fetched_at,
                records=read.records,
                rejections=read.rejections,
                position=_NextPage(1 if last else number + 1),
                ends_group=last,
                sweep_groups=("",) if last else None,
                notes=(short,) if short and size else (),
                body=read.body,
            )
            short = _short(number, size)
            number += 1

    async def _page(self, number: int, *, full: bool) -> tuple[datetime.datetime, _CachedPage]:
        cached = None if full else self._cached.get(number)
        query = {
            "vs_currency": "usd",
            "order": "market_cap_desc",
            "per_page": str(PER_PAGE),
            "page": str(number),
        }
        body = await self._fetch.get("coins/markets", query, cached.validators if cached else None)
        if cached and body.content is None:
            return body.fetched_at, cached
        records, rejections = split(body.content or b"", self._fetch.provider.name, body.fetched_at)
        read = _CachedPage(body.validators, records, rejections, body.page)
        if body.validators.headers() and number <= CACHED_PAGES:
            self._cached[number] = read
        return body.fetched_at, read

    def to_listing(self, record: Record, fetched_at: datetime.datetime) -> Listing:
        """Normalise one market. Raises RecordError."""
        try:
            return _listing(decode_record(record, _MARKET), record, fetched_at)
        except RecordError:
            return read_leniently(
                record, _MARKET, _FIELDS, lambda market: _listing(market, record, fetched_at)
            )

    async def history(self, external_id: str, days: int) -> list[PastPrice]:
        """Return a coin's chart: points of 5 minutes for one day, hours up to 90, days beyond.

        https://docs.coingecko.com/reference/coins-id-market-chart. Raises SourceError.
        """
        path = f"coins/{quote(external_id, safe='')}/market_chart"
        body = await self._fetch.get(path, {"vs_currency": "usd", "days": str(days)})
        return decode_chart(body, external_id, self._fetch.provider.name)

    async def addresses(self) -> AsyncGenerator[AddressPage, None]:
        """Yield the one body with the contracts of all coins. Raises SourceError."""
        yield await platforms_page(self._registry_fetch, self.name)

    def count_calls(self, on_call: OnCall | None) -> None:
        """Await `on_call` before each call from now on."""
        self._fetch.on_call = self._registry_fetch.on_call = on_call

    def spare_calls(self, used: int, now: datetime.datetime) -> int:
        """Return the calls of this month's budget beyond `used` and the polls still to come."""
        next_month = (now.replace(day=1) + datetime.timedelta(days=31)).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        polls = math.ceil((next_month - now).total_seconds() / self.poll_seconds)
        return max(0, self._monthly_calls - used - polls * self._page_count)

    async def close(self) -> None:
        """Close the connections."""
        await self._fetch.close()
        await self._registry_fetch.close()


def _short(number: int, size: int) -> Note | None:
    """Return the note on a page that lacks coins; it applies if a page with coins follows."""
    if size >= PER_PAGE:
        return None
    text = f"A page had fewer than {PER_PAGE} coins and was not the last: page {number} with {size}"
    return Note("short page", text)


_PATHS = ListingPaths(
    rank="$.market_cap_rank",
    price_usd="$.current_price",
    market_cap_usd="$.market_cap",
    volume_24h_usd="$.total_volume",
    percent_change_24h="$.price_change_percentage_24h",
)


def _listing(market: _MarketRow, record: Record, fetched_at: datetime.datetime) -> Listing:
    return make_listing(
        record,
        fetched_at,
        symbol=market.symbol,
        name=market.name,
        rank=market.market_cap_rank,
        price_usd=market.current_price,
        market_cap_usd=market.market_cap,
        volume_24h_usd=market.total_volume,
        percent_change_24h=market.price_change_percentage_24h,
        circulating_supply=market.circulating_supply,
        total_supply=market.total_supply,
        max_supply=market.max_supply,
        observed=market.observed or market.last_updated,
        notes=replacement_notes(market.replaced) if market.replaced else (),
        paths=_PATHS,
    )


def create(settings: Settings, *, name: str = "coingecko") -> CoinGecko:
    """Make the source of the settings: its polls fit the call budget. Raises SettingsError."""
    own = CoinGeckoSettings.load(settings)
    key, host = own.coingecko_api_key, URL(own.coingecko_url).host
    provider = Provider(
        name="CoinGecko",
        url=own.coingecko_url,
        url_variable="COINGECKO_URL",
        key=key,
        key_header="x-cg-pro-api-key" if host == PRO_HOST else "x-cg-demo-api-key",
        key_variable="COINGECKO_API_KEY",
        calls=_calls_a_minute(host, key),
        per_seconds=60,
        advice=ADVICE,
    )
    seconds_a_call = MONTH_SECONDS / (own.coingecko_monthly_calls * POLL_SHARE)
    return CoinGecko(
        open_fetch(settings, provider),
        name=name,
        poll_seconds=max(settings.poll_seconds, math.ceil(own.coingecko_pages * seconds_a_call)),
        page_count=own.coingecko_pages,
        monthly_calls=own.coingecko_monthly_calls,
    )


def _calls_a_minute(host: str | None, key: str | None) -> int:
    """Return the limit of the plan; without a key all clients of one address share it."""
    if host == DEMO_HOST:
        return 30 if key else 10
    return 500
