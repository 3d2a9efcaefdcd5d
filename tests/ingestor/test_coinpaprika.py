"""CoinPaprika: its recorded bodies, and what else it may send."""

import datetime
import gzip
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpServer

from common.settings import Settings, load_settings
from ingestor.sources.coinpaprika import CoinPaprika, create
from ingestor.sources.decode import split
from ingestor.sources.errors import SourceMalformedError
from ingestor.sources.records import Checkpoint, Listing, Page, RecordError

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
BITCOIN = {
    "id": "btc-bitcoin",
    "name": "Bitcoin",
    "symbol": "BTC",
    "rank": 1,
    "max_supply": 21_000_000,
    "last_updated": "2026-11-23T11:59:00Z",
    "quotes": {
        "USD": {"price": 1.5, "volume_24h": 2, "market_cap": 3, "percent_change_24h": -4.25}
    },
}


def offline() -> CoinPaprika:
    return create(Settings(home=Path()))


def listings_of(body: bytes) -> list[Listing]:
    source = offline()
    records, rejections = split(body, "CoinPaprika")
    assert rejections == []
    return [source.to_listing(record, NOW) for record in records]


def listing_of(**changes: object) -> Listing:
    (listing,) = listings_of(json.dumps([BITCOIN | changes]).encode())
    return listing


def quoted(**changes: object) -> dict[str, object]:
    return {
        "USD": {"price": 1, "volume_24h": 1, "market_cap": 1, "percent_change_24h": 1} | changes
    }


def recorded(folder: Path, name: str) -> bytes:
    body = (folder / name).read_bytes()
    return gzip.decompress(body) if name.endswith(".gz") else body


def test_the_recorded_body_is_read_as_its_notes_count_it(shared_recordings: Path) -> None:
    body = recorded(shared_recordings, "coinpaprika-tickers-2021-08-12T1906.json.gz")
    listings = listings_of(body)
    assert len(listings) == 2892 == len({listing.external_id for listing in listings})
    assert [listing.rank for listing in listings[:6]] == [1, 45, 32, 2, 6, 12]
    assert sum(listing.market_cap_usd is None for listing in listings) == 1540
    assert sum(listing.circulating_supply is None for listing in listings) == 1549
    assert sum(listing.total_supply is None for listing in listings) == 1081
    assert sum(listing.max_supply is None for listing in listings) == 2123
    assert sum(listing.volume_24h_usd == 0 for listing in listings) == 1
    assert all(listing.price_usd and listing.rank and listing.name for listing in listings)
    assert min(listing.price_usd for listing in listings if listing.price_usd) == Decimal(
        "3.84e-18"
    )
    assert sum(listing.symbol != listing.ticker for listing in listings) == 37
    assert (
        sum(1 for listing in listings if listing.name and listing.name != listing.name.strip()) == 0
    )
    by_id = {listing.external_id: listing for listing in listings}
    assert by_id["astron-astronomia-token-bsc"].max_supply == 9223372036854775807
    assert by_id["dai-daimler-ag"].ticker == by_id["dai-dai"].ticker == "DAI"
    tickers = [listing.ticker for listing in listings]
    shared = [ticker for ticker in tickers if tickers.count(ticker) > 1]
    assert (len(set(shared)), len(shared)) == (150, 318)
    assert (
        max(listing.observed_at for listing in listings).isoformat() == "2021-08-12T19:06:06+00:00"
    )


def test_every_digit_of_the_recorded_numbers_is_kept(shared_recordings: Path) -> None:
    body = recorded(shared_recordings, "coinpaprika-tickers-2021-08-12T1906.json.gz")
    texts = json.loads(body, parse_float=str, parse_int=str)
    for listing, sent in zip(listings_of(body), texts, strict=True):
        usd = sent["quotes"]["USD"]
        assert listing.price_usd == Decimal(usd["price"])
        assert listing.volume_24h_usd == Decimal(usd["volume_24h"])
        assert listing.percent_change_24h == Decimal(usd["percent_change_24h"])
        assert (listing.market_cap_usd or 0) == Decimal(usd["market_cap"])
        assert (listing.max_supply or 0) == Decimal(sent["max_supply"])


def test_numbers_longer_than_a_float_are_read_exactly() -> None:
    text = "123456789012345678901234567890.123456789e-25"
    body = (
        b'[{"id": "a", "symbol": "a", "max_supply": 1e50, "total_supply": 92233720368547758079999, '
    )
    (listing,) = listings_of(body + b'"quotes": {"USD": {"price": ' + text.encode() + b"}}}]")
    assert listing.price_usd == Decimal(text)
    assert (listing.total_supply, listing.max_supply) == (
        Decimal(92233720368547758079999),
        Decimal(10**50),
    )


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("coinpaprika-tickers-sample-2024-06-29T1327.json", 3),
        ("coinpaprika-tickers-sample-2026-02-08T1352.json", 1),
        ("coinpaprika-tickers-partial-2026-09-29T2135.json", 3),
    ],
)
def test_bodies_of_the_free_plan_and_cut_ones_are_read(
    shared_recordings: Path, name: str, count: int
) -> None:
    listings = listings_of(recorded(shared_recordings, name))
    assert len(listings) == count
    assert all(listing.circulating_supply is None and listing.price_usd for listing in listings)


def test_keys_that_are_not_there_are_missing(shared_recordings: Path) -> None:
    grc, xrp, _ = listings_of(
        recorded(shared_recordings, "coinpaprika-tickers-partial-2026-09-29T2135.json")
    )
    assert (grc.rank, grc.market_cap_usd, grc.max_supply, grc.total_supply) == (
        7533,
        None,
        None,
        Decimal(459382131),
    )
    assert (xrp.name, xrp.rank, xrp.name_words, xrp.price_usd) == (
        None,
        None,
        "",
        Decimal("1.493710814860317"),
    )


def test_the_payload_is_the_record_byte_for_byte() -> None:
    raw = json.dumps(BITCOIN, indent=3).encode()
    (record,), _ = split(b" [ " + raw + b" ]\n", "CoinPaprika")
    assert record.raw == raw


def test_empty_texts_stand_for_missing_values() -> None:
    blank = quoted(price="", volume_24h="", market_cap="", percent_change_24h=" ")
    listing = listing_of(
        name="",
        rank="",
        max_supply="",
        total_supply="",
        circulating_supply="",
        last_updated="",
        quotes=blank,
    )
    assert listing.name is None
    assert listing.rank is None
    assert listing.observed_at == NOW
    numbers = (
        listing.price_usd,
        listing.volume_24h_usd,
        listing.market_cap_usd,
        listing.percent_change_24h,
    )
    assert numbers == (None, None, None, None)
    assert (listing.max_supply, listing.total_supply, listing.circulating_supply) == (
        None,
        None,
        None,
    )


def test_beside_an_empty_text_every_digit_counts_too() -> None:
    listing = listing_of(rank="", max_supply=92233720368547758079999)
    assert (listing.rank, listing.max_supply, listing.price_usd) == (
        None,
        Decimal(92233720368547758079999),
        Decimal("1.5"),
    )


def test_numbers_may_be_sent_as_text() -> None:
    texts = quoted(
        price="0.123456789012345678901234567890",
        volume_24h="2E+3",
        market_cap="NaN",
        percent_change_24h="-0.5",
    )
    listing = listing_of(rank="7", quotes=texts)
    assert listing.rank == 7
    assert listing.price_usd == Decimal("0.123456789012345678901234567890")
    assert (listing.volume_24h_usd, listing.market_cap_usd) == (Decimal(2000), None)
    assert listing.percent_change_24h == Decimal("-0.5")


def test_other_currencies_and_new_fields_do_no_harm() -> None:
    listing = listing_of(
        quotes={"BTC": {"price": "?"}, "USD": {"price": 2}}, new_field={"deep": [1, None]}
    )
    assert (listing.price_usd, listing.market_cap_usd) == (Decimal(2), None)
    assert listing_of(quotes={}).price_usd is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"symbol": 5}, "Expected `str`, got `int` - at `$.symbol`"),
        ({"symbol": None}, "Expected `str`, got `null` - at `$.symbol`"),
        ({"symbol": " "}, "The symbol is empty - at `$.symbol`"),
        ({"symbol": "", "rank": ""}, "The symbol is empty - at `$.symbol`"),
        ({"last_updated": "soon"}, "'soon' is not a time - at `$.last_updated`"),
        ({"last_updated": 5}, "'5' is not a time - at `$.last_updated`"),
        (
            {"last_updated": True},
            "Expected `int | float | str | null`, got `bool` - at `$.last_updated`",
        ),
        ({"last_updated": 1e300}, "is not a time - at `$.last_updated`"),
        ({"quotes": []}, "Expected `object`, got `array` - at `$.quotes`"),
        ({"quotes": quoted(price="high")}, "Invalid decimal string - at `$.quotes.USD.price`"),
        (
            {"quotes": quoted(price=1e300)},
            "A number of magnitude 1e+300 or too many digits - at `$.quotes.USD.price`",
        ),
        (
            {"links": {"site": ["a", "b\0"]}},
            "A text holds a NUL character, which PostgreSQL cannot keep - at `$.links.site[1]`",
        ),
    ],
)
def test_a_record_that_cannot_be_read_says_why_and_where(
    changes: dict[str, object], error: str
) -> None:
    with pytest.raises(RecordError) as caught:
        listing_of(**changes)
    assert str(caught.value).endswith(error)


def test_a_record_without_a_symbol_is_refused() -> None:
    records, _ = split(b'[{"id": "x"}]', "CoinPaprika")
    with pytest.raises(RecordError, match=r"Object missing required field `symbol` - at `\$`"):
        offline().to_listing(records[0], NOW)


def test_a_record_that_is_not_utf_8_is_refused() -> None:
    records, _ = split(b'[{"id": "x", "symbol": "X", "site": "\xff"}]', "CoinPaprika")
    with pytest.raises(RecordError, match=r"utf-8.*- at `\$`"):
        offline().to_listing(records[0], NOW)


ENTRIES = [
    (b"5", "Expected `object`, got `int` - at `$`"),
    (b"null", "Expected `object`, got `null` - at `$`"),
    (b"[]", "Expected `object`, got `array` - at `$`"),
    (b"{}", "Object missing required field `id` - at `$`"),
    (b'{"id": 5}', "Expected `str`, got `int` - at `$.id`"),
    (b'{"id": ""}', "The id is empty or holds a NUL character - at `$.id`"),
    (b'{"id": "a\\u0000"}', "The id is empty or holds a NUL character - at `$.id`"),
    (b'{"id": "%s"}' % (b"a" * 257), "The id has 257 characters, more than 256 - at `$.id`"),
    (b'{"id": "a", "x": "\\ud800"}', "Input data was truncated - at `$`"),
    (
        b'{"id": "a", "x": "\\udc00,]} \\" \\ud800"}',
        "JSON is malformed: invalid utf-16 surrogate pair (byte 24) - at `$`",
    ),
    (b'{"id": "a", "x": tru}', "JSON is malformed: invalid character (byte 18) - at `$`"),
]


@pytest.mark.parametrize(("entry", "error"), ENTRIES)
def test_an_entry_without_a_usable_id_is_rejected_with_its_bytes_and_costs_no_other(
    entry: bytes, error: str
) -> None:
    records, rejections = split(b'[{"id": "one"}, ' + entry + b' ,{"id":"two"}]', "CoinPaprika")
    assert [(record.external_id, record.raw) for record in records] == [
        ("one", b'{"id": "one"}'),
        ("two", b'{"id":"two"}'),
    ]
    (rejection,) = rejections
    assert (rejection.external_id, rejection.payload) == (None, entry)
    assert rejection.error == error


@pytest.mark.parametrize("depth", [600, 3_000, 50_000])
def test_a_record_without_a_bottom_is_refused_and_costs_no_other(depth: int) -> None:
    deep = b'{"id": "deep", "symbol": "D", "x": ' + b"[" * depth + b"]" * depth + b"}"
    records, rejections = split(b'[{"id": "one"}, ' + deep + b', {"id": "two"}]', "CoinPaprika")
    if not rejections:  # how deep msgspec looks depends on Python
        with pytest.raises(RecordError, match=r"nested more than 500 levels deep - at `\$`"):
            offline().to_listing(records.pop(1), NOW)
    assert [record.external_id for record in records] == ["one", "two"]
    assert all(rejection.payload == deep for rejection in rejections)


def test_a_record_of_many_brackets_is_not_a_deep_one() -> None:
    many = {"list": [[], {}] * 600, "text": "[" * 600}
    assert listing_of(**many).ticker == "BTC"


def test_of_two_records_with_one_id_both_are_kept() -> None:
    records, _ = split(b'[{"id": "a", "x": 1}, {"id": "a", "x": 2}]', "CoinPaprika")
    assert [record.external_id for record in records] == ["a", "a"]
    assert records[0].content_hash != records[1].content_hash


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error": "x"}', "sent no list of coins: Expected `array`, got `object` - at `$`"),
        (b'"Throttled"', "sent no list of coins: Expected `array`, got `str` - at `$`"),
        (b"null", "sent no list of coins: Expected `array`, got `null` - at `$`"),
        (b"", "sent a body that is not JSON: Input data was truncated - at `$`"),
        (
            b'[{"id": "a"}, {"id": "b"',
            "sent a body that is not JSON: Input data was truncated - at `$`",
        ),
        (b'[{"id": "a"}', "sent a body that is not JSON: Input data was truncated - at `$`"),
        (
            b'[{"id": "a"}] trailing',
            (
                "sent a body that is not JSON: JSON is malformed: trailing characters (byte "
                "15) - at `$`"
            ),
        ),
        (
            b'[{"id": "a"}}',
            (
                "sent a body that is not JSON: JSON is malformed: expected ',' or ']' (byte "
                "12) - at `$`"
            ),
        ),
        (b'[{"id": "a', "sent a body that is not JSON: Input data was truncated - at `$`"),
        (
            b"[not json]",
            "sent a body that is not JSON: JSON is malformed: invalid character (byte 2) - at `$`",
        ),
        (
            b"<html>",
            "sent a body that is not JSON: JSON is malformed: invalid character (byte 0) - at `$`",
        ),
        (
            b"[" * 100_000,
            (
                "sent a body that is not JSON: maximum recursion depth exceeded while "
                "deserializing an object - at `$`"
            ),
        ),
    ],
)
def test_a_body_that_is_no_list_is_malformed(body: bytes, error: str) -> None:
    with pytest.raises(SourceMalformedError) as caught:
        split(body, "CoinPaprika")
    assert str(caught.value) == f"CoinPaprika {error}"


class Host:
    """A CoinPaprika that shows `body` under `version`."""

    def __init__(self) -> None:
        self.body = json.dumps([BITCOIN])
        self.version = '"1"'
        self.requests: list[web.Request] = []

    async def tickers(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        headers = {"ETag": self.version}
        if request.headers.get("If-None-Match") == self.version:
            return web.Response(status=304, headers=headers)
        return web.Response(text=self.body, content_type="application/json", headers=headers)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def source(host: Host, aiohttp_server: AiohttpServer) -> AsyncIterator[CoinPaprika]:
    app = web.Application()
    app.router.add_get("/v1/tickers", host.tickers)
    server = await aiohttp_server(app)
    made = create(
        load_settings(
            {
                "COINPAPRIKA_URL": str(server.make_url("/v1")),
                "API_SOURCE_KEY": "our-key",
                "POLL_SECONDS": "60",
            }
        )
    )
    yield made
    await made.close()


async def pages_of(
    source: CoinPaprika, checkpoint: Checkpoint | None = None, *, full: bool = False
) -> list[Page]:
    return [page async for page in source.pages(checkpoint, full=full)]


def checkpoint_of(page: Page) -> Checkpoint:
    """Return what the database hands back: the position went through JSON."""
    return Checkpoint(position=msgspec.json.decode(msgspec.json.encode(page.position)))


async def test_one_page_holds_everything_and_ends_the_sweep(
    source: CoinPaprika, host: Host
) -> None:
    (page,) = await pages_of(source)
    assert (page.group, page.number, page.ends_group, page.sweep_groups) == ("", 1, True, ("",))
    assert [record.external_id for record in page.records] == ["btc-bitcoin"]
    (request,) = host.requests
    assert request.query_string == "quotes=USD"
    assert request.headers["Authorization"] == "our-key"
    assert (source.name, source.kind, source.priority, source.missed_sweeps) == (
        "coinpaprika",
        "api",
        10,
        2,
    )
    assert source.poll_seconds == 60


async def test_a_body_that_was_stored_is_not_read_again_until_it_changes(
    source: CoinPaprika, host: Host
) -> None:
    (page,) = await pages_of(source)
    assert await pages_of(source, checkpoint_of(page)) == []
    host.version = '"2"'
    (changed,) = await pages_of(source, checkpoint_of(page))
    assert changed.position != page.position


async def test_a_full_run_reads_what_did_not_change(source: CoinPaprika) -> None:
    (page,) = await pages_of(source)
    assert len(await pages_of(source, checkpoint_of(page), full=True)) == 1


async def test_validators_of_another_host_are_not_sent(source: CoinPaprika, host: Host) -> None:
    (page,) = await pages_of(source)
    position = checkpoint_of(page).position | {"url": "http://127.0.0.1:1/v1"}
    assert len(await pages_of(source, Checkpoint(position=position))) == 1
    assert "If-None-Match" not in host.requests[-1].headers


async def test_an_empty_list_does_not_end_every_listing(source: CoinPaprika, host: Host) -> None:
    host.body = "[]"
    with pytest.raises(SourceMalformedError, match="CoinPaprika sent an empty list of coins"):
        await pages_of(source)


@pytest.mark.parametrize(
    ("key", "url", "asked"),
    [
        (None, "https://api.coinpaprika.com/v1", "https://api.coinpaprika.com/v1"),
        ("k", "https://api.coinpaprika.com/v1", "https://api-pro.coinpaprika.com/v1"),
        ("k", "http://proxy.example/v1", "http://proxy.example/v1"),
    ],
)
def test_a_key_turns_the_free_host_into_the_pro_one(key: str | None, url: str, asked: str) -> None:
    source = create(load_settings({"API_SOURCE_KEY": key or "", "COINPAPRIKA_URL": url}))
    assert source._fetch.provider.url == asked
