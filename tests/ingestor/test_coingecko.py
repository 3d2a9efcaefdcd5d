"""CoinGecko: its recorded bodies, its pages, and where a broken sweep goes on."""

import datetime
import gzip
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpServer

from common.settings import Settings, load_settings
from ingestor.sources.coingecko.source import CoinGecko, create
from ingestor.sources.decode import split
from ingestor.sources.errors import SourceError, SourceMalformedError, SourceRefusedError
from ingestor.sources.records import Checkpoint, Listing, Page, RecordError

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)


def listings_of(body: bytes) -> list[Listing]:
    source = create(Settings(home=Path()))
    records, rejections = split(body, "CoinGecko")
    assert rejections == []
    return [source.to_listing(record, NOW) for record in records]


@pytest.mark.parametrize(
    ("name", "no_max", "no_total", "smallest_price", "newest"),
    [
        ("coingecko-markets-2022-08-02T0109.json", 109, 12, "1.258e-09", "2022-08-02T01:09:11"),
        (
            "coingecko-markets-2022-08-30T0006.json",
            102 + 1,
            12 + 1,
            "1.223e-09",
            "2022-08-30T00:06:23",
        ),  # nulls, zeros
    ],
)
def test_a_recorded_page_is_read_as_its_notes_count_it(
    shared_recordings: Path, name: str, no_max: int, no_total: int, smallest_price: str, newest: str
) -> None:
    listings = listings_of((shared_recordings / name).read_bytes())
    assert len(listings) == 250
    assert sum(listing.max_supply is None for listing in listings) == no_max
    assert sum(listing.total_supply is None for listing in listings) == no_total
    assert min(listing.price_usd for listing in listings if listing.price_usd) == Decimal(
        smallest_price
    )
    assert all(
        listing.price_usd and listing.market_cap_usd and listing.rank for listing in listings
    )
    assert all(listing.symbol == listing.ticker.lower() for listing in listings)
    assert len({listing.ticker for listing in listings}) == 250
    assert max(listing.observed_at for listing in listings).isoformat().startswith(newest)
    assert listings[0].external_id == "bitcoin"


def test_the_recorded_stablecoins_with_their_gaps_are_read(shared_recordings: Path) -> None:
    listings = listings_of(
        (shared_recordings / "coingecko-markets-stablecoins-2022-11-02T2135.json").read_bytes()
    )
    assert len(listings) == 87
    assert sum(listing.rank is None for listing in listings) == 22
    assert sum(listing.market_cap_usd is None for listing in listings) == 22
    assert sum(listing.volume_24h_usd == 0 for listing in listings) == 2
    assert sum(listing.percent_change_24h is None for listing in listings) == 9
    assert sum(listing.total_supply is None for listing in listings) == 7
    assert sum(listing.max_supply is None for listing in listings) == 66
    tickers = [listing.ticker for listing in listings]
    assert sum(tickers.count(ticker) > 1 for ticker in set(tickers)) == 9


@pytest.mark.parametrize(
    ("name", "count", "rejected"),
    [
        ("coingecko-coins-list-2021-05-15T1600.json", 7248, 0),
        ("coingecko-coins-list-platforms-2022-10-05.json.gz", 13_188, 1),  # one symbol is empty
        ("coingecko-coins-list-2025-08-30.json.gz", 18_436, 0),
        ("coingecko-coins-list-2026-02-03T2021.json.gz", 18_939, 0),
    ],
)
def test_every_recorded_coin_is_a_listing_or_refused(
    shared_recordings: Path, name: str, count: int, rejected: int
) -> None:
    body = (shared_recordings / name).read_bytes()
    body = gzip.decompress(body) if name.endswith(".gz") else body
    records, rejections = split(body, "CoinGecko")
    assert (len(records), rejections) == (count, [])
    assert len({record.external_id for record in records}) == count
    source = create(Settings(home=Path()))
    refused = 0
    for record in records:
        try:
            listing = source.to_listing(record, NOW)
        except RecordError as error:
            # Counted below.
            assert str(error) == "The symbol is empty - at `$.symbol`"  # noqa: PT017
            refused += 1
        else:
            assert (listing.price_usd, listing.observed_at) == (None, NOW)
    assert refused == rejected


class Market:
    """A CoinGecko with so many coins; `broken` pages answer with a refusal."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.broken: set[int] = set()
        self.lacking: set[int] = set()
        self.asked: list[int] = []
        self.headers: list[dict[str, str]] = []
        self.not_modified = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        page = int(request.query["page"])
        self.asked.append(page)
        self.headers.append(dict(request.headers))
        assert request.query["per_page"] == "250"
        assert (request.query["vs_currency"], request.query["order"]) == ("usd", "market_cap_desc")
        if page in self.broken:
            return web.json_response({"error": "no"}, status=404)
        numbers = range((page - 1) * 250, min(page * 250, self.count))
        numbers = numbers[page in self.lacking :]
        coins = [{"id": f"coin-{n}", "symbol": f"c{n}", "current_price": n + 1} for n in numbers]
        response = web.json_response(coins, headers={"ETag": f'"{self.count}-{page}"'})
        if request.headers.get("If-None-Match") == response.headers["ETag"]:
            self.not_modified += 1
            return web.Response(status=304)
        return response


@pytest.fixture
def market_of(aiohttp_server: AiohttpServer) -> Callable[..., Awaitable[tuple[Market, CoinGecko]]]:
    async def start(
        count: int, *, pages: int = 4, key: str | None = None
    ) -> tuple[Market, CoinGecko]:
        market = Market(count)
        app = web.Application()
        app.router.add_get("/api/v3/coins/markets", market.handle)
        url = str((await aiohttp_server(app)).make_url("/api/v3"))
        return market, create(
            settings_with(
                COINGECKO_URL=url, COINGECKO_PAGES=str(pages), COINGECKO_API_KEY=key or ""
            )
        )

    return start


def settings_with(**environ: str) -> Settings:
    return load_settings(environ)


MarketOf = Callable[..., Awaitable[tuple[Market, CoinGecko]]]


async def pages_of(
    source: CoinGecko, checkpoint: Checkpoint | None = None, *, full: bool = False
) -> tuple[list[Page], SourceError | None]:
    """Return the pages that came, and the error that ended them."""
    pages: list[Page] = []
    try:
        async for page in source.pages(checkpoint, full=full):
            pages.append(page)  # noqa: PERF401 - kept when the next one fails
    except SourceError as error:
        return pages, error
    finally:
        await source.close()
    return pages, None


def after(page: Page) -> Checkpoint:
    return Checkpoint(position=msgspec.json.decode(msgspec.json.encode(page.position)))


@pytest.mark.parametrize(
    ("count", "wanted", "sizes"),
    [
        (600, 4, [250, 250, 100, 0]),
        (500, 4, [250, 250, 0]),
        (1000, 4, [250, 250, 250, 250]),
        (5000, 2, [250, 250]),
        (10, 1, [10]),
    ],
)
async def test_an_empty_page_or_the_last_that_is_wanted_ends_the_sweep(
    market_of: MarketOf, count: int, wanted: int, sizes: list[int]
) -> None:
    market, source = await market_of(count, pages=wanted)
    pages, error = await pages_of(source)
    assert error is None
    assert market.asked == [page.number for page in pages] == list(range(1, len(sizes) + 1))
    assert [len(page.records) for page in pages] == sizes
    assert [page.ends_group for page in pages] == [False] * (len(pages) - 1) + [True]
    assert [page.sweep_groups for page in pages] == [None] * (len(pages) - 1) + [("",)]


async def test_a_sweep_that_failed_goes_on_at_the_page_that_failed(market_of: MarketOf) -> None:
    market, source = await market_of(1000)
    market.broken = {3}
    pages, error = await pages_of(source)
    assert isinstance(error, SourceRefusedError)
    assert [page.number for page in pages] == [1, 2]
    market.broken = set()
    market.asked.clear()
    rest, error = await pages_of(source, after(pages[-1]))
    assert (market.asked, error) == ([3, 4], None)
    assert (await pages_of(source, after(rest[-1])))[0][0].number == 1


async def test_a_page_that_came_short_and_was_not_the_last_is_a_note(market_of: MarketOf) -> None:
    market, source = await market_of(600)
    assert [page.notes for page in (await pages_of(source))[0]] == [(), (), (), ()]
    market.lacking = {1, 2}
    pages, _ = await pages_of(source, full=True)
    assert [len(page.records) for page in pages] == [249, 249, 100, 0]
    assert [[(note.about, note.count) for note in page.notes] for page in pages] == [
        [],
        [("short page", 1)],
        [("short page", 1)],
        [],
    ]
    assert pages[1].notes[0].text == (
        "A page had fewer than 250 coins and was not the last: page 1 with 249"
    )


async def test_the_past_beyond_a_year_is_refused_with_what_to_do(
    aiohttp_server: AiohttpServer,
) -> None:
    words = "Your request exceeds the allowed time range. Public API users are limited to 365 days."

    async def refuse(_: web.Request) -> web.Response:
        body = {"error": {"status": {"error_code": 10012, "error_message": words}}}
        return web.json_response(body, status=401)

    app = web.Application()
    app.router.add_get("/api/v3/coins/bitcoin/market_chart", refuse)
    url = str((await aiohttp_server(app)).make_url("/api/v3"))
    source = create(settings_with(COINGECKO_URL=url, COINGECKO_API_KEY="our-key"))
    with pytest.raises(SourceRefusedError) as caught:
        await source.history("bitcoin", 400)
    await source.close()
    assert str(caught.value) == (
        f"CoinGecko refused the request (401): {words[:-1]}; without a paid plan it gives the last "
        "365 days only: use kasparro backfill --days 365, or set COINGECKO_API_KEY to the key of a "
        "paid plan"
    )


async def test_a_full_run_begins_at_the_first_page(market_of: MarketOf) -> None:
    market, source = await market_of(1000)
    await pages_of(source, Checkpoint(position={"page": 3}), full=True)
    assert market.asked == [1, 2, 3, 4]


async def test_a_checkpoint_beyond_the_pages_that_are_wanted_now_begins_anew(
    market_of: MarketOf,
) -> None:
    market, source = await market_of(1000, pages=2)
    await pages_of(source, Checkpoint(position={"page": 3}))
    assert market.asked == [1, 2]


async def test_a_page_that_did_not_change_is_the_same_page_and_is_not_sent_again(
    market_of: MarketOf,
) -> None:
    market, source = await market_of(300)
    first, _ = await pages_of(source)
    again, _ = await pages_of(source)
    assert market.not_modified == 3
    assert [page.records for page in again] == [page.records for page in first]
    assert again[0].fetched_at > first[0].fetched_at
    await pages_of(source, full=True)
    assert market.not_modified == 3


async def test_a_page_that_changed_is_read(market_of: MarketOf) -> None:
    market, source = await market_of(300)
    await pages_of(source)
    market.count = 299
    pages, _ = await pages_of(source)
    assert len(pages[1].records) == 49


async def test_an_empty_market_does_not_end_every_listing(market_of: MarketOf) -> None:
    _, source = await market_of(0)
    pages, error = await pages_of(source)
    assert pages == []
    assert isinstance(error, SourceMalformedError)
    assert "empty first page" in str(error)


async def test_the_key_of_another_host_is_a_demo_key(market_of: MarketOf) -> None:
    market, source = await market_of(1, key="our-key")
    await pages_of(source)
    assert market.headers[0]["x-cg-demo-api-key"] == "our-key"


@pytest.mark.parametrize(
    ("url", "key", "header", "calls"),
    [
        ("https://api.coingecko.com/api/v3", None, "x-cg-demo-api-key", 10),
        ("https://api.coingecko.com/api/v3", "k", "x-cg-demo-api-key", 30),
        ("https://pro-api.coingecko.com/api/v3", "k", "x-cg-pro-api-key", 500),
    ],
)
def test_each_host_gets_its_header_and_no_more_calls_than_its_plan(
    url: str, key: str | None, header: str, calls: int
) -> None:
    provider = create(settings_with(COINGECKO_URL=url, COINGECKO_API_KEY=key or ""))._fetch.provider
    assert (provider.key_header, provider.calls, provider.per_seconds) == (header, calls, 60)


@pytest.mark.parametrize(
    ("pages", "budget", "poll_seconds", "spread"),
    [
        (4, 10_000, 300, 1152),
        (4, 10_000, 2000, 2000),
        (1, 1_000_000, 300, 300),
        (40, 10_000, 300, 11_520),
    ],
)
def test_polls_are_spread_over_nine_tenths_of_the_calls_of_a_month(
    pages: int, budget: int, poll_seconds: int, spread: int
) -> None:
    settings = settings_with(
        COINGECKO_PAGES=str(pages),
        COINGECKO_MONTHLY_CALLS=str(budget),
        POLL_SECONDS=str(poll_seconds),
    )
    source = create(settings)
    assert source.poll_seconds == spread
    assert source.poll_seconds * budget * 0.9 >= pages * 30 * 24 * 3600 or spread == poll_seconds


def test_a_market_is_read_field_by_field() -> None:
    market = {
        "id": "bitcoin",
        "symbol": "btc",
        "name": "Bitcoin ",
        "current_price": 1,
        "market_cap": 2,
        "market_cap_rank": 3,
        "total_volume": 4,
        "price_change_percentage_24h": -5.5,
        "circulating_supply": 6.0,
        "total_supply": 7,
        "max_supply": None,
        "last_updated": "2026-11-23T11:00:00.123Z",
    }
    (listing,) = listings_of(json.dumps([market]).encode())
    assert (listing.ticker, listing.symbol, listing.name, listing.rank) == (
        "BTC",
        "btc",
        "Bitcoin",
        3,
    )
    assert [listing.price_usd, listing.market_cap_usd, listing.volume_24h_usd] == [1, 2, 4]
    assert listing.percent_change_24h == Decimal("-5.5")
    assert [listing.circulating_supply, listing.total_supply, listing.max_supply] == [6, 7, None]
    assert listing.observed_at.isoformat() == "2026-11-23T11:00:00.123000+00:00"
    assert (listing.name_words, listing.core_words) == ("bitcoin", "bitcoin")
