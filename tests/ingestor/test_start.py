"""Before its first run, an ingestor checks that the database has this version's schema."""

from pathlib import Path

from db.connect.types import Connection
from db.schema.migrate import migrate
from tests.conftest import StartProgram


async def test_it_waits_for_the_schema_as_the_server_does(
    start_program: StartProgram, empty_database: str, tmp_path: Path
) -> None:
    (tmp_path / "coins.csv").write_text("symbol,price\nBTC,1\n")
    program = start_program(
        *("-m", "ingestor"),
        DATABASE_URL=empty_database,
        SOURCES="csv",
        CSV_PATH=str(tmp_path / "coins.csv"),
        KASPARRO_HOME=str(tmp_path),
    )
    await program.wait_for(r"database.not_ready .*The database lacks migration 0001_main\.sql", 60)
    await migrate(empty_database)
    await program.wait_for("run.finished .*status=success", 60)
    assert await program.stop() == 0
    assert "Traceback" not in program.text()


async def test_it_refuses_a_database_that_a_newer_version_has_migrated(
    start_program: StartProgram, database: str, connection: Connection, tmp_path: Path
) -> None:
    await connection.execute(
        "INSERT INTO schema_migrations VALUES (9999, 'future', repeat('a', 64), now())"
    )
    program = start_program(
        "-m", "ingestor", DATABASE_URL=database, SOURCES="csv", KASPARRO_HOME=str(tmp_path)
    )
    assert await program.wait(60) == 1
    assert program.text().strip() == (
        "the database holds migration 9999_future, which this version of Kasparro does not know: "
        "install the newer version that applied it"
    )
