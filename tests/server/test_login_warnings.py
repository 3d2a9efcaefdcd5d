"""A part without its own login warns at each start, and the doctor says what to do."""

from pathlib import Path

import msgspec
import pytest

from common.settings import Settings
from db.schema.migrate import migrate
from kasparro.doctor.logins import check_logins
from tests.conftest import StartProgram
from tests.owners import an_owner
from tests.server.conftest import running_service

WARNING = "login.not_separate"


@pytest.mark.parametrize("options", ["NOCREATEROLE", "CREATEROLE"])
async def test_a_start_without_a_login_of_its_own_warns_each_time(
    server_dsn: str,
    empty_database: str,
    start_program: StartProgram,
    tmp_path: Path,
    unused_tcp_port: int,
    options: str,
) -> None:
    async with an_owner(server_dsn, empty_database, options) as dsn:
        await migrate(dsn)
        settings = {
            "DATABASE_URL": dsn,
            "KASPARRO_HOME": str(tmp_path),
            "PORT": str(unused_tcp_port),
            "SOURCES": "csv",
        }
        for _ in range(2):
            for module, ready in (("server", r"Listening at"), ("ingestor", r"ingestor\.started")):
                program = start_program("-m", module, **settings)
                await program.wait_for(ready, 60)
                assert await program.stop() == 0
                text = program.text()
                assert text.count(WARNING) == (options == "NOCREATEROLE"), text
                assert options == "CREATEROLE" or "permission denied to create role" in text


async def test_the_doctor_tells_which_logins_there_are(
    server_dsn: str, empty_database: str, database: str
) -> None:
    for finding in await check_logins(database):
        assert finding.level == "ok", finding
    async with an_owner(server_dsn, empty_database, "NOCREATEROLE") as dsn:
        await migrate(dsn)
        for finding in await check_logins(dsn):
            assert finding.level == "warn"
            assert "may not make other roles" in finding.text
            assert "CREATEROLE" in str(finding.remedy)


async def test_a_replica_is_read_with_the_servers_login_too(settings: Settings) -> None:
    replica = f"{settings.database_url}&application_name=replica"
    async with running_service(
        msgspec.structs.replace(settings, read_database_url=replica)
    ) as service:
        for pool in (service.state.pool, service.state.primary, service.state.health_pool):
            user = await pool.fetchval("SELECT session_user")
            assert user.startswith("kasparro_server_")
        assert "postgres@" not in str(service.state.settings.read_database_url)
