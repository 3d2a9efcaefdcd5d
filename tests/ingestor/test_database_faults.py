"""An error of PostgreSQL pauses one loop, with a message; the ingestor continues."""

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from db.connect.pool import create_pool
from db.connect.types import Connection
from db.loop_problems import read_problems
from ingestor.run.lifecycle import UnclosedRuns
from ingestor.run.run import run
from tests.conftest import StartProgram
from tests.ingestor.conftest import Ingest
from tests.ingestor.test_loop import ingesting, until
from tests.kasparro.command_line import kasparro

MESSAGE = "could not extend file: No space left on device"
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '{code}';
END
$$;
CREATE TRIGGER refuse BEFORE {event} ON {table} FOR EACH ROW
    WHEN ({condition}) EXECUTE FUNCTION refuse();
"""
RUNS = "SELECT status, message FROM etl_runs WHERE source = 'csv' ORDER BY id"


@contextlib.asynccontextmanager
async def refusing(
    ingest: Ingest, code: str, table: str, event: str = "INSERT OR UPDATE", condition: str = "true"
) -> AsyncIterator[None]:
    """Let the real PostgreSQL raise the error `code` for each row written to `table`."""
    async with ingest.pool.acquire() as connection:
        await connection.execute(
            REFUSE.format(code=code, table=table, event=event, condition=condition)
        )
    yield
    async with ingest.pool.acquire() as connection:
        await connection.execute("DROP FUNCTION refuse CASCADE")


@pytest.mark.parametrize(
    "code",
    [
        "53100",
        "53200",
        "55P03",
        "0A000",
        "25006",
        "40P01",
        "57014",
        "58030",
        "XX000",
        "42501",
        "P0001",
    ],
)
async def test_an_error_of_any_kind_closes_the_run_with_its_sentence_and_the_next_poll_goes_on(
    ingest: Ingest, code: str
) -> None:
    ingest.csv_path.write_text("symbol,price\nBTC,1\n")
    async with refusing(ingest, code, "listings"):
        outcome = await ingest.run("csv")
    assert outcome.status == "failure"
    assert outcome.message == (
        "PostgreSQL refused a statement: could not extend file: No space left on device "
        f"(SQLSTATE {code}); the next run goes on where this one ended."
    )
    assert (await ingest.run("csv")).status == "success"
    assert await ingest.value("SELECT count(*) FROM listings") == 1


async def test_one_loop_pauses_alone_and_says_why_until_its_run_can_be_closed(
    ingest: Ingest, connection: Connection
) -> None:
    ingest.csv_path.write_text("symbol,price\nBTC,1\n")
    async with ingesting(ingest, "csv", "coinpaprika"):
        await until(
            lambda: ingest.value("SELECT count(*) = 2 FROM etl_runs WHERE status = 'success'")
        )
        ingest.csv_path.write_text("symbol,price\nBTC,2\n")
        only_csv = "NEW.source = 'csv' AND NEW.status <> 'running'"
        async with (
            refusing(ingest, "53100", "etl_runs", "UPDATE", only_csv),
        ):
            await ingest.value("UPDATE sources SET next_run_at = NULL")
            await until(lambda: read_problems(connection))
            assert await read_problems(connection) == [
                f"poll csv: PostgreSQL refused a statement: {MESSAGE} (SQLSTATE 53100)"
            ]
            await until(
                lambda: ingest.value(
                    "SELECT count(*) = 2 FROM etl_runs WHERE status = 'success' AND source = "
                    "'coinpaprika'"
                )
            )
            assert await ingest.rows(RUNS) == [("success", None), ("running", None)]
        await until(
            lambda: ingest.value(
                "SELECT count(*) = 2 FROM etl_runs WHERE status = 'success' AND source = 'csv'"
            )
        )
    assert await ingest.value("SELECT price_usd FROM listings WHERE source = 'csv'") == 2


async def test_a_run_that_could_not_be_closed_is_closed_with_its_sentence_by_the_next(
    ingest: Ingest,
) -> None:
    ingest.csv_path.write_text("symbol,price\nBTC,1\n")
    unclosed: UnclosedRuns = {}

    async def try_csv() -> None:
        await run(ingest.pool, ingest.sources["csv"], timeout_seconds=60, unclosed=unclosed)

    async with refusing(ingest, "25006", "etl_runs", "UPDATE"):
        for _ in range(2):  # the second cannot even close the first
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await try_csv()
    await try_csv()
    (status, message), last = await ingest.rows(RUNS)
    assert status == "failure"
    assert str(message).startswith("PostgreSQL refused a statement: could not extend file")
    assert last == ("success", None)
    assert not unclosed
    finished = await ingest.rows(
        "SELECT run ->> 'status' FROM events WHERE kind = 'run_finished' ORDER BY seq"
    )
    assert finished == [("failure",), ("success",)]


async def test_a_lock_that_another_session_holds_ends_the_run_not_the_ingestor(
    ingest: Ingest, database: str
) -> None:
    ingest.csv_path.write_text("symbol,price\nBTC,1\n")
    async with (
        await create_pool(database, lock_timeout_seconds=0.3) as impatient,
        ingest.pool.acquire() as holder,
        holder.transaction(),
    ):
        await holder.execute("LOCK TABLE listings IN ACCESS EXCLUSIVE MODE")
        outcome = await run(impatient, ingest.sources["csv"], timeout_seconds=60)
        assert outcome is not None
        assert outcome.status == "failure"
        assert outcome.message
        assert "canceling statement due to lock timeout (SQLSTATE 55P03)" in outcome.message


async def test_a_connection_that_is_terminated_in_the_middle_of_a_run_costs_that_run_alone(
    ingest: Ingest,
) -> None:
    ingest.fault("timeout", provider="coingecko", page=2, times=1)
    async with ingesting(ingest, "coingecko"):
        await until(lambda: ingest.value("SELECT pages > 0 FROM etl_runs"))
        await ingest.value(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l JOIN pg_database AS d ON d.oid "
            "= l.database "
            "WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        )
        await until(
            lambda: ingest.value("SELECT count(*) = 2 FROM etl_runs WHERE status <> 'running'")
        )
    (first, message), (second, _) = await ingest.rows(
        "SELECT status, message FROM etl_runs ORDER BY id"
    )
    assert (first, second) == ("abandoned", "success")
    assert str(message).startswith("The connection to PostgreSQL was lost: ")


READ_ONLY = """
ALTER DATABASE {name} SET default_transaction_read_only = {value};
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = '{name}' AND application_name LIKE 'kasparro%' AND pid <> pg_backend_pid();
"""


@contextlib.asynccontextmanager
async def read_only(connection: Connection, database: str) -> AsyncIterator[None]:
    name = database.partition("?")[0].rpartition("/")[2]
    await connection.execute(READ_ONLY.format(name=name, value="on"))
    yield
    await connection.execute(READ_ONLY.format(name=name, value="off"))


async def test_a_database_that_takes_no_writes_is_waited_for(
    start_program: StartProgram, database: str, connection: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "coins.csv"
    path.write_text("symbol,price\nBTC,1\n")
    environ = {
        "DATABASE_URL": database,
        "SOURCES": "csv",
        "CSV_PATH": str(path),
        "KASPARRO_HOME": str(tmp_path),
    }
    async with read_only(connection, database):
        early = start_program(
            "-m", "ingestor", **environ
        )  # it cannot even say which sources it has
        await early.wait_for(r"loop\.paused .*loop=start .*read-only transaction", 60)
    await early.wait_for("run.finished .*status=success", 60)

    async with read_only(connection, database):
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute("UPDATE sources SET next_run_at = NULL")
        await early.wait_for(r"loop\.paused .*loop='poll csv' .*read-only transaction", 60)
        status = await kasparro("status", **environ)
        assert status.returncode == 0, status.stderr
        assert "problem: The database takes no writes (it is read-only)" in status.stdout
        trigger = await kasparro("trigger", **environ)
        assert trigger.returncode == 1
        assert trigger.stderr == (
            "Error: PostgreSQL refused a statement: cannot execute INSERT in a read-only "
            "transaction (SQLSTATE 25006)\n"
        )
        once = await kasparro("ingest", "--once", **environ)
        assert (once.returncode, "Traceback" in once.stderr) == (1, False)
    await until(
        lambda: connection.fetchval("SELECT count(*) >= 2 FROM etl_runs WHERE status = 'success'"),
        60,
    )
    assert await early.stop() == 0
    assert "Traceback" not in early.text()


@pytest.mark.parametrize("table", ["listings", "schema_migrations", "etl_runs"])
async def test_status_never_hangs_on_a_lock(
    database: str, connection: Connection, tmp_path: Path, table: str
) -> None:
    began = time.monotonic()
    async with connection.transaction():
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        done = await kasparro("status", DATABASE_URL=database, KASPARRO_HOME=str(tmp_path))
    assert time.monotonic() - began < 40  # two looks at a lock of 5 s each, on a busy machine
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: PostgreSQL refused a statement: canceling statement due to lock timeout (SQLSTATE "
        "55P03)\n"
    )
