"""The merge in SQL and the oracle in plain Python say the same of every history."""

import datetime
import hashlib
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
from db.write.identity.bridges import bridge_arrivals
from db.write.identity.identities import IdentityLabel, replace_identities
from db.write.listings import (
    EncodedListings,
    Listing,
    encode_listings,
    known_listings,
    write_listings,
)
from db.write.raw.bodies import BodyArrival
from ingestor.sources.normalize import name_key
from tests import history_oracle, oracle
from tests.history_oracle import Word, stored_history

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "100"))
NOW = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
SOURCES = [
    SourceSettings(name, "file" if name in oracle.FILES else "api", priority, 300)
    for name, priority in oracle.PRIORITY.items()
]
EVER = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
FIRST_SEEN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NAMES = [
    None, "Bitcoin", "bitcoin", "Bit-coin", "Bitcoin Token", "The Bitcoin", "Bitcoin Cats",
    "Bitcoin Cats Token", "Token", "Coin", "Cats", "∅", "Solana", "Solana (Wormhole)",
    "Wrapped Solana", "[OLD] Bitcoin", "Wormhole",
]  # fmt: skip
PRICES = [
    None, "1", "1.01", "1.0100001", "1.03", "1.0300001", "1.1", "1.5", "1.6", "2", "3.1", "4e-18",
    "0.123456785", "0.123456775", "1e9",
]  # fmt: skip
CAPS = [None, "100", "150", "200", "200.5", "1000", "1000000", "2000000", "1e13", "2e13"]
GROUPS = ["eth:1", "eth:2", "bsc:1"]
TICKERS = ["BTC", "BTC", "BTC", "SOL", "WSOL"]
AGES = [0, 59, 3600, 3601, 7200, 86_399, 86_401, 200_000, 2_592_001]


@dataclass(frozen=True)
class Page:
    source: str
    fetched_at: datetime.datetime
    said: tuple[oracle.Said, ...]


@dataclass(frozen=True)
class Facts:
    """What is known of listings beside what their sources report."""

    labels: dict[tuple[str, str], str]
    groups: dict[tuple[str, str], tuple[str, frozenset[str]]]
    owners: frozenset[tuple[str, str]]
    banned: frozenset[tuple[str, str]]
    inactive: frozenset[tuple[str, str]]


def decimals(values: Sequence[str | None]) -> st.SearchStrategy[Decimal | None]:
    return st.sampled_from([None if value is None else Decimal(value) for value in values])


@st.composite
def saying(draw: st.DrawFn, source: str, fetched_at: datetime.datetime) -> oracle.Said:
    name = draw(st.sampled_from(NAMES))
    return oracle.Said(
        source=source,
        external_id=draw(st.sampled_from(["a", "b", "C", "d", "ä"])),
        ticker=draw(st.sampled_from(TICKERS)),
        name_words=name_key(name)[0],
        name=name,
        rank=draw(st.sampled_from([None, 1, 2])),
        price=draw(decimals(PRICES)),
        cap=draw(decimals(CAPS)),
        volume=draw(decimals([None, "0", "0.0001", "10", "15", "1e12", "2e12"])),
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
    return encode_listings(
        [to_listing(said, page) for said in page.said], payloads, [(0, 1)] * len(payloads)
    )


async def apply(connection: Connection, page: Page) -> list[str]:
    """Write a page as ingestor/run/page.py does."""
    known = await known_listings(connection, page.source, [said.external_id for said in page.said])
    renamed = {
        said.external_id
        for said in page.said
        if said.external_id in known and known[said.external_id].ticker != said.ticker
    }
    written = await write_listings(
        connection, page.source, "api", encoded(page),
        run_id=1, fetched_at=page.fetched_at, body=BodyArrival(1, NOW), oldest=EVER,
        renamed=renamed,
    )  # fmt: skip
    arrivals = renamed | {said.external_id for said in page.said} - known.keys()
    bridged = await bridge_arrivals(connection, page.source, arrivals)
    former = {known[external_id].ticker for external_id in renamed}
    return await merge_coins(connection, written.tickers | bridged | former, NOW)


async def begin(connection: Connection, facts: Facts) -> None:
    await connection.execute(
        "TRUNCATE listings, normalized_records, raw_api_records, identities, sources, "
        "address_groups, ticker_bridges, former_tickers, price_points, candles"
    )
    await save_sources(connection, SOURCES)
    await connection.executemany(
        "INSERT INTO address_groups VALUES ($1, $2, $3, $4)",
        [(*key, group, sorted(chains)) for key, (group, chains) in facts.groups.items()],
    )
    keys = facts.labels.keys() | facts.owners | facts.banned
    await replace_identities(
        connection,
        [
            IdentityLabel(
                *key,
                asset=facts.labels.get(key),
                is_owner=key in facts.owners,
                is_banned=key in facts.banned,
            )
            for key in keys
        ],
    )


class LeftOut(msgspec.Struct):
    source: str
    external_id: str
    field: str
    value: Decimal
    reason: str
    observed_at: datetime.datetime


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
            asset=row["asset"],
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
            excluded=left_out(row["excluded"]),
            confidence=row["confidence"],
            is_suspect=row["is_suspect"],
            contributing={(one["source"], one["external_id"]) for one in contributing},
        )
    return coins


def left_out(
    excluded: msgspec.Raw | None,
) -> set[tuple[str, str, str, Decimal, str, datetime.datetime]]:
    entries = [] if excluded is None else msgspec.json.decode(excluded, type=list[LeftOut])
    return {
        (one.source, one.external_id, one.field, one.value, one.reason, one.observed_at)
        for one in entries
    }


Times = dict[datetime.datetime, tuple[Page, oracle.Said]]


def by_time(pages: list[Page]) -> dict[tuple[str, str], Times]:
    """The observations of each listing; of one time the newest word counts."""
    found: dict[tuple[str, str], Times] = {}
    for page in sorted(pages, key=lambda page: page.fetched_at):
        for said in page.said:
            found.setdefault(said.key, {})[said.observed_at] = page, said
    return found


def expected(pages: list[Page], facts: Facts) -> dict[str, oracle.Coin]:
    return oracle.coins(
        listing(key, [times[at] for at in sorted(times, reverse=True)], facts)
        for key, times in by_time(pages).items()
    )


def listing(
    key: tuple[str, str], newest: list[tuple[Page, oracle.Said]], facts: Facts
) -> oracle.Said:
    """The newest observation of a listing, with the two before it."""
    group, chains = facts.groups.get(key, (None, frozenset()))
    return replace(
        newest[0][1],
        label=facts.labels.get(key),
        active=key not in facts.inactive,
        pinned=key in facts.owners,
        banned=key in facts.banned,
        first_seen=FIRST_SEEN,
        group=group,
        chains=chains,
        before=tuple(
            oracle.Before(said.observed_at, said.price, said.cap, said.volume)
            for _, said in newest[1:3]
        ),
    )


def words(pages: list[Page]) -> list[Word]:
    return [
        Word(said.key, said.observed_at, page.fetched_at, said.price, said.cap, said.volume)
        for page in pages
        for said in page.said
    ]


async def former(connection: Connection) -> dict[tuple[str, str, str], datetime.datetime]:
    return {
        tuple(row[:3]): row[3] for row in await connection.fetch("SELECT * FROM former_tickers")
    }


def renames(pages: list[Page]) -> dict[tuple[str, str, str], datetime.datetime]:
    """Each ticker that a listing had, other than its present one, and until when."""
    found: dict[tuple[str, str, str], datetime.datetime] = {}
    for key, times in by_time(pages).items():
        tickers = [times[at][1].ticker for at in sorted(times, reverse=True)]
        for at, ticker in zip(sorted(times, reverse=True), tickers, strict=True):
            if ticker != tickers[0]:
                found.setdefault((*key, ticker), at)
    return found


def said_tickers(pages: list[Page]) -> set[tuple[str, str, str]]:
    return {(*said.key, said.ticker) for page in pages for said in page.said}


KEYS = st.tuples(
    st.sampled_from(sorted(oracle.PRIORITY)), st.sampled_from(["a", "b", "C", "d", "ä"])
)
MARKS = st.tuples(
    st.sampled_from(GROUPS),
    st.frozensets(st.sampled_from(["eth", "bsc", "sol"]), min_size=1, max_size=2),
)
FACTS = st.builds(
    Facts,
    labels=st.dictionaries(KEYS, st.sampled_from(["one", "Two"]), max_size=4),
    groups=st.dictionaries(KEYS, MARKS, max_size=5),
    owners=st.frozensets(KEYS, max_size=1),
    banned=st.just(frozenset()),
    inactive=st.frozensets(KEYS, max_size=4),
)


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    found = draw(FACTS)
    return replace(found, banned=draw(st.frozensets(KEYS, max_size=2)) - found.owners)


@given(pages=histories(), facts=facts(), seed=st.integers(0, 1000))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_coins_and_history_are_what_the_oracles_say_in_whatever_order_pages_arrive(
    connection: Connection, pages: list[Page], facts: Facts, seed: int
) -> None:
    coins = []
    points = history_oracle.points(words(pages))
    history = points, history_oracle.candles(points)
    shuffled = random.Random(seed).sample(pages, len(pages))  # noqa: S311 - an order, no secret
    for order in (pages, [*shuffled, *shuffled[:2]]):
        await begin(connection, facts)
        for page in order:
            await apply(connection, page)
        await connection.execute(
            "UPDATE listings SET first_seen_at = $3, active = (source, external_id) NOT IN "
            "(SELECT * FROM unnest($1::text[], $2::text[])), "
            "missing_since = CASE WHEN (source, external_id) IN "
            "(SELECT * FROM unnest($1::text[], $2::text[])) THEN now() END",
            [source for source, _ in facts.inactive],
            [external_id for _, external_id in facts.inactive],
            FIRST_SEEN,
        )
        await merge_coins(connection, sorted(set(TICKERS)), NOW)
        coins.append(await stored(connection))
        assert await stored_history(connection) == history
        # A correction of an observation's ticker does not take back what was known until then.
        stored_tickers, last = await former(connection), renames(pages)
        assert stored_tickers.keys() >= last.keys()
        assert all(stored_tickers[key] >= until for key, until in last.items())
        assert all(key in said_tickers(pages) for key in stored_tickers)
        for page in pages:
            assert await apply(connection, page) == [], "replaying a page changes nothing"
        assert await stored_history(connection) == history
    assert coins[0] == expected(pages, facts)
    assert coins[1] == coins[0]
