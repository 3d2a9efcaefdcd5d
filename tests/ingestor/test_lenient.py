"""JSON records: only ticker, price and time can cost one; any other unreadable field is null."""

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpServer
from hypothesis import given
from hypothesis import strategies as st

from common.settings import Settings
from db.notes import decode_notes
from ingestor.http.fetch import Fetch
from ingestor.run.run import run
from ingestor.sources import coinpaprika
from ingestor.sources.coingecko import source as coingecko
from ingestor.sources.decode import split
from ingestor.sources.records import Listing, RecordError
from tests.ingestor.conftest import QUICK, START, Ingest, provider
from tests.ingestor.reprocess_rows import again

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
SECONDS = int(datetime.datetime(2026, 11, 23, 11, tzinfo=datetime.UTC).timestamp())

PAPRIKA_PATHS = {
    "name": "$.name",
    "rank": "$.rank",
    "price_usd": "$.quotes.USD.price",
    "market_cap_usd": "$.quotes.USD.market_cap",
    "volume_24h_usd": "$.quotes.USD.volume_24h",
    "percent_change_24h": "$.quotes.USD.percent_change_24h",
    "circulating_supply": "$.circulating_supply",
    "total_supply": "$.total_supply",
    "max_supply": "$.max_supply",
}
GECKO_PATHS = {
    **{name: f"$.{name}" for name in ("name", "circulating_supply", "total_supply", "max_supply")},
    "rank": "$.market_cap_rank",
    "price_usd": "$.current_price",
    "market_cap_usd": "$.market_cap",
    "volume_24h_usd": "$.total_volume",
    "percent_change_24h": "$.price_change_percentage_24h",
}
PROVIDERS = [("coinpaprika", PAPRIKA_PATHS), ("coingecko", GECKO_PATHS)]
SIDES = [
    (source, paths, field) for source, paths in PROVIDERS for field in paths if field != "price_usd"
]
NUMBERS = [(source, paths, field) for source, paths, field in SIDES if field != "name"]


def coin(paths: dict[str, str], **values: object) -> dict[str, Any]:
    """A record whose fields hold 1, 2, 3, …, and `values` in place of some."""
    record: dict[str, Any] = {"id": "abc", "symbol": "abc", "last_updated": "2026-11-23T11:00:00Z"}
    for number, (field, path) in enumerate(paths.items(), start=1):
        at = record
        *outer, last = path.split(".")[1:]
        for key in outer:
            at = at.setdefault(key, {})
        at[last] = values.get(field, "Coin" if field == "name" else number)
    return record


def read(source: str, *records: object) -> list[Listing]:
    made = {"coinpaprika": coinpaprika, "coingecko": coingecko}[source].create(
        Settings(home=Path())
    )
    found, rejections = split(json.dumps(records).encode(), "Provider", NOW)
    assert rejections == []
    return [made.to_listing(record, NOW) for record in found]


def values_of(listing: Listing) -> dict[str, object]:
    return {field: getattr(listing, field) for field in PAPRIKA_PATHS}


UNREADABLE = [
    ("N/A", "'N/A' is not a number"),
    ("\u221e", "'\u221e' is not a number"),
    ("1,234", "'1,234' is not a number"),
    ("1.234,5", "'1.234,5' is not a number"),
    ("NaN", "NaN is not a number"),
    ("-inf", "-Infinity is not a number"),
    ({"usd": 1}, "An object is not a number"),
    ([1], "A list is not a number"),
    (True, "true is not a number"),
    (1e300, "A number of magnitude 1e+300 or too many digits"),
]


@pytest.mark.parametrize(("value", "reason"), UNREADABLE)
@pytest.mark.parametrize(("source", "paths", "field"), NUMBERS)
def test_a_number_that_cannot_be_read_is_null_with_a_note_and_costs_nothing_else(
    source: str, paths: dict[str, str], field: str, value: object, reason: str
) -> None:
    [whole], [listing] = read(source, coin(paths)), read(source, coin(paths, **{field: value}))
    assert values_of(listing) == values_of(whole) | {field: None}
    assert (listing.ticker, listing.observed_at) == (whole.ticker, whole.observed_at)
    assert [(note.about, note.text, note.count) for note in listing.notes] == [
        (paths[field], f"{reason} - at `{paths[field]}`", 1)
    ]
    assert whole.notes == ()


@pytest.mark.parametrize(("source", "paths"), PROVIDERS)
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("name", 5, "5 is not a text"),
        ("name", ["Coin"], "A list is not a text"),
        ("name", "n" * 600, "A text of 600 characters is longer than 512"),
        ("rank", 1.5, "A rank must be a whole number up to 2147483647"),
        ("rank", 2**31, "A rank must be a whole number up to 2147483647"),
        ("rank", "first", "'first' is not a number"),
    ],
)
def test_a_name_and_a_rank_that_cannot_be_read_are_null_with_a_note(
    source: str, paths: dict[str, str], field: str, value: object, reason: str
) -> None:
    [listing] = read(source, coin(paths, **{field: value}))
    assert getattr(listing, field) is None
    assert (listing.name_words == "") is (field == "name")
    assert [note.text for note in listing.notes] == [f"{reason} - at `{paths[field]}`"]


@pytest.mark.parametrize(("source", "paths"), PROVIDERS)
def test_every_side_field_may_be_unreadable_at_once(source: str, paths: dict[str, str]) -> None:
    [listing] = read(source, coin(paths, **{field: {} for field in paths if field != "price_usd"}))
    assert values_of(listing) == dict.fromkeys(paths, None) | {
        "price_usd": list(paths).index("price_usd") + 1
    }
    assert {note.about for note in listing.notes} == {
        path for field, path in paths.items() if field != "price_usd"
    }


@pytest.mark.parametrize(("source", "paths"), PROVIDERS)
@pytest.mark.parametrize(
    "value", ["N/A", "\u221e", "1,234", "1.234,5", "$1", {"usd": 1}, [1], True, 1e300]
)
def test_a_price_that_cannot_be_read_costs_the_record_and_is_never_guessed(
    source: str, paths: dict[str, str], value: object
) -> None:
    with pytest.raises(RecordError) as caught:
        read(source, coin(paths, price_usd=value, max_supply="N/A"))
    assert str(caught.value).endswith(f" - at `{paths['price_usd']}`")


@pytest.mark.parametrize(("source", "paths"), PROVIDERS)
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), "NaN", "Infinity", None, ""], ids=repr
)
def test_a_price_that_is_no_number_at_all_is_missing(
    source: str, paths: dict[str, str], value: object
) -> None:
    [whole], [listing] = read(source, coin(paths)), read(source, coin(paths, price_usd=value))
    assert values_of(listing) == values_of(whole) | {"price_usd": None}
    assert [note.about for note in listing.notes] == (
        [paths["price_usd"]] if value not in (None, "") else []
    )


@pytest.mark.parametrize("quotes", [None, {}, {"USD": None}])
def test_quotes_that_are_missing_are_a_price_that_is(quotes: object) -> None:
    [listing] = read("coinpaprika", coin(PAPRIKA_PATHS) | {"quotes": quotes})
    assert (listing.price_usd, listing.max_supply, listing.notes) == (None, Decimal(9), ())


@pytest.mark.parametrize(("source", "paths"), PROVIDERS)
@pytest.mark.parametrize(
    "time",
    [
        SECONDS,
        SECONDS * 1000,
        SECONDS * 1_000_000,
        float(SECONDS),
        str(SECONDS),
        "2026-11-23 11:00:00 UTC",
    ],
    ids=repr,
)
def test_a_time_may_be_a_count_since_1970(source: str, paths: dict[str, str], time: object) -> None:
    [listing] = read(source, coin(paths) | {"last_updated": time})
    assert listing.observed_at == datetime.datetime(2026, 11, 23, 11, tzinfo=datetime.UTC)


@pytest.mark.parametrize(("source", "paths"), PROVIDERS)
def test_beside_an_unreadable_field_every_digit_counts_and_a_time_may_be_a_float(
    source: str, paths: dict[str, str]
) -> None:
    text = json.dumps(coin(paths, rank="?") | {"last_updated": SECONDS + 0.5})
    price = paths["price_usd"].rpartition(".")[2]
    body = text.replace(
        f'"{price}": {list(paths).index("price_usd") + 1}',
        f'"{price}": 12345678901234567890.12345678901234567890',
    )
    made = {"coinpaprika": coinpaprika, "coingecko": coingecko}[source].create(
        Settings(home=Path())
    )
    [record], _ = split(f"[{body}]".encode(), "Provider", NOW)
    listing = made.to_listing(record, NOW)
    assert listing.price_usd == Decimal("12345678901234567890.12345678901234567890")
    assert listing.observed_at.isoformat() == "2026-11-23T11:00:00.500000+00:00"


@pytest.mark.parametrize(("source", "paths"), PROVIDERS)
def test_a_symbol_that_is_not_a_number_is_refused_and_a_time_is_missing(
    source: str, paths: dict[str, str]
) -> None:
    with pytest.raises(RecordError, match=r"Expected `str`, got `null` - at `\$\.symbol`"):
        read(source, coin(paths) | {"symbol": float("nan")})
    other = coin(paths) | {"id": "b", "last_updated": "2026-11-23T10:00:00Z"}
    _, listing = read(source, other, coin(paths) | {"last_updated": float("nan")})
    assert listing.observed_at == datetime.datetime(2026, 11, 23, 10, tzinfo=datetime.UTC)
    assert [note.about for note in listing.notes] == ["$.last_updated"]


_TEXT = st.characters(exclude_characters="\0", codec="utf-8")  # NUL is what PostgreSQL cannot keep
_SMALL = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(_TEXT, max_size=8)
    | st.sampled_from(
        ["N/A", "\u221e", "1,234", "-", "NaN", "1e999", "12", [], {}, [1], {"usd": 1}]
    )
)


@given(
    st.sampled_from(PROVIDERS),
    st.fixed_dictionaries({field: _SMALL for field in PAPRIKA_PATHS if field != "price_usd"}),
)
def test_whatever_the_side_fields_hold_the_price_is_read_and_each_null_is_a_note(
    provider_paths: tuple[str, dict[str, str]], odd: dict[str, object]
) -> None:
    source, paths = provider_paths
    [listing] = read(source, coin(paths, **odd))
    assert listing.ticker == "ABC"
    assert listing.price_usd == list(paths).index("price_usd") + 1
    noted = {note.about for note in listing.notes}
    for field, value in odd.items():
        found = getattr(listing, field)
        if isinstance(value, bool | dict | list) or value in ("N/A", "\u221e", "1,234", "-", "NaN"):
            assert found is None or field == "name"
            assert (paths[field] in noted) is (found is None)
        elif isinstance(value, int | float) and field != "name" and value > 0:
            assert (found is None) is (paths[field] in noted)
            assert found is None or found == Decimal(repr(value))


@pytest.mark.parametrize("kind", [coinpaprika.CoinPaprika, coingecko.CoinGecko])
async def test_a_run_counts_its_notes_and_a_rebuild_reads_the_same(
    ingest: Ingest, aiohttp_server: AiohttpServer, kind: Callable[[Fetch], Any]
) -> None:
    source = kind(Fetch(provider("Provider", ""), QUICK))
    paths = dict(PROVIDERS)[source.name]
    observed = int((START - datetime.timedelta(hours=2)).timestamp())
    changes: tuple[dict[str, object], ...] = (
        {},
        {"max_supply": "N/A"},
        {"max_supply": float("nan")},
        {"max_supply": {}, "rank": 1.5, "name": 7},
        {"price_usd": float("inf")},
        {"price_usd": "1,5"},
    )
    body = [
        coin(paths, **values)
        | {"id": f"c{number}", "symbol": f"c{number}", "last_updated": observed}
        for number, values in enumerate(changes)
    ]

    async def answer(request: web.Request) -> web.Response:
        text = json.dumps(body if request.query.get("page", "1") == "1" else [])
        return web.Response(text=text, content_type="text/plain")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    source = kind(Fetch(provider("Provider", url), QUICK))
    ingest.sources = {source.name: source}
    outcome = await run(ingest.pool, source, timeout_seconds=60)
    assert outcome is not None
    assert (outcome.status, outcome.processed, outcome.failed, outcome.note_count) == (
        "partial",
        6,
        1,
        6,
    )
    text = str(await ingest.value("SELECT notes::text FROM etl_runs WHERE id = $1", outcome.id))
    notes = decode_notes(msgspec.Raw(text.encode()))
    counts = {note.about: note.count for note in notes}
    assert counts == {
        paths["max_supply"]: 3,
        paths["rank"]: 1,
        paths["name"]: 1,
        paths["price_usd"]: 1,
    }
    rows = await ingest.rows(
        "SELECT external_id, price_usd, max_supply, rank, name, observed_at FROM listings "
        "ORDER BY 1"
    )
    price, supply, rank = (
        Decimal(list(paths).index(field) + 1) for field in ("price_usd", "max_supply", "rank")
    )
    at = datetime.datetime.fromtimestamp(observed, datetime.UTC)
    assert rows == [
        ("c0", price, supply, rank, "Coin", at),
        ("c1", price, None, rank, "Coin", at),
        ("c2", price, None, rank, "Coin", at),
        ("c3", price, None, None, None, at),
        ("c4", None, supply, rank, "Coin", at),
    ]
    kept = await ingest.value(
        "SELECT payload ->> '@replaced' FROM raw_api_records WHERE external_id = 'c2'"
    )
    assert msgspec.json.decode(str(kept)) == {paths["max_supply"]: "NaN"}
    [(error,)] = await ingest.rows("SELECT error FROM rejected_records")
    assert str(error).endswith(f" - at `{paths['price_usd']}`")
    assert (await again(ingest)).changes == []
    outcome = await run(ingest.pool, source, timeout_seconds=60, full=True)
    assert outcome is not None
    assert (outcome.changed, outcome.unchanged, outcome.failed) == (0, 5, 1)
    await source.close()
