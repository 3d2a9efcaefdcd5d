"""`kasparro status` shows the most doubtful coins: the worst of each kind, with the reason."""

import json
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from db.connect.pool import Connection
from db.read.coins import COIN_ORDERS, CoinFilter, coin_page, count_coins
from db.read.keyset import PageSlice
from db.read.quality import worst_coins
from db.sources import stamp_coins
from tests.kasparro.command_line import kasparro

POLL_SECONDS = 300


async def add_source(connection: Connection, *names: str) -> None:
    await connection.executemany(
        "INSERT INTO sources (name, kind, enabled, priority, poll_seconds) VALUES ($1, 'api', "
        "true, 10, $2)",
        [(name, POLL_SECONDS) for name in names],
    )


class Coin(msgspec.Struct):
    ticker: str
    age_seconds: float = 0
    spread: float | None = None
    rivals: int = 0
    cap: int | None = 1000


async def add_coins(connection: Connection, *coins: Coin) -> datetime:
    """Write coins observed before now by their age; return that now."""
    now = datetime.now(UTC)
    await connection.executemany(
        "INSERT INTO normalized_records (ticker, name, price_usd_exact, market_cap_usd, source, "
        "created_at, "
        "ingested_at, price_spread_percent, rival_count, provenance) "
        "VALUES ($1, $1 || ' Coin', 1, $2, 'coingecko', $3, $4, $5, $6, '[]')",
        [
            (
                coin.ticker,
                coin.cap,
                now - timedelta(seconds=coin.age_seconds),
                now,
                coin.spread,
                coin.rivals,
            )
            for coin in coins
        ],
    )
    await stamp_coins(connection)
    return now


async def test_each_kind_in_turn_and_the_reason_with_it(
    connection: Connection, database: str, tmp_path: Path
) -> None:
    await add_source(connection, "coingecko")
    await add_coins(
        connection,
        Coin("FINE", spread=2.9),
        Coin("APART", spread=40),
        Coin("WIDEST", spread=912.345),
        Coin("OLDER", age_seconds=7200),
        Coin("OLDEST", age_seconds=3 * 86_400, spread=5000, rivals=1),
        Coin("FOUGHT", rivals=68),
        Coin("[b]", rivals=1, cap=2),
    )
    settings = {"DATABASE_URL": database, "KASPARRO_HOME": str(tmp_path)}
    shown = (await kasparro("status", **settings)).stdout
    rows = shown[shown.index(" worst") :].splitlines()
    assert [re.split(r"  +", row.strip()) for row in rows] == [
        ["worst", "name", "why"],
        ["WIDEST", "WIDEST Coin", "its sources' prices lie 912 % apart"],
        ["OLDEST", "OLDEST Coin", "stale: coingecko observed it 3 d ago"],
        ["FOUGHT", "FOUGHT Coin", "68 others claim its ticker"],
        ["APART", "APART Coin", "its sources' prices lie 40 % apart"],
        ["OLDER", "OLDER Coin", "stale: coingecko observed it 2 h ago"],
        ["[b]", "[b] Coin", "1 other claims its ticker"],
    ]
    worst = json.loads((await kasparro("status", "--json", **settings)).stdout)["worst"]
    assert [(coin["ticker"], coin["flaw"]) for coin in worst][:3] == [
        ("WIDEST", "spread"),
        ("OLDEST", "stale"),
        ("FOUGHT", "rivals"),
    ]
    assert (worst[0]["price_spread_percent"], worst[2]["rival_count"]) == (912.345, 68)


async def test_where_all_is_well_nothing_is_listed(
    connection: Connection, database: str, tmp_path: Path
) -> None:
    await add_source(connection, "coingecko")
    await add_coins(connection, Coin("FINE", spread=3.0))
    settings = {"DATABASE_URL": database, "KASPARRO_HOME": str(tmp_path)}
    assert "worst" not in (await kasparro("status", **settings)).stdout
    assert json.loads((await kasparro("status", "--json", **settings)).stdout)["worst"] == []


def oracle(coins: list[Coin], most: int) -> list[tuple[str, str]]:
    """The same list in plain Python."""
    stale = 3 * POLL_SECONDS

    def by(flaw: str, size: Callable[[Coin], float]) -> list[tuple[str, str]]:
        found = sorted(
            coins, key=lambda coin: (-size(coin), coin.cap is None, -(coin.cap or 0), coin.ticker)
        )
        return [(coin.ticker, flaw) for coin in found if size(coin) > 0]

    kinds = [
        by(
            "spread",
            lambda coin: (
                coin.spread or 0 if coin.age_seconds <= stale and (coin.spread or 0) > 3 else 0
            ),
        ),
        by("stale", lambda coin: coin.age_seconds if coin.age_seconds > stale else 0),
        by("rivals", lambda coin: coin.rivals),
    ]
    worst: dict[str, str] = {}
    for place in range(most):
        for kind in kinds:
            if place < len(kind):
                worst.setdefault(*kind[place])
    return list(worst.items())[:most]


@pytest.mark.parametrize("seed", range(8))
async def test_the_list_is_what_plain_python_makes_of_the_coins(
    connection: Connection, seed: int
) -> None:
    await add_source(connection, "coingecko")
    chance = random.Random(seed)  # noqa: S311 - rows, no secrets
    coins = [
        Coin(
            f"T{number}",
            age_seconds=chance.choice([0, 60, 5000, 7000, chance.randrange(1_000_000)]),
            spread=chance.choice([None, 0.5, 4.0, chance.random() * 100]),
            rivals=chance.choice([0, 0, 1, 1, 2, chance.randrange(50)]),
            cap=chance.choice([None, 5, chance.randrange(1, 10**12)]),
        )
        for number in range(chance.choice([3, 12, 60]))
    ]
    now = await add_coins(connection, *coins)
    worst = await worst_coins(connection, now)
    assert [(coin.ticker, coin.flaw) for coin in worst] == oracle(coins, 10)
    every = await worst_coins(connection, now, 1000)
    assert len(every) == await count_coins(
        connection, CoinFilter(is_disputed=True)
    ) + await count_coins(connection, CoinFilter(is_stale=True, is_disputed=False))


async def test_disputes_are_found_by_their_index(connection: Connection) -> None:
    await add_source(connection, "coingecko")
    await connection.execute(
        "INSERT INTO normalized_records (ticker, price_usd_exact, market_cap_usd, source, "
        "created_at, ingested_at, "
        "rival_count, provenance) SELECT 'T' || i, 1, 1 + i, 'coingecko', now(), now(), (i % "
        "1000 = 7)::integer, '[]' "
        "FROM generate_series(1, 20000) AS i"
    )
    await connection.execute("ANALYZE normalized_records")
    scans = (
        "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = "
        "'normalized_records_disputed'"
    )
    for _ in range(10):  # a generic plan may be used after five executions
        page = await coin_page(
            connection,
            CoinFilter(is_disputed=True),
            COIN_ORDERS["MARKET_CAP_USD:DESC"],
            PageSlice(5),
        )
    assert [coin.ticker for coin in page.rows] == ["T19007", "T18007", "T17007", "T16007", "T15007"]
    await connection.execute("SELECT pg_stat_force_next_flush()")
    assert await connection.fetchval(scans) == 10
