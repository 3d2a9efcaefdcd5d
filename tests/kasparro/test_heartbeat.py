"""The health check of a container: it passes with a working ingestor only."""

import asyncio
import datetime
import subprocess
import sys
from pathlib import Path

from db.connect.pool import connect
from kasparro.health_check import check_ingestor
from tests.conftest import ROOT, StartProgram

NOT_CONNECTED = "no ingestor of this machine is connected to the database\n"


async def health_check(**environ: str) -> tuple[int, str]:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "kasparro.health_check"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


async def test_it_passes_while_the_ingestor_works(
    start_program: StartProgram, database: str, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": database, "SOURCES": "csv", "KASPARRO_HOME": str(tmp_path)}
    assert await health_check(**environ) == (1, NOT_CONNECTED)
    ingestor = start_program("-m", "ingestor", **environ)
    await ingestor.wait_for(r"run\.finished")
    assert await health_check(**environ) == (0, "")
    connection = await connect(database)
    silent = await check_ingestor(connection, datetime.timedelta())
    await connection.close()
    assert silent is not None
    assert silent.startswith("the ingestor has not used the database for ")
    assert await ingestor.stop() == 0
    assert await health_check(**environ) == (1, NOT_CONNECTED)


async def test_a_database_out_of_reach_or_not_set_is_reported(tmp_path: Path) -> None:
    code, line = await health_check(
        DATABASE_URL="postgresql://user:hunter2@127.0.0.1:1/none", HOME=str(tmp_path)
    )
    assert (code, line.count("\n")) == (1, 1)
    assert line.startswith("PostgreSQL at 127.0.0.1:1/none is out of reach")
    code, line = await health_check(DATABASE_URL="", HOME=str(tmp_path))
    assert (code, line.count("\n")) == (1, 1)
    assert line.startswith("DATABASE_URL is not set")
