"""The merge in SQL and the oracle in plain Python say the same of every history."""

import datetime
import hashlib
import itertools
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.connect.pool import Connection
from db.sources import SourceSettings, save_sources
from db.write.coins import merge_coins
from db.write.identities import IdentityLabel, replace_identities
from db.write.listings import EncodedListings, Listing, encode_listings, write_listings
from ingestor.sources.normalize import name_key
from tests import oracle

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "100"))
NOW = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
SOURCES = [SourceSettings(name, "api", priority, 300) for name, priority in oracle.PRIORITY.items()]
NAMES = [
    None, "Bitcoin", "bitcoin", "Bit-coin", "Bitcoin Token", "The Bitcoin", "Bitcoin Cats",
    "Bitcoin Cats Token", "Token", "Coin", "Cats", "∅", "Solana", "Solana (Wormhole)",
]  # fmt: skip
PRICES = [None, "1", "1.01", "1.03", "1.0300001", "2", "4e-18", "0.123456785", "0.123456775", "1e9"]
CAPS = [None, "100", "150", "200", "200.5", "1000"]
AGES = [0, 59, 3600, 3601, 7200, 86_399, 86_401, 200_000]


@dataclass(frozen=True)
class Page:
    source: str
    fetched_at: datetime.datetime
    said: tuple[oracle.Said, ...]


def decimals(values: Sequence[str | None]) -> st.SearchStrategy[Decimal | None]:
    return st.sampled_from([None if value is None else Decimal(value) for value in values])


@st.composite
def saying(draw: st.DrawFn, source: str, fetched_at: datetime.datetime) -> oracle.Said:
    name = draw(st.sampled_from(NAMES))
    return oracle.Said(
        source=source,
        external_id=draw(st.sampled_from(["a", "b", "C", "d", "ä"])),
        ticker=draw(st.sampled_from(["BTC", "BTC", "BTC", "SOL"])),
        name_words=name_key(name)[0],
        name=name,
        rank=draw(st.sampled_from([None, 1, 2])),
        price=draw(decimals(PRICES)),
        cap=draw(decimals(CAPS)),
        volume=draw(decimals([None, "0", "10", "15"])),
        percent=draw(decimals([None, "-1.5", "2"])),
        observed_at=fetched_at - datetime.timedelta(seconds=draw(st.sampled_from(AGES))),
        has_own_time=draw(st.sampled_from([True, True, True, False])),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Page]:
    pages = []
    for number in range(draw(st.integers(1, 7))):
        source = draw(st.sampled_from(sorted(oracle.PRIORITY)))
        fetched_at = NOW + datetime.timedelta(seconds=number)
        said = draw(
            st.lists(
                saying(source, fetched_at),
                min_size=1,
                max_size=6,
                unique_by=lambda one: one.external_id,
            )
        )
        pages.append(Page(source, fetched_at, tuple(said)))
    return pages


def to_listing(said: oracle.Said, page: Page) -> Listing:
    name_words, core_words = name_key(said.name)
    text = f"{page.fetched_at} {said}".encode()
    return Listing(
        external_id=said.external_id,
        ticker=said.ticker,
        symbol=said.ticker.lower(),
        name=said.name,
        name_words=name_words,
        core_words=core_words,
        rank=said.rank,
        price_usd=said.price,
        market_cap_usd=said.cap,
        volume_24h_usd=said.volume,
        percent_change_24h=said.percent,
        circulating_supply=None,
        total_supply=None,
        max_supply=None,
        observed_at=said.observed_at,
        has_own_time=said.has_own_time,
        content_hash=hashlib.blake2b(text, digest_size=16).digest(),
    )


def encoded(page: Page) -> EncodedListings:
    payloads = [msgspec.json.encode({"id": said.external_id}) for said in page.said]
    return encode_listings([to_listing(said, page) for said in page.said], payloads)


async def apply(connection: Connection, page: Page) -> list[str]:
    written = await write_listings(
        connection, page.source, "api", encoded(page),
        run_id=1, fetched_at=page.fetched_at, code=b"test",
    )  # fmt: skip
    return (await merge_coins(connection, written.tickers, NOW)).changed


async def start_anew(connection: Connection, labels: dict[tuple[str, str], str]) -> None:
    await connection.execute(
        "TRUNCATE listings, normalized_records, raw_api_records, identities, sources"
    )
    await save_sources(connection, SOURCES)
    await replace_identities(
        connection, [IdentityLabel(*key, asset=label) for key, label in labels.items()]
    )


def givers(
    provenance: msgspec.Raw, fields: Sequence[str]
) -> dict[str, tuple[str, str, datetime.datetime]]:
    """Return who gave each of the fields that a record has; a sole giver is stored once."""
    said = msgspec.json.decode(provenance)
    entries = [said | {"field": name} for name in fields] if isinstance(said, dict) else said
    found = {
        entry["field"]: (
            entry["source"],
            entry["external_id"],
            datetime.datetime.fromisoformat(entry["observed_at"]),
        )
        for entry in entries
    }
    assert isinstance(said, dict) == (len(set(found.values())) == 1)
    return found


async def stored(connection: Connection) -> dict[str, oracle.Coin]:
    coins = {}
    for row in await connection.fetch("SELECT * FROM normalized_records"):
        values = {
            "name": row["name"],
            "rank": row["rank"],
            "price_usd": row["price_usd_exact"],
            **{
                name: row[name]
                for name in ("market_cap_usd", "volume_24h_usd", "percent_change_24h")
            },
        }
        contributing = await connection.fetch(
            "SELECT source, external_id FROM listings WHERE ticker = $1 AND contributes",
            row["ticker"],
        )
        assert row["price_usd"] == oracle.rounded(row["price_usd_exact"])
        coins[row["ticker"]] = oracle.Coin(
            ticker=row["ticker"],
            values=values,
            source=row["source"],
            created_at=row["created_at"],
            spread=None
            if row["price_spread_percent"] is None
            else pytest.approx(row["price_spread_percent"]),
            rivals=row["rival_count"],
            provenance=givers(
                row["provenance"], [name for name, value in values.items() if value is not None]
            ),
            contributing={(one["source"], one["external_id"]) for one in contributing},
        )
    return coins


def expected(
    pages: list[Page], labels: dict[tuple[str, str], str], inactive: set[tuple[str, str]]
) -> dict[str, oracle.Coin]:
    newest: dict[tuple[str, str], tuple[tuple[object, ...], oracle.Said]] = {}
    for page in pages:
        for said in page.said:
            weight = (said.observed_at, page.fetched_at)
            if said.key not in newest or weight > newest[said.key][0]:
                newest[said.key] = (weight, said)
    listings = [
        replace(said, label=labels.get(said.key), active=said.key not in inactive)
        for _, said in newest.values()
    ]
    by_ticker = itertools.groupby(
        sorted(listings, key=lambda said: said.ticker), key=lambda said: said.ticker
    )
    return {ticker: coin for ticker, group in by_ticker if (coin := oracle.merge(group))}


KEYS = st.tuples(
    st.sampled_from(sorted(oracle.PRIORITY)), st.sampled_from(["a", "b", "C", "d", "ä"])
)


@given(
    pages=histories(),
    labels=st.dictionaries(KEYS, st.sampled_from(["one", "Two"]), max_size=4),
    inactive=st.sets(KEYS, max_size=4),
    seed=st.integers(0, 1000),
)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_the_merged_coins_are_what_the_oracle_says_in_whatever_order_pages_arrive(
    connection: Connection,
    pages: list[Page],
    labels: dict[tuple[str, str], str],
    inactive: set[tuple[str, str]],
    seed: int,
) -> None:
    coins = []
    shuffled = random.Random(seed).sample(pages, len(pages))  # noqa: S311 - an order, no secret
    for order in (pages, [*shuffled, *shuffled[:2]]):
        await start_anew(connection, labels)
        for page in order:
            await apply(connection, page)
        await connection.execute(
            "UPDATE listings SET active = false, missing_since = now() WHERE (source, "
            "external_id) IN "
            "(SELECT * FROM unnest($1::text[], $2::text[]))",
            [source for source, _ in inactive],
            [external_id for _, external_id in inactive],
        )
        await merge_coins(connection, ["BTC", "SOL"], NOW)
        coins.append(await stored(connection))
        for page in pages:
            assert await apply(connection, page) == [], "replaying a page changes nothing"
    assert coins[0] == expected(pages, labels, inactive)
    assert coins[1] == coins[0]
