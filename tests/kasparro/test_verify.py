"""`kasparro verify` finds every change made by hand, and nothing else."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import anyio
import asyncpg
import pytest

from db.connect.pool import Pool, create_pool
from db.schema.partitions import DEFAULT_RETENTION, Retention, ensure_partitions
from db.schema.thinning import thin_history
from db.sources import SourceSettings, save_sources
from ingestor.clock import utc_now
from ingestor.registry.reading import read_registry
from ingestor.reprocess import reprocess
from ingestor.run.housekeeping import purge_expired
from ingestor.run.run import run
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.records import Source
from kasparro.simulator.app import create_app, serving
from kasparro.simulator.market.market import SimulatedMarket
from kasparro.verify.checks import VerifyReport, verify
from tests.conftest import drop_database, migrated_database, new_database, with_database
from tests.ingestor.conftest import START, Ingest
from tests.kasparro.command_line import kasparro
from tests.kasparro.verify_changes import CHANGES, Change

RETENTION = Retention(raw_days=7, history_days=90, full_days=60)
"""The market is weeks old."""
CONTRACT = "0x{:040x}"


def write_file(path: Path, step: int) -> None:
    """A file of dated prices with a correction, a jump, a rename, contracts and a broken row."""
    lines = ["id,symbol,name,price,market_cap,volume,platform,contract,date"]
    for day in range(12 + step):
        date = f"{START - timedelta(days=20 - day):%Y-%m-%d}"
        for number in range(1, 9):
            price = 10 * number + (day % 4) + (0.5 if step > 1 and day == 3 else 0)
            price *= 60 if number == 1 and day == 6 else 1
            symbol = f"NEW{number}" if number == 2 and step > 1 else f"PAST{number}"
            contract = f"ethereum,{CONTRACT.format(number % 5)}"
            lines.append(
                f"c{number},{symbol},Past {number},{price},{number}000000,5000,{contract},{date}"
            )
    lines.append("c9,BROKEN,Broken,soon,,,,,")
    path.write_text("\n".join([*lines, ""]))


async def ingest_market(ingest: Ingest) -> None:
    """Poll all sources: prices move, a coin jumps for one poll, listings end, records are bad."""
    for step in range(4):
        write_file(ingest.csv_path, step)
        if step == 1:
            ingest.fault("bad_record", provider="coinpaprika", record=7)
            ingest.fault("status", provider="coingecko", status=500, times=50)
        if step == 2:
            ingest.faults.clear()
            assert ingest.market.delist("coinpaprika", "eos-eos") in (True, False)
        for name in ("coinpaprika", "coingecko", "csv"):
            await ingest.run(name)
        ingest.market.advance()
    for name in ("coinpaprika", "coingecko"):
        source = ingest.sources[name]
        assert isinstance(source, CoinPaprika) or name == "coingecko"
        await read_registry(ingest.pool, source, hours=24, full=True)  # type: ignore[arg-type]  # it has one
    async with ingest.pool.acquire() as connection:
        await purge_expired(connection, RETENTION)


class Market:
    """A filled database to copy, and the sources that filled it."""

    def __init__(self, name: str, server_dsn: str, sources: dict[str, Source]) -> None:
        self.name, self.server_dsn, self.sources = name, server_dsn, sources


@pytest.fixture(scope="module")
async def market(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Market]:
    name = await new_database(server_dsn, template)
    simulated = SimulatedMarket(600, seed=7, start=START, step_seconds=60)
    folder = tmp_path_factory.mktemp("market")
    async with serving(create_app(simulated)) as address:
        async with await create_pool(with_database(server_dsn, name), max_size=5) as pool:
            ingest = Ingest(pool, address, folder / "coins.csv")
            await save_settings(pool, list(ingest.sources.values()))
            await ingest_market(ingest)
        yield Market(name, server_dsn, ingest.sources)
        await ingest.close()
    await drop_database(server_dsn, name)


@pytest.fixture
async def copy(market: Market) -> AsyncIterator[Pool]:
    async with (
        migrated_database(market.server_dsn, market.name) as dsn,
        await create_pool(dsn, max_size=5) as pool,
    ):
        yield pool


async def save_settings(pool: Pool, sources: list[Source]) -> None:
    async with pool.acquire() as connection:
        await save_sources(
            connection,
            [SourceSettings(s.name, s.kind, s.priority, s.poll_seconds) for s in sources],
        )


async def check(pool: Pool, market: Market, limit: int = 20) -> VerifyReport:
    return await verify(pool, list(market.sources.values()), RETENTION, limit=limit)


def differing(report: VerifyReport) -> dict[str, object]:
    return {check.name: check.examples for check in report.checks if check.differences}


async def repair(pool: Pool, market: Market, change: Change) -> None:
    sources = list(market.sources.values())
    if change.repair in ("reprocess", "full"):
        await reprocess(
            pool,
            sources,
            [source.name for source in sources],
            since=None,
            retention=RETENTION,
            dry_run=False,
            on_progress=lambda *_: None,
            full=change.repair == "full",
        )
    elif change.repair == "run":
        for source in sources:
            await run(pool, source, timeout_seconds=60, full=True)
    elif change.repair == "settings":
        await save_settings(pool, sources)
    else:
        async with pool.acquire() as connection:
            await ensure_partitions(connection, utc_now(), RETENTION)
            await purge_expired(connection, RETENTION)


async def test_a_database_that_a_run_has_filled_holds(copy: Pool, market: Market) -> None:
    report = await check(copy, market)
    assert differing(report) == {}
    assert report.holds
    rows = {one.name: one.rows for one in report.checks}
    empty = {name for name, count in rows.items() if count == 0}
    assert empty <= {"storage.expired", "assets.bridges"}
    assert await copy.fetchval("SELECT count(*) FROM price_points WHERE is_held") > 0
    assert await copy.fetchval("SELECT count(*) FROM former_tickers") > 0
    assert await copy.fetchval("SELECT count(*) FROM rejected_records") > 0
    assert await copy.fetchval("SELECT count(*) FROM etl_runs WHERE status = 'failure'") > 0


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
async def test_a_change_by_hand_is_found_named_and_repaired(
    copy: Pool, market: Market, change: Change
) -> None:
    await copy.execute(change.sql)
    report = await check(copy, market)
    assert not report.holds
    found = {one.name: one for one in report.checks if one.differences}
    assert change.check in found, found
    outcome = found[change.check]
    assert outcome.remedy
    said = [f"{one.where} {one.what} {one.stored} {one.expected}" for one in outcome.examples]
    assert any(change.says in text for text in said), said
    if change.repair:
        await repair(copy, market, change)
        assert differing(await check(copy, market)) == {}


async def test_only_so_many_examples_are_kept_and_all_are_counted(
    copy: Pool, market: Market
) -> None:
    await copy.execute("UPDATE normalized_records SET confidence = 0.01")
    await copy.execute("DELETE FROM candles")
    report = await check(copy, market, limit=2)
    found = {one.name: one for one in report.checks if one.differences}
    assert found.keys() == {"coins.merge", "candles"}
    assert all(len(one.examples) == 2 for one in found.values())
    assert found["coins.merge"].differences > 500
    assert found["candles"].differences > 1000


async def test_days_whose_points_were_removed_by_age_hold(copy: Pool, market: Market) -> None:
    async with copy.acquire() as connection:
        count = await connection.fetchval("SELECT count(*) FROM price_points")
        await thin_history(connection, utc_now(), DEFAULT_RETENTION)
        assert await connection.fetchval("SELECT count(*) FROM price_points") < count - 200
    report = await check(copy, market)
    assert differing(report) == {}


async def test_it_writes_nothing(copy: Pool, market: Market) -> None:
    name = await copy.fetchval("SELECT current_database()")
    await copy.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    dsn = with_database(market.server_dsn, name)
    async with await create_pool(dsn, max_size=1) as reader:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await reader.execute("CREATE TEMP TABLE t ()")
        assert (await check(reader, market)).holds


async def test_beside_a_running_ingestor_nothing_differs(
    server_dsn: str, template: str, tmp_path: Path
) -> None:
    simulated = SimulatedMarket(600, seed=11, start=START, step_seconds=60)
    async with (
        serving(create_app(simulated)) as address,
        migrated_database(server_dsn, template) as dsn,
        await create_pool(dsn, max_size=8) as pool,
    ):
        ingest = Ingest(pool, address, tmp_path / "coins.csv")
        await save_settings(pool, list(ingest.sources.values()))
        ended = anyio.Event()

        async def poll(name: str) -> None:
            for step in range(8):
                if name == "csv":
                    write_file(ingest.csv_path, step)
                await ingest.run(name)
                ingest.market.advance()

        async def poll_all() -> None:
            async with anyio.create_task_group() as polls:
                for name in ingest.sources:
                    polls.start_soon(poll, name)
            ended.set()

        reports = []
        async with anyio.create_task_group() as group:
            group.start_soon(poll_all)
            while not ended.is_set():
                reports.append(
                    await verify(pool, list(ingest.sources.values()), RETENTION, limit=20)
                )
        await ingest.close()
    assert [differing(report) for report in reports] == [{}] * len(reports)
    sizes = [sum(one.rows for one in report.checks) for report in reports]
    assert len(set(sizes)) > 1, "nothing was written meanwhile"


async def settings_of(copy: Pool, market: Market, folder: Path) -> dict[str, str]:
    name = await copy.fetchval("SELECT current_database()")
    return {
        "DATABASE_URL": with_database(market.server_dsn, name),
        "KASPARRO_HOME": str(folder),
        "CSV_PATH": str(folder / "coins.csv"),
    }


async def test_the_command_says_what_holds_and_what_differs(
    copy: Pool, market: Market, tmp_path: Path
) -> None:
    environ = await settings_of(copy, market, tmp_path)
    done = await kasparro("verify", **environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("All holds.\n")
    assert re.search(
        r"^ coins\.merge +6\d\d +0  a coin is what the merge makes", done.stdout, re.MULTILINE
    )
    await copy.execute("UPDATE normalized_records SET name = 'Other' WHERE ticker = 'ETH'")
    done = await kasparro("verify", **environ)
    assert done.returncode == 1
    assert "    ETH, name: Other, not Ethereum\n" in done.stdout
    assert "    to do: `kasparro reprocess` writes what the payloads say\n" in done.stdout
    assert done.stdout.endswith("1 value differs.\n")
    done = await kasparro("verify", "--json", "--examples", "0", **environ)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["holds"] is False
    [found] = [one for one in report["checks"] if one["differences"]]
    assert (found["name"], found["differences"], found["examples"]) == ("coins.merge", 1, [])


async def test_what_cannot_be_checked_ends_with_2(
    empty_database: str, copy: Pool, market: Market, tmp_path: Path
) -> None:
    environ = await settings_of(copy, market, tmp_path)
    done = await kasparro("verify", **(environ | {"DATABASE_URL": empty_database}))
    assert (done.returncode, done.stdout) == (2, "")
    assert "run `kasparro migrate`" in done.stderr
    away = "postgresql://postgres@127.0.0.1:1/none"
    done = await kasparro("verify", **(environ | {"DATABASE_URL": away}))
    assert done.returncode == 2
    assert "is out of reach" in done.stderr
    await copy.execute("DROP TABLE candles CASCADE")
    done = await kasparro("verify", **environ)
    assert done.returncode == 2
    assert "PostgreSQL refused a statement" in done.stderr


async def test_listings_of_a_source_that_is_not_set_are_named(copy: Pool, market: Market) -> None:
    report = await verify(copy, [market.sources["coingecko"]], RETENTION, limit=5)
    assert differing(report) == {}
    [payloads] = [one for one in report.checks if one.name == "payloads"]
    assert [note.partition(":")[0] for note in payloads.notes] == ["coinpaprika", "csv"]
