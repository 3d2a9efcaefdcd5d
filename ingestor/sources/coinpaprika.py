"""CoinPaprika: every ticker in one body, https://docs.coinpaprika.com/api-reference/rest-api."""

import datetime
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Literal

import msgspec
from yarl import URL

from common.display import without_user_info
from common.settings import Settings
from ingestor.http.egress import egress_of
from ingestor.http.fetch import Fetch, FetchLimits, Provider, Validators, patience
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
from ingestor.sources.records import OBSERVED_AT, Checkpoint, Listing, Page, Record, RecordError

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
    """What the newest body that was stored is known by."""

    url: str
    validators: Validators


class CoinPaprika:
    """One array, unsorted, unpaged; a body that was stored already is not sent again (304)."""

    kind: Literal["api", "file"] = "api"
    priority = 10
    missed_sweeps: Literal[1, 2] = 1

    def __init__(self, fetch: Fetch, *, name: str = "coinpaprika", poll_seconds: int = 300) -> None:
        self.name = name
        self.poll_seconds = poll_seconds
        self._fetch = fetch

    async def pages(
        self, checkpoint: Checkpoint | None, *, full: bool
    ) -> AsyncGenerator[Page, None]:
        """Yield the one page there is, or none when it did not change. Raises SourceError."""
        body = await self._fetch.get(
            "tickers", {"quotes": "USD"}, None if full else self._validators(checkpoint)
        )
        if body.content is None:
            return
        records, rejections = split(body.content, self._fetch.provider.name, body.fetched_at)
        if not records and not rejections:
            # Taken at its word it would end every listing.
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

    async def close(self) -> None:
        """Let go of the connections."""
        await self._fetch.close()


def _listing(ticker: _TickerRow, record: Record, fetched_at: datetime.datetime) -> Listing:
    usd = ticker.quotes.usd
    name = normalize_name(ticker.name)
    name_words, core_words = name_key(name)
    return Listing(
        external_id=record.external_id,
        ticker=normalize_ticker(ticker.symbol),
        symbol=ticker.symbol,
        name=name,
        name_words=name_words,
        core_words=core_words,
        rank=rank_of(ticker.rank, "$.rank"),
        price_usd=positive(usd.price, "$.quotes.USD.price"),
        market_cap_usd=positive(usd.market_cap, "$.quotes.USD.market_cap"),
        volume_24h_usd=not_negative(usd.volume_24h, "$.quotes.USD.volume_24h"),
        percent_change_24h=signed(usd.percent_change_24h, "$.quotes.USD.percent_change_24h"),
        circulating_supply=positive(ticker.circulating_supply, "$.circulating_supply"),
        total_supply=positive(ticker.total_supply, "$.total_supply"),
        max_supply=positive(ticker.max_supply, "$.max_supply"),
        observed_at=observed_at(
            ticker.observed or ticker.last_updated, fetched_at, "$.last_updated"
        ),
        content_hash=record.content_hash,
        notes=replacement_notes(ticker.replaced) if ticker.replaced else (),
    )


def create(settings: Settings, *, name: str = "coinpaprika") -> CoinPaprika:
    """Make the source that the settings describe; a key turns the free host into the pro one."""
    key = settings.api_source_key
    url = settings.coinpaprika_url
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
        Fetch(provider, FetchLimits(patience_seconds=patience(settings)), egress_of(settings)),
        name=name,
        poll_seconds=settings.poll_seconds,
    )
