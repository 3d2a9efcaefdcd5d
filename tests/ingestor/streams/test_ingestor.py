"""The ingestor follows venues beside its polls: simulator, ingestor and database are real."""

import asyncio
import datetime
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec

from db.connect.types import Connection
from kasparro.simulator.venues.prices import TickingMarket, make_pairs
from tests.conftest import Program, StartProgram
from tests.ingestor.streams.test_live_markets import addresses_of

VENUES = ("binance", "coinbase", "kraken")
COINS = 3
NAMES = {"BTC": "Bitcoin", "ETH": "Ethereum", "USDT": "Tether"}


async def start_venues(start_program: StartProgram) -> Program:
    program = start_program(
        *("-m", "kasparro.simulator.venues", "--port", "0", "--coins", str(COINS)),
        *(word for venue in VENUES for word in ("--venue", venue)),
        *("--ticks", "100"),
    )
    await program.wait_for(f"{VENUES[-1]} at")
    return program


def ingestor_variables(
    venues: Program, database: str, folder: Path, sources: str
) -> dict[str, str]:
    """Return the environment of an ingestor; a file lists the simulator's coins at their prices."""
    prices = TickingMarket(make_pairs(COINS)).usd
    rows = [f"{code},{name},{prices[code]:.12f}" for code, name in NAMES.items()]
    (folder / "coins.csv").write_text("\n".join(["symbol,name,price", *rows, ""]), encoding="utf-8")
    urls: dict[str, str] = {}
    for venue, (stream, api) in addresses_of(venues).items():
        urls |= {f"{venue.upper()}_STREAM_URL": stream, f"{venue.upper()}_URL": api}
    return {
        "DATABASE_URL": database,
        "SOURCES": sources,
        "CSV_PATH": str(folder / "coins.csv"),
        "KASPARRO_HOME": str(folder),
        **urls,
    }


async def until(
    connection: Connection, statement: str, met: Callable[[object], bool], seconds: float = 40.0
) -> object:
    async with asyncio.timeout(seconds):
        while True:
            value = await connection.fetchval(statement)
            if met(value):
                return value
            await asyncio.sleep(0.05)


async def test_prices_of_three_exchanges_become_the_coins_and_move_each_second(
    start_program: StartProgram, database: str, connection: Connection, tmp_path: Path
) -> None:
    venues = await start_venues(start_program)
    sources = ",".join(("csv", *VENUES))
    ingestor = start_program(
        "-m", "ingestor", **ingestor_variables(venues, database, tmp_path, sources)
    )
    await until(
        connection,
        "SELECT count(*) FROM normalized_records WHERE source = 'markets'",
        lambda count: count == len(NAMES),
    )
    # Each coin is one asset: the file's listing, and the consensus of the markets.
    assets = await connection.fetch(
        "SELECT ticker, count(*), count(DISTINCT coalesce(asset, source || ':' || external_id))"
        " FROM listings GROUP BY ticker"
    )
    assert {tuple(row)[1:] for row in assets} == {(2, 1)}
    before = await connection.fetchval("SELECT max(seq) FROM events WHERE kind = 'coins_changed'")
    await until(
        connection,
        f"SELECT count(*) FROM events WHERE kind = 'coins_changed' AND seq > {before}",
        lambda count: isinstance(count, int) and count >= 3,
    )
    btc = await connection.fetchrow(
        "SELECT c.*, n.price_usd AS coin_price FROM consensus AS c JOIN listings AS l"
        " ON l.source = 'markets' AND l.external_id = c.asset"
        " JOIN normalized_records AS n ON n.ticker = l.ticker WHERE l.ticker = 'BTC'"
    )
    assert btc is not None
    assert btc["venues"] == 3
    contributions = msgspec.json.decode(btc["contributions"])
    assert {one["venue"] for one in contributions if one["used"]} == set(VENUES)
    assert abs(sum(one["weight"] for one in contributions) - 1) < 1e-4
    points = await connection.fetchval(
        "SELECT count(*) FROM price_points AS p JOIN listings AS l ON l.id = p.listing"
        " WHERE l.source = 'markets' AND l.ticker = 'BTC'"
    )
    candles = await connection.fetchval(
        "SELECT count(*) FROM candles AS k JOIN listings AS l ON l.id = k.listing"
        " WHERE l.source = 'markets' AND l.ticker = 'BTC'"
    )
    assert points >= 3
    assert candles >= 2
    assert await connection.fetchval("SELECT count(*) FROM raw_api_records") == 0
    await until(
        connection,
        "SELECT count(*) FROM stream_states WHERE state = 'live' AND problem IS NULL",
        lambda count: count == len(VENUES) + 1,
    )
    assert await ingestor.stop() == 0
    assert "Traceback" not in ingestor.text()


async def test_a_venue_that_refuses_is_one_line_and_the_others_go_on(
    start_program: StartProgram, database: str, connection: Connection, tmp_path: Path
) -> None:
    venues = await start_venues(start_program)
    variables = ingestor_variables(venues, database, tmp_path, ",".join(("csv", *VENUES)))
    variables["BINANCE_STREAM_URL"] += "/refused"
    ingestor = start_program("-m", "ingestor", **variables)
    await until(
        connection,
        "SELECT count(*) FROM normalized_records WHERE source = 'markets'",
        lambda count: count == len(NAMES),
    )
    await until(
        connection,
        "SELECT problem FROM stream_states WHERE source = 'binance' AND state = 'down'",
        lambda problem: problem == "it answered 404",
    )
    await until(
        connection,
        "SELECT string_agg(source || ' ' || state, ', ' ORDER BY source) FROM stream_states",
        lambda states: states == "binance down, coinbase live, kraken live, markets live",
    )
    await asyncio.sleep(3)  # two more attempts
    assert ingestor.text().count("it answered 404") == 1
    assert await ingestor.stop() == 0


async def test_a_second_ingestor_takes_over_and_the_time_between_is_a_gap(
    start_program: StartProgram, database: str, connection: Connection, tmp_path: Path
) -> None:
    venues = await start_venues(start_program)
    variables = ingestor_variables(venues, database, tmp_path, ",".join(("csv", *VENUES)))
    first = start_program("-m", "ingestor", **variables)
    await first.wait_for("streams.started")
    await until(
        connection,
        "SELECT count(*) FROM markets WHERE price > 0",
        lambda count: count == len(VENUES) * len(make_pairs(COINS)),
    )
    second = start_program("-m", "ingestor", **variables)
    await second.wait_for("ingestor.started")
    await asyncio.sleep(1.5)
    assert "streams.started" not in second.text()
    assert await _clients(venues) == dict.fromkeys(VENUES, 1)
    first.process.kill()
    await second.wait_for("streams.started", 30)
    await until(
        connection,
        "SELECT count(DISTINCT source) FROM stream_gaps WHERE symbol IS NULL",
        lambda count: count == len(VENUES),
    )
    assert await second.stop() == 0
    assert "Traceback" not in second.text()


async def _clients(venues: Program) -> dict[str, int]:
    root = addresses_of(venues)["kraken"][1].rpartition("/kraken")[0]
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{root}/_control/streams") as response,
    ):
        return {name: found["clients"] for name, found in (await response.json()).items()}


async def test_a_database_that_ends_the_connection_costs_a_pause_and_no_gap(
    start_program: StartProgram, database: str, connection: Connection, tmp_path: Path
) -> None:
    venues = await start_venues(start_program)
    variables = ingestor_variables(venues, database, tmp_path, ",".join(("csv", *VENUES)))
    ingestor = start_program("-m", "ingestor", **variables)
    spoken = "SELECT count(*) FROM normalized_records WHERE source = 'markets'"
    await until(connection, spoken, lambda count: count == len(NAMES))
    ended = await connection.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE application_name = 'kasparro ingestor' AND datname = current_database()"
    )
    assert ended > 0
    await ingestor.wait_for("database.unavailable .*loop=streams")
    before = await connection.fetchval("SELECT max(observed_at) FROM markets")
    await until(
        connection,
        "SELECT max(observed_at) FROM markets",
        lambda newest: isinstance(newest, datetime.datetime) and newest > before,
    )
    assert ingestor.text().count("streams.started") == 1
    assert await connection.fetchval("SELECT count(*) FROM stream_gaps") == 0
    assert await ingestor.stop() == 0
