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
from ingestor.http.egress import egress_of
from ingestor.http.fetch import Fetch, FetchLimits, OnCall, Provider, Validators, patience
from ingestor.sources.coingecko.chart import decode_chart
from ingestor.sources.decode import decode_record, split
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.lenient import Field, number, read_leniently, text
from ingestor.sources.nonfinite import REPLACED, replacement_notes
from ingestor.sources.normalize import (
    name_key,
    normalize_name,
    normalize_ticker,
    not_negative,
    observed_at,
    positive,
    rank_of,
    signed,
)
from ingestor.sources.records import (
    OBSERVED_AT,
    Checkpoint,
    Listing,
    Note,
    Page,
    PastPrice,
    Record,
    RecordError,
    Rejection,
)

PER_PAGE = 250
KEPT_PAGES = 40
"""Pages held in memory for a 304: 10 MB at most."""
PRO_HOST = "pro-api.coingecko.com"
DEMO_HOST = "api.coingecko.com"
MONTH_SECONDS = 30 * 24 * 3600
ADVICE = {
    10012: (
        "without a paid plan it gives the last 365 days only: ask for no more (kasparro backfill --days 365), "
        "or set COINGECKO_API_KEY to the key of a paid plan"
    )
}
"""By CoinGecko's own codes, https://docs.coingecko.com/docs/common-errors-rate-limit."""
POLL_SHARE = 0.9
"""How much of the month's calls the polls are spread over; the rest is for triggers, retries and backfills."""


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
    """The page to read next; 1 where a sweep is complete."""

    page: int


class _CachedPage(msgspec.Struct, frozen=True):
    """A page as it last came, for the day when the answer is that it did not change (304)."""

    validators: Validators
    records: list[Record]
    rejections: list[Rejection]


class CoinGecko:
    """Pages of one sweep; a run that fails on page 7 goes on there.

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
        self._kept: dict[int, _CachedPage] = {}

    async def pages(
        self, checkpoint: Checkpoint | None, *, full: bool
    ) -> AsyncGenerator[Page, None]:
        """Yield the pages from the checkpoint's on; an empty one is the last.

        Raises SourceError.
        """
        number = 1
        if not full and checkpoint is not None and checkpoint.position is not None:
            number = msgspec.convert(checkpoint.position, _NextPage).page
        if number > self._page_count:
            number = 1  # fewer pages are wanted than when the checkpoint was written
        last, short = False, None
        while not last:
            fetched_at, records, rejections = await self._page(number, full=full)
            size = len(records) + len(rejections)
            if number == 1 and not size:
                # Taken at its word it would end every listing.
                raise SourceMalformedError(
                    f"{self._fetch.provider.name} sent an empty first page - at `$`"
                )
            # A page may come one short while coins move: only an empty one is the end.
            last = not size or number == self._page_count
            yield Page(
                group="",
                number=number,
                fetched_at=fetched_at,
                records=records,
                rejections=rejections,
                position=_NextPage(1 if last else number + 1),
                ends_group=last,
                sweep_groups=("",) if last else None,
                notes=(short,) if short and size else (),
            )
            short = _short(number, size)
            number += 1

    async def _page(
        self, number: int, *, full: bool
    ) -> tuple[datetime.datetime, list[Record], list[Rejection]]:
        kept = None if full else self._kept.get(number)
        query = {
            "vs_currency": "usd",
            "order": "market_cap_desc",
            "per_page": str(PER_PAGE),
            "page": str(number),
        }
        body = await self._fetch.get("coins/markets", query, kept.validators if kept else None)
        if kept and body.content is None:
            return body.fetched_at, kept.records, kept.rejections
        records, rejections = split(body.content or b"", self._fetch.provider.name, body.fetched_at)
        if body.validators.headers() and number <= KEPT_PAGES:
            self._kept[number] = _CachedPage(body.validators, records, rejections)
        return body.fetched_at, records, rejections

    def to_listing(self, record: Record, fetched_at: datetime.datetime) -> Listing:
        """Normalise one market. Raises RecordError."""
        try:
            return _listing(decode_record(record, _MARKET), record, fetched_at)
        except RecordError:
            return read_leniently(
                record, _MARKET, _FIELDS, lambda market: _listing(market, record, fetched_at)
            )

    async def history(self, external_id: str, days: int) -> list[PastPrice]:
        """Return a coin's chart, https://docs.coingecko.com/reference/coins-id-market-chart. Raises SourceError.

        A point every 5 minutes of one day, every hour of up to 90, every day beyond.
        """
        path = f"coins/{quote(external_id, safe='')}/market_chart"
        body = await self._fetch.get(path, {"vs_currency": "usd", "days": str(days)})
        return decode_chart(body, external_id, self._fetch.provider.name)

    def count_calls(self, on_call: OnCall | None) -> None:
        """From now on await `on_call` before each call."""
        self._fetch.on_call = on_call

    def spare_calls(self, used: int, now: datetime.datetime) -> int:
        """Return what the month's budget leaves beside `used` calls and the polls that are still to come."""
        next_month = (now.replace(day=1) + datetime.timedelta(days=31)).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        polls = math.ceil((next_month - now).total_seconds() / self.poll_seconds)
        return max(0, self._monthly_calls - used - polls * self._page_count)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._fetch.close()


def _short(number: int, size: int) -> Note | None:
    """Return the note on a page that lacks coins, good where another page with coins comes after it."""
    if size >= PER_PAGE:
        return None
    text = f"A page came with fewer than the {PER_PAGE} coins asked for, and was not the last: page {number} with {size}"
    return Note("short page", text)


def _listing(market: _MarketRow, record: Record, fetched_at: datetime.datetime) -> Listing:
    name = normalize_name(market.name)
    name_words, core_words = name_key(name)
    return Listing(
        external_id=record.external_id,
        ticker=normalize_ticker(market.symbol),
        symbol=market.symbol,
        name=name,
        name_words=name_words,
        core_words=core_words,
        rank=rank_of(market.market_cap_rank, "$.market_cap_rank"),
        price_usd=positive(market.current_price, "$.current_price"),
        market_cap_usd=positive(market.market_cap, "$.market_cap"),
        volume_24h_usd=not_negative(market.total_volume, "$.total_volume"),
        percent_change_24h=signed(
            market.price_change_percentage_24h, "$.price_change_percentage_24h"
        ),
        circulating_supply=positive(market.circulating_supply, "$.circulating_supply"),
        total_supply=positive(market.total_supply, "$.total_supply"),
        max_supply=positive(market.max_supply, "$.max_supply"),
        observed_at=observed_at(
            market.observed or market.last_updated, fetched_at, "$.last_updated"
        ),
        content_hash=record.content_hash,
        notes=replacement_notes(market.replaced) if market.replaced else (),
    )


def create(settings: Settings, *, name: str = "coingecko") -> CoinGecko:
    """Make the source that the settings describe; its polls are spread over the month's call budget."""
    key = settings.coingecko_api_key
    host = URL(settings.coingecko_url).host
    provider = Provider(
        name="CoinGecko",
        url=settings.coingecko_url,
        url_variable="COINGECKO_URL",
        key=key,
        key_header="x-cg-pro-api-key" if host == PRO_HOST else "x-cg-demo-api-key",
        key_variable="COINGECKO_API_KEY",
        calls=_calls_a_minute(host, key),
        per_seconds=60,
        advice=ADVICE,
    )
    seconds_a_call = MONTH_SECONDS / (settings.coingecko_monthly_calls * POLL_SHARE)
    return CoinGecko(
        Fetch(provider, FetchLimits(patience_seconds=patience(settings)), egress_of(settings)),
        name=name,
        poll_seconds=max(
            settings.poll_seconds, math.ceil(settings.coingecko_pages * seconds_a_call)
        ),
        page_count=settings.coingecko_pages,
        monthly_calls=settings.coingecko_monthly_calls,
    )


def _calls_a_minute(host: str | None, key: str | None) -> int:
    """Return the plan's limit; without a key the address shares one with its neighbours, so ask for little."""
    if host == DEMO_HOST:
        return 30 if key else 10
    return 500
