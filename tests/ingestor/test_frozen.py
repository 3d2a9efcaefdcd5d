"""A killed or frozen ingestor: another one continues, and the frozen one writes nothing later."""

import asyncio
import signal
import time
from pathlib import Path

from kasparro.simulator.app import create_app, serving
from kasparro.simulator.faults import Fault
from kasparro.simulator.market.market import SimulatedMarket
from tests.conftest import Program, StartProgram
from tests.ingestor.conftest import START, Ingest
from tests.ingestor.test_loop import until

HOLDER = """
import asyncio, sys
from db.connect.locks import take_write_lock
from db.connect.pool import connect

async def main():
    connection = await connect(sys.argv[1])
    async with connection.transaction():
        await take_write_lock(connection)
        print("holding", flush=True)
        await asyncio.sleep(1)
        await connection.execute("UPDATE sources SET poll_seconds = 7")

asyncio.run(main())
"""
RUNS = "SELECT status, message FROM etl_runs ORDER BY id"


class Two:
    """Two ingestors of one database: the first is in a run, the second waits for it."""

    def __init__(self, first: Program, second: Program) -> None:
        self.first, self.second = first, second


async def start_two(
    start_program: StartProgram, ingest: Ingest, database: str, url: str, home: Path
) -> Two:
    environ = {
        "DATABASE_URL": database,
        "SOURCES": "coingecko",
        "COINGECKO_URL": url,
        "KASPARRO_HOME": str(home),
    }
    first = start_program("-m", "ingestor", **environ)
    await until(lambda: ingest.value("SELECT pages = 1 FROM etl_runs"), 60)
    second = start_program("-m", "ingestor", **environ)
    await second.wait_for("ingestor.started", 60)
    return Two(first, second)


async def seconds_until_a_second_run(ingest: Ingest) -> float:
    began = time.monotonic()
    await until(lambda: ingest.value("SELECT count(*) > 1 FROM etl_runs"), 60)
    return time.monotonic() - began


async def test_a_second_ingestor_goes_on_within_15_s_of_a_freeze_and_a_woken_one_writes_nothing(
    start_program: StartProgram, database: str, tmp_path: Path, ingest: Ingest
) -> None:
    async with serving(
        create_app(SimulatedMarket(600, seed=7, start=START, step_seconds=60))
    ) as address:
        address.simulation.faults.add([Fault(kind="timeout", provider="coingecko", page=2)])
        two = await start_two(start_program, ingest, database, address.coingecko_url, tmp_path)
        two.first.process.send_signal(signal.SIGSTOP)
        assert await seconds_until_a_second_run(ingest) < 15
        await until(lambda: ingest.value("SELECT bool_or(status = 'success') FROM etl_runs"), 60)
        settled = await ingest.rows(RUNS)
        two.first.process.send_signal(signal.SIGCONT)
        await two.first.wait_for("database.unavailable .*loop='poll coingecko'", 60)
        assert await ingest.rows(RUNS) == settled
        assert settled[0] == ("abandoned", "The ingestor that ran it ended before the run did.")
        assert await two.first.stop() == 0
        assert await two.second.stop() == 0
        assert "Traceback" not in two.first.text() + two.second.text()


async def test_a_second_ingestor_takes_over_within_5_s_of_a_kill(
    start_program: StartProgram, database: str, tmp_path: Path, ingest: Ingest
) -> None:
    async with serving(
        create_app(SimulatedMarket(600, seed=7, start=START, step_seconds=60))
    ) as address:
        address.simulation.faults.add([Fault(kind="timeout", provider="coingecko", page=2)])
        two = await start_two(start_program, ingest, database, address.coingecko_url, tmp_path)
        two.first.process.kill()
        assert await seconds_until_a_second_run(ingest) < 5
        await until(lambda: ingest.value("SELECT bool_or(status = 'success') FROM etl_runs"), 60)
        assert await two.second.stop() == 0


async def test_a_claimed_request_is_served_by_another_when_its_ingestor_freezes(
    start_program: StartProgram, database: str, tmp_path: Path, ingest: Ingest
) -> None:
    async with serving(
        create_app(SimulatedMarket(600, seed=7, start=START, step_seconds=60))
    ) as address:
        environ = {
            "SOURCES": "coingecko",
            "COINGECKO_URL": address.coingecko_url,
            "KASPARRO_HOME": str(tmp_path),
        }
        first = start_program("-m", "ingestor", DATABASE_URL=database, **environ)
        await until(lambda: ingest.value("SELECT bool_or(status = 'success') FROM etl_runs"), 60)
        address.simulation.faults.add([Fault(kind="timeout", provider="coingecko", page=2)])
        async with ingest.pool.acquire() as connection:
            await connection.execute(
                "INSERT INTO etl_requests (sources, full_run) VALUES ('{coingecko}', true)"
            )
        await until(
            lambda: ingest.value(
                "SELECT bool_or(request_id IS NOT NULL AND pages = 1) FROM etl_runs"
            ),
            60,
        )
        second = start_program("-m", "ingestor", DATABASE_URL=database, **environ)
        await second.wait_for("ingestor.started", 60)
        first.process.send_signal(signal.SIGSTOP)
        await until(lambda: ingest.value("SELECT status = 'done' FROM etl_requests"), 60)
        first.process.send_signal(signal.SIGCONT)
        statuses = await ingest.rows(
            "SELECT status FROM etl_runs WHERE request_id IS NOT NULL ORDER BY id"
        )
        assert statuses == [("abandoned",), ("success",)]
        assert await first.stop() == 0
        assert await second.stop() == 0


async def test_a_frozen_holder_of_the_write_lock_loses_it_and_what_it_had_not_committed(
    start_program: StartProgram, database: str, ingest: Ingest
) -> None:
    ingest.csv_path.write_text("symbol,price\nBTC,1\n")
    holder = start_program("-c", HOLDER, database)
    await holder.wait_for("holding", 60)
    holder.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    async with asyncio.timeout(60):
        assert (await ingest.run("csv")).status == "success"
    assert time.monotonic() - began < 15
    holder.process.send_signal(signal.SIGCONT)
    assert await holder.wait() == 1
    assert await ingest.value("SELECT count(*) FROM sources WHERE poll_seconds = 7") == 0
