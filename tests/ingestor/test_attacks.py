"""One bad row, or one bad poll, moves neither the owner of a ticker nor its price, and it shows."""

import csv
import datetime
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from db.connect.pool import Pool, create_pool
from db.read.history.candles import CandleSpan, candles_of
from db.sources import SourceSettings, save_sources
from db.write.identity.bridges import bridge_all
from ingestor.http.fetch import Fetch
from ingestor.run.run import run
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Source
from tests.conftest import drop_database, new_database, with_database
from tests.ingestor.conftest import QUICK, provider
from tests.ingestor.served import Serve

Row = dict[str, Any]
MINUTE = datetime.timedelta(minutes=1)
COINS = {
    "BTC": ("Bitcoin", 1, 60_000.0, 1.2e12, 3e10),
    "ETH": ("Ethereum", 2, 3_000.0, 3.6e11, 1.5e10),
    "DOGE": ("Dogecoin", 9, 0.2, 2.8e10, 1e9),
    "QNT": ("Quant", 90, 100.0, 1.2e9, 3e7),
    "ADX": ("AdEx", 900, 0.2, 2e7, 1e6),
}
"""Name, rank, price, cap and volume; QNT stands for a coin among the first hundred."""
WATCHED = ("BTC", "ETH", "QNT")


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


@dataclass
class World:
    """What the sources would say of the coins in their next poll."""

    pool: Pool
    csv_path: Path
    sources: dict[str, Source] = field(default_factory=dict)
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)

    def tell(self, at: datetime.datetime, factor: float = 1) -> None:
        """Let all sources say the honest values."""
        for source in ("coinpaprika", "coingecko", "csv"):
            self.rows[source] = {
                ticker: {
                    "id": f"{source}-{ticker.lower()}", "symbol": ticker, "name": name,
                    "rank": rank, "price": price * factor, "cap": cap, "volume": volume,
                    "percent": 1.0, "at": at.isoformat(),
                }
                for ticker, (name, rank, price, cap, volume) in COINS.items()
            }  # fmt: skip

    def add(self, source: str, **values: object) -> None:
        row = {
            "id": "fake", "symbol": "BTC", "name": "Bitcoin Moon", "rank": None, "price": 1.0,
            "cap": 9e12, "volume": None, "percent": None, "at": now().isoformat(),
        }  # fmt: skip
        self.rows[source][f"fake {len(self.rows[source])}"] = row | values

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("tickers"):
            return web.json_response([as_coinpaprika(r) for r in self.rows["coinpaprika"].values()])
        first = request.query.get("page") == "1"
        rows = self.rows["coingecko"].values() if first else ()
        return web.json_response([as_coingecko(row) for row in rows])

    def write_file(self) -> None:
        with self.csv_path.open("w", newline="", encoding="utf-8") as file:
            names = ("symbol", "name", "price", "cap", "volume", "at")
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            file.write("symbol,name,price_usd,market_cap,volume_24h,timestamp\n")
            writer.writerows(self.rows["csv"].values())

    async def poll(self, *names: str) -> None:
        for name in names:
            if name == "csv":
                self.write_file()
            outcome = await run(self.pool, self.sources[name], timeout_seconds=30)
            assert outcome is not None
            assert outcome.status in ("success", "partial"), outcome

    async def coins(self) -> dict[str, Row]:
        rows = await self.pool.fetch("SELECT * FROM normalized_records")
        return {row["ticker"]: dict(row) for row in rows}


def as_coinpaprika(row: Row) -> Row:
    usd = {
        "price": row["price"], "market_cap": row["cap"], "volume_24h": row["volume"],
        "percent_change_24h": row["percent"],
    }  # fmt: skip
    return {
        "id": row["id"], "symbol": row["symbol"], "name": row["name"], "rank": row["rank"],
        "total_supply": row.get("supply"), "last_updated": row["at"], "quotes": {"USD": usd},
    }  # fmt: skip


def as_coingecko(row: Row) -> Row:
    return {
        "id": row["id"], "symbol": row["symbol"].lower(), "name": row["name"],
        "market_cap_rank": row["rank"], "current_price": row["price"], "market_cap": row["cap"],
        "total_volume": row["volume"], "price_change_percentage_24h": row["percent"],
        "total_supply": row.get("supply"), "last_updated": row["at"],
    }  # fmt: skip


async def open_world(pool: Pool, serve: Serve, folder: Path) -> World:
    found = World(pool, folder / "coins.csv")
    url = (await serve(found.answer)).url
    found.sources = {
        "coinpaprika": CoinPaprika(Fetch(provider("CoinPaprika", url), QUICK)),
        "coingecko": CoinGecko(Fetch(provider("CoinGecko", url), QUICK)),
        "csv": CsvFiles(str(found.csv_path)),
    }
    async with pool.acquire() as connection:
        await save_sources(
            connection,
            [
                SourceSettings(one.name, one.kind, one.priority, one.poll_seconds)
                for one in found.sources.values()
            ],
        )
    return found


@pytest.fixture
async def world(pool: Pool, serve: Serve, tmp_path: Path) -> AsyncIterator[World]:
    found = await open_world(pool, serve, tmp_path)
    yield found
    for source in found.sources.values():
        await source.close()


@dataclass
class HonestPolls:
    """Databases after three honest polls, by the sources that were polled; tests copy them."""

    server_dsn: str
    template: str
    made: dict[tuple[str, ...], tuple[str, datetime.datetime]] = field(default_factory=dict)

    async def copy(self, names: tuple[str, ...], serve: Serve, folder: Path) -> str:
        """Return the name of a database of the caller's own, in which `names` were polled."""
        # The polls are dated 20 to 10 minutes before now: an old copy would tell another story.
        if names not in self.made or now() - self.made[names][1] > MINUTE:
            self.made[names] = (await self._make(names, serve, folder), now())
        return await new_database(self.server_dsn, self.made[names][0])

    async def _make(self, names: tuple[str, ...], serve: Serve, folder: Path) -> str:
        database = await new_database(self.server_dsn, self.template)
        dsn = with_database(self.server_dsn, database)
        async with await create_pool(dsn, application_name="test", max_size=5) as pool:
            made = await open_world(pool, serve, folder)
            for minutes, factor in ((20, 0.999), (15, 1.001), (10, 1.0)):
                made.tell(now() - minutes * MINUTE, factor)
                await made.poll(*names)
            for source in made.sources.values():
                await source.close()
        return database


@pytest.fixture(scope="session")
async def honest_polls(server_dsn: str, template: str) -> AsyncIterator[HonestPolls]:
    polls = HonestPolls(server_dsn, template)
    yield polls
    for database, _ in polls.made.values():
        await drop_database(server_dsn, database)


def scaled(source: str, ticker: str, **factors: float) -> Callable[[World], None]:
    def attack(world: World) -> None:
        row = world.rows[source][ticker]
        row.update({name: row[name] * factor for name, factor in factors.items()})

    return attack


def replaced(source: str, ticker: str, **values: object) -> Callable[[World], None]:
    return lambda world: world.rows[source][ticker].update(values)


def added(source: str, **values: object) -> Callable[[World], None]:
    return lambda world: world.add(source, **values)


def missing(world: World) -> None:
    del world.rows["coingecko"]["BTC"]


def tenfold(world: World) -> None:
    for row in world.rows["coinpaprika"].values():
        row["price"] *= 10


def euros(world: World) -> None:
    for row in world.rows["coingecko"].values():
        row.update(price=row["price"] * 0.92, cap=row["cap"] * 0.92, volume=row["volume"] * 0.92)


def swapped(world: World) -> None:
    one, other = world.rows["coinpaprika"]["BTC"], world.rows["coinpaprika"]["ETH"]
    one["price"], other["price"] = other["price"], one["price"]


def dated(world: World, price: float, name: str = "Bitcoin") -> None:
    for days in range(30):
        at = (now() - days * 24 * 60 * MINUTE).isoformat()
        world.add("csv", name=name, price=price, cap=None, at=at)


def twice(world: World) -> None:
    row = world.rows["coinpaprika"]["BTC"]
    world.add("coinpaprika", **row | {"price": row["price"] * 1.3})


A_YEAR = 365 * 24 * 60 * MINUTE
ATTACKS: dict[str, tuple[str, str, Callable[[World], None]]] = {
    # A coin of an invented size under a ticker of others.
    "an invented cap without a volume": ("coingecko", "rival", added("coingecko")),
    "an invented cap with a volume": ("coingecko", "rival", added("coingecko", volume=1e12)),
    "an invented cap of CoinPaprika": ("coinpaprika", "rival", added("coinpaprika", volume=1e11)),
    "an invented rank": ("coingecko", "rival", added("coingecko", rank=1, volume=1e12)),
    "an invented cap of ETH": ("coingecko", "rival", added("coingecko", symbol="ETH")),
    "an invented cap of QNT": ("coingecko", "rival", added("coingecko", symbol="QNT")),
    "an invented cap of QNT in a file": ("csv", "rival", added("csv", symbol="QNT", name="Qu")),
    "an invented volume alone": ("coingecko", "rival", added("coingecko", cap=None, volume=9e12)),
    "a row without a name": ("coingecko", "rival", added("coingecko", name=None)),
    "a row without name and price": (
        "coingecko", "rival", added("coingecko", name=None, price=None)
    ),
    "the name of another id": ("coingecko", "rival", added("coingecko", name="Bitcoin")),
    "the name and the price of another id": (
        "coingecko", "rival", added("coingecko", name="Bitcoin", price=60_060.0, volume=1e11)
    ),
    "a copy of another id": (
        "coingecko", "rival",
        added("coingecko", name="Bitcoin", price=60_000.0, cap=1.2e12, volume=3e10, rank=1),
    ),
    "a bridged copy": (
        "coingecko", "rival",
        added("coingecko", name="Bitcoin (Wormhole)", price=60_000.0, volume=1e11),
    ),
    "an old token of a great cap": (
        "coinpaprika", "rival", added("coinpaprika", symbol="QNT", name="[OLD] Quant", price=99.0)
    ),
    # Prices.
    "a price x 1000": ("coinpaprika", "excluded", scaled("coinpaprika", "BTC", price=1000)),
    "a price / 1000": ("coinpaprika", "excluded", scaled("coinpaprika", "BTC", price=0.001)),
    "a price x 1000 of CoinGecko": ("coingecko", "excluded", scaled("coingecko", "QNT", price=1e3)),
    "a price x 1.5": ("coinpaprika", "excluded", scaled("coinpaprika", "BTC", price=1.5)),
    "a price x 1.05": ("coinpaprika", "excluded", scaled("coinpaprika", "ETH", price=1.05)),
    "a price x 1.02": ("coingecko", "excluded", scaled("coingecko", "QNT", price=1.02)),
    "a price / 1.02": ("coinpaprika", "excluded", scaled("coinpaprika", "QNT", price=0.98)),
    "a whole poll x 10": ("coinpaprika", "excluded", tenfold),
    "a whole poll in euros": ("coingecko", "excluded", euros),
    "two prices swapped": ("coinpaprika", "excluded", swapped),
    "a negative price": ("coinpaprika", "unpriced", scaled("coinpaprika", "BTC", price=-1)),
    "a price of zero": ("coinpaprika", "unpriced", scaled("coinpaprika", "BTC", price=0)),
    "a price in words": ("coinpaprika", "rejected", replaced("coinpaprika", "BTC", price="much")),
    "a row twice": ("coinpaprika", "kept", twice),
    # Other values.
    "a cap x 1000": ("coinpaprika", "excluded", scaled("coinpaprika", "QNT", cap=1000)),
    "an impossible cap": ("coinpaprika", "excluded", replaced("coinpaprika", "BTC", cap=1e15)),
    "a cap of 1": ("coingecko", "excluded", replaced("coingecko", "BTC", cap=1)),
    "a volume of 0": ("coingecko", "attributed", replaced("coingecko", "BTC", volume=0)),
    "a percentage of a million": (
        "coingecko", "attributed", replaced("coingecko", "BTC", percent=1e6)
    ),
    "a supply of 1": ("coingecko", "kept", replaced("coingecko", "BTC", supply=1)),
    # Times.
    "a time in a year, a price x 1.5": (
        "coinpaprika", "excluded",
        lambda world: world.rows["coinpaprika"]["BTC"].update(
            price=90_000.0, at=(now() + A_YEAR).isoformat()),
    ),
    "a time in four minutes, a price x 1.05": (
        "coingecko", "excluded",
        lambda world: world.rows["coingecko"]["ETH"].update(
            price=3_150.0, at=(now() + 4 * MINUTE).isoformat()),
    ),
    "a time a year ago, half the price": (
        "coinpaprika", "kept",
        lambda world: world.rows["coinpaprika"]["BTC"].update(
            price=30_000.0, at=(now() - A_YEAR).isoformat()),
    ),
    # Names and symbols.
    "a zero-width space": ("coingecko", "apart", added("coingecko", symbol="B\u200bTC")),
    "Cyrillic letters": ("coingecko", "apart", added("coingecko", symbol="ВТС")),
    "another coin renamed to BTC": (
        "coingecko", "rival", replaced("coingecko", "DOGE", symbol="BTC")
    ),
    "another coin renamed to Bitcoin": (
        "coingecko", "rival", replaced("coingecko", "DOGE", symbol="BTC", name="Bitcoin")
    ),
    "Ethereum renamed to BTC": ("coingecko", "rival", replaced("coingecko", "ETH", symbol="BTC")),
    "Bitcoin renamed to Bitcoin (Wormhole)": (
        "coingecko", "kept", replaced("coingecko", "BTC", name="Bitcoin (Wormhole)")
    ),
    "the owner missing from a body": ("coingecko", "missing", missing),
    # Files.
    "a file with other prices": ("csv", "excluded", scaled("csv", "BTC", price=0.5)),
    "a file with prices a little off": ("csv", "excluded", scaled("csv", "ETH", price=1.05)),
    "a file with a great cap": ("csv", "excluded", scaled("csv", "QNT", cap=5000)),
    "a file of fake days": ("csv", "rival", lambda world: dated(world, 1.0)),
    "a file of fake days of another name": (
        "csv", "rival", lambda world: dated(world, 1.0, "Bitcoin Two")
    ),
}  # fmt: skip


# Where the listings of Bitcoin show what the coin does not.
STORED = {
    "unpriced": "SELECT count(*) FROM listings WHERE ticker = 'BTC' AND price_usd IS NULL",
    "missing": "SELECT count(*) FROM listings WHERE ticker = 'BTC' AND missing_since IS NOT NULL",
    "rejected": "SELECT count(*) FROM rejected_records",
    "apart": "SELECT count(*) FROM normalized_records WHERE ticker LIKE 'XN--%'",
    "attributed": "SELECT count(*) FROM normalized_records WHERE ticker = 'BTC' "
    "AND provenance::text LIKE '%coingecko%'",
    "kept": "SELECT 1",
}
"""Queries that find what is not visible in a coin's rivals or excluded values.

`kept` stands for rows that change nothing: an older observation, a repeated id, a supply that no
coin shows. `attributed` values are shown with the source that gave them.
"""


async def is_visible(world: World, how: str, before: dict[str, Row]) -> bool:
    """Whether a reader of the coins, or of the run, sees the attack."""
    if how in STORED:
        return bool(await world.pool.fetchval(STORED[how]))
    after = await world.coins()
    has_rival = any(after[t]["rival_count"] > before[t]["rival_count"] for t in WATCHED)
    return any(after[t]["excluded"] for t in WATCHED) or (how == "rival" and has_rival)


@pytest.mark.parametrize("with_file", [False, True], ids=["two APIs", "and a file"])
@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_moves_no_coin_and_shows(
    honest_polls: HonestPolls, serve: Serve, tmp_path: Path, attack: str, *, with_file: bool
) -> None:
    source, how, change = ATTACKS[attack]
    names = ("coinpaprika", "coingecko", *(["csv"] if with_file else []))
    database = await honest_polls.copy(names, serve, tmp_path)
    dsn = with_database(honest_polls.server_dsn, database)
    async with await create_pool(dsn, application_name="test", max_size=5) as pool:
        world = await open_world(pool, serve, tmp_path)
        before = await world.coins()
        world.tell(now() - 5 * MINUTE)
        change(world)
        await world.poll(source)
        assert await is_visible(world, how, before), (await world.coins())["BTC"]
        await check(world, before)
        honest = next(name for name in names if name not in (source, "csv"))
        await world.poll(honest)
        await check(world, before)
        for one in world.sources.values():
            await one.close()
    await drop_database(honest_polls.server_dsn, database)


async def check(world: World, before: dict[str, Row]) -> None:
    """The owner, its price and its cap are what they were."""
    after = await world.coins()
    for ticker in WATCHED:
        assert after[ticker]["asset"] == before[ticker]["asset"], (ticker, after[ticker])
        price = Decimal(str(COINS[ticker][2]))
        assert abs(after[ticker]["price_usd_exact"] / price - 1) <= Decimal("0.01"), after[ticker]
        cap = Decimal(str(COINS[ticker][3]))
        assert cap / 2 <= after[ticker]["market_cap_usd"] <= cap * 2, after[ticker]
    span = CandleSpan("H1", now() - datetime.timedelta(hours=3), now())
    async with world.pool.acquire() as connection:
        candles = await candles_of(connection, WATCHED, span)
    for ticker in WATCHED:
        price = Decimal(str(COINS[ticker][2]))
        ends = [Decimal(one) for candle in candles[ticker] for one in (candle.high, candle.low)]
        assert ends
        assert all(abs(end / price - 1) <= Decimal("0.011") for end in ends), (ticker, ends)


async def test_a_fake_that_claims_an_address_of_another_coin_takes_neither(world: World) -> None:
    for minutes in (20, 15, 10):
        world.tell(now() - minutes * MINUTE)
        await world.poll("coinpaprika", "coingecko")
    before = await world.coins()
    world.tell(now() - 5 * MINUTE)
    world.add("coingecko", price=1.0, volume=1e12)
    async with world.pool.acquire() as connection:
        await connection.executemany(
            "INSERT INTO address_groups VALUES ($1, $2, 'eth:1', '{eth}')",
            [
                ("coingecko", "fake"),
                ("coingecko", "coingecko-qnt"),
                ("coinpaprika", "coinpaprika-qnt"),
            ],
        )
        await bridge_all(connection)
    await world.poll("coingecko")
    assert await is_visible(world, "rival", before)
    await check(world, before)
    await world.poll("coinpaprika")
    await check(world, before)
